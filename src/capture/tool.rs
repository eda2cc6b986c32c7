//! What was found of programs, services and container specifications.

use serde::{Deserialize, Serialize};

use crate::reading::Reading;

/// A program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tool {
    /// Where `PATH` finds it.
    pub path: String,
    /// What it prints when asked for its version; the first line that is not empty.
    pub version: Reading<String>,
}

/// A service of the system, from its files: nothing is asked of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Whether its program is installed, and where.
    pub program: Reading<String>,
    /// Whether a systemd unit of it exists, and where.
    pub unit: Reading<String>,
    /// Whether that unit is started with the system.
    pub enabled: Reading<bool>,
    /// Whether it runs, and as what process.
    pub pid: Reading<u32>,
    /// Whether its socket is there, and where.
    pub socket: Reading<String>,
}

/// A container device interface specification: which files a container with GPUs gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CdiSpec {
    /// The vendor and class: `nvidia.com/gpu`.
    pub kind: String,
    /// The names of its devices: `0`, `all`.
    pub devices: Vec<String>,
    /// The paths of the host that it mounts or passes on, and whether they exist.
    pub paths: Vec<CdiPath>,
}

/// A path that a specification needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CdiPath {
    /// The path on the host.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
}

/// A place on the internet, and whether it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// Its address.
    pub url: String,
    /// The status that it answered with.
    pub status: Reading<u16>,
    /// How long the answer took.
    pub duration_ms: u64,
}
