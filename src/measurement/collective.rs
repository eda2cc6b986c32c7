//! All-reduces over several devices by NCCL: what each rank says, and what they make together.

use serde::{Deserialize, Serialize};

use super::Spread;
use crate::units::Bytes;

/// What a rank says beside what every measuring process does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The library's version, as it tells it: 22809 is 2.28.9.
    Version(i32),
    /// The name of the group that the first rank made, in hexadecimal.
    Group(String),
    /// All-reduces of one size.
    Reduced(AllReduce),
}

/// All-reduces of one size: sums of 32-bit floats, of which every rank gets all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AllReduce {
    /// Bytes that each rank gives and gets.
    pub bytes: Bytes,
    /// Whether a graph launched them; else the host did, one after the other.
    pub graph: bool,
    /// How long one took: of the slowest rank.
    pub time: Spread,
    /// Words that are not the sum, of all ranks together.
    pub wrong: u64,
}

impl AllReduce {
    /// Bytes a second as the program sees them.
    pub fn algorithm_rate(&self) -> f64 {
        self.bytes.0 as f64 / self.time.median
    }

    /// Bytes a second over each rank's link, in each direction: 2 (n − 1) / n of the other, whatever the algorithm. The definition
    /// is that of nccl-tests, `doc/PERFORMANCE.md`, so that figures can be compared with its own.
    pub fn bus_rate(&self, ranks: usize) -> f64 {
        let ranks = ranks as f64;
        self.algorithm_rate() * 2.0 * (ranks - 1.0) / ranks
    }
}

/// How a run of several ranks ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No rank said anything for this many seconds.
    Hung {
        /// The seconds.
        after: u64,
    },
    /// A call returned an error.
    Failed,
    /// A process crashed.
    Crashed,
    /// There is not enough free memory, or something else is missing that is no fault.
    Impossible,
}

/// Where and why a run ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// How.
    pub ending: Ending,
    /// In which call, and on which devices, as a phrase.
    pub place: String,
    /// What was said of it.
    pub reason: String,
}

/// One run of all ranks.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Whether NCCL was told not to use peer access.
    pub without_p2p: bool,
    /// By size, smallest first.
    pub reduced: Vec<AllReduce>,
    /// The ways that NCCL says it took between devices: `P2P/CUMEM`, `SHM/direct/direct`.
    pub transports: Vec<String>,
    /// What NCCL warned of.
    pub warnings: Vec<String>,
    /// Why it ended early.
    pub stop: Option<Stop>,
}

impl Run {
    /// Whether it came to its end with every sum right.
    pub fn is_good(&self) -> bool {
        self.stop.is_none() && !self.reduced.is_empty() && self.reduced.iter().all(|one| one.wrong == 0)
    }

    /// The largest size that was reduced, which shows what the links carry.
    pub fn largest(&self) -> Option<&AllReduce> {
        self.reduced.iter().filter(|one| !one.graph).max_by_key(|one| one.bytes)
    }
}

/// A library of NCCL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    /// The file, or the name that the loader looks up.
    pub path: String,
    /// Whose it is, as a phrase: `of the environment /opt/venv`.
    pub owner: String,
    /// Its version, `2.28.9`.
    pub version: Option<String>,
}

/// What NCCL does on these devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Collective {
    /// The devices, by CUDA's numbers: rank by rank.
    pub devices: Vec<u32>,
    /// The library, where one was found.
    pub library: Option<Library>,
    /// As the environment is; and, where that failed, without peer access, which tells whether peer access is why.
    pub runs: Vec<Run>,
    /// Why nothing was measured.
    pub skipped: Option<String>,
}

impl Collective {
    /// Nothing, for a reason.
    pub fn skipped(devices: Vec<u32>, reason: impl Into<String>) -> Self {
        Self { devices, library: None, runs: Vec::new(), skipped: Some(reason.into()) }
    }
}

/// `2.28.9` of 22809: NCCL counts major × 10000 + minor × 100 + patch, and did with 1000 and 100 before 2.9 (nccl.h, `NCCL_VERSION`).
pub fn version(code: i32) -> String {
    let major = if code < 10_000 { 1000 } else { 10_000 };
    format!("{}.{}.{}", code / major, code % major / 100, code % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before 2.9 the factor of the major version was a tenth.
    #[test]
    fn versions_read_as_their_header_counts_them() {
        assert_eq!([22809, 21005, 2708].map(version), ["2.28.9", "2.10.5", "2.7.8"]);
    }

    /// 2 devices: each sends and gets what is reduced once. 8: 1.75 times.
    #[test]
    fn the_bus_rate_is_that_of_nccl_tests() {
        let time = Spread { median: 1e-3, fastest: 1e-3, slowest: 1e-3 };
        let one = AllReduce { bytes: Bytes(1_000_000), graph: false, time, wrong: 0 };
        assert_eq!([2, 8].map(|ranks| one.bus_rate(ranks)), [1e9, 1.75e9]);
    }
}
