//! A start of an engine as Markdown: the table of its memory, and answers to failures.

use crate::report::layout::gib;
use crate::report::startup::{cache, gain, headline};
use crate::startup::{Answer, Change, Row, Summary};
use crate::units::Bytes;

/// The table of a start, its cache and its advice.
pub(super) fn summary(summary: &Summary) -> String {
    let mut parts = vec![format!("### {}", super::cell(&headline(summary)))];
    if !summary.rows.is_empty() {
        let mut lines = vec!["| GPU memory, GiB | predicted | in the log | |".to_owned(), "| --- | ---: | ---: | --- |".to_owned()];
        lines.extend(summary.rows.iter().map(row));
        parts.push(lines.join("\n"));
    }
    parts.extend(cache(&summary.cache));
    parts.extend(summary.advice.iter().map(|advice| format!("- {}. {}", super::cell(&advice.message), change(&advice.change))));
    parts.extend(summary.not_computed.as_ref().map(|reason| format!("Not predicted: {}", super::cell(reason))));
    parts.join("\n\n")
}

fn row(row: &Row) -> String {
    let predicted = row.predicted.map_or_else(String::new, |band| gib(band.expected));
    let actual = row.actual.map_or_else(String::new, |(bytes, _)| {
        let sign = if bytes < 0 { "-" } else { "" };
        format!("{sign}{}", gib(Bytes(bytes.unsigned_abs())))
    });
    format!("| {} | {predicted} | {actual} | {} |", row.subject.title(), super::cell(&row.note))
}

/// What happened in figures, and what to set.
pub(super) fn answer(answer: &Answer) -> String {
    let said = answer.statements.iter().map(|sentence| format!("- {}", super::cell(sentence)));
    let set = answer.changes.iter().map(|one| format!("- {}", change(one)));
    let short = answer.short_by.map(|short| format!("- it cannot fit on this card: even the smallest launch is {short} short"));
    said.chain(set).chain(short).collect::<Vec<_>>().join("\n")
}

fn change(change: &Change) -> String {
    let follows: Vec<String> = change.cache.iter().map(gain).chain(change.note.clone()).collect();
    let follows = if follows.is_empty() { String::new() } else { format!(": {}", super::cell(&follows.join("; "))) };
    format!("set `{}`{follows}", change.command())
}
