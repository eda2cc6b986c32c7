//! Measurements for people: one line each, what is wrong below.

use crate::measurement::judge::{GpuJudged, Judged, Verdict};
use crate::measurement::{Launch, Peer};
use crate::report::layout::{self, columns, counted, pad, wrap};
use crate::report::{check, style};

/// The report. Ends with a line break.
pub fn render(gpus: &[GpuJudged], columns: usize) -> String {
    let width = layout::width(columns);
    let mut blocks: Vec<String> = gpus.iter().map(|gpu| table(gpu, width)).collect();
    for finding in gpus.iter().flat_map(|gpu| &gpu.findings) {
        blocks.push(check::alone(finding, width));
    }
    blocks.push(last(gpus));
    blocks.join("\n\n") + "\n"
}

fn table(gpu: &GpuJudged, width: usize) -> String {
    let heading = style::heading(&format!("GPU {}", gpu.measured.device.index));
    let mut lines = vec![wrap(&facts(gpu).join(" · "), &format!("{heading}  "), "  ", width)];
    let rows: Vec<[String; 5]> = gpu.results.iter().map(row).chain(gpu.peers().map(peer)).collect();
    let widths: Vec<usize> =
        (0..5).map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        lines.push(format!("  {}", cells.join("  ").trim_end()));
    }
    let names = gpu.skipped().map(|(name, _)| columns(&name)).max().unwrap_or(0);
    lines.extend(gpu.skipped().map(|(name, stop)| wrap(stop.reason(), &format!("  {}  skipped: ", pad(&name, names)), "    ", width)));
    lines.extend(notes(gpu).into_iter().map(|note| wrap(note, "  note: ", "    ", width)));
    lines.join("\n")
}

/// What is known of a GPU: its name, what it has, how it ran.
pub(super) fn facts(gpu: &GpuJudged) -> Vec<String> {
    let device = &gpu.measured.device;
    let (major, minor) = device.capability;
    let mut facts = vec![device.name.clone()];
    // A report that was written by hand may not say these.
    facts.extend((major > 0).then(|| format!("compute capability {major}.{minor}")));
    facts.extend((device.multiprocessors > 0).then(|| format!("{} SMs", device.multiprocessors)));
    facts.extend(gpu.peak.map(|peak| format!("{:.0} GB/s of memory bandwidth", peak / 1e9)));
    facts.push(state(gpu));
    facts
}

/// What to know of measurements, each once.
pub(super) fn notes(gpu: &GpuJudged) -> Vec<&String> {
    let mut notes: Vec<&String> = gpu.results.iter().filter_map(|result| result.sample.note.as_ref()).collect();
    notes.dedup();
    notes
}

/// The clock while kernels ran, and what lowered it.
fn state(gpu: &GpuJudged) -> String {
    let clocks = gpu.results.iter().filter_map(|result| result.sample.conditions.sm_mhz);
    let clock = match (clocks.clone().min(), clocks.max()) {
        (Some(low), Some(high)) if low != high => format!("SM clock {low} to {high} MHz"),
        (Some(clock), _) => format!("SM clock {clock} MHz"),
        _ => "clocks unknown: NVML does not answer".to_owned(),
    };
    let mut reasons: Vec<&str> = gpu.results.iter().flat_map(|result| &result.sample.conditions.throttling).map(String::as_str).collect();
    reasons.sort_unstable();
    reasons.dedup();
    if reasons.is_empty() { clock } else { format!("{clock}, throttled: {}", reasons.join(", ")) }
}

/// Kernel, shape, rate or time, share and floor, verdict with its error.
fn row(result: &Judged) -> [String; 5] {
    let floor = result.floor.map(|floor| format!("floor {:.0}", floor / 1e9)).unwrap_or_default();
    let share = format!("{}  {floor}", pad(&share(result), 12)).trim_end().to_owned();
    let error = error(result).map(|error| format!("  error {error}")).unwrap_or_default();
    [result.sample.kernel.clone(), shape(result), figure(result), share, format!("{}{error}", result.verdict.name())]
}

/// What it worked on, and how it was launched.
pub(super) fn shape(result: &Judged) -> String {
    let overlapped = if result.sample.launch == Launch::Overlapped { ", overlapped" } else { "" };
    format!("{}{overlapped}", result.sample.shape)
}

/// Its rate, or its time where nothing was moved; a wrong result has neither.
pub(super) fn figure(result: &Judged) -> String {
    let time = result.sample.time.median;
    match (result.rate, result.verdict) {
        (_, Verdict::Wrong) => "-".to_owned(),
        (Some(rate), _) if result.sample.launch == Launch::CopyEngine => format!("{:.1} GB/s", rate / 1e9),
        (Some(rate), _) => format!("{:.0} GB/s", rate / 1e9),
        (None, _) if time < 1e-6 => format!("{:.0} ns", time * 1e9),
        (None, _) => format!("{:.1} µs", time * 1e6),
    }
}

/// What streams through a kernel as a share of reading; reading itself as a share of the data sheet.
pub(super) fn share(result: &Judged) -> String {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    match (result.of_read, result.of_peak) {
        _ if result.sample.launch == Launch::CopyEngine => String::new(),
        (_, Some(peak)) if result.sample.kernel.starts_with("hbm") => format!("{} of peak", percent(peak)),
        (Some(read), _) => format!("{} of read", percent(read)),
        _ => String::new(),
    }
}

/// Its error and the limit of that: `0.0167 of 0.02`.
pub(super) fn error(result: &Judged) -> Option<String> {
    Some(format!("{:.4} of {}", result.sample.error?, result.sample.error_limit?))
}

/// The pair, how its copies go, rate, latency, verdict.
pub(super) fn peer(peer: &Peer) -> [String; 5] {
    let rate = peer.bytes.0 as f64 / peer.time.median / 1e9;
    [
        format!("peer {} to {}", peer.from, peer.to),
        if peer.direct { "direct" } else { "through the host" }.to_owned(),
        if peer.verified { format!("{rate:.0} GB/s") } else { "-".to_owned() },
        format!("16 B in {:.1} µs", peer.latency * 1e6),
        if peer.verified { "pass  every word arrived" } else { "wrong" }.to_owned(),
    ]
}

/// The last line: how many passed, and how many did not.
pub(super) fn last(gpus: &[GpuJudged]) -> String {
    let of = |verdict: Verdict| gpus.iter().flat_map(|gpu| &gpu.results).filter(|result| result.verdict == verdict).count();
    let skipped: usize = gpus.iter().map(|gpu| gpu.skipped().count()).sum();
    let verdicts = format!("{} passed, {} slow, {} wrong, {skipped} skipped", of(Verdict::Pass), of(Verdict::Slow), of(Verdict::Wrong));
    format!("{} on {}", verdicts, counted(gpus.len(), "GPU"))
}
