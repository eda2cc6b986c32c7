//! Findings as lines: what is wrong, the evidence, the fixes.

use crate::finding::{Evidence, Finding, Fix, Risk, Severity};
use crate::plan::outcome::Plan;
use crate::report::layout::{columns, counted, wrap};
use crate::report::style;

/// The findings, worst first, and their count. A judged configuration says so when nothing was found; of a launch
/// that was chosen, notes on its lines are left to the reasons of its values.
pub(super) fn section(plan: &Plan, judged: bool, width: usize) -> Option<String> {
    let shown = |finding: &&Finding| judged || finding.severity > Severity::Info || finding.subject == "model";
    let mut findings: Vec<&Finding> = plan.findings.iter().filter(shown).collect();
    if findings.is_empty() {
        return judged.then(|| "No findings on this configuration.".to_owned());
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut blocks: Vec<String> = findings.iter().map(|finding| block(finding, width)).collect();
    blocks.push(summary(&findings));
    Some(blocks.join("\n"))
}

fn block(finding: &Finding, width: usize) -> String {
    let label = style::severity(finding.severity, &format!("{}[{}]", finding.severity.name(), finding.id));
    let subject = subject(&finding.subject);
    let subject = if finding.message.starts_with(&format!("{subject}:")) { "" } else { subject };
    let separator = if subject.is_empty() { "" } else { ": " };
    let mut lines = vec![wrap(&format!("{subject}{separator}{}", finding.message), &format!("{label} "), "  ", width)];
    lines.extend(finding.evidence.iter().map(|evidence| evidence_line(evidence, width)));
    lines.extend(finding.fixes.iter().map(|fix| fix_line(fix, width)));
    lines.join("\n")
}

/// The subject as people write it: a file with its line, a flag by its name.
fn subject(subject: &str) -> &str {
    subject.strip_prefix("file:").or_else(|| subject.strip_prefix("flag:")).unwrap_or(subject)
}

fn evidence_line(evidence: &Evidence, width: usize) -> String {
    let text = format!("{} is {}", evidence.fact, evidence.value);
    let source = if evidence.source.is_empty() { String::new() } else { format!(" ({})", evidence.source) };
    style_lines(&wrap(&format!("{text}{source}"), "    ", "      ", width))
}

fn style_lines(text: &str) -> String {
    text.lines().map(style::quiet).collect::<Vec<_>>().join("\n")
}

fn fix_line(fix: &Fix, width: usize) -> String {
    let mut notes: Vec<&str> = fix.needs.iter().map(String::as_str).collect();
    if fix.risk == Risk::Risky {
        notes.push("risky");
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let mut text = wrap(&fix.text, &format!("  fix{notes}: "), "       ", width);
    if let Some(command) = &fix.command {
        let last = text.lines().last().map_or(0, columns);
        let gap = if last + 2 + columns(command) <= width { "  " } else { "\n       " };
        text.push_str(gap);
        text.push_str(&style::literal(command));
    }
    text
}

/// How many of each severity, as far as there are any.
fn summary(findings: &[&Finding]) -> String {
    let words = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Info, "note")];
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = words.map(|(severity, noun)| (count(severity), noun));
    let counts = counts.into_iter().filter(|(number, _)| *number > 0).map(|(number, noun)| counted(number, noun));
    counts.collect::<Vec<_>>().join(", ")
}
