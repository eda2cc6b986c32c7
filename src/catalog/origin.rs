//! Where a rule was read from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file of a rule: one of those inside the binary, or one that the user laid over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A built-in file, by its path below `rules/`.
    Builtin(&'static str),
    /// A file of the user's, by the path that was given.
    Overlay(Arc<Path>),
}

impl Default for Origin {
    fn default() -> Self {
        Self::Builtin("")
    }
}

impl Origin {
    /// The path to show: `rules/gpus/l4.toml`, or the user's own.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Builtin(path) => Path::new("rules").join(path),
            Self::Overlay(path) => path.to_path_buf(),
        }
    }

    /// The name of the file without its ending, which many entries take as their id.
    pub fn stem(&self) -> String {
        self.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether the user laid it over the built-in rules.
    pub fn is_overlay(&self) -> bool {
        matches!(self, Self::Overlay(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(path) => write!(f, "rules/{path} (built in)"),
            Self::Overlay(path) => path.display().fmt(f),
        }
    }
}
