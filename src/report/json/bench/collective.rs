//! All-reduces in the report of a bench.

use schemars::JsonSchema;
use serde::Serialize;

use super::gb;
use crate::measurement::collective::{AllReduce, Run};
use crate::measurement::judge::collective::{CollectiveJudged, outcome};
use crate::redact;

/// All-reduces by NCCL over all GPUs that are measured, a process each.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NcclReport {
    /// What the first run says: `pass`, `slow`, `wrong`, `hang`, `failed` or `skipped`.
    pub verdict: &'static str,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// CUDA's numbers of the GPUs, rank by rank.
    pub gpus: Vec<u32>,
    /// The library; names of users are taken out.
    pub library: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The least bus rate of the largest size that is good, in GB/s (10^9).
    pub floor_bus_gb_per_s: Option<f64>,
    /// As the environment is; and, where that failed, without peer access.
    pub runs: Vec<NcclRun>,
}

/// One run of all ranks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NcclRun {
    /// Whether NCCL might use peer access: not where `NCCL_P2P_DISABLE` was set.
    pub peer_access: bool,
    /// `pass`, `slow`, `wrong`, `hang` or `failed`.
    pub verdict: &'static str,
    /// In which call and on which GPUs it ended early.
    pub stopped_in: Option<String>,
    /// Why it ended early.
    pub reason: Option<String>,
    /// The ways that NCCL says it took between GPUs.
    pub transports: Vec<String>,
    /// All-reduces of 32-bit floats, smallest first.
    pub all_reduce: Vec<AllReduceReport>,
}

/// All-reduces of one size.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AllReduceReport {
    /// Bytes that each rank gives and gets.
    pub bytes: u64,
    /// `plain` or `graph`.
    pub launch: &'static str,
    /// Median time of the slowest rank in microseconds; of wrong sums `null`, as are all rates.
    pub median_us: Option<f64>,
    /// Of the fastest and the slowest group.
    pub fastest_us: Option<f64>,
    /// See `fastest_us`.
    pub slowest_us: Option<f64>,
    /// Bytes through time, 10^9 bytes a second.
    pub algorithm_gb_per_s: Option<f64>,
    /// What each rank's link carries in each direction, as nccl-tests defines it: 2 (n − 1) / n of the algorithm's.
    pub bus_gb_per_s: Option<f64>,
    /// Whether every sum was right on every rank.
    pub verified: bool,
}

/// The JSON of all-reduces.
pub(super) fn report(judged: &CollectiveJudged) -> NcclReport {
    let measured = &judged.measured;
    let library = measured.library.as_ref();
    NcclReport {
        verdict: judged.outcome.name(),
        reason: measured.skipped.as_ref().map(|reason| redact::line(reason).into_owned()),
        gpus: measured.devices.clone(),
        library: library.map(|library| redact::line(&library.path).into_owned()),
        version: library.and_then(|library| library.version.clone()),
        floor_bus_gb_per_s: judged.floor.map(gb),
        runs: measured.runs.iter().map(|one| run(one, judged)).collect(),
    }
}

fn run(run: &Run, judged: &CollectiveJudged) -> NcclRun {
    let ranks = judged.measured.devices.len();
    NcclRun {
        peer_access: !run.without_p2p,
        verdict: outcome(run, ranks, judged.floor).name(),
        stopped_in: run.stop.as_ref().map(|stop| stop.place.clone()),
        reason: run.stop.as_ref().map(|stop| redact::line(&stop.reason).into_owned()),
        transports: run.transports.clone(),
        all_reduce: run.reduced.iter().map(|one| all_reduce(one, ranks)).collect(),
    }
}

fn all_reduce(one: &AllReduce, ranks: usize) -> AllReduceReport {
    let right = one.wrong == 0;
    let time = right.then_some(one.time);
    AllReduceReport {
        bytes: one.bytes.0,
        launch: if one.graph { "graph" } else { "plain" },
        median_us: time.map(|time| time.median * 1e6),
        fastest_us: time.map(|time| time.fastest * 1e6),
        slowest_us: time.map(|time| time.slowest * 1e6),
        algorithm_gb_per_s: right.then(|| gb(one.algorithm_rate())),
        bus_gb_per_s: right.then(|| gb(one.bus_rate(ranks))),
        verified: right,
    }
}
