//! A report of `bench` back to what it was made from, so that it can be shown again in any form, away from its GPUs.
//!
//! It is shown as it was judged. Fields that a later version added may be missing.

mod collective;

use serde::Deserialize;
use serde_json::Value;

use super::SCHEMA;
use crate::finding::Finding;
use crate::measurement::judge::interconnect::PeerJudged;
use crate::measurement::judge::{GpuJudged, Judged, Verdict};
use crate::measurement::{Conditions, Device, Family, GpuMeasured, Launch, Measured, Peer, PeerLoads, Sample, Spread, Stop, Took};
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
    nccl: Option<collective::Nccl>,
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
    peak_gb_per_s: Option<Figure>,
    peak_tflops: Option<Figure>,
    results: Vec<Row>,
    took: Option<Duration>,
}

#[derive(Clone, Copy, Deserialize)]
struct Duration {
    seconds: Figure,
    measuring_seconds: Figure,
    timed_seconds: Figure,
}

/// A figure that a measurement can have.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Figure(f64);

impl TryFrom<f64> for Figure {
    type Error = String;

    fn try_from(figure: f64) -> Result<Self, String> {
        // Beyond this nothing is measured, and products of figures stay numbers.
        if (0.0..=1e15).contains(&figure) { Ok(Self(figure)) } else { Err(format!("{figure} is no figure of a measurement")) }
    }
}

impl Figure {
    /// The figure in units of so many.
    const fn times(self, unit: f64) -> f64 {
        self.0 * unit
    }
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
    median_us: Option<Figure>,
    fastest_us: Option<Figure>,
    slowest_us: Option<Figure>,
    gb_per_s: Option<Figure>,
    percent_of_read: Option<Figure>,
    percent_of_peak: Option<Figure>,
    error: Option<Figure>,
    error_limit: Option<Figure>,
    floor_gb_per_s: Option<Figure>,
    verdict: Said,
    reason: Option<String>,
    conditions: Option<State>,
}

#[derive(Default, Deserialize)]
struct State {
    sm_mhz: Option<u32>,
    memory_mhz: Option<u32>,
    temperature_c: Option<u32>,
    power_w: Option<Figure>,
    #[serde(default)]
    throttling: Vec<String>,
}

#[derive(Deserialize)]
struct Link {
    gpu: u32,
    direction: String,
    #[serde(default)]
    shape: String,
    gb_per_s: Option<Figure>,
    floor_gb_per_s: Option<Figure>,
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
    gb_per_s: Option<Figure>,
    latency_us: Figure,
    verified: bool,
    direct: bool,
    load_gb_per_s: Option<Figure>,
    floor_gb_per_s: Option<Figure>,
    verdict: Option<Said>,
    reason: Option<String>,
}

/// Reads a report.
///
/// # Errors
/// When it is no report of `bench`, or lists no GPU; the message names the place.
pub fn read(text: &str) -> Result<Saved, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("it is no report of `gpudoctor bench`: {error}"))?;
    let report: Report = serde_path_to_error::deserialize(printable(json)).map_err(|error| match error.path().to_string().as_str() {
        "." => format!("it is no report of `gpudoctor bench`: {}", error.inner()),
        place => format!("it is no report of `gpudoctor bench`: `{place}`: {}", error.inner()),
    })?;
    if report.schema != SCHEMA {
        return Err(format!("it is `{}`, not `{SCHEMA}`", report.schema));
    }
    if report.gpus.is_empty() {
        return Err("it lists no GPU".to_owned());
    }
    let mut gpus: Vec<GpuJudged> = report.gpus.into_iter().map(|gpu| judged(gpu, &report.host_links, &report.peers)).collect();
    if let (Some(nccl), Some(first)) = (report.nccl, gpus.first_mut()) {
        first.together = Some(nccl.judged());
    }
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

