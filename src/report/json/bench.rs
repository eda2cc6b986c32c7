//! `gpudoctor.bench/1`: what `bench --format json` prints. Fields may be added; none is renamed or removed under `/1`.

mod collective;
pub mod read;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::measurement::judge::{GpuJudged, Judged, Verdict};
use crate::measurement::{Conditions, Launch, Sample};
use crate::report::json::finding::Finding;

/// The contract's name and version.
pub const SCHEMA: &str = "gpudoctor.bench/1";

/// The report of `gpudoctor bench`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BenchReport {
    /// `gpudoctor.bench/1`.
    pub schema: &'static str,
    /// The exit code of the command.
    pub exit_code: u8,
    /// CUDA's version of the driver: 13000 is 13.0.
    pub driver_cuda: Option<u32>,
    /// The driver's version, such as `580.159.04`; `null` where NVML does not tell.
    pub driver: Option<String>,
    /// What was measured on each GPU, in CUDA's order.
    pub gpus: Vec<GpuReport>,
    /// Copies between the host and each GPU.
    pub host_links: Vec<HostLink>,
    /// Copies between GPUs.
    pub peers: Vec<PeerReport>,
    /// All-reduces over all GPUs together by NCCL; `null` where they were not asked for.
    pub nccl: Option<collective::NcclReport>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// One GPU.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GpuReport {
    /// CUDA's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `9.0`.
    pub compute_capability: String,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Device memory that CUDA sees.
    pub memory_bytes: u64,
    /// Memory bandwidth of the data sheet, or what the driver's clock and width make, in GB/s (10^9).
    pub peak_gb_per_s: Option<f64>,
    /// 16-bit products of the data sheet, dense, in TFLOP/s (10^12); `null` for a card that is not known.
    pub peak_tflops: Option<f64>,
    /// Measurements of kernels, and what was skipped.
    pub results: Vec<ResultReport>,
    /// How long that took; `null` in what was shown from an older report.
    pub took: Option<TookReport>,
}

/// How long measuring one GPU took.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TookReport {
    /// From the start of the first process to the end of the last.
    pub seconds: f64,
    /// Of it, families had their turn; the rest went into starting, compiling and ending.
    pub measuring_seconds: f64,
    /// Of that, launches were timed; the rest went into filling memory, warming up and checking results.
    pub timed_seconds: f64,
}

/// One measurement, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResultReport {
    /// Its id, such as `int4-bf16`; of what was skipped, the family's or the measurement's name.
    pub kernel: String,
    /// What it worked on.
    pub shape: Option<String>,
    /// `plain`, `overlapped` or `copy-engine`.
    pub launch: Option<&'static str>,
    /// Bytes that one launch has to move; `null` where only time matters.
    pub bytes: Option<u64>,
    /// Floating-point operations that one launch has to do; `null` where it computes nothing.
    pub flops: Option<u64>,
    /// Median time of a launch in microseconds; of a wrong result `null`, as are all its rates.
    pub median_us: Option<f64>,
    /// Of the fastest and the slowest group of launches.
    pub fastest_us: Option<f64>,
    /// See `fastest_us`.
    pub slowest_us: Option<f64>,
    /// 10^9 bytes a second.
    pub gb_per_s: Option<f64>,
    /// Share of the read rate measured in the same process.
    pub percent_of_read: Option<f64>,
    /// Share of the memory's peak.
    pub percent_of_peak: Option<f64>,
    /// Largest deviation from the reference, as a share of the reference's root mean square.
    pub error: Option<f64>,
    /// The largest that is right for the format.
    pub error_limit: Option<f64>,
    /// The least rate that is good.
    pub floor_gb_per_s: Option<f64>,
    /// `pass`, `slow`, `wrong` or `skipped`.
    pub verdict: &'static str,
    /// Why it was skipped, what is wrong with the result, or what to know of it.
    pub reason: Option<String>,
    /// The GPU meanwhile.
    pub conditions: Option<ConditionsReport>,
}

