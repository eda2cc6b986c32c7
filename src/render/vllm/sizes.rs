//! Memory and time of the deployment, from the plan's budget.

use serde::Serialize;

use crate::model::spec::Origin;
use crate::plan::budget::{Budget, TermName};
use crate::plan::outcome::Plan;
use crate::render::options::{ModelSource, RenderOptions};
use crate::units::Bytes;

/// Shared memory of a server with one rank: nothing but torch's own needs.
const SHM_ONE_RANK_GIB: u64 = 1;
/// Shared memory of a server with several ranks, at least: what the engines' own guides ask for.
const SHM_RANKS_GIB: u64 = 8;
/// Shared memory a rank, where there are many.
const SHM_A_RANK_GIB: u64 = 2;
/// Scratch space in `/tmp`: compiled kernels on their way to the cache.
const TMP_GIB: u64 = 4;
/// A server's host memory that no plan goes below: the interpreter with torch and the engine, and room to load.
const HOST_FLOOR_GIB: u64 = 12;
/// The share on top of the planned host memory that stays free for page cache and fragmentation.
const HOST_MARGIN: f64 = 0.125;
/// Room in the cache volume beside the weights: compiled kernels and graphs.
const CACHE_ROOM_GIB: u64 = 20;

/// Start-up without loading: imports, compilation, capture, first kernel builds.
const START_SECONDS: u64 = 300;
/// A slow disk.
const READ_BYTES_PER_SECOND: u64 = 200_000_000;
/// A slow line.
const DOWNLOAD_BYTES_PER_SECOND: u64 = 25_000_000;
/// The shortest and the longest wait for a start.
const START_BOUNDS: (u64, u64) = (600, 14_400);

/// Memory and time of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// `/dev/shm`.
    pub shm_gib: u64,
    /// `/tmp`.
    pub tmp_gib: u64,
    /// The most host memory that the container may take.
    pub memory_limit_gib: u64,
    /// The host memory that must be free for it.
    pub memory_request_gib: u64,
    /// What that is made of, as one line.
    pub memory_why: String,
    /// The cache volume.
    pub cache_gib: u64,
    /// How long a start may take.
    pub start_seconds: u64,
    /// What that is made of, as one line.
    pub start_why: String,
    /// Failed probes, ten seconds apart, that make up that time.
    pub startup_failures: u64,
    /// When a rollout counts as failed.
    pub progress_seconds: u64,
}

/// The sizes of a deployment of `plan`.
pub fn sizes(plan: &Plan, budget: &Budget, options: &RenderOptions) -> Sizes {
    let devices = plan.devices.count;
    let shm_gib = if devices <= 1 { SHM_ONE_RANK_GIB } else { SHM_RANKS_GIB.max(devices.saturating_mul(SHM_A_RANK_GIB)) };
    let host_gib = whole_gib(budget.host_memory);
    let request_gib = host_gib.max(HOST_FLOOR_GIB);
    let limit_gib = whole_gib(budget.host_memory.scale(1.0 + HOST_MARGIN)).max(HOST_FLOOR_GIB) + shm_gib + TMP_GIB;
    let weights = weights(plan, budget);
    let fetched = !matches!(options.model, ModelSource::Directory { .. });
    let download = if fetched && !options.offline { weights.0 / DOWNLOAD_BYTES_PER_SECOND } else { 0 };
    let start = START_SECONDS + weights.0 / READ_BYTES_PER_SECOND + download;
    let start_seconds = (start.div_ceil(60) * 60).clamp(START_BOUNDS.0, START_BOUNDS.1);
    let work = if download > 0 { "to download and load" } else { "to load" };
    Sizes {
        shm_gib,
        tmp_gib: TMP_GIB,
        memory_limit_gib: limit_gib,
        memory_request_gib: request_gib,
        memory_why: format!(
            "The plan needs {} of host memory; the limit adds an eighth, {shm_gib} GiB of shared memory and {TMP_GIB} GiB of /tmp.",
            budget.host_memory
        ),
        cache_gib: CACHE_ROOM_GIB + if fetched { whole_gib(weights.scale(1.1)) } else { 0 },
        start_seconds,
        start_why: format!("Up to {} minutes {work} {weights} of weights, compile and capture.", start_seconds / 60),
        startup_failures: start_seconds.div_ceil(10),
        progress_seconds: start_seconds + 300,
    }
}

/// All weights of the model, wherever they end up: as stored, else on the devices and in host memory.
fn weights(plan: &Plan, budget: &Budget) -> Bytes {
    if let Origin::Checkpoint { bytes, .. } = &plan.model.origin {
        return *bytes;
    }
    let resident = budget.term(TermName::Weights).map_or(Bytes::ZERO, |term| term.size.expected);
    let offloaded = plan.launch.as_ref().is_some_and(|launch| launch.offload.is_some());
    resident * plan.devices.count + if offloaded { budget.host_memory } else { Bytes::ZERO }
}

/// `bytes` in GiB, rounded up.
const fn whole_gib(bytes: Bytes) -> u64 {
    bytes.0.div_ceil(Bytes::GIB.0)
}