/// The same with control characters replaced: a file from elsewhere must not speak to the terminal.
fn printable(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let shown = |letter: char| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter };
            Value::String(text.chars().map(shown).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(printable).collect()),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, value)| (name, printable(value))).collect()),
        other => other,
    }
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
        peak_bytes_per_second: gpu.peak_gb_per_s.map_or(0.0, |rate| rate.times(1e9)),
    };
    // Which family a line is of does not matter for what is shown: its name says it.
    let mut measured = Measured::nothing(Family::Hbm);
    let stopped = gpu.results.iter().filter(|row| matches!(row.verdict, Said::Skipped));
    measured.stopped = stopped.map(|row| (row.kernel.clone(), Stop::Failed(row.reason.clone().unwrap_or_default()))).collect();
    let mut results: Vec<Judged> = gpu.results.iter().filter_map(result).collect();
    // Copies between host and device are measured after the memory.
    let memory = |result: &Judged| result.sample.kernel.starts_with("hbm") || result.sample.kernel.starts_with("launch");
    let after = results.iter().rposition(memory).map_or(0, |last| last + 1);
    results.splice(after..after, links.iter().filter(|link| link.gpu == device.index).filter_map(copy));
    let peers = peers.iter().filter(|peer| peer.from == device.index).map(peer).collect();
    GpuJudged {
        peers,
        together: None,
        peak: gpu.peak_gb_per_s.map(|rate| rate.times(1e9)),
        tensor_peak: gpu.peak_tflops.map(|rate| rate.times(1e12)),
        measured: GpuMeasured {
            device,
            families: vec![measured],
            took: gpu.took.map(|took| Took {
                seconds: took.seconds.0,
                measuring_seconds: took.measuring_seconds.0,
                timed_seconds: took.timed_seconds.0,
            }),
        },
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
    let seconds = |time: Option<Figure>| time.or(row.median_us).map_or(0.0, |time| time.0 / 1e6);
    let state = row.conditions.as_ref();
    let sample = Sample {
        bytes: Bytes(row.bytes.unwrap_or(0)),
        flops: row.flops,
        time: Spread { median: seconds(row.median_us), fastest: seconds(row.fastest_us), slowest: seconds(row.slowest_us) },
        error: row.error.map(|error| error.0),
        error_limit: row.error_limit.map(|limit| limit.0),
        conditions: state.map(conditions).unwrap_or_default(),
        ..sample(&row.kernel, shape, row.launch.unwrap_or(Launch::Plain), verdict, row.reason.as_ref())
    };
    Some(Judged {
        sample,
        rate: row.gb_per_s.map(|rate| rate.times(1e9)),
        of_read: row.percent_of_read.map(|percent| percent.0 / 100.0),
        of_peak: row.percent_of_peak.map(|percent| percent.0 / 100.0),
        floor: row.floor_gb_per_s.map(|rate| rate.times(1e9)),
        verdict,
    })
}

fn conditions(state: &State) -> Conditions {
    Conditions {
        sm_mhz: state.sm_mhz,
        memory_mhz: state.memory_mhz,
        temperature_c: state.temperature_c,
        power_mw: state.power_w.map(|power| power.times(1e3).round() as u32),
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
        rate: link.gb_per_s.map(|rate| rate.times(1e9)),
        of_read: None,
        of_peak: None,
        floor: link.floor_gb_per_s.map(|rate| rate.times(1e9)),
        verdict,
    })
}

