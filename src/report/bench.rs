//! Measurements for people: one line each, what is wrong below.

mod collective;

use crate::measurement::judge::collective::Outcome;
use crate::measurement::judge::interconnect::PeerJudged;
use crate::measurement::judge::{GpuJudged, Judged, Verdict};
use crate::measurement::{Launch, Took};
use crate::report::layout::{self, columns, counted, pad, wrap};
use crate::report::{check, style};

/// The report. Ends with a line break.
pub fn render(gpus: &[GpuJudged], columns: usize) -> String {
    let width = layout::width(columns);
    let mut blocks: Vec<String> = gpus.iter().map(|gpu| table(gpu, width)).collect();
    blocks.extend(gpus.iter().filter_map(|gpu| gpu.together.as_ref()).map(|together| collective::table(together, width)));
    for finding in gpus.iter().flat_map(|gpu| &gpu.findings) {
        blocks.push(check::alone(finding, width));
    }
    blocks.push(last(gpus));
    blocks.join("\n\n") + "\n"
}

fn table(gpu: &GpuJudged, width: usize) -> String {
    let heading = style::heading(&format!("GPU {}", gpu.measured.device.index));
    let mut lines = vec![wrap(&facts(gpu).join(" · "), &format!("{heading}  "), "  ", width)];
    lines.extend(aligned(&gpu.results.iter().map(row).chain(gpu.peers.iter().flat_map(peer)).collect::<Vec<_>>()));
    let names = gpu.skipped().map(|(name, _)| columns(&name)).max().unwrap_or(0);
    lines.extend(gpu.skipped().map(|(name, stop)| wrap(stop.reason(), &format!("  {}  skipped: ", pad(&name, names)), "    ", width)));
    lines.extend(own_notes(gpu).iter().map(|note| wrap(note, "  note: ", "    ", width)));
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
    facts.extend(state(gpu));
    facts
}

/// What to know of measurements, each once, and of what all devices did together.
pub(super) fn notes(gpu: &GpuJudged) -> Vec<String> {
    let together = gpu.together.iter().flat_map(collective::sentences);
    own_notes(gpu).into_iter().chain(together).collect()
}

fn own_notes(gpu: &GpuJudged) -> Vec<String> {
    let links = gpu.peers.iter().filter_map(|link| Some((&link.peer, link.note.as_ref()?)));
    let links = links.map(|(peer, note)| format!("peer {} to {}: {note}", peer.from, peer.to));
    let mut notes: Vec<String> = gpu.results.iter().filter_map(|result| result.sample.note.clone()).chain(links).collect();
    notes.dedup();
    notes
}

/// What goes between devices: links of this one, and all-reduces of all together.
pub(super) fn links(gpu: &GpuJudged) -> Vec<[String; 5]> {
    gpu.peers.iter().flat_map(peer).chain(gpu.together.iter().flat_map(collective::rows)).collect()
}

/// Lines of cells in columns.
fn aligned(rows: &[[String; 5]]) -> Vec<String> {
    let widths: Vec<usize> =
        (0..5).map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell)).max().unwrap_or(0)).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The clock while kernels ran, and what lowered it; nothing where nobody asked.
fn state(gpu: &GpuJudged) -> Option<String> {
    if gpu.results.is_empty() {
        return None;
    }
    let clocks = gpu.results.iter().filter_map(|result| result.sample.conditions.sm_mhz);
    let clock = match (clocks.clone().min(), clocks.max()) {
        (Some(low), Some(high)) if low != high => format!("SM clock {low} to {high} MHz"),
        (Some(clock), _) => format!("SM clock {clock} MHz"),
        _ => "clocks unknown: NVML does not answer".to_owned(),
    };
    let mut reasons: Vec<&str> = gpu.results.iter().flat_map(|result| &result.sample.conditions.throttling).map(String::as_str).collect();
    reasons.sort_unstable();
    reasons.dedup();
    Some(if reasons.is_empty() { clock } else { format!("{clock}, throttled: {}", reasons.join(", ")) })
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

/// Copies over a link, and a kernel's loads over it.
pub(super) fn peer(link: &PeerJudged) -> Vec<[String; 5]> {
    let peer = &link.peer;
    let figure = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} GB/s", rate / 1e9));
    let floor = link.floor.map(|floor| format!("floor {:.0}", floor / 1e9)).unwrap_or_default();
    let every = |right: bool, what: &str| match (right, link.verdict) {
        (false, _) => "wrong".to_owned(),
        (true, Verdict::Wrong) => "-".to_owned(),
        (true, verdict) => format!("{}  every word {what}", verdict.name()),
    };
    let name = |what: &str| format!("{what} {} to {}", peer.from, peer.to);
    let copies = [
        name("peer"),
        if peer.direct { "direct" } else { "through the host" }.to_owned(),
        figure(link.rate),
        format!("16 B in {:.1} µs  {floor}", peer.latency * 1e6).trim_end().to_owned(),
        every(peer.verified, "arrived"),
    ];
    let loads = peer.loads.as_ref().map(|loads| {
        let from = format!("loads {} from {}", peer.from, peer.to);
        [from, "by a kernel".to_owned(), figure(link.load_rate), String::new(), every(loads.verified, "was right")]
    });
    [copies].into_iter().chain(loads).collect()
}

/// How long all of it took, and how much of that was measuring.
fn took(gpus: &[GpuJudged]) -> String {
    let all: Vec<Took> = gpus.iter().filter_map(|gpu| gpu.measured.took).collect();
    if all.is_empty() {
        return String::new();
    }
    let sum = |of: fn(&Took) -> f64| all.iter().map(of).sum::<f64>();
    let (seconds, measuring, timed) = (sum(|took| took.seconds), sum(|took| took.measuring_seconds), sum(|took| took.timed_seconds));
    format!(" in {seconds:.1} s, {measuring:.1} s of it measuring, {timed:.1} s of that timed launches")
}

/// The last line: how many passed, and how many did not.
pub(super) fn last(gpus: &[GpuJudged]) -> String {
    let measured =
        gpus.iter().flat_map(|gpu| gpu.results.iter().map(|result| result.verdict).chain(gpu.peers.iter().map(|link| link.verdict)));
    let outcome = gpus.iter().find_map(|gpu| gpu.together.as_ref()).map(|together| together.outcome);
    let reduced = outcome.and_then(|outcome| if let Outcome::Ended(verdict) = outcome { Some(verdict) } else { None });
    let verdicts: Vec<Verdict> = measured.chain(reduced).collect();
    let of = |verdict: Verdict| verdicts.iter().filter(|one| **one == verdict).count();
    let skipped = gpus.iter().map(|gpu| gpu.skipped().count()).sum::<usize>() + usize::from(outcome == Some(Outcome::Skipped));
    let failed = if matches!(outcome, Some(Outcome::Hang | Outcome::Failed)) { ", NCCL failed" } else { "" };
    let verdicts = format!("{} passed, {} slow, {} wrong, {skipped} skipped", of(Verdict::Pass), of(Verdict::Slow), of(Verdict::Wrong));
    format!("{verdicts}{failed} on {}{}", counted(gpus.len(), "GPU"), took(gpus))
}
