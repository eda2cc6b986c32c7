//! What else there is: alternatives, refused candidates, and where to go next.

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::plan::outcome::{Alternative, Plan};
use crate::report::layout::{count, counted, gib, rate, size, wrap};
use crate::report::{View, style};

/// The best alternative in one sentence.
pub(super) fn best(alternative: &Alternative) -> String {
    let speed = alternative.tokens_per_second.map_or_else(String::new, |speed| format!(", about {} tokens/s", rate(speed)));
    format!(
        "Another way: {} ({} of device memory, {} tokens of KV cache{speed}); see --alternatives",
        alternative.change,
        size(alternative.device_used),
        count(alternative.kv_tokens)
    )
}

/// All alternatives as a table, when asked for.
pub(super) fn alternatives(plan: &Plan, view: &View, width: usize) -> Option<String> {
    if !view.alternatives {
        return None;
    }
    if plan.alternatives.is_empty() {
        return Some("No other launch fits.".to_owned());
    }
    let mut table = table(width, &["Alternatives", "verdict", "GiB used", "KV tokens", "tokens/s"]);
    for alternative in &plan.alternatives {
        table.add_row(vec![
            Cell::new(&alternative.change),
            Cell::new(alternative.verdict.id().replace('_', " ")),
            Cell::new(gib(alternative.device_used)).set_alignment(CellAlignment::Right),
            Cell::new(count(alternative.kv_tokens)).set_alignment(CellAlignment::Right),
            Cell::new(alternative.tokens_per_second.map_or_else(String::new, rate)).set_alignment(CellAlignment::Right),
        ]);
    }
    Some(lines(&table))
}

/// Refused candidates as a table, when asked for.
pub(super) fn rejected(plan: &Plan, view: &View, width: usize) -> Option<String> {
    if !view.rejected {
        return None;
    }
    if plan.rejected.is_empty() {
        return Some("Nothing was refused.".to_owned());
    }
    let mut table = table(width, &["Refused", "because"]);
    for rejected in &plan.rejected {
        table.add_row(vec![rejected.change.clone(), format!("{} ({})", rejected.reason.message, rejected.reason.code)]);
    }
    Some(lines(&table))
}

fn table(width: usize, titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(titles.iter().map(Cell::new));
    table
}

fn lines(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Files that were written, and the commands that lead on.
pub(super) fn next_steps(plan: &Plan, view: &View, width: usize) -> String {
    let mut lines = Vec::new();
    if !view.written.is_empty() {
        let paths: Vec<String> = view.written.iter().map(|file| file.path.display().to_string()).collect();
        lines.push(wrap(&format!("Wrote {}", paths.join(" ")), "", "      ", width));
        let folder = view.written.first().and_then(|file| file.path.parent()).map_or_else(String::new, |path| path.display().to_string());
        if !view.steps.is_empty() {
            lines.push(format!("Start it, in {folder}:"));
        }
        for (number, (what, command)) in view.steps.iter().enumerate() {
            lines.push(wrap(what, &format!("  {}  ", number + 1), "     ", width));
            lines.push(format!("     {}", style::literal(command)));
        }
    }
    if view.next_steps {
        let mut steps = Vec::new();
        if view.written.is_empty() && plan.verdict.is_good() && !view.judged {
            steps.push(format!("write the files: {}", style::literal("--emit DIR")));
        }
        if !view.rejected && !plan.rejected.is_empty() {
            steps.push(format!("see {}: {}", counted(plan.rejected.len(), "refused candidate"), style::literal("--rejected")));
        }
        steps.push(format!("explain a line: {}", style::literal("gpudoctor explain kv_cache")));
        lines.push(wrap(&format!("Next: {}", steps.join(" · ")), "", "      ", width));
    }
    lines.join("\n")
}
