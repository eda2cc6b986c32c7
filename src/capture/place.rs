//! What was read of files, folders, devices and libraries, each by its path.

use serde::{Deserialize, Serialize};

use crate::elf::note::ForwardCompatibility;
use crate::reading::Reading;
use crate::units::Bytes;

/// One entry of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where it points, if it is a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// A device node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Its major number.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Its permission bits, such as 0o666.
    pub mode: u32,
    /// Whether it could be opened.
    pub open: Opened,
}

/// Whether something could be opened for reading and writing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    /// It could.
    Yes,
    /// Nobody tried: opening it would do something.
    #[default]
    NotTried,
    /// The system refused, with this error: `EPERM` is a cgroup, `EACCES` the mode, `ENXIO` no driver behind it.
    Refused(String),
}

/// A file system, at one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Space {
    /// All of it.
    pub total: Bytes,
    /// What an ordinary user can still write.
    pub available: Bytes,
    /// Its type as the mount table has it: `ext4`, `tmpfs`, `nfs4`.
    pub filesystem: Reading<String>,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// One file that a library name can mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Library {
    /// Where it was found: `/usr/lib/x86_64-linux-gnu/libcuda.so.1`.
    pub path: String,
    /// The file behind the links: `…/libcuda.so.580.95.05`.
    pub real_path: Reading<String>,
    /// How it was found.
    pub by: FoundBy,
    /// Its size.
    pub size: Reading<Bytes>,
    /// The version that its file name ends with: `580.95.05`.
    pub version: Reading<String>,
    /// Whether it is a stub to link against, which answers every call with an error.
    pub stub: bool,
    /// What a forward-compatibility library says of itself, in its `.note.cuda.fwd_compatibility`.
    pub compat_note: Reading<ForwardCompatibility>,
}

/// How a library is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// `LD_PRELOAD` names it.
    Preload,
    /// Its folder is in `LD_LIBRARY_PATH`.
    LibraryPath,
    /// The loader's cache, `/etc/ld.so.cache`, has it.
    Cache,
    /// Its folder is one that the loader always searches.
    Default,
    /// It exists, but the loader does not look there.
    #[default]
    NotSearched,
}
