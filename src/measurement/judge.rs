//! From measurements to verdicts and findings: a function of what was measured and of the floors in `rules/bench.toml`.

mod cause;
pub mod collective;
pub mod interconnect;
mod stopped;

use super::{GpuMeasured, Launch, Measured, Sample, Spread, Stop};
use crate::advice;
use crate::catalog::{Catalog, Floor, FloorOf, Gpu};
use crate::finding::{Evidence, Finding, Fix, Severity};
use collective::CollectiveJudged;
use interconnect::PeerJudged;

/// What a measurement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right, and at or above its floor where it has one.
    Pass,
    /// Right, and below its floor.
    Slow,
    /// The result is not what the reference says; its speed means nothing.
    Wrong,
}

impl Verdict {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Slow => "slow",
            Self::Wrong => "wrong",
        }
    }
}

/// A measurement with its verdict. Rates are bytes a second; a wrong result has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The measurement.
    pub sample: Sample,
    /// Bytes a second.
    pub rate: Option<f64>,
    /// Share of the read rate of the same process.
    pub of_read: Option<f64>,
    /// Share of the peak of the card's memory.
    pub of_peak: Option<f64>,
    /// The least rate that is good.
    pub floor: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What was found out about one device.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuJudged {
    /// What was measured.
    pub measured: GpuMeasured,
    /// Bandwidth of its memory in bytes a second: of the data sheet, or what the driver's clock and width make.
    pub peak: Option<f64>,
    /// Floating-point operations a second of 16-bit products, dense, of the data sheet; absent for a card that is not known.
    pub tensor_peak: Option<f64>,
    /// Measurements, family by family.
    pub results: Vec<Judged>,
    /// Links to other devices.
    pub peers: Vec<PeerJudged>,
    /// All-reduces of all devices together, with the first of them.
    pub together: Option<CollectiveJudged>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl GpuJudged {
    /// The gravest of what is wrong.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Takes in what all devices did together, with its findings.
    pub fn take_together(&mut self, mut together: CollectiveJudged) {
        self.findings.append(&mut together.findings);
        self.together = Some(together);
    }

    /// What was not measured, and why: a family's own name stands for all of it.
    pub fn skipped(&self) -> impl Iterator<Item = (String, &Stop)> {
        let of = |family: &'_ Measured| family.family.name();
        self.measured.families.iter().flat_map(move |family| {
            family.stopped.iter().map(move |(name, stop)| (if name.is_empty() { of(family).to_owned() } else { name.clone() }, stop))
        })
    }
}

/// Judges everything that was measured on one device.
pub fn judge(measured: GpuMeasured, catalog: &Catalog) -> GpuJudged {
    let known = catalog.gpu_on_machine(&measured.device.name, measured.device.memory);
    let sheet = known.map(|gpu| gpu.memory.bandwidth_gb_s * 1e9);
    let peak = sheet.or(Some(measured.device.peak_bytes_per_second)).filter(|rate| *rate > 0.0);
    let tensor_peak = known.map(|gpu| gpu.throughput.of_16_bits() * 1e12).filter(|rate| *rate > 0.0);
    let mut judged =
        GpuJudged { measured, peak, tensor_peak, results: Vec::new(), peers: Vec::new(), together: None, findings: Vec::new() };
    let subject = format!("gpu:{}", judged.measured.device.index);
    for family in &judged.measured.families {
        for sample in &family.samples {
            let result = one(sample, family, known, peak, catalog);
            judged.findings.extend(finding(&result, family, known, &subject));
            judged.results.push(result);
        }
        for peer in &family.peers {
            let link = interconnect::judge(peer, known, catalog);
            judged.findings.extend(interconnect::finding(&link, &subject, catalog));
            judged.peers.push(link);
        }
    }
    judged.findings.extend(stopped::findings(&judged.measured, &subject));
    judged
}

fn one(sample: &Sample, family: &Measured, gpu: Option<&Gpu>, peak: Option<f64>, catalog: &Catalog) -> Judged {
    let rate = sample.rate().filter(|_| sample.is_right());
    let overlapped = sample.launch == Launch::Overlapped;
    let rule = catalog.floors().of(&sample.kernel, gpu.map(|gpu| gpu.id.as_str()), &sample.shape, overlapped);
    // A measurement that had to be smaller is not held to what the full one reaches.
    let rule = rule.filter(|_| !sample.reduced);
    let floor = rule.and_then(|rule| Some(rule.share * base(rule, sample, family, gpu, peak, catalog)?));
    let (verdict, note) = match (rate, floor) {
        _ if !sample.is_right() => (Verdict::Wrong, None),
        // The host's memory and its bridges are shared with all that the machine does; the device's own memory is not.
        (Some(_), Some(floor)) if sample.launch == Launch::CopyEngine => by_fastest(sample.bytes.0 as f64, sample.time, floor),
        (Some(rate), Some(floor)) if rate < floor => (Verdict::Slow, None),
        _ => (Verdict::Pass, None),
    };
    let share = |of: Option<f64>| Some(rate? / of?);
    let sample = Sample { note: sample.note.clone().or_else(|| note.map(|note| format!("{}: {note}", sample.kernel))), ..sample.clone() };
    Judged { sample, rate, of_read: share(family.read), of_peak: share(peak), floor, verdict }
}

/// The verdict on a link that carried `bytes` in `time`: one that is slow carries them slowly each time. Where only most groups
/// were, something else used it meanwhile, which is told as a note.
fn by_fastest(bytes: f64, time: Spread, floor: f64) -> (Verdict, Option<String>) {
    if bytes / time.median >= floor {
        return (Verdict::Pass, None);
    }
    if bytes / time.fastest < floor {
        return (Verdict::Slow, None);
    }
    let rate = |seconds: f64| bytes / seconds / 1e9;
    let (slowest, fastest) = (rate(time.slowest), rate(time.fastest));
    (
        Verdict::Pass,
        Some(format!(
            "rates varied from {slowest:.1} to {fastest:.1} GB/s, as they do under other load; the link itself reaches its floor"
        )),
    )
}

/// The fixes of `rules/advice/` for `id`, as far as `context` fills them.
fn advised(id: &str, context: &minijinja::Value, catalog: &Catalog) -> Vec<Fix> {
    catalog.advice(id).map(|advice| advice::fixes(&advice, context)).unwrap_or_default()
}

/// What the share of a floor is a share of, in bytes a second.
fn base(rule: &Floor, sample: &Sample, family: &Measured, gpu: Option<&Gpu>, peak: Option<f64>, catalog: &Catalog) -> Option<f64> {
    match rule.of {
        FloorOf::Peak => peak,
        FloorOf::Read => family.read,
        FloorOf::Link => {
            let own = gpu.map(|gpu| (u32::from(gpu.links.pcie_generation), u32::from(gpu.links.pcie_lanes)));
            let (generation, lanes) = own.or(sample.conditions.pcie_most)?;
            catalog.floors().link_gb_s(generation, lanes).map(|rate| rate * 1e9)
        }
        FloorOf::NvLink => None,
    }
}

fn finding(result: &Judged, family: &Measured, gpu: Option<&Gpu>, subject: &str) -> Option<Finding> {
    let Sample { kernel, shape, error, error_limit, fault, .. } = &result.sample;
    let place = format!("{kernel}, {shape}");
    let evidence = |fact: &str, value: String| Evidence { fact: fact.to_owned(), value, source: place.clone() };
    match result.verdict {
        Verdict::Pass => None,
        Verdict::Wrong => {
            let mut found = Vec::new();
            if let (Some(error), Some(limit)) = (error, error_limit) {
                found.push(evidence(
                    "largest error",
                    format!("{error:.4} of the outputs' root mean square; {limit} is right for the format"),
                ));
            }
            found.extend(fault.as_ref().map(|fault| evidence("fault", fault.clone())));
            Some(Finding {
                id: "gpu-result-wrong".to_owned(),
                severity: Severity::Error,
                subject: subject.to_owned(),
                message: format!("`{kernel}` gave a wrong result for {shape}; a GPU that computes wrongly must not serve"),
                evidence: found,
                fixes: vec![
                    Fix::edit("measure again: an error that comes back elsewhere or not at all points at memory or power")
                        .with_command("gpudoctor bench"),
                    Fix::edit("look for memory errors and Xid messages")
                        .with_command("nvidia-smi -q -d ECC,ROW_REMAPPER; dmesg | grep -i xid"),
                ],
            })
        }
        Verdict::Slow => {
            let (rate, floor) = (result.rate? / 1e9, result.floor? / 1e9);
            let mut found = vec![evidence("rate", format!("{rate:.1} GB/s")), evidence("floor", format!("{floor:.1} GB/s"))];
            let (cause, more, fixes) = cause::likely(result, family, gpu);
            found.extend(more);
            Some(Finding {
                id: "gpu-slow".to_owned(),
                severity: Severity::Error,
                subject: subject.to_owned(),
                message: format!("`{kernel}` reached {rate:.0} GB/s for {shape}, and {floor:.0} GB/s or more are expected; {cause}"),
                evidence: found,
                fixes,
            })
        }
    }
}
