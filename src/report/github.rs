//! Workflow commands of GitHub Actions: one annotation a finding or cause, one for the verdict.

use crate::check::Diagnosis;
use crate::diagnose::{self, Arithmetic};
use crate::finding::{Finding, Fix, Severity};
use crate::measurement::judge::GpuJudged;
use crate::plan::outcome::Plan;
use crate::report::verdict;
use crate::startup::{Answer, Change};

/// The annotations. Ends with a line break.
pub fn render(plan: &Plan) -> String {
    let level = if plan.verdict.is_good() { "notice" } else { "error" };
    let mut lines: Vec<String> = plan.findings.iter().map(|finding| annotation("plan", finding)).collect();
    lines.push(command(level, "", "plan", None, &verdict::sentence(plan)));
    lines.push(String::new());
    lines.join("\n")
}

/// The annotations of a diagnosis. Ends with a line break.
pub fn check(diagnosis: &Diagnosis) -> String {
    let level = if diagnosis.count(Severity::Error) == 0 { "notice" } else { "error" };
    let mut lines: Vec<String> = diagnosis.findings.iter().map(|judged| annotation("check", &judged.finding)).collect();
    lines.push(command(level, "", "check", None, &crate::report::check::counts(diagnosis)));
    lines.push(String::new());
    lines.join("\n")
}

/// The annotations of measurements. Ends with a line break.
pub fn bench(gpus: &[GpuJudged]) -> String {
    let findings = || gpus.iter().flat_map(|gpu| &gpu.findings);
    let level = if findings().any(|finding| finding.severity == Severity::Error) { "error" } else { "notice" };
    // An annotation shows no subject: of several cards, it has to say which.
    let told = |finding: &Finding| Finding { message: format!("{}{}", super::check::about(finding), finding.message), ..finding.clone() };
    let mut lines: Vec<String> = findings().map(|finding| annotation("bench", &told(finding))).collect();
    lines.push(command(level, "", "bench", None, &super::bench::last(gpus)));
    lines.push(String::new());
    lines.join("\n")
}

/// The annotations of what a log shows, with the figures of its memory failures. Ends with a line break.
pub fn diagnose(diagnosis: &diagnose::Diagnosis, arithmetic: &Arithmetic) -> String {
    let level = if diagnosis.is_healthy() { "notice" } else { "error" };
    let shown = if diagnosis.verdict == diagnose::Verdict::Found { 1 } else { diagnosis.causes.len() };
    let mut lines: Vec<String> = diagnosis.causes.iter().take(shown).map(|named| cause(named, arithmetic.answer(&named.id))).collect();
    lines.extend(arithmetic.other.as_ref().map(|answer| command("error", "", "diagnose", None, &figures(answer).join("\n"))));
    lines.push(command(level, "", "diagnose", None, &super::diagnose::sentence(diagnosis)));
    lines.push(String::new());
    lines.join("\n")
}

fn cause(named: &diagnose::Named, answer: Option<&Answer>) -> String {
    let mut text = vec![named.message.as_ref().unwrap_or(&named.title).clone()];
    text.extend(named.lines.first().map(|line| format!("line {}: {}", line.number, line.text)));
    text.extend(answer.into_iter().flat_map(figures));
    text.extend(named.evidence.iter().map(|fact| format!("{} is {} ({})", fact.fact, fact.value, fact.source)));
    text.extend(named.question.as_ref().map(|question| format!("ask: {}", question.text)));
    text.extend(fixes(&named.fixes));
    command("error", "", "diagnose", Some(&named.id), &text.join("\n"))
}

/// What a failure of memory came to in figures, and what to set: a line each.
fn figures(answer: &Answer) -> Vec<String> {
    let set = |change: &Change| {
        let follows: Vec<String> = change.cache.iter().map(super::startup::gain).chain(change.note.clone()).collect();
        let follows = if follows.is_empty() { String::new() } else { format!(": {}", follows.join("; ")) };
        format!("set: {}{follows}", change.command())
    };
    let short = answer.short_by.map(|short| format!("it cannot fit on this card: even the smallest launch is {short} short"));
    answer.statements.iter().cloned().chain(answer.changes.iter().map(set)).chain(short).collect()
}

fn annotation(program: &str, finding: &Finding) -> String {
    let level = match finding.severity {
        Severity::Info => "notice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let text: Vec<String> = std::iter::once(finding.message.clone()).chain(fixes(&finding.fixes)).collect();
    command(level, &place(&finding.subject), program, Some(&finding.id), &text.join("\n"))
}

fn fixes(fixes: &[Fix]) -> Option<String> {
    let texts: Vec<&str> = fixes.iter().map(|fix| fix.text.as_str()).collect();
    (!texts.is_empty()).then(|| format!("fix: {}", texts.join("; or ")))
}

/// A workflow command: `::error file=a.yaml,line=11,title=gpudoctor plan%3A flag-removed::…`.
fn command(level: &str, place: &str, program: &str, id: Option<&str>, text: &str) -> String {
    let title = id.map_or_else(|| format!("gpudoctor {program}"), |id| format!("gpudoctor {program}: {id}"));
    format!("::{level} {place}title={}::{}", property(&title), data(text))
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
        let annotation = annotation("plan", &finding);
        let place = "::error file=a%2Cb.yaml,line=11,title=gpudoctor plan%3A flag-removed";
        assert_eq!(annotation, format!("{place}::100%25 gone%0Afix: delete the line"));
    }
}