/// The GPU during a measurement; `null` where NVML did not tell.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConditionsReport {
    /// Clock of the multiprocessors.
    pub sm_mhz: Option<u32>,
    /// Clock of the memory.
    pub memory_mhz: Option<u32>,
    /// Temperature.
    pub temperature_c: Option<u32>,
    /// Power draw.
    pub power_w: Option<f64>,
    /// Why clocks were lower than they could be.
    pub throttling: Vec<String>,
}

/// Copies between the host and a GPU.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HostLink {
    /// The GPU.
    pub gpu: u32,
    /// `host-to-device`, `device-to-host` or `host-both-directions`.
    pub direction: String,
    /// What was copied.
    pub shape: String,
    /// 10^9 bytes a second, of both directions together where both were busy.
    pub gb_per_s: Option<f64>,
    /// The least rate that is good.
    pub floor_gb_per_s: Option<f64>,
    /// Generation of PCI Express during the copy.
    pub pcie_generation: Option<u32>,
    /// Lanes during the copy.
    pub pcie_lanes: Option<u32>,
    /// `pass`, `slow` or `wrong`.
    pub verdict: &'static str,
    /// What is wrong with the result, or what to know of it.
    pub reason: Option<String>,
}

/// Copies from one GPU to another.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PeerReport {
    /// The GPU that is copied from.
    pub from: u32,
    /// The GPU that is copied to.
    pub to: u32,
    /// 10^9 bytes a second; `null` where data was damaged.
    pub gb_per_s: Option<f64>,
    /// Time of a copy of 16 bytes.
    pub latency_us: f64,
    /// Whether every word arrived.
    pub verified: bool,
    /// Whether the GPUs reach each other's memory; else copies go through the host.
    pub direct: bool,
    /// 10^9 bytes a second that a kernel loads from the other GPU's memory; `null` where it cannot, or data was damaged.
    pub load_gb_per_s: Option<f64>,
    /// The least rate of copies that is good.
    pub floor_gb_per_s: Option<f64>,
    /// `pass`, `slow` or `wrong`.
    pub verdict: &'static str,
    /// What to know of the figure.
    pub reason: Option<String>,
}

/// The JSON of a bench. Ends with a line break.
///
/// # Errors
/// When the report has no JSON form.
pub fn render(gpus: &[GpuJudged], driver_cuda: Option<u32>, driver: Option<&str>, exit_code: u8) -> Result<String, serde_json::Error> {
    let report = BenchReport {
        schema: SCHEMA,
        exit_code,
        driver_cuda,
        driver: driver.map(str::to_owned),
        gpus: gpus.iter().map(gpu).collect(),
        host_links: gpus.iter().flat_map(|gpu| gpu.results.iter().filter(is_link).map(|result| link(gpu, result))).collect(),
        peers: gpus.iter().flat_map(peers).collect(),
        nccl: gpus.iter().find_map(|gpu| gpu.together.as_ref()).map(collective::report),
        findings: gpus.iter().flat_map(|gpu| &gpu.findings).map(Finding::from).collect(),
    };
    serde_json::to_string_pretty(&report).map(|text| text + "\n")
}

/// The JSON Schema of the contract.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(BenchReport);
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}

fn is_link(result: &&Judged) -> bool {
    result.sample.launch == Launch::CopyEngine
}

fn gpu(gpu: &GpuJudged) -> GpuReport {
    let device = &gpu.measured.device;
    let skipped = gpu.skipped().map(|(kernel, stop)| ResultReport { reason: Some(stop.reason().to_owned()), ..nothing(kernel) });
    GpuReport {
        index: device.index,
        name: device.name.clone(),
        compute_capability: format!("{}.{}", device.capability.0, device.capability.1),
        multiprocessors: device.multiprocessors,
        memory_bytes: device.memory.0,
        peak_gb_per_s: gpu.peak.map(gb),
        peak_tflops: gpu.tensor_peak.map(|rate| rate / 1e12),
        results: gpu.results.iter().filter(|result| !is_link(result)).map(measured).chain(skipped).collect(),
        took: gpu.measured.took.map(|took| TookReport {
            seconds: took.seconds,
            measuring_seconds: took.measuring_seconds,
            timed_seconds: took.timed_seconds,
        }),
    }
}

