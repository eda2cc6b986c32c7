//! The report as Markdown, for a pull request or a page.

use crate::check::{Diagnosis, Judged};
use crate::finding::Fix;
use crate::plan::outcome::Plan;
use crate::report::layout::gib;
use crate::report::{View, command, verdict};

pub mod bench;
pub mod diagnose;
mod startup;

/// The report. Ends with a line break.
pub fn render(plan: &Plan, view: &View) -> String {
    let mut sections = vec![format!("## gpudoctor plan\n\n**{}**", cell(&verdict::sentence(plan)))];
    let reasons: Vec<String> = plan.reasons.iter().map(|reason| format!("- {} (`{}`)", cell(&reason.message), reason.code)).collect();
    sections.push(reasons.join("\n"));
    let meanings = plan.interpretations.iter().map(|line| format!("- `{}` is {}", line.given, cell(&line.meaning)));
    sections.push(meanings.collect::<Vec<_>>().join("\n"));
    sections.push(findings(plan));
    sections.push(budget(plan));
    if plan.verdict.is_good() && !view.judged {
        sections.push(format!("### Launch\n\n```sh\n{}\n```", command::words(plan).join(" \\\n  ")));
    }
    sections.push(validation(plan));
    if view.alternatives {
        let lines = plan.alternatives.iter().map(|other| format!("- {} ({} GiB)", cell(&other.change), gib(other.device_used)));
        sections.push(titled("### Alternatives\n", lines.collect()));
    }
    if view.rejected {
        let lines = plan.rejected.iter().map(|other| format!("- {}: {}", cell(&other.change), cell(&other.reason.message)));
        sections.push(titled("### Refused\n", lines.collect()));
    }
    let files: Vec<String> = view.written.iter().map(|file| format!("- `{}`", file.path.display())).collect();
    sections.push(titled("### Files\n", files));
    sections.retain(|section| !section.is_empty());
    format!("{}\n", sections.join("\n\n"))
}

/// A diagnosis, for a job summary. Ends with a line break.
pub fn check(diagnosis: &Diagnosis) -> String {
    let verdict = diagnosis.primary.as_ref().map_or_else(|| "Nothing to mend".to_owned(), |id| format!("Primary cause: `{id}`"));
    let mut sections = vec![format!("## gpudoctor check\n\n**{verdict}** · {}", crate::report::check::counts(diagnosis))];
    sections.extend(diagnosis.subject.as_ref().map(|subject| format!("Examined {}", cell(subject))));
    let row = |judged: &Judged| {
        let finding = &judged.finding;
        let fix = finding.fixes.first().map_or_else(String::new, fix);
        format!("| {} | `{}` | {} | {} | {fix} |", finding.severity.name(), finding.id, cell(&finding.subject), cell(&finding.message))
    };
    let rows = diagnosis.findings.iter().map(row).collect();
    sections.push(titled("### Findings\n\n| severity | id | where | what | fix |\n| --- | --- | --- | --- | --- |", rows));
    let unseen =
        diagnosis.skipped.iter().filter(|skipped| skipped.unseen).map(|skipped| format!("- `{}`: {}", skipped.id, cell(&skipped.reason)));
    sections.push(titled("### Could not be seen\n", unseen.collect()));
    sections.retain(|section| !section.is_empty());
    format!("{}\n", sections.join("\n\n"))
}

/// A fix in a cell of a table, with its command where that is one line.
fn fix(fix: &Fix) -> String {
    match &fix.command {
        Some(command) if !command.contains('\n') => format!("{} `{}`", cell(&fix.text), command.replace('|', "\\|")),
        _ => cell(&fix.text),
    }
}

/// Lines under a title, or nothing.
fn titled(title: &str, lines: Vec<String>) -> String {
    if lines.is_empty() { String::new() } else { format!("{title}\n{}", lines.join("\n")) }
}

fn findings(plan: &Plan) -> String {
    let row = |finding: &crate::finding::Finding| {
        let fix = finding.fixes.first().map_or_else(String::new, |fix| cell(&fix.text));
        format!("| {} | `{}` | {} | {} | {fix} |", finding.severity.name(), finding.id, cell(&finding.subject), cell(&finding.message))
    };
    let rows = plan.findings.iter().map(row).collect();
    titled("### Findings\n\n| severity | id | where | what | fix |\n| --- | --- | --- | --- | --- |", rows)
}

fn budget(plan: &Plan) -> String {
    let Some(budget) = &plan.budget else { return String::new() };
    let mut rows: Vec<String> = Vec::new();
    for term in &budget.terms {
        let place = if term.inside_requested { "" } else { " (outside the requested size)" };
        let note = format!("{}{place}", cell(&term.note));
        rows.push(format!("| {} | {} | {} | {note} |", term.name.title(), gib(term.size.expected), gib(term.size.high)));
    }
    let used = budget.device_used;
    rows.push(format!("| **nvidia-smi** | **{}** | {} | of {} |", gib(used.expected), gib(used.high), gib(plan.devices.limit)));
    rows.push(format!("| host memory | {} | | |", gib(budget.host_memory)));
    titled("### Budget of each GPU\n\n| term | GiB | at most | |\n| --- | ---: | ---: | --- |", rows)
}

fn validation(plan: &Plan) -> String {
    let line = |line: &crate::plan::outcome::Validation| {
        let word = match line.holds {
            Some(true) => "ok",
            Some(false) => "**failed**",
            None => "not seen",
        };
        format!("- {}: {word}, {}", line.id, cell(&line.statement))
    };
    titled("### Validation\n", plan.validation.iter().map(line).collect())
}

/// Text that cannot break a table or start a tag.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_report_is_a_page() {
        let view = View { alternatives: true, rejected: true, ..View::default() };
        snapbox::assert_data_eq!(render(&sample::plan(), &view), snapbox::file!["markdown/plan.md"].raw());
    }
}
