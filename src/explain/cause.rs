//! The pages of causes that logs show, and of the classes that they belong to; made from their rules.

use crate::catalog::{Advice, Catalog, Cause, CauseKind, Pattern, Root};
use crate::report::layout::{WIDEST, columns, pad, wrap};
use crate::report::style;
use crate::version::VersionRange;

/// The page of a cause: what it is, how logs show it, what to do, what it is told apart from.
pub fn cause(cause: &Cause, catalog: &Catalog) -> String {
    let root = catalog.roots().iter().find(|root| root.id == cause.root);
    let mut page = vec![format!("{}\n\n{}.", style::heading(&cause.id), super::sentence(&blanks(&cause.title)))];
    page.push(match (cause.kind, root) {
        (CauseKind::Wrapper, _) => "The text says that something failed, and not why.".to_owned(),
        (CauseKind::Consequence, Some(root)) => format!("It follows from another failure. Class: {}, {}.", root.id, root.title),
        (_, Some(root)) => wrap(&format!("Class: {}, {}.", root.id, root.title), "", "", WIDEST),
        (_, None) => format!("Class: {}.", cause.root),
    });
    page.extend(cause.look_for.as_ref().map(|text| wrap(&format!("Look for {text}."), "", "", WIDEST)));
    page.extend(list("In logs", &texts(cause)));
    page.extend(list("Told apart", &branches(cause, catalog)));
    let facts: Vec<String> = cause.needs.iter().map(|need| line(&need.fact, need.command.as_ref())).collect();
    page.extend(list("To be sure", &facts));
    page.extend(list("Fixes", &catalog.advice(cause.advice()).map(|advice| fixes(&advice)).unwrap_or_default()));
    page.extend(list("Its consequences", &cause.explains));
    let mut sources = cause.sources.clone();
    sources.push(format!("this page: {}", cause.origin));
    page.extend(list("Sources", &sources));
    page.join("\n\n") + "\n"
}

/// The page of a class: its causes.
pub fn root(root: &Root, catalog: &Catalog) -> String {
    let causes: Vec<&Cause> = catalog.causes().iter().filter(|cause| cause.root == root.id && cause.kind != CauseKind::Fork).collect();
    let widest = causes.iter().map(|cause| columns(&cause.id)).max().unwrap_or(0);
    let rest = " ".repeat(widest + 4);
    let lines = causes.iter().map(|cause| wrap(&blanks(&cause.title), &format!("  {}  ", pad(&cause.id, widest)), &rest, WIDEST));
    let head = format!("{}\n\n{}.", style::heading(&root.id), super::sentence(&root.title));
    format!("{head}\n\n{}\n\n{}\n", style::heading("Causes"), lines.collect::<Vec<_>>().join("\n"))
}

/// The classes, one line each.
pub(super) fn roots(roots: &[Root]) -> String {
    let widest = roots.iter().map(|root| root.id.len()).max().unwrap_or(0);
    let rest = " ".repeat(widest + 4);
    let lines = roots.iter().map(|root| wrap(&root.title, &format!("  {}  ", pad(&root.id, widest)), &rest, WIDEST));
    format!("{}\n{}\n", style::heading("Classes of causes that logs show; each lists its causes"), lines.collect::<Vec<_>>().join("\n"))
}

fn list(title: &str, items: &[String]) -> Option<String> {
    let lines: Vec<String> = items.iter().map(|item| item_lines(item)).collect();
    (!lines.is_empty()).then(|| format!("{}\n\n{}", style::heading(title), lines.join("\n")))
}

/// The first line of an item wrapped, commands below it as they are.
fn item_lines(item: &str) -> String {
    let mut lines = item.lines();
    let first = wrap(lines.next().unwrap_or_default(), "- ", "  ", WIDEST);
    std::iter::once(first).chain(lines.map(|line| format!("    {}", style::literal(line)))).collect::<Vec<_>>().join("\n")
}

fn line(text: &str, command: Option<&String>) -> String {
    command.map_or_else(|| blanks(text), |command| format!("{}\n{}", blanks(text), blanks(command)))
}

/// The texts that programs print, from the examples where there are any: an expression is hard to read.
fn texts(cause: &Cause) -> Vec<String> {
    let printed = cause.pattern.iter().map(|pattern| {
        let compiled = crate::catalog::compiled(&pattern.regex).ok();
        let examples = cause.example.iter().filter(|example| example.matches).flat_map(|example| example.log.lines());
        let example = compiled.and_then(|regex| examples.filter(|line| regex.is_match(line)).min_by_key(|line| line.len()).map(str::trim));
        format!("{}: {}", program(pattern), example.unwrap_or(&pattern.regex))
    });
    let mut texts: Vec<String> = printed.collect();
    texts.dedup();
    texts
}

fn program(pattern: &Pattern) -> String {
    if pattern.since.is_none() && pattern.until.is_none() {
        return pattern.program.clone();
    }
    let range = VersionRange { since: pattern.since.clone(), until: pattern.until.clone() };
    format!("{} {range}", pattern.program)
}

fn branches(cause: &Cause, catalog: &Catalog) -> Vec<String> {
    let branch = |branch: &crate::catalog::Branch| {
        let title = catalog.cause(&branch.cause).map_or("", |cause| cause.title.as_str());
        let question = branch.question.as_ref().map_or_else(String::new, |question| format!("; {question}"));
        line(&format!("{}: {title}{question}", branch.cause), branch.command.as_ref())
    };
    cause.branch.iter().map(branch).collect()
}

fn fixes(advice: &Advice) -> Vec<String> {
    advice.fix.iter().map(|fix| line(&fix.text, fix.command.as_ref())).collect()
}

/// `template` with a blank for each value that a log or a machine would give: `{{ cuda.driver }}` is `<cuda.driver>`.
fn blanks(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        text.push_str(before);
        let name = name.split('|').next().unwrap_or(name).trim();
        text.push_str(&format!("<{}>", name.strip_prefix("log.").unwrap_or(name)));
        rest = after;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_known_is_a_blank() {
        assert_eq!(blanks("needs {{ need | round }} of {{ log.have }} GiB"), "needs <need> of <have> GiB");
        assert_eq!(blanks("open {{ brace"), "open {{ brace");
    }
}
