//! Workflow commands of GitHub Actions: one annotation a finding or cause, one for the verdict.

use crate::check::Diagnosis;
use crate::diagnose;
use crate::finding::{Finding, Severity};
use crate::plan::outcome::Plan;
use crate::report::verdict;

/// The annotations. Ends with a line break.
pub fn render(plan: &Plan) -> String {
    let level = if plan.verdict.is_good() { "notice" } else { "error" };
    let mut lines: Vec<String> = plan.findings.iter().map(annotation).collect();
    lines.push(format!("::{level} title=gpudoctor plan::{}", data(&verdict::sentence(plan))));
    lines.push(String::new());
    lines.join("\n")
}

/// The annotations of a diagnosis. Ends with a line break.
pub fn check(diagnosis: &Diagnosis) -> String {
    let level = if diagnosis.count(Severity::Error) == 0 { "notice" } else { "error" };
    let mut lines: Vec<String> = diagnosis.findings.iter().map(|judged| annotation(&judged.finding)).collect();
    lines.push(format!("::{level} title=gpudoctor check::{}", data(&crate::report::check::counts(diagnosis))));
    lines.push(String::new());
    lines.join("\n")
}

/// The annotations of what a log shows. Ends with a line break.
pub fn diagnose(diagnosis: &diagnose::Diagnosis) -> String {
    let level = if diagnosis.is_healthy() { "notice" } else { "error" };
    let shown = if diagnosis.verdict == diagnose::Verdict::Found { 1 } else { diagnosis.causes.len() };
    let mut lines: Vec<String> = diagnosis.causes.iter().take(shown).map(cause).collect();
    lines.push(format!("::{level} title=gpudoctor diagnose::{}", data(&super::diagnose::sentence(diagnosis))));
    lines.push(String::new());
    lines.join("\n")
}

fn cause(named: &diagnose::Named) -> String {
    let fixes: Vec<&str> = named.fixes.iter().map(|fix| fix.text.as_str()).collect();
    let message = named.message.as_ref().unwrap_or(&named.title);
    let quoted = named.lines.first().map_or_else(String::new, |line| format!("\nline {}: {}", line.number, line.text));
    let fixes = if fixes.is_empty() { String::new() } else { format!("\nfix: {}", fixes.join("; or ")) };
    format!("::error title={}::{}", property(&named.id), data(&format!("{message}{quoted}{fixes}")))
}

fn annotation(finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Info => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let fixes: Vec<&str> = finding.fixes.iter().map(|fix| fix.text.as_str()).collect();
    let message = if fixes.is_empty() { finding.message.clone() } else { format!("{}\nfix: {}", finding.message, fixes.join("; or ")) };
    format!("::{level} {}title={}::{}", place(&finding.subject), property(&finding.id), data(&message))
}

/// `file=…,line=…,` of a subject that is a place in a file.
fn place(subject: &str) -> String {
    let Some(file) = subject.strip_prefix("file:") else { return String::new() };
    let file = file.split(' ').next().unwrap_or(file);
    match file.rsplit_once(':') {
        Some((file, line)) if line.parse::<usize>().is_ok() => format!("file={},line={line},", property(file)),
        _ => format!("file={},", property(file)),
    }
}

/// Escapes the text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Fix;

    #[test]
    fn a_finding_points_at_its_line() {
        let finding = Finding {
            id: "flag-removed".to_owned(),
            severity: Severity::Error,
            subject: "file:a,b.yaml:11".to_owned(),
            message: "100% gone".to_owned(),
            evidence: Vec::new(),
            fixes: vec![Fix::edit("delete the line")],
        };
        assert_eq!(annotation(&finding), "::error file=a%2Cb.yaml,line=11,title=flag-removed::100%25 gone%0Afix: delete the line");
    }
}
