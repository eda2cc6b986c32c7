//! Findings on all-reduces over several devices.

use super::Verdict;
use super::interconnect::{self, without_p2p};
use crate::catalog::Catalog;
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::measurement::Device;
use crate::measurement::collective::{Collective, Ending, Run};
use crate::units::Bytes;

/// The least size that shows what links carry: smaller ones wait for each other.
const FULL: Bytes = Bytes(32 << 20);

/// What the runs of all ranks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They came to their end.
    Ended(Verdict),
    /// They hung.
    Hang,
    /// A call failed, or a process crashed.
    Failed,
    /// There was nothing to measure.
    Skipped,
}

impl Outcome {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended(verdict) => verdict.name(),
            Self::Hang => "hang",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// All-reduces with their outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectiveJudged {
    /// What was measured.
    pub measured: Collective,
    /// What the first run says, as the environment is.
    pub outcome: Outcome,
    /// The least bus rate of the largest size that is good, in bytes a second.
    pub floor: Option<f64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Judges all-reduces over `devices`.
pub fn judge(measured: Collective, devices: &[Device], catalog: &Catalog) -> CollectiveJudged {
    let floor = floor(&measured, devices, catalog);
    let outcome = measured.runs.first().map_or(Outcome::Skipped, |run| outcome(run, measured.devices.len(), floor));
    let findings = finding(&measured, outcome, floor, catalog).into_iter().collect();
    CollectiveJudged { measured, outcome, floor, findings }
}

/// What one run says.
pub fn outcome(run: &Run, ranks: usize, floor: Option<f64>) -> Outcome {
    match &run.stop {
        Some(stop) => match stop.ending {
            Ending::Hung { .. } => Outcome::Hang,
            Ending::Failed | Ending::Crashed | Ending::Impossible => Outcome::Failed,
        },
        None if !run.is_good() => Outcome::Ended(Verdict::Wrong),
        // The fastest group counts: what else uses the links costs time, and is no fault of theirs.
        None => match (run.largest().filter(|largest| largest.bytes >= FULL), floor) {
            (Some(largest), Some(floor)) if largest.bus_rate(ranks) * largest.time.median / largest.time.fastest < floor => {
                Outcome::Ended(Verdict::Slow)
            }
            _ => Outcome::Ended(Verdict::Pass),
        },
    }
}

/// The floor of devices that are all alike.
fn floor(measured: &Collective, devices: &[Device], catalog: &Catalog) -> Option<f64> {
    let mut known = devices
        .iter()
        .filter(|device| measured.devices.contains(&device.index))
        .map(|device| catalog.gpu_on_machine(&device.name, device.memory));
    let first = known.next()??;
    if !known.all(|other| other.is_some_and(|other| other.id == first.id)) {
        return None;
    }
    let rule = catalog.floors().of("nccl-all-reduce", Some(&first.id), "", false)?;
    Some(rule.share * interconnect::base(rule, first, catalog)?)
}

fn finding(measured: &Collective, outcome: Outcome, floor: Option<f64>, catalog: &Catalog) -> Option<Finding> {
    let first = measured.runs.first()?;
    let again = measured.runs.get(1);
    let gpus = format!("{} GPUs", measured.devices.len());
    let stop = first.stop.as_ref();
    let place = stop.map(|stop| stop.place.as_str()).unwrap_or_default();
    let (id, mut message) = match outcome {
        Outcome::Skipped | Outcome::Ended(Verdict::Pass) => return None,
        Outcome::Hang => {
            let seconds = stop.and_then(|stop| match stop.ending {
                Ending::Hung { after } => Some(after),
                _ => None,
            });
            ("nccl-hang", format!("an all-reduce of NCCL over {gpus} did not end within {} s: {place}", seconds.unwrap_or_default()))
        }
        Outcome::Failed => {
            let reason = stop.map(|stop| stop.reason.as_str()).unwrap_or_default();
            ("nccl-failed", format!("an all-reduce of NCCL over {gpus} failed: {place}: {reason}"))
        }
        Outcome::Ended(Verdict::Wrong) => {
            let wrong: Vec<_> = first.reduced.iter().filter(|one| one.wrong > 0).collect();
            let sizes = wrong.iter().map(|one| one.bytes.to_string()).collect::<Vec<_>>().join(", ");
            let words: u64 = wrong.iter().map(|one| one.wrong).sum();
            (
                "nccl-result-wrong",
                format!(
                    "all-reduces of NCCL over {gpus} gave wrong sums ({words} words, of {sizes}); tensor parallelism would give garbage"
                ),
            )
        }
        Outcome::Ended(Verdict::Slow) => {
            let (largest, floor) = (first.largest()?, floor? / 1e9);
            let rate = largest.bus_rate(measured.devices.len()) / 1e9;
            let text = format!(
                "all-reduces of NCCL over {gpus} reached {rate:.1} GB/s of bus bandwidth for {}, and {floor:.0} GB/s or more are expected",
                largest.bytes
            );
            ("nccl-slow", text)
        }
    };
    let staged = first.transports.iter().any(|transport| transport.starts_with("SHM") || transport.starts_with("NET"));
    match (again.map(Run::is_good), outcome) {
        (Some(true), _) => message.push_str("; without peer access it works, so that peer access is the cause"),
        (Some(false), _) => message.push_str("; without peer access it does not work either"),
        (None, Outcome::Ended(Verdict::Slow)) if first.without_p2p => {
            message.push_str("; `NCCL_P2P_DISABLE` is set, so that it goes through the host")
        }
        (None, Outcome::Ended(Verdict::Slow)) if staged => message.push_str("; it goes through the host"),
        (None, _) => {}
    }
    // Whoever switched peer access off knows that it costs something.
    let asked_for = outcome == Outcome::Ended(Verdict::Slow) && first.without_p2p;
    let severity = if asked_for { Severity::Warning } else { Severity::Error };
    Some(Finding {
        id: id.to_owned(),
        severity,
        subject: "host".to_owned(),
        message,
        evidence: evidence(measured, first),
        fixes: fixes(first, again, catalog),
    })
}

fn evidence(measured: &Collective, run: &Run) -> Vec<Evidence> {
    let evidence = |fact: &str, value: String, source: &str| Evidence { fact: fact.to_owned(), value, source: source.to_owned() };
    let mut found = Vec::new();
    if let Some(library) = &measured.library {
        let version = library.version.as_deref().unwrap_or("of an unknown version");
        found.push(evidence("NCCL", format!("{version}, {}", crate::redact::line(&library.path)), &crate::redact::line(&library.owner)));
    }
    if !run.transports.is_empty() {
        found.push(evidence("transports", run.transports.join(", "), "NCCL_DEBUG=INFO"));
    }
    found.extend(run.warnings.iter().map(|warning| evidence("warning", warning.clone(), "NCCL_DEBUG=INFO")));
    if run.without_p2p {
        found.push(evidence("NCCL_P2P_DISABLE", "set".to_owned(), "the environment"));
    }
    found
}

fn fixes(run: &Run, again: Option<&Run>, catalog: &Catalog) -> Vec<Fix> {
    let advised = |id: &str| super::advised(id, &minijinja::context! {}, catalog);
    let shared_memory = run.warnings.iter().any(|warning| warning.contains("/dev/shm"));
    if shared_memory {
        return advised("shm-too-small");
    }
    match again {
        Some(again) if again.is_good() => [vec![without_p2p()], advised("acs-redirects-p2p")].concat(),
        Some(_) => vec![
            Fix::edit("let NCCL say which call failed").with_command("NCCL_DEBUG=INFO gpudoctor bench --only nccl"),
            Fix::edit("see what the kernel logged about the GPUs").with_command("dmesg | grep -i -e xid -e nvrm"),
            Fix::edit("look at the machine around the GPUs: shared memory, locked memory, the fabric manager, the network")
                .with_command("gpudoctor check"),
        ],
        None if run.without_p2p => {
            vec![Fix::edit("measure with peer access").with_command("env -u NCCL_P2P_DISABLE gpudoctor bench --only nccl,peer")]
        }
        None => vec![
            Fix::edit("see what lies between the GPUs, and whether peer access works")
                .with_command("nvidia-smi topo -m; gpudoctor bench --only peer"),
            Fix::edit("see which of NCCL's variables are set; its own choice is right on most machines").with_command("env | grep NCCL_"),
        ],
    }
}