/// The report has rates and no times: those of a second are as good.
fn peer(link: &PeerLink) -> PeerJudged {
    let second = |seconds: f64| Spread { median: seconds, fastest: seconds, slowest: seconds };
    let rate = link.gb_per_s.map(|rate| rate.times(1e9));
    let load_rate = link.load_gb_per_s.map(|rate| rate.times(1e9));
    let loads = load_rate.filter(|rate| *rate > 0.0).map(|load| PeerLoads { time: second(rate.unwrap_or(load) / load), verified: true });
    let peer = Peer {
        from: link.from,
        to: link.to,
        direct: link.direct,
        time: second(1.0),
        bytes: Bytes::from_f64(rate.unwrap_or(0.0)),
        latency: link.latency_us.0 / 1e6,
        verified: link.verified,
        loads,
    };
    let unsaid = if link.verified { Verdict::Pass } else { Verdict::Wrong };
    PeerJudged {
        peer,
        rate,
        load_rate,
        floor: link.floor_gb_per_s.map(|rate| rate.times(1e9)),
        verdict: link.verdict.and_then(verdict).unwrap_or(unsaid),
        note: link.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json;

    const TWO: &str = include_str!("../../drawn/bench.json");

    fn written(saved: &Saved) -> String {
        json::bench::render(&saved.gpus, saved.driver_cuda, saved.driver.as_deref(), saved.exit_code).unwrap()
    }

    /// What is read is written again, and nothing is lost of what the file has.
    #[test]
    fn a_report_survives_being_read() {
        let text = written(&read(TWO).unwrap());
        assert_eq!(written(&read(&text).unwrap()), text);
        let (before, after): (Value, Value) = (printable(serde_json::from_str(TWO).unwrap()), serde_json::from_str(&text).unwrap());
        for (path, value) in leaves(&before, String::new()) {
            let found = after.pointer(&path).unwrap_or(&Value::Null);
            let near = matches!((value.as_f64(), found.as_f64()), (Some(a), Some(b)) if (a - b).abs() <= a.abs() * 1e-9);
            assert!(near || *found == value, "{path}: {value} became {found}");
        }
    }

    /// All-reduces and links come back as they were judged, whatever came of them.
    #[test]
    fn all_reduces_survive_being_read() {
        let size = |launch: &str, verified: bool| {
            let time = if verified { "12.5" } else { "null" };
            format!(
                r#"{{"bytes": 8192, "launch": "{launch}", "median_us": {time}, "fastest_us": {time}, "slowest_us": {time}, "verified": {verified}}}"#
            )
        };
        let sound = format!(
            r#"{{"peer_access": false, "verdict": "pass", "transports": ["SHM/direct/direct"], "all_reduce": [{}, {}]}}"#,
            size("plain", true),
            size("graph", true)
        );
        let hang = r#"{"peer_access": true, "verdict": "hang", "stopped_in": "`ncclCommInitRank` on GPU 0 and 1", "reason": "no answer within 30 s"}"#;
        let wrong = format!(r#"{{"peer_access": true, "verdict": "wrong", "all_reduce": [{}]}}"#, size("plain", false));
        for (verdict, first) in [("hang", hang), ("wrong", wrong.as_str())] {
            let nccl =
                format!(r#""nccl": {{"verdict": "{verdict}", "gpus": [0, 1], "version": "2.28.9", "runs": [{first}, {sound}]}}, "gpus""#);
            let text = written(&read(&TWO.replacen(r#""gpus""#, &nccl, 1)).unwrap());
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&json["nccl"]["verdict"], &json["nccl"]["runs"][0]["verdict"]), (&verdict.into(), &verdict.into()), "{text}");
            assert_eq!(json["nccl"]["runs"][1]["all_reduce"][1]["median_us"], 12.5, "{text}");
            assert_eq!(written(&read(&text).unwrap()), text);
        }
    }

    /// The values of a document with their pointers, without nulls.
    fn leaves(value: &Value, path: String) -> Vec<(String, Value)> {
        match value {
            Value::Array(items) => items.iter().enumerate().flat_map(|(at, item)| leaves(item, format!("{path}/{at}"))).collect(),
            Value::Object(fields) => fields.iter().flat_map(|(name, field)| leaves(field, format!("{path}/{name}"))).collect(),
            Value::Null => Vec::new(),
            leaf => vec![(path, leaf.clone())],
        }
    }

    /// What is no report is refused with the place.
    #[test]
    fn what_is_no_report_is_refused() {
        for (text, expected) in [
            ("", "EOF while parsing"),
            ("[]", "expected"),
            (r#"{"schema": "gpudoctor.check/1", "exit_code": 0, "gpus": []}"#, "it is `gpudoctor.check/1`"),
            (r#"{"schema": "gpudoctor.bench/1", "exit_code": 0, "gpus": []}"#, "lists no GPU"),
            (r#"{"schema": "gpudoctor.bench/1", "exit_code": 0, "gpus": [{"index": -1}]}"#, "`gpus[0].index`"),
            (&TWO.replacen("3130.0", "-1", 1), "`gpus[0].results[0].gb_per_s`: -1 is no figure"),
            (&TWO.replacen("3130.0", "1e300", 1), "is no figure"),
            (&TWO.replacen(r#""verdict": "pass""#, r#""verdict": "fine""#, 1), "`gpus[0].results[0].verdict`"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(expected), "{text:.80}: {problem}");
        }
    }

    /// Nothing in a file from elsewhere reaches a terminal as a command.
    #[test]
    fn control_characters_are_replaced() {
        let saved = read(&TWO.replacen("NVIDIA H100", "\\u001b]0;x\\u0007", 1)).unwrap();
        assert!(saved.gpus[0].measured.device.name.starts_with("\u{fffd}]0;x\u{fffd}"));
    }
}
