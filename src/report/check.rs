//! A diagnosis for people: the primary cause first, with its evidence and the commands that mend it.

use crate::check::{Diagnosis, Judged};
use crate::finding::{Evidence, Finding, Fix, Risk, Severity};
use crate::report::layout::{self, columns, counted, pad, wrap};
use crate::report::style;

/// The report; with `all`, also what was skipped and why. Ends with a line break.
pub fn render(diagnosis: &Diagnosis, columns: usize, all: bool) -> String {
    let width = layout::width(columns);
    let mut blocks = Vec::new();
    if let Some(subject) = &diagnosis.subject {
        blocks.push(wrap(subject, "Examined ", "  ", width));
    }
    let groups = diagnosis.findings.chunk_by(|a, b| a.finding.id == b.finding.id);
    blocks.extend(groups.map(|group| block(group, diagnosis.primary.as_ref(), width)));
    if all {
        blocks.extend(skipped(diagnosis, true, "Could not be seen", width));
        blocks.extend(skipped(diagnosis, false, "Does not apply", width));
    }
    let hint = if all || diagnosis.unseen() == 0 { "" } else { " (gpudoctor check --skipped says why)" };
    blocks.push(format!("{}{hint}", counts(diagnosis)));
    blocks.join("\n\n") + "\n"
}

/// The last line: how many findings of each severity, how many checks passed, how many could not be judged.
pub fn counts(diagnosis: &Diagnosis) -> String {
    let words = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
    let counts = words.map(|(severity, noun)| (diagnosis.count(severity), noun));
    let mut found: Vec<String> = counts.into_iter().filter(|(number, _)| *number > 0).map(|(number, noun)| counted(number, noun)).collect();
    if found.is_empty() {
        found.push("nothing wrong".to_owned());
    }
    format!("{}; {} passed, {} could not be seen", found.join(", "), diagnosis.passed.len(), diagnosis.unseen())
}

/// The checks that did not judge, one line each.
fn skipped(diagnosis: &Diagnosis, unseen: bool, title: &str, width: usize) -> Option<String> {
    let those: Vec<_> = diagnosis.skipped.iter().filter(|skipped| skipped.unseen == unseen).collect();
    let widest = those.iter().map(|skipped| skipped.id.len()).max()?;
    let rest = " ".repeat(widest + 4);
    let line = |skipped: &&crate::check::Skipped| wrap(&skipped.reason, &format!("  {}  ", pad(&skipped.id, widest)), &rest, width);
    let lines: Vec<String> = those.iter().map(line).collect();
    Some(format!("{}\n{}", style::quiet(title), lines.join("\n")))
}

/// Findings of one id: the evidence and the fixes of the first, the messages of all.
fn block(group: &[Judged], primary: Option<&String>, width: usize) -> String {
    let Some(judged) = group.first() else { return String::new() };
    let finding = &judged.finding;
    let note = if primary == Some(&finding.id) { "primary cause" } else { finding.severity.name() };
    let mut lines = vec![headline(finding, note, width)];
    lines.extend(group.iter().map(|judged| message(&judged.finding, width)));
    if let Some(cause) = &judged.explained_by {
        lines.push(wrap(cause, "    follows from: ", "      ", width));
        return lines.join("\n");
    }
    lines.extend(evidence(&finding.evidence, width));
    if !judged.explains.is_empty() {
        lines.push(wrap(&judged.explains.join(", "), "    explains: ", "      ", width));
    }
    lines.extend(fixes(&finding.fixes, width));
    lines.join("\n")
}

/// A finding by itself, with its evidence and its fixes.
pub(super) fn alone(finding: &Finding, width: usize) -> String {
    let mut lines = vec![headline(finding, finding.severity.name(), width), message(finding, width)];
    lines.extend(evidence(&finding.evidence, width));
    lines.extend(fixes(&finding.fixes, width));
    lines.join("\n")
}

/// The id, and at the end of the line what it is.
fn headline(finding: &Finding, note: &str, width: usize) -> String {
    let mark = match finding.severity {
        Severity::Error => "✗",
        Severity::Warning => "!",
        Severity::Info => "·",
    };
    let id = format!("{mark} {}", finding.id);
    let gap = width.saturating_sub(columns(&id) + columns(note)).max(2);
    format!("{}{}{}", style::severity(finding.severity, &id), " ".repeat(gap), style::quiet(note))
}

/// The message, after the card or the pair that it is about.
fn message(finding: &Finding, width: usize) -> String {
    wrap(&finding.message, &format!("  {}", about(finding)), "  ", width)
}

/// The card or the pair that a finding is about, as it stands before the message; nothing where it is about none.
pub(super) fn about(finding: &Finding) -> String {
    match finding.subject.split_once(':') {
        Some(("gpu", number)) if number.parse::<u64>().is_ok() => format!("GPU {number}: "),
        Some(("link", pair)) => format!("GPUs {}: ", pair.replace('-', " and ")),
        _ => String::new(),
    }
}

/// Facts in columns: name, value, where it was read.
fn evidence(facts: &[Evidence], width: usize) -> Vec<String> {
    let name = facts.iter().map(|evidence| columns(&evidence.fact)).max().unwrap_or(0);
    let value = facts.iter().map(|evidence| columns(&evidence.value)).max().unwrap_or(0).min(24);
    let rest = " ".repeat(6);
    let line = |evidence: &Evidence| {
        let first = format!("    {}  {}  ", pad(&evidence.fact, name), pad(&evidence.value, value));
        if columns(&first) > width {
            wrap(&format!("{} {}", evidence.value, evidence.source), &format!("    {}  ", evidence.fact), &rest, width)
        } else {
            wrap(&evidence.source, &first, &rest, width)
        }
    };
    facts.iter().map(line).collect()
}

/// Most fixes that are printed of one finding: whoever has tried these wants to read more than a line about the others.
const MOST_FIXES: usize = 3;

/// The best fixes in order, how many there are besides, and the command that shows that they worked.
fn fixes(fixes: &[Fix], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, fix) in fixes.iter().take(MOST_FIXES).enumerate() {
        let mut notes: Vec<&str> = fix.needs.iter().map(String::as_str).collect();
        if fix.risk == Risk::Risky {
            notes.push("risky");
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        let number = if fixes.len() > 1 { format!(" {}", index + 1) } else { String::new() };
        lines.push(wrap(&fix.text, &format!("  fix{number}{notes}: "), "         ", width));
        lines.extend(fix.command.as_ref().map(|command| format!("         {}", style::literal(command))));
    }
    if fixes.len() > MOST_FIXES {
        let more = fixes.len() - MOST_FIXES;
        lines.push(style::quiet(&format!("  {more} more {} in --format json", if more == 1 { "fix" } else { "fixes" })));
    }
    let verify = fixes.iter().find_map(|fix| fix.verify.as_ref());
    lines.extend(verify.map(|command| format!("  verify {}", style::literal(command))));
    lines
}
