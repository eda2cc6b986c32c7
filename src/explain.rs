//! Pages on the terms of the budget and on findings, and the figures of a plan behind a term. Pure.
//!
//! The pages are the Markdown files in `docs/explain`, so the site and the command say the same.

use crate::catalog::{Catalog, CheckRule, Quirk, Root};
use crate::check;
use crate::facts::vocabulary;
use crate::plan::budget::{Input, Term, TermName};
use crate::plan::outcome::Plan;
use crate::plan::parallel::{ANSWER, PROMPT};
use crate::plan::ways::{Comparison, Served};
use crate::report::layout::{WIDEST, columns, gib, pad, wrap};
use crate::report::style;
use crate::version::VersionRange;

pub mod cause;
pub mod pages;

pub use pages::Page;

/// The term that `word` names: `kv_cache`, `kv-cache`, `KV cache`.
pub fn term(word: &str) -> Option<TermName> {
    let wanted = key(word);
    TermName::ALL.into_iter().find(|name| key(name.id()) == wanted || key(name.title()) == wanted)
}

fn key(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// The page that `word` names, of a term or of a finding.
pub fn page(word: &str) -> Option<&'static Page> {
    let name = term(word).map_or(word, |term| term.id());
    pages::all().find(|page| page.name == name)
}

/// The page as it is printed: its Markdown, with headings that stand out.
pub fn render(page: &Page) -> String {
    let lines = page.text.lines().map(|line| match line.trim_start_matches('#') {
        rest if rest.len() < line.len() => style::heading(rest.trim_start()),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The page of a quirk, made from its rule.
pub fn quirk(quirk: &Quirk) -> String {
    let range = VersionRange { since: quirk.since.clone(), until: quirk.until.clone() };
    let mut text = format!("{}\n\n{}.\n\nVersions: {range}.\n", style::heading(&quirk.id), sentence(&quirk.message));
    if let Some(fix) = &quirk.fix {
        text.push_str(&format!("\n{}\n\n{}.\n", style::heading("Fix"), sentence(fix)));
    }
    text.push_str(&format!("\n{}\n\n", style::heading("Sources")));
    for source in &quirk.sources {
        text.push_str(&format!("{}\n", wrap(source, "- ", "  ", WIDEST)));
    }
    text
}

/// The page of a check that is a rule.
pub fn check(rule: &CheckRule, catalog: &Catalog) -> String {
    let mut text = format!("{}\n\n{}.\n\n{}\n", style::heading(&rule.id), sentence(&rule.summary), wrap(&rule.why, "", "", WIDEST - 1));
    text.push_str(&format!("\n{}\n\n  {}\n", style::heading("When"), rule.when.split_whitespace().collect::<Vec<_>>().join(" ")));
    let words = vocabulary::words();
    text.push_str(&format!("\n{}\n\n", style::heading("Reads")));
    for path in check::reads(rule) {
        let meaning = words.get(&path).map_or("an environment variable", |word| word.meaning.as_str());
        text.push_str(&format!("{}\n", wrap(meaning, &format!("- {path}: "), "  ", WIDEST)));
    }
    if let Some(advice) = catalog.advice(rule.advice.as_deref().unwrap_or(&rule.id)) {
        text.push_str(&format!("\n{}\n\n", style::heading("Fixes")));
        for fix in &advice.fix {
            text.push_str(&format!("{}\n", wrap(&fix.text, "- ", "  ", WIDEST)));
            text.extend(fix.command.iter().map(|command| format!("    {}\n", style::literal(command))));
        }
    }
    text.push_str(&format!("\n{}\n\n", style::heading("Sources")));
    for source in &rule.sources {
        text.push_str(&format!("{}\n", wrap(source, "- ", "  ", WIDEST)));
    }
    text
}

/// A message as a sentence on its own: a capital letter first, lines that fit.
fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>()).unwrap_or_default();
    wrap(&format!("{first}{}", letters.as_str()), "", "", WIDEST - 1)
}

/// Everything that can be explained, one line each: terms, findings, checks of machines, classes of causes, and quirks of engines.
pub fn index(quirks: &[Quirk], checks: &[CheckRule], roots: &[Root]) -> String {
    let widest = pages::all().map(|page| page.name.len()).max().unwrap_or(0);
    let list = |pages: &[Page]| {
        let rest = " ".repeat(widest + 4);
        let lines = pages.iter().map(|page| wrap(&page.summary(), &format!("  {}  ", pad(page.name, widest)), &rest, WIDEST));
        lines.collect::<Vec<_>>().join("\n")
    };
    let terms = format!("{}\n{}\n", style::heading("Terms of the budget"), list(&pages::TERMS));
    let speed = format!("{}\n{}\n", style::heading("Speed"), list(&pages::SPEED));
    let startup = format!("{}\n{}\n", style::heading("Starts of an engine"), list(&pages::STARTUP));
    let findings = format!("{}\n{}\n", style::heading("Findings"), list(&pages::FINDINGS));
    let widest = checks.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    let rest = " ".repeat(widest + 4);
    let line = |rule: &CheckRule| wrap(&rule.summary, &format!("  {}  ", pad(&rule.id, widest)), &rest, WIDEST);
    let checks = format!("{}\n{}\n", style::heading("Checks of machines"), checks.iter().map(line).collect::<Vec<_>>().join("\n"));
    let quirks: Vec<String> = quirks.iter().map(|quirk| format!("  {}", quirk.id)).collect();
    let roots = cause::roots(roots);
    format!(
        "{terms}\n{speed}\n{startup}\n{findings}\n{checks}\n{roots}\n{}\n{}\n",
        style::heading("Quirks of engine versions"),
        quirks.join("\n")
    )
}

/// What a plan has for a term: its size, its parts, its formula and what went in. `None` where the plan has no such term.
pub fn figures(plan: &Plan, name: TermName, width: usize) -> Option<String> {
    let term = plan.budget.as_ref()?.term(name)?;
    let mut lines = vec![style::heading(&format!("In this plan: {} on {}", plan.model.id, plan.devices.name)), size(term)];
    if !term.formula.is_empty() {
        lines.push(wrap(&term.formula, "  = ", "    ", width));
    }
    lines.extend(parts(term));
    lines.extend(inputs(&term.inputs, width));
    Some(lines.join("\n") + "\n")
}

/// What a plan has for its decode steps: each estimate, the formula, and where every figure is from.
pub fn decode(plan: &Plan, width: usize) -> String {
    let performance = &plan.performance;
    let basis = performance.source.as_deref().unwrap_or("nominal rates; `gpudoctor bench` measures this card's own");
    let mut lines =
        vec![style::heading(&format!("In this plan: {} on {}", plan.model.id, plan.devices.name)), wrap(basis, "  ", "  ", width)];
    lines.extend(performance.decode.iter().map(|step| {
        let link = step.host_link.as_ref().map(|link| format!(", {link}")).unwrap_or_default();
        let exchange = if step.exchange.0 > 0.0 { format!(", {} of it waiting for other GPUs", step.exchange) } else { String::new() };
        let text = format!(
            "batch {}, {} tokens each: {} a step{exchange}, {:.1} tokens/s, bound by {}{link}",
            step.batch,
            step.context,
            step.step,
            step.tokens_per_second,
            step.bound_by.id()
        );
        wrap(&text, "  ", "    ", width)
    }));
    lines.push(wrap(&performance.formula, "  ", "    ", width));
    lines.extend(inputs(&performance.inputs, width));
    lines.extend(performance.ways.iter().flat_map(|ways| compared(ways, width)));
    lines.join("\n") + "\n"
}

/// The ways in which devices could share the model, the chosen one first.
fn compared(ways: &Comparison, width: usize) -> Vec<String> {
    let line = |served: &Served| {
        let all_reduces = served.reductions.map(|one| {
            let each = one.each.time.0 * 1e3;
            format!("; {} all-reduces of {}, {each:.1} µs each{}", one.count, one.bytes, one.each.reach.phrase())
        });
        let text = format!(
            "{}: {:.0} tokens/s for {} requests, {} a step, {} of it waiting for other GPUs, {} a prompt{}",
            served.way.name(),
            served.tokens_per_second,
            served.requests,
            served.step,
            served.exchange,
            served.prefill,
            all_reduces.unwrap_or_default()
        );
        wrap(&text, "  ", "    ", width)
    };
    let title = format!("  Ways to share the model, for prompts of {PROMPT} tokens and answers of {ANSWER}");
    [String::new(), title, line(&ways.chosen)].into_iter().chain(ways.others.iter().map(line)).collect()
}

fn size(term: &Term) -> String {
    let band = if term.size.low == term.size.high {
        String::new()
    } else {
        format!(", between {} and {}", gib(term.size.low), gib(term.size.high))
    };
    let place = if term.inside_requested { "inside" } else { "outside" };
    format!("  {} GiB{band}, {place} the requested size", gib(term.size.expected))
}

fn parts(term: &Term) -> Vec<String> {
    if term.parts.is_empty() {
        return Vec::new();
    }
    let widest = term.parts.iter().map(|part| columns(&part.name)).max().unwrap_or(0).min(48);
    let part = |part: &crate::plan::budget::Part| format!("  {}  {:>10}", pad(&part.name, widest), part.bytes.to_string());
    [String::new(), "  Made of".to_owned()].into_iter().chain(term.parts.iter().map(part)).collect()
}

fn inputs(inputs: &[Input], width: usize) -> Vec<String> {
    if inputs.is_empty() {
        return Vec::new();
    }
    let names = inputs.iter().map(|input| columns(&input.name)).max().unwrap_or(0).min(40);
    let values = inputs.iter().map(|input| columns(&input.value)).max().unwrap_or(0).min(24);
    let input = |input: &Input| {
        let first = format!("  {}  {}  ", pad(&input.name, names), pad(&input.value, values));
        wrap(&input.source, &first, &" ".repeat((names + values + 6).min(width / 2)), width)
    };
    [String::new(), "  Computed from".to_owned()].into_iter().chain(inputs.iter().map(input)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_has_many_spellings_and_one_page() {
        for word in ["kv_cache", "kv-cache", "KV cache", "kvcache"] {
            assert_eq!(page(word).map(|page| page.name), Some("kv_cache"), "{word}");
        }
        assert_eq!(page("nonsense").map(|page| page.name), None);
    }

    #[test]
    fn every_term_has_a_page() {
        for name in TermName::ALL {
            assert!(page(name.id()).is_some(), "{}", name.id());
        }
    }

    #[test]
    fn every_page_starts_with_its_name_and_ends_with_its_sources() {
        for page in pages::all() {
            assert!(page.text.starts_with(&format!("# {}\n", page.name)), "{}", page.name);
            assert!(page.text.contains("## Sources") && !page.summary().is_empty(), "{}", page.name);
            for line in page.text.lines() {
                assert!(columns(line) <= 100, "{}: {line}", page.name);
            }
        }
    }

    #[test]
    fn every_file_of_docs_explain_is_embedded() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explain");
        let names = |folder: &std::path::Path| -> Vec<String> {
            let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let pages = entries.filter(|path| path.extension().is_some_and(|end| end == "md"));
            let mut names: Vec<String> = pages.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        };
        let mut terms: Vec<&str> = pages::TERMS.iter().chain(&pages::SPEED).map(|page| page.name).collect();
        terms.sort_unstable();
        assert_eq!(names(&root), terms);
        assert_eq!(names(&root.join("findings")), pages::FINDINGS.iter().map(|page| page.name).collect::<Vec<_>>());
    }
}
