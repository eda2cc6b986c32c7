//! All-reduces over several devices for people.

use super::aligned;
use crate::measurement::collective::{AllReduce, Run};
use crate::measurement::judge::collective::{CollectiveJudged, Outcome, outcome};
use crate::redact;
use crate::report::layout::wrap;
use crate::report::style;

/// What NCCL does on all devices together.
pub(super) fn table(judged: &CollectiveJudged, width: usize) -> String {
    let mut lines = vec![wrap(&facts(judged).join(" · "), &format!("{}  ", style::heading("NCCL")), "  ", width)];
    for run in &judged.measured.runs {
        lines.push(format!("  {}", way(run, judged)));
        lines.extend(aligned(&run.reduced.iter().map(|one| row(one, run, judged)).collect::<Vec<_>>()));
    }
    lines.join("\n")
}

/// The same facts as sentences of their own.
pub(super) fn sentences(judged: &CollectiveJudged) -> Vec<String> {
    let facts = format!("NCCL: {}", facts(judged).join(", "));
    [facts].into_iter().chain(judged.measured.runs.iter().map(|run| format!("NCCL {}", way(run, judged)))).collect()
}

/// Every all-reduce.
pub(super) fn rows(judged: &CollectiveJudged) -> Vec<[String; 5]> {
    judged.measured.runs.iter().flat_map(|run| run.reduced.iter().map(|one| row(one, run, judged))).collect()
}

fn facts(judged: &CollectiveJudged) -> Vec<String> {
    let measured = &judged.measured;
    if let Some(reason) = &measured.skipped {
        return vec![format!("not measured: {}", redact::line(reason))];
    }
    let numbers = measured.devices.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let library = measured.library.as_ref().map(|library| {
        let version = library.version.as_deref().unwrap_or("of an unknown version");
        format!("NCCL {version} {}", redact::line(&library.owner)).trim_end().to_owned()
    });
    [format!("all-reduce of 32-bit floats over GPU {numbers}, a process each")].into_iter().chain(library).collect()
}

/// Which way a run went, and what came of it.
fn way(run: &Run, judged: &CollectiveJudged) -> String {
    let way = if run.transports.is_empty() { "an unknown way".to_owned() } else { run.transports.join(", ") };
    let peer_access = if run.without_p2p { "without peer access" } else { "as the environment is" };
    format!("{peer_access}, over {way}: {}", outcome(run, judged.measured.devices.len(), judged.floor).name())
}

/// Size, launch, time, rates, verdict.
fn row(one: &AllReduce, run: &Run, judged: &CollectiveJudged) -> [String; 5] {
    let ranks = judged.measured.devices.len();
    let right = one.wrong == 0;
    let is_largest = run.largest() == Some(one);
    let floor = judged.floor.filter(|_| is_largest).map(|floor| format!("  floor {:.0}", floor / 1e9)).unwrap_or_default();
    let slow = is_largest && outcome(run, ranks, judged.floor) != Outcome::Ended(super::Verdict::Pass) && run.stop.is_none();
    let rates = format!("{:.1} GB/s, bus {:.1} GB/s{floor}", one.algorithm_rate() / 1e9, one.bus_rate(ranks) / 1e9);
    [
        format!("all-reduce {}", one.bytes),
        if one.graph { "graph" } else { "" }.to_owned(),
        if right { format!("{:.1} µs", one.time.median * 1e6) } else { "-".to_owned() },
        if right { rates } else { "-".to_owned() },
        if !right { format!("wrong  {} words", one.wrong) } else { format!("{}  every sum right", if slow { "slow" } else { "pass" }) },
    ]
}
