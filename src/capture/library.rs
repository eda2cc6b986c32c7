//! Shared libraries: what they have kernels for, and from where the loader would take what they need.

use serde::{Deserialize, Serialize};

use crate::elf::Target;
use crate::reading::Reading;

/// A library of PyTorch, of an engine or of another extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// The file.
    pub place: String,
    /// The package that it belongs to.
    pub package: String,
    /// The GPUs that it has kernels for; empty for a library without kernels.
    pub targets: Reading<Vec<Target>>,
    /// The symbols of PyTorch that it needs; unreadable where they could not be looked up.
    pub symbols: Reading<Symbols>,
}

/// What a library needs of PyTorch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Symbols {
    /// How many it needs.
    pub needed: u32,
    /// Whether it is built with the C++11 ABI, where its symbols of PyTorch tell.
    pub cxx11_abi: Option<bool>,
    /// Those that nothing installed defines: the first few.
    pub missing: Vec<String>,
    /// How many there are.
    pub missing_count: u32,
}

/// A library that would be loaded, or is nowhere to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// The name that is asked for: `libcudart.so.13`.
    pub name: String,
    /// Who asks first.
    pub by: String,
    /// The file that is loaded; `None` where there is none.
    pub place: Option<String>,
    /// Why this one.
    pub rule: Rule,
    /// Its version, as far as a package or its file name tells.
    pub version: Option<String>,
    /// Files of the same name in the environment that are not loaded.
    pub shadows: Vec<String>,
}

/// Which rule of the loader finds a library, in the order in which they are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// None does.
    #[default]
    Nowhere,
    /// It is opened by its path.
    Path,
    /// `DT_RPATH` of who asks, or of who loaded that.
    Rpath,
    /// `LD_LIBRARY_PATH`.
    LibraryPath,
    /// `DT_RUNPATH` of who asks.
    Runpath,
    /// The cache of `ldconfig`.
    Cache,
    /// The directories of the system.
    System,
}

impl Rule {
    /// The rule in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "nowhere",
            Self::Path => "its path",
            Self::Rpath => "RPATH",
            Self::LibraryPath => "LD_LIBRARY_PATH",
            Self::Runpath => "RUNPATH",
            Self::Cache => "the cache of ldconfig",
            Self::System => "the system's directories",
        }
    }
}

/// A version of symbols, or a symbol, that a library needs and the one that is loaded does not define.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Unmet {
    /// Who needs it.
    pub by: String,
    /// The name of the other library: `libstdc++.so.6`.
    pub library: String,
    /// The file that is loaded for it.
    pub place: String,
    /// The version or symbol: `GLIBCXX_3.4.32`.
    pub needs: String,
}