fn nothing(kernel: String) -> ResultReport {
    ResultReport {
        kernel,
        shape: None,
        launch: None,
        bytes: None,
        flops: None,
        median_us: None,
        fastest_us: None,
        slowest_us: None,
        gb_per_s: None,
        percent_of_read: None,
        percent_of_peak: None,
        error: None,
        error_limit: None,
        floor_gb_per_s: None,
        verdict: "skipped",
        reason: None,
        conditions: None,
    }
}

fn measured(result: &Judged) -> ResultReport {
    let sample = &result.sample;
    let time = (result.verdict != Verdict::Wrong).then_some(sample.time);
    ResultReport {
        shape: Some(sample.shape.clone()),
        launch: Some(match sample.launch {
            Launch::Plain => "plain",
            Launch::Overlapped => "overlapped",
            Launch::CopyEngine => "copy-engine",
        }),
        bytes: (sample.bytes.0 > 0).then_some(sample.bytes.0),
        flops: sample.flops,
        median_us: time.map(|time| time.median * 1e6),
        fastest_us: time.map(|time| time.fastest * 1e6),
        slowest_us: time.map(|time| time.slowest * 1e6),
        gb_per_s: result.rate.map(gb),
        percent_of_read: result.of_read.map(|share| share * 100.0),
        percent_of_peak: result.of_peak.map(|share| share * 100.0),
        error: sample.error,
        error_limit: sample.error_limit,
        floor_gb_per_s: result.floor.map(gb),
        verdict: result.verdict.name(),
        reason: reason(sample),
        conditions: Some(conditions(&sample.conditions)),
        ..nothing(sample.kernel.clone())
    }
}

fn conditions(conditions: &Conditions) -> ConditionsReport {
    ConditionsReport {
        sm_mhz: conditions.sm_mhz,
        memory_mhz: conditions.memory_mhz,
        temperature_c: conditions.temperature_c,
        power_w: conditions.power_mw.map(|power| f64::from(power) / 1e3),
        throttling: conditions.throttling.clone(),
    }
}

fn link(gpu: &GpuJudged, result: &Judged) -> HostLink {
    let sample = &result.sample;
    HostLink {
        gpu: gpu.measured.device.index,
        direction: sample.kernel.clone(),
        shape: sample.shape.clone(),
        gb_per_s: result.rate.map(gb),
        floor_gb_per_s: result.floor.map(gb),
        pcie_generation: sample.conditions.pcie.map(|(generation, _)| generation),
        pcie_lanes: sample.conditions.pcie.map(|(_, lanes)| lanes),
        verdict: result.verdict.name(),
        reason: reason(sample),
    }
}

fn reason(sample: &Sample) -> Option<String> {
    sample.fault.clone().or_else(|| sample.note.clone())
}

fn peers(gpu: &GpuJudged) -> impl Iterator<Item = PeerReport> {
    gpu.peers.iter().map(|link| PeerReport {
        from: link.peer.from,
        to: link.peer.to,
        gb_per_s: link.rate.map(gb),
        latency_us: link.peer.latency * 1e6,
        verified: link.peer.verified,
        direct: link.peer.direct,
        load_gb_per_s: link.load_rate.map(gb),
        floor_gb_per_s: link.floor.map(gb),
        verdict: link.verdict.name(),
        reason: link.note.clone(),
    })
}

/// GB (10^9) a second.
fn gb(bytes_per_second: f64) -> f64 {
    bytes_per_second / 1e9
}
