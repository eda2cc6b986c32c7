//! The manifest: which contents gpudoctor has written under which name.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::write::{WriteError, read_ours};

/// The schema of the manifest.
const SCHEMA: &str = "gpudoctor.manifest/1";
/// Digests that are kept for a file, newest last.
const KEPT: usize = 8;

/// Which contents gpudoctor has written under which name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    schema: String,
    files: IndexMap<String, Vec<String>>,
}

impl Manifest {
    /// Where the manifest of `directory` is.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(".gpudoctor.json")
    }

    /// The manifest of `directory`; an empty one if there is none.
    pub fn read(directory: &Path) -> Result<Self, WriteError> {
        let path = Self::path(directory);
        let Some(bytes) = read_ours(&path)? else {
            return Ok(Self { schema: SCHEMA.to_owned(), files: IndexMap::new() });
        };
        let wrong = |problem: String| WriteError::Manifest { path: path.clone(), problem };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.schema == SCHEMA { Ok(manifest) } else { Err(wrong(format!("its schema is `{}`, not `{SCHEMA}`", manifest.schema))) }
    }

    /// Whether gpudoctor has written this content under `name`.
    pub fn knows(&self, name: &str, digest: &str) -> bool {
        self.files.get(name).is_some_and(|digests| digests.iter().any(|known| known == digest))
    }

    /// Notes that `name` has this content.
    pub fn record(&mut self, name: &str, digest: String) {
        let digests = self.files.entry(name.to_owned()).or_default();
        digests.retain(|known| *known != digest);
        digests.push(digest);
        let surplus = digests.len().saturating_sub(KEPT);
        digests.drain(..surplus);
    }

    /// The manifest as it is stored.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
