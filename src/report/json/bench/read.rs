//! A report of `bench` back to what it was made from, so that it can be shown again in any form, away from its GPUs.
//!
//! It is shown as it was judged. Fields that a later version added may be missing.

use serde::Deserialize;

use super::SCHEMA;
use crate::finding::Finding;
use crate::measurement::judge::{GpuJudged, Judged, Verdict};
use crate::measurement::{Conditions, Device, Family, GpuMeasured, Launch, Measured, Peer, Sample, Spread, Stop};
use crate::units::Bytes;

/// A report, read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// What was found out about each GPU.
    pub gpus: Vec<GpuJudged>,
    /// CUDA's version of the driver.
    pub driver_cuda: Option<u32>,
    /// The driver's version.
    pub driver: Option<String>,
    /// The exit code of the command that wrote it.
    pub exit_code: u8,
}

#[derive(Deserialize)]
struct Report {
    schema: String,
    exit_code: u8,
    driver_cuda: Option<u32>,
    driver: Option<String>,
    gpus: Vec<Gpu>,
    #[serde(default)]
    host_links: Vec<Link>,
    #[serde(default)]
    peers: Vec<PeerLink>,
    #[serde(default)]
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Gpu {
    index: u32,
    name: String,
    compute_capability: Option<String>,
    multiprocessors: Option<u32>,
    memory_bytes: u64,
    peak_gb_per_s: Option<f64>,
    peak_tflops: Option<f64>,
    results: Vec<Row>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Pass,
    Slow,
    Wrong,
    Skipped,
}

#[derive(Deserialize)]
struct Row {
    kernel: String,
    shape: Option<String>,
    launch: Option<Launch>,
    bytes: Option<u64>,
    flops: Option<u64>,
    median_us: Option<f64>,
    fastest_us: Option<f64>,
    slowest_us: Option<f64>,
    gb_per_s: Option<f64>,
    percent_of_read: Option<f64>,
    percent_of_peak: Option<f64>,
    error: Option<f64>,
    error_limit: Option<f64>,
    floor_gb_per_s: Option<f64>,
    verdict: Said,
    reason: Option<String>,
    conditions: Option<State>,
}

#[derive(Default, Deserialize)]
struct State {
    sm_mhz: Option<u32>,
    memory_mhz: Option<u32>,
    temperature_c: Option<u32>,
    power_w: Option<f64>,
    #[serde(default)]
    throttling: Vec<String>,
}

#[derive(Deserialize)]
struct Link {
    gpu: u32,
    direction: String,
    #[serde(default)]
    shape: String,
    gb_per_s: Option<f64>,
    floor_gb_per_s: Option<f64>,
    pcie_generation: Option<u32>,
    pcie_lanes: Option<u32>,
    #[serde(default = "passed")]
    verdict: Said,
    reason: Option<String>,
}

const fn passed() -> Said {
    Said::Pass
}

#[derive(Deserialize)]
struct PeerLink {
    from: u32,
    to: u32,
    gb_per_s: Option<f64>,
    latency_us: f64,
    verified: bool,
    direct: bool,
}

/// Reads a report.
///
/// # Errors
/// When it is no report of `bench`, or lists no GPU; the message names the place.
pub fn read(text: &str) -> Result<Saved, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let report: Report = serde_path_to_error::deserialize(&mut reader).map_err(|error| match error.path().to_string().as_str() {
        "." => format!("it is no report of `gpudoctor bench`: {}", error.inner()),
        place => format!("it is no report of `gpudoctor bench`: `{place}`: {}", error.inner()),
    })?;
    reader.end().map_err(|error| format!("it goes on after its end: {error}"))?;
    if report.schema != SCHEMA {
        return Err(format!("it is `{}`, not `{SCHEMA}`", report.schema));
    }
    if report.gpus.is_empty() {
        return Err("it lists no GPU".to_owned());
    }
    let mut gpus: Vec<GpuJudged> = report.gpus.into_iter().map(|gpu| judged(gpu, &report.host_links, &report.peers)).collect();
    for finding in report.findings {
        let about = |gpu: &GpuJudged| finding.subject == format!("gpu:{}", gpu.measured.device.index);
        // What is about more than one GPU stands with the first.
        let place = gpus.iter().position(about).unwrap_or(0);
        if let Some(gpu) = gpus.get_mut(place) {
            gpu.findings.push(finding);
        }
    }
    Ok(Saved { gpus, driver_cuda: report.driver_cuda, driver: report.driver, exit_code: report.exit_code })
}

