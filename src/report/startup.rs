//! A start of an engine for people: predicted against printed, what was wasted, and what to set where it failed.

use crate::report::layout::{count, gib, pad, size, wrap};
use crate::report::style;
use crate::startup::{Answer, Basis, Cache, Change, Gain, Row, Summary};
use crate::units::Bytes;

/// Columns of the name and of a figure.
const NAME: usize = 26;
const FIGURE: usize = 10;

/// The table of a start, its cache and its advice. Styled; ends without a line break.
pub fn summary(summary: &Summary, width: usize) -> String {
    let mut lines = vec![wrap(&headline(summary), "", "  ", width)];
    lines.extend(requested(summary).map(|text| wrap(&text, "  ", "    ", width)));
    lines.push(String::new());
    lines.extend(table(summary, width));
    lines.extend(cache(&summary.cache).map(|text| wrap(&text, "  ", "    ", width)));
    if let Some((expected, most)) = summary.device_used {
        lines.push(wrap(&format!("nvidia-smi will show about {} (at most {}).", size(expected), size(most)), "  ", "    ", width));
    }
    if let Some((least, most)) = summary.weights_differ {
        lines.push(wrap(&format!("The ranks differ: weights of {least} to {most}; the table has the largest."), "  ", "    ", width));
    }
    lines.extend(summary.not_computed.as_ref().map(|reason| wrap(&format!("not predicted: {reason}"), "  ", "    ", width)));
    lines.extend(summary.assumed.iter().map(|sentence| wrap(&format!("assumed: {sentence}"), "  ", "    ", width)));
    if !summary.advice.is_empty() {
        lines.push(String::new());
        lines.push(style::heading("Memory that could do more"));
    }
    for advice in &summary.advice {
        lines.push(wrap(&advice.message, "  ", "    ", width));
        lines.push(change(&advice.change, "    set ", width));
    }
    lines.join("\n")
}

/// What happened in figures, and what to set: lines to stand below a cause. Styled.
pub fn answer(answer: &Answer, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = answer.statements.iter().map(|sentence| wrap(sentence, "  ", "    ", width)).collect();
    for (index, one) in answer.changes.iter().enumerate() {
        lines.push(change(one, if index == 0 { "  set " } else { "  or  " }, width));
    }
    if let Some(short) = answer.short_by {
        lines.push(wrap(&format!("It cannot fit on this card: even the smallest launch is {} short.", size(short)), "  ", "    ", width));
    }
    lines.extend(answer.not_computed.as_ref().map(|reason| wrap(&format!("not computed: {reason}"), "  ", "    ", width)));
    lines.extend(answer.assumed.iter().map(|sentence| wrap(&format!("assumed: {sentence}"), "  ", "    ", width)));
    lines
}

/// `--max-num-seqs 32: 0.46 GiB of KV cache, …`.
fn change(change: &Change, first: &str, width: usize) -> String {
    let follows: Vec<String> = change.cache.iter().map(gain).chain(change.note.clone()).collect();
    let command = style::literal(&change.command());
    let text = if follows.is_empty() { command } else { format!("{command}: {}", follows.join("; ")) };
    wrap(&text, first, &" ".repeat(first.len() + 2), width)
}

/// A cache in words: `0.46 GiB of KV cache, 6,816 tokens, 6.66 requests of full length`. Public to other formats.
pub fn gain(cache: &Gain) -> String {
    let least = if cache.least_tokens < cache.tokens { format!(" (at least {})", count(cache.least_tokens)) } else { String::new() };
    let requests =
        if cache.concurrency > 0.0 { format!(", {:.2} requests of full length at once", cache.concurrency) } else { String::new() };
    format!("{} of KV cache, {} tokens{least}{requests}", size(cache.bytes), count(cache.tokens))
}

/// The first sentence: what started, or did not.
pub fn headline(summary: &Summary) -> String {
    let engine = summary.version.as_ref().map_or_else(|| "vLLM".to_owned(), |version| format!("vLLM {version}"));
    let did = if summary.serving { "started" } else { "did not get ready" };
    let model = summary.model.as_ref().map_or_else(String::new, |model| format!(": {model}"));
    let ranks = if summary.ranks > 1 { format!("{} × ", summary.ranks) } else { String::new() };
    let device = summary.device.as_ref().map_or_else(String::new, |device| format!(" on {ranks}{device}"));
    format!("{engine} {did}{model}{device}")
}

fn requested(summary: &Summary) -> Option<String> {
    let each = if summary.ranks > 1 { " on each GPU" } else { "" };
    match (summary.requested, summary.utilization, summary.total) {
        (Some(requested), Some(utilization), Some(total)) => {
            Some(format!("requested {} GiB = {utilization} × {} GiB{each}", gib(requested), gib(total)))
        }
        (Some(requested), ..) => Some(format!("requested {} GiB{each}", gib(requested))),
        _ => None,
    }
}

fn table(summary: &Summary, width: usize) -> Vec<String> {
    if summary.rows.is_empty() {
        return Vec::new();
    }
    let title = if summary.ranks > 1 { "Each GPU's memory, GiB" } else { "GPU memory, GiB" };
    let mut lines = vec![style::heading(&line(title, "predicted", "in the log", "", width))];
    lines.extend(summary.rows.iter().map(|each| row(each, width)));
    if summary.rows.iter().any(|row| row.actual.is_some_and(|(_, basis)| basis == Basis::Derived)) {
        lines.push(format!("  {}", style::quiet("* follows from figures of the log")));
    }
    lines
}

fn row(row: &Row, width: usize) -> String {
    let predicted = row.predicted.map_or_else(|| "-".to_owned(), |band| gib(band.expected));
    let actual = row.actual.map_or_else(
        || "- ".to_owned(),
        |(bytes, basis)| {
            let sign = if bytes < 0 { "-" } else { "" };
            format!("{sign}{}{}", gib(Bytes(bytes.unsigned_abs())), if basis == Basis::Derived { "*" } else { " " })
        },
    );
    let outside = if row.inside_requested { "" } else { "outside the requested size" };
    let note = match (outside, row.note.as_str()) {
        ("", note) => note.to_owned(),
        (outside, note) if note.is_empty() || note.contains("outside") => outside.to_owned(),
        (outside, note) => format!("{outside}; {note}"),
    };
    line(row.subject.title(), &predicted, &actual, &note, width)
}

fn line(name: &str, predicted: &str, actual: &str, note: &str, width: usize) -> String {
    let first = format!("  {}{predicted:>FIGURE$}  {actual:>FIGURE$}   ", pad(name, NAME));
    if note.is_empty() {
        return first.trim_end().to_owned();
    }
    let rest = " ".repeat(first.chars().count());
    wrap(note, &first, &rest, width)
}

/// The cache in tokens and requests, as a sentence.
pub fn cache(cache: &Cache) -> Option<String> {
    let tokens = cache.tokens?;
    let predicted = cache.predicted_tokens.map_or_else(String::new, |predicted| format!(" (predicted {})", count(predicted)));
    let requests = match (cache.concurrency, cache.request_length) {
        (Some(times), Some(length)) => {
            let predicted = cache.predicted_concurrency.map_or_else(String::new, |predicted| format!(" (predicted {predicted:.2})"));
            format!(": {times:.2} requests of {} tokens at once{predicted}", count(length))
        }
        _ => String::new(),
    };
    Some(format!("The KV cache holds {} tokens{predicted}{requests}.", count(tokens)))
}
