//! A diagnosis of a log as Markdown, for an issue or a chat.

use super::startup;
use crate::diagnose::{Arithmetic, Diagnosis, Named, Sighting, Verdict};
use crate::finding::Fix;
use crate::report::diagnose::sentence;

/// The report. Ends with a line break.
pub fn render(diagnosis: &Diagnosis, arithmetic: &Arithmetic) -> String {
    let mut sections = vec![format!("## gpudoctor diagnose\n\n**{}**", super::cell(&sentence(diagnosis)))];
    match diagnosis.verdict {
        Verdict::Found => sections.extend(diagnosis.causes.first().map(|named| cause(named, None, arithmetic))),
        Verdict::Ambiguous => {
            sections.extend(diagnosis.causes.iter().enumerate().map(|(index, named)| cause(named, Some(index + 1), arithmetic)))
        }
        Verdict::NotInThisLog if !diagnosis.is_healthy() => {
            sections.extend(diagnosis.wrappers.iter().map(|named| cause(named, None, arithmetic)));
            if !diagnosis.outcome.failures.is_empty() {
                sections.push(format!("### Looks like a failure\n\n{}", quotation(&diagnosis.outcome.failures)));
            }
        }
        Verdict::NotInThisLog => {}
    }
    sections.extend(arithmetic.other.as_ref().map(|answer| format!("### By the figures of this log\n\n{}", startup::answer(answer))));
    sections.extend(arithmetic.summary.as_ref().filter(|summary| summary.serving).map(startup::summary));
    sections.join("\n\n") + "\n"
}

fn cause(named: &Named, number: Option<usize>, arithmetic: &Arithmetic) -> String {
    let number = number.map_or_else(String::new, |number| format!("{number}. "));
    let mut parts = vec![format!("### {number}{} (`{}`)", super::cell(&named.title), named.id)];
    parts.extend(named.message.as_ref().map(|message| super::cell(message)));
    if !named.lines.is_empty() {
        parts.push(quotation(&named.lines));
    }
    let facts: Vec<String> =
        named.evidence.iter().map(|fact| format!("- `{}` is {} ({})", fact.fact, super::cell(&fact.value), fact.source)).collect();
    if !facts.is_empty() {
        parts.push(facts.join("\n"));
    }
    parts.extend(arithmetic.answer(&named.id).map(startup::answer));
    parts.extend(named.look_for.as_ref().map(|text| format!("Look for: {}", super::cell(text))));
    parts.extend(named.question.as_ref().map(|question| {
        let command = question.command.as_ref().map_or_else(String::new, |command| format!(" `{command}`"));
        format!("Ask: {}{command}", super::cell(&question.text))
    }));
    let fixes: Vec<String> = named.fixes.iter().map(fix).collect();
    if !fixes.is_empty() {
        parts.push(fixes.join("\n"));
    }
    let explained: Vec<String> = named.explains.iter().map(|consequence| format!("`{}`", consequence.id)).collect();
    if !explained.is_empty() {
        parts.push(format!("Its consequences: {}", explained.join(", ")));
    }
    parts.join("\n\n")
}

/// Lines of the log in a block that no line can end: its fence is longer than any run of back-ticks in it.
fn quotation(lines: &[Sighting]) -> String {
    let text: Vec<String> = lines.iter().map(|line| format!("{:>6}  {}", line.number, line.text)).collect();
    let text = text.join("\n");
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

fn fix(fix: &Fix) -> String {
    let needs = if fix.needs.is_empty() { String::new() } else { format!(" ({})", fix.needs.join(", ")) };
    let command = fix.command.as_ref().map_or_else(String::new, |command| {
        let lines: Vec<String> = command.lines().map(|line| format!("  {line}")).collect();
        format!("\n\n  ```sh\n{}\n  ```", lines.join("\n"))
    });
    format!("- {}{needs}{command}", super::cell(&fix.text))
}