fn judged(gpu: Gpu, links: &[Link], peers: &[PeerLink]) -> GpuJudged {
    let capability = gpu.compute_capability.as_deref().and_then(|text| text.split_once('.'));
    let (major, minor) = capability.unwrap_or(("0", "0"));
    let device = Device {
        index: gpu.index,
        name: gpu.name,
        pci: String::new(),
        capability: (major.parse().unwrap_or(0), minor.parse().unwrap_or(0)),
        multiprocessors: gpu.multiprocessors.unwrap_or(0),
        memory: Bytes(gpu.memory_bytes),
        l2: Bytes::ZERO,
        peak_bytes_per_second: gpu.peak_gb_per_s.map_or(0.0, |rate| rate * 1e9),
    };
    // Which family a line is of does not matter for what is shown: its name says it.
    let mut measured = Measured::nothing(Family::Hbm);
    let stopped = gpu.results.iter().filter(|row| matches!(row.verdict, Said::Skipped));
    measured.stopped = stopped.map(|row| (row.kernel.clone(), Stop::Failed(row.reason.clone().unwrap_or_default()))).collect();
    measured.peers = peers.iter().filter(|peer| peer.from == device.index).map(peer).collect();
    let mut results: Vec<Judged> = gpu.results.iter().filter_map(result).collect();
    // Copies between host and device are measured after the memory.
    let memory = |result: &Judged| result.sample.kernel.starts_with("hbm") || result.sample.kernel.starts_with("launch");
    let after = results.iter().rposition(memory).map_or(0, |last| last + 1);
    results.splice(after..after, links.iter().filter(|link| link.gpu == device.index).filter_map(copy));
    GpuJudged {
        peak: gpu.peak_gb_per_s.map(|rate| rate * 1e9),
        tensor_peak: gpu.peak_tflops.map(|rate| rate * 1e12),
        measured: GpuMeasured { device, families: vec![measured] },
        results,
        findings: Vec::new(),
    }
}

const fn verdict(said: Said) -> Option<Verdict> {
    match said {
        Said::Pass => Some(Verdict::Pass),
        Said::Slow => Some(Verdict::Slow),
        Said::Wrong => Some(Verdict::Wrong),
        Said::Skipped => None,
    }
}

/// A measurement that nobody timed yet, with its reason where it belongs.
fn sample(kernel: &str, shape: &str, launch: Launch, verdict: Verdict, reason: Option<&String>) -> Sample {
    let (fault, note) = if verdict == Verdict::Wrong { (reason, None) } else { (None, reason) };
    Sample {
        kernel: kernel.to_owned(),
        shape: shape.to_owned(),
        launch,
        bytes: Bytes::ZERO,
        flops: None,
        time: Spread { median: 0.0, fastest: 0.0, slowest: 0.0 },
        error: None,
        error_limit: None,
        fault: fault.cloned(),
        conditions: Conditions::default(),
        note: note.cloned(),
        reduced: false,
    }
}

fn result(row: &Row) -> Option<Judged> {
    let verdict = verdict(row.verdict)?;
    let shape = row.shape.as_deref().unwrap_or_default();
    let seconds = |time: Option<f64>| time.or(row.median_us).unwrap_or(0.0) / 1e6;
    let state = row.conditions.as_ref();
    let sample = Sample {
        bytes: Bytes(row.bytes.unwrap_or(0)),
        flops: row.flops,
        time: Spread { median: seconds(row.median_us), fastest: seconds(row.fastest_us), slowest: seconds(row.slowest_us) },
        error: row.error,
        error_limit: row.error_limit,
        conditions: state.map(conditions).unwrap_or_default(),
        ..sample(&row.kernel, shape, row.launch.unwrap_or(Launch::Plain), verdict, row.reason.as_ref())
    };
    Some(Judged {
        sample,
        rate: row.gb_per_s.map(|rate| rate * 1e9),
        of_read: row.percent_of_read.map(|percent| percent / 100.0),
        of_peak: row.percent_of_peak.map(|percent| percent / 100.0),
        floor: row.floor_gb_per_s.map(|rate| rate * 1e9),
        verdict,
    })
}

fn conditions(state: &State) -> Conditions {
    Conditions {
        sm_mhz: state.sm_mhz,
        memory_mhz: state.memory_mhz,
        temperature_c: state.temperature_c,
        power_mw: state.power_w.map(|power| (power * 1e3).round() as u32),
        throttling: state.throttling.clone(),
        ..Conditions::default()
    }
}

fn copy(link: &Link) -> Option<Judged> {
    let verdict = verdict(link.verdict)?;
    let pcie = link.pcie_generation.zip(link.pcie_lanes);
    let conditions = Conditions { pcie, ..Conditions::default() };
    Some(Judged {
        sample: Sample { conditions, ..sample(&link.direction, &link.shape, Launch::CopyEngine, verdict, link.reason.as_ref()) },
        rate: link.gb_per_s.map(|rate| rate * 1e9),
        of_read: None,
        of_peak: None,
        floor: link.floor_gb_per_s.map(|rate| rate * 1e9),
        verdict,
    })
}

/// The report has a rate and no time: that of a second is as good.
fn peer(link: &PeerLink) -> Peer {
    Peer {
        from: link.from,
        to: link.to,
        direct: link.direct,
        time: Spread { median: 1.0, fastest: 1.0, slowest: 1.0 },
        bytes: Bytes::from_f64(link.gb_per_s.unwrap_or(0.0) * 1e9),
        latency: link.latency_us / 1e6,
        verified: link.verified,
    }
}
