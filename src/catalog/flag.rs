//! Command-line flags of an engine through its versions (`rules/engines/<engine>/flags.toml`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::origin::Origin;
use crate::version::Version;

/// The file of flags of one engine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlagFile {
    #[expect(dead_code, reason = "kept for the reader of the file; the rules test asks for it")]
    pub(super) sources: Vec<String>,
    #[serde(default)]
    pub(super) flag: Vec<Flag>,
}

/// One flag of the server's command line, which is also a key of its YAML configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Its name without dashes in front: `max-num-seqs`.
    pub name: String,
    /// What it really does, where the name misleads.
    pub effect: Option<String>,
    /// What to write instead where it is deprecated or gone.
    pub replacement: Option<String>,
    /// Flags that take its place, by name.
    #[serde(default)]
    pub replaced_by: Vec<String>,
    /// Where `effect` and `replacement` come from; the spans come from the sources of the file.
    #[serde(default)]
    pub sources: Vec<String>,
    /// How it looked, oldest first. Between spans, and after the last one that ends, the flag does not exist.
    pub span: Vec<FlagSpan>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// A range of versions in which a flag looked the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagSpan {
    /// The first version read that has it so.
    pub since: Version,
    /// The first version read that no longer has it so.
    pub until: Option<Version>,
    /// What it takes.
    pub takes: FlagType,
    /// Its default; absent when it has none or computes it.
    pub default: Option<Value>,
    /// The only values it accepts; empty when the parser takes any.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Values with a meaning where the parser takes any.
    #[serde(default)]
    pub suggested: Vec<String>,
    /// Whether `None` is a value.
    #[serde(default)]
    pub nullable: bool,
    /// Whether `--no-<name>` exists.
    #[serde(default)]
    pub negatable: bool,
    /// One-dash names, `-tp`.
    #[serde(default)]
    pub short: Vec<String>,
    /// Further long names, without dashes in front.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Whether the engine calls it deprecated.
    #[serde(default)]
    pub deprecated: bool,
    /// The configuration field behind it, `CacheConfig.cache_dtype`.
    pub field: Option<String>,
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagType {
    /// Nothing: its presence means true.
    Switch,
    /// Nothing or a truth value.
    Boolean,
    /// A whole number.
    Integer,
    /// A whole number, also written `8k` or `2M`.
    HumanInteger,
    /// A number.
    Float,
    /// A text.
    String,
    /// Several values.
    List,
    /// A JSON object, also given key by key as `--flag.key value`.
    Json,
    /// `key=value` pairs separated by commas.
    KeyValues,
    /// Nothing or a text.
    OptionalString,
}

/// What a version makes of a flag's name.
#[derive(Clone, Debug)]
pub enum FlagStatus<'a> {
    /// It exists.
    Current {
        /// The flag.
        flag: &'a Flag,
        /// How it looks in this version.
        span: &'a FlagSpan,
    },
    /// It existed before.
    Removed {
        /// The flag.
        flag: &'a Flag,
        /// The first version read without it.
        since: &'a Version,
    },
    /// It exists in newer versions alone.
    NotYet {
        /// The flag.
        flag: &'a Flag,
        /// The first version read that has it.
        since: &'a Version,
    },
    /// No version read has it.
    Unknown {
        /// Flags of this version that resemble it, the nearest first.
        nearest: Vec<String>,
    },
}

impl Flag {
    /// How it looks in `version`; none where it does not exist.
    pub fn at(&self, version: &Version) -> Option<&FlagSpan> {
        self.span.iter().find(|span| span.holds_for(version))
    }

    /// What `version` makes of it.
    pub fn status(&self, version: &Version) -> FlagStatus<'_> {
        if let Some(span) = self.at(version) {
            return FlagStatus::Current { flag: self, span };
        }
        let ended = self.span.iter().rev().filter_map(|span| span.until.as_ref()).find(|until| *until <= version);
        match (ended, self.span.first()) {
            (Some(since), _) => FlagStatus::Removed { flag: self, since },
            (None, Some(first)) => FlagStatus::NotYet { flag: self, since: &first.since },
            (None, None) => FlagStatus::Unknown { nearest: Vec::new() },
        }
    }

    /// Every name that any version has for it, its own first.
    pub(super) fn names(&self) -> Vec<String> {
        let others = self.span.iter().flat_map(|span| span.aliases.iter().chain(&span.short));
        std::iter::once(&self.name).chain(others).cloned().collect()
    }

    /// Whether `name`, in the canonical form of [`canonical`], is one of its names.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name
            || self.span.iter().any(|span| {
                span.aliases.iter().any(|alias| alias == name)
                    || span.short.iter().any(|short| short.trim_start_matches('-') == name)
                    || span.negatable && name.strip_prefix("no-") == Some(&self.name)
            })
    }
}

impl FlagSpan {
    /// Whether it covers `version`.
    pub fn holds_for(&self, version: &Version) -> bool {
        *version >= self.since && self.until.as_ref().is_none_or(|until| version < until)
    }
}

/// A flag's name as the catalogue writes it: `--max_num_seqs` becomes `max-num-seqs`.
pub(super) fn canonical(name: &str) -> String {
    name.trim().trim_start_matches('-').replace('_', "-")
}
