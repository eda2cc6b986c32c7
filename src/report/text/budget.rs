//! The budget of one device as a table, with its bar.

use crate::picture::bar::{Glyphs, bar, percent};
use crate::picture::budget::whole;
use crate::plan::budget::{Budget, KvCache, Term, TermName};
use crate::plan::outcome::Plan;
use crate::report::layout::{count, gib, pad, size, wrap};
use crate::report::style;
use crate::units::Bytes;

/// Columns of the name, of a figure, and of the rule under them.
const NAME: usize = 22;
const FIGURE: usize = 8;
const RULE: usize = NAME + 2 * FIGURE + 3;

/// The budget, if it can be computed.
pub(super) fn section(plan: &Plan, width: usize) -> Option<String> {
    let budget = plan.budget.as_ref()?;
    let title = if plan.devices.count > 1 { "Each GPU's memory" } else { "GPU memory" };
    let mut lines = vec![style::heading(&row(title, "GiB", "at most", "", width))];
    let (inside, outside): (Vec<&Term>, Vec<&Term>) = budget.terms.iter().partition(|term| term.inside_requested);
    lines.extend(inside.iter().map(|term| term_row(term, budget, width)));
    lines.push(rule());
    let share = if budget.memory_total == Bytes::ZERO { 0.0 } else { budget.requested.gib() / budget.memory_total.gib() };
    let requested = format!("the engine's share: {share:.3} of {} GiB", gib(budget.memory_total));
    lines.push(row("requested", &gib(budget.requested), "", &requested, width));
    lines.extend(outside.iter().map(|term| term_row(term, budget, width)));
    lines.push(rule());
    lines.push(used_row(plan, budget, width));
    if budget.host_memory > Bytes::ZERO {
        let note = format!("pinned, all ranks together; {} of RAM advised", size(advised(budget.host_memory)));
        lines.push(row("host memory", &gib(budget.host_memory), "", &note, width));
    }
    lines.push(String::new());
    lines.push(wrap(&capacity(plan, &budget.kv_cache), "  ", "  ", width));
    Some(lines.join("\n"))
}

/// RAM for a launch that pins `pinned`: a fifth more for loading and the engine's processes, in steps of 8 GiB.
fn advised(pinned: Bytes) -> Bytes {
    Bytes(pinned.scale(1.2).0.next_multiple_of(8 << 30))
}

fn term_row(term: &Term, budget: &Budget, width: usize) -> String {
    let note = match term.name {
        TermName::KvCache if term.note.is_empty() => kv_note(&budget.kv_cache),
        _ => term.note.clone(),
    };
    let high = if term.size.high == term.size.expected { String::new() } else { gib(term.size.high) };
    row(term.name.title(), &gib(term.size.expected), &high, &note, width)
}

fn kv_note(cache: &KvCache) -> String {
    format!("{} tokens, block {}, {} a token", count(cache.tokens), cache.block_size, cache.bytes_per_token)
}

fn used_row(plan: &Plan, budget: &Budget, width: usize) -> String {
    let (used, limit) = (budget.device_used, plan.devices.limit);
    let share = whole(budget, limit).share;
    let bar = if width >= 80 { format!("{} ", bar(share, 20, Glyphs::Blocks)) } else { String::new() };
    let of = format!("of {} {bar}{}", gib(limit), percent(share));
    row("nvidia-smi will show", &gib(used.expected), &gib(used.high), &of, width)
}

/// One line of the table; a long note continues under itself.
fn row(name: &str, figure: &str, high: &str, note: &str, width: usize) -> String {
    let first = format!("  {}{figure:>FIGURE$} {high:>FIGURE$}    ", pad(name, NAME));
    wrap_note(note, &first, width)
}

/// A note keeps its inner spaces where it fits on the line, so that a bar stays whole.
fn wrap_note(note: &str, first: &str, width: usize) -> String {
    let start = first.chars().count();
    if start + note.chars().count() <= width {
        return format!("{first}{note}").trim_end().to_owned();
    }
    wrap(note, first, &" ".repeat(start), width)
}

fn rule() -> String {
    format!("  {}", style::quiet(&"-".repeat(RULE - 2)))
}

/// What the cache holds, in requests.
fn capacity(plan: &Plan, cache: &KvCache) -> String {
    let tokens = count(cache.tokens);
    let Some(launch) = &plan.launch else {
        return format!("The KV cache holds {tokens} tokens.");
    };
    format!(
        "The KV cache holds {tokens} tokens: {:.2} requests of {} tokens ({} each) at a time, of at most {}.",
        cache.max_concurrency,
        count(launch.max_model_len),
        size(cache.request_bytes),
        count(launch.max_num_seqs)
    )
}
