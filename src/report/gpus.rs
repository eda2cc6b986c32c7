//! The cards as a table: how full, how busy, whose, for how long.

use crate::facts::gpu::holders::duration;
use crate::facts::{Facts, Gpu};
use crate::pick;
use crate::picture::bar::{Glyphs, bar};
use crate::report::layout::{columns, pad, wrap};
use crate::report::style;

/// The columns of the bar.
const BAR: usize = 11;

/// The table and the free cards. Ends with a line break.
pub fn render(facts: &Facts, width: usize) -> String {
    let width = crate::report::layout::width(width);
    if facts.gpus.is_empty() {
        return format!("{}\n", wrap(&nothing(facts), "", "", width));
    }
    let rows: Vec<[String; 6]> = facts.gpus.iter().map(row).collect();
    let heads = ["#", "GPU", "used of GiB", "util", "who", "note"].map(str::to_owned);
    let widest = |column: usize| rows.iter().chain([&heads]).map(|row| columns(&row[column])).max().unwrap_or(0);
    let sizes: Vec<usize> = (0..5).map(widest).collect();
    let line = |row: &[String; 6]| {
        let number = format!("{:>1$}", row[0], sizes[0]);
        let busy = format!("{:>1$}", row[3], sizes[3]);
        let cells = [number, pad(&row[1], sizes[1]), pad(&row[2], sizes[2]), busy, pad(&row[4], sizes[4]), row[5].clone()];
        format!(" {}", cells.join("  ")).trim_end().to_owned()
    };
    let mut lines = vec![style::quiet(&line(&heads))];
    lines.extend(rows.iter().map(line));
    lines.push(String::new());
    lines.push(summary(facts, width));
    lines.join("\n") + "\n"
}

/// Why there is no table.
fn nothing(facts: &Facts) -> String {
    let reason = facts.cards.count.reason().or(facts.nvml.code.reason());
    match (reason, facts.driver.loaded.known()) {
        (Some(reason), _) => format!("No GPU is seen: {reason}. `gpudoctor check` says what is wrong."),
        (None, Some(false)) => "No GPU is seen: the NVIDIA driver is not loaded. `gpudoctor check` says what is wrong.".to_owned(),
        _ => "No GPU is seen. `gpudoctor check` says what is wrong.".to_owned(),
    }
}

fn row(gpu: &Gpu) -> [String; 6] {
    let name = gpu.name.known().map_or("unknown", String::as_str);
    let name = name.trim_start_matches("NVIDIA ").trim_start_matches("GeForce ");
    let used = match (gpu.memory.used.known(), gpu.memory.total.known()) {
        (Some(used), Some(total)) => {
            let share = used.0 as f64 / (total.0 as f64).max(1.0);
            format!("{} {:>5.1} / {:.1}", bar(share, BAR, Glyphs::Blocks), used.gib(), total.gib())
        }
        _ => "not seen".to_owned(),
    };
    let busy = gpu.utilisation.known().map_or_else(|| "-".to_owned(), |percent| format!("{percent}%"));
    // One that the driver does not list has no number.
    let number = if gpu.listed { gpu.index.to_string() } else { "-".to_owned() };
    [number, name.to_owned(), used, busy, who(gpu), note(gpu)]
}

/// The largest holder, and how many others there are.
fn who(gpu: &Gpu) -> String {
    let Some(processes) = gpu.processes.known() else { return "not seen".to_owned() };
    let Some(first) = processes.first() else { return "-".to_owned() };
    let name = first.name.known().map_or("a process", String::as_str);
    let user = first.user.known().map_or_else(String::new, |user| format!(" ({user})"));
    let since = first.running.known().map_or_else(String::new, |seconds| format!("  {}", duration(*seconds)));
    let more = if processes.len() > 1 { format!("  +{}", processes.len() - 1) } else { String::new() };
    format!("{name}{user}  {}{since}{more}", first.pid)
}

fn note(gpu: &Gpu) -> String {
    let mut notes = Vec::new();
    if !gpu.listed {
        notes.push("not listed by the driver".to_owned());
    }
    notes.extend(gpu.no_answer.known().map(|_| "gives no answer".to_owned()));
    notes.extend(gpu.lost_code.known().filter(|code| **code != 0).map(|code| format!("lost or to be reset ({code})")));
    if gpu.visible.known() == Some(&false) && gpu.listed {
        notes.push("hidden here".to_owned());
    }
    if gpu.mig.enabled.known() == Some(&true) {
        notes.push(format!("MIG, {} instances", gpu.mig.instances.known().copied().unwrap_or(0)));
    }
    if gpu.asleep.known() == Some(&true) {
        notes.push("asleep, held".to_owned());
    }
    if notes.is_empty() && pick::free(&Facts { gpus: vec![gpu.clone()], ..Facts::default() }).len() == 1 {
        notes.push("free".to_owned());
    }
    notes.join(", ")
}

/// The free cards, how they are joined, and how to take them.
fn summary(facts: &Facts, width: usize) -> String {
    let free = pick::free(facts);
    if free.is_empty() {
        return "Free: none".to_owned();
    }
    let numbers: Vec<String> = free.iter().map(|gpu| gpu.index.to_string()).collect();
    let mut about = Vec::new();
    if free.len() > 1 {
        let among = |link: &&crate::facts::Link| free.iter().any(|gpu| gpu.index == link.a) && free.iter().any(|gpu| gpu.index == link.b);
        let links: Vec<_> = facts.links.iter().filter(among).collect();
        let mut nodes: Vec<_> = free.iter().filter_map(|gpu| gpu.numa_node.known()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        about.extend((nodes.len() == 1).then(|| "same NUMA node".to_owned()));
        if !links.is_empty() {
            let joined = links.iter().filter(|link| link.nvlinks.known().is_some_and(|number| *number > 0)).count();
            about.push(if joined == 0 { "no NVLink".to_owned() } else { format!("NVLink between {joined} of {} pairs", links.len()) });
        }
        about.extend(
            free.iter().all(|gpu| gpu.peer_access.known().is_some_and(|word| word == "never")).then(|| "this card has no P2P".to_owned()),
        );
    }
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    let count = if free.len() > 1 { format!(" --count {}", free.len()) } else { String::new() };
    let command = style::literal(&format!("eval \"$(gpudoctor pick{count})\""));
    let text = format!("Free: {}{about}", numbers.join(", "));
    if columns(&text) + 3 + columns(&command) <= width { format!("{text}   {command}") } else { format!("{text}\n  {command}") }
}
