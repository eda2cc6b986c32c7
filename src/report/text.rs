//! The report for people: the answer, the price, the budget, the launch, the proof.

use crate::plan::outcome::Plan;
use crate::report::layout::{self, wrap};
use crate::report::{View, style, verdict};

mod budget;
mod findings;
mod launch;
mod others;

/// The report of a plan. Styled; ends with a line break.
pub fn render(plan: &Plan, view: &View) -> String {
    let width = layout::width(view.width);
    let findings = findings::section(plan, view.judged, width);
    let (before, after) = if view.judged { (findings, None) } else { (None, findings) };
    let sections = [
        Some(interpretations(plan, width)),
        before,
        Some(answer(plan, view, width)),
        budget::section(plan, width),
        launch::section(plan, view, width),
        after,
        others::alternatives(plan, view, width),
        others::rejected(plan, view, width),
        validation(plan, width),
        Some(others::next_steps(plan, view, width)),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().filter(|section| !section.is_empty()).collect();
    format!("{}\n", sections.join("\n\n"))
}

/// How the user's words were understood, and what the engine release asks for.
fn interpretations(plan: &Plan, width: usize) -> String {
    let widest = plan.interpretations.iter().map(|line| layout::columns(&line.given)).max().unwrap_or(0).min(24);
    let mut lines: Vec<String> = Vec::new();
    for line in &plan.interpretations {
        let first = format!("{} = ", layout::pad(&line.given, widest));
        let rest = " ".repeat(layout::columns(&first));
        let instead = line.instead.as_ref().map_or_else(String::new, |instead| format!("; {instead}"));
        lines.push(wrap(&format!("{}{}", line.meaning, instead), &first, &rest, width));
    }
    let assumed = plan.model.assumed.iter().chain(&plan.devices.assumed);
    lines.extend(assumed.map(|sentence| wrap(&format!("assumed: {sentence}"), "", "  ", width)));
    lines.push(wrap(&engine(plan), "", "  ", width));
    lines.join("\n")
}

fn engine(plan: &Plan) -> String {
    let engine = &plan.engine;
    let name = if engine.name == "vllm" { "vLLM" } else { &engine.name };
    let capability = engine.min_compute_capability;
    format!(
        "{name} {}, torch {}, CUDA {}: needs driver ≥ {}, compute capability ≥ {}.{}",
        engine.version,
        engine.torch,
        engine.cuda,
        engine.min_driver,
        capability / 10,
        capability % 10
    )
}

/// The verdict sentence and its reasons.
fn answer(plan: &Plan, view: &View, width: usize) -> String {
    let sentence = wrap(&verdict::sentence(plan), "", "", width);
    let end = sentence.find([',', ':', '.']).unwrap_or(sentence.len());
    let mut lines = vec![format!("{}{}", style::verdict(plan.verdict, &sentence[..end]), &sentence[end..])];
    let said = |message: &str| plan.findings.iter().any(|finding| finding.message == message);
    let reasons = plan.reasons.iter().filter(|reason| !said(&reason.message));
    lines.extend(reasons.map(|reason| wrap(&reason.message, "  ", "  ", width)));
    // Whoever cannot have what was asked for wants to know what can be had.
    let shown = if plan.verdict.is_good() { 1 } else { 3 };
    let best = plan.alternatives.iter().take(if view.alternatives { 0 } else { shown });
    lines.extend(best.map(|best| wrap(&others::best(best), "  ", "    ", width)));
    lines.join("\n")
}

/// What was proven, line by line.
fn validation(plan: &Plan, width: usize) -> Option<String> {
    if plan.validation.is_empty() {
        return None;
    }
    let mut lines = vec![style::heading("Validation")];
    for line in &plan.validation {
        let word = match line.holds {
            Some(true) => "ok",
            Some(false) => "FAILED",
            None => "not seen",
        };
        let first = format!("  {}  {}", style::holds(line.holds, &layout::pad(word, 8)), layout::pad(&line.id, 18));
        let rest = " ".repeat(layout::columns(&first));
        lines.push(wrap(&line.statement, &first, &rest, width));
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn plain(plan: &Plan, view: &View) -> String {
        anstream::adapter::strip_str(&render(plan, view)).to_string()
    }

    #[test]
    fn the_report_of_a_plan_reads_from_the_answer_down() {
        let view = View { width: 100, next_steps: true, ..View::default() };
        snapbox::assert_data_eq!(plain(&sample::plan(), &view), snapbox::file!["text/plan.txt"].raw());
    }

    #[test]
    fn findings_come_first_when_a_configuration_is_judged() {
        let view = View { width: 100, judged: true, ..View::default() };
        snapbox::assert_data_eq!(plain(&sample::plan(), &view), snapbox::file!["text/judged.txt"].raw());
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [60, 80, 100] {
            let view = View { width, alternatives: true, rejected: true, next_steps: true, ..View::default() };
            for line in plain(&sample::plan(), &view).lines() {
                assert!(layout::columns(line) <= width, "{width}: {line}");
            }
        }
    }
}
