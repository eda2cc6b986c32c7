//! `explain`: the page of a term, finding, cause or class of causes, and the figures of a plan behind a term.

use crate::catalog::{Catalog, Engine, Quirk};
use crate::cli::ExplainCommand;
use crate::commands::{output, plan};
use crate::error::{EXIT_GOOD, Error, nearest};
use crate::explain::{self, Page, pages};

/// Runs `gpudoctor explain`.
///
/// # Errors
/// When nothing of that name can be explained, or when the plan whose figures are wanted cannot be made.
pub fn run(command: &ExplainCommand) -> Result<u8, Error> {
    let catalog = plan::catalog(command.request.rules.as_deref())?;
    let Some(word) = &command.word else {
        let quirks: Vec<Quirk> = quirks(&catalog).cloned().collect();
        output::print(&explain::index(&quirks, catalog.checks(), catalog.roots()))?;
        return Ok(EXIT_GOOD);
    };
    if let Some(quirk) = quirks(&catalog).find(|quirk| quirk.id == *word) {
        output::print(&explain::quirk(quirk))?;
        return Ok(EXIT_GOOD);
    }
    let rule = catalog.checks().iter().find(|rule| rule.id == *word).map(|rule| explain::check(rule, &catalog));
    let cause = catalog.cause(word).map(|cause| explain::cause::cause(cause, &catalog));
    let root = || catalog.roots().iter().find(|root| root.id == *word).map(|root| explain::cause::root(root, &catalog));
    let Some(page) = explain::page(word) else {
        let page = joined(rule, cause).or_else(root).ok_or_else(|| unknown(word, &catalog))?;
        output::print(&page)?;
        return Ok(EXIT_GOOD);
    };
    let mut text = explain::render(page);
    if let Some(pages) = joined(rule, cause) {
        text.push('\n');
        text.push_str(&pages);
    }
    if !command.request.is_empty() {
        text.push('\n');
        text.push_str(&figures(command, page)?);
    }
    output::print(&text)?;
    Ok(EXIT_GOOD)
}

fn figures(command: &ExplainCommand, page: &Page) -> Result<String, Error> {
    if page.name == "decode" {
        return Ok(explain::decode(&plan::make(&command.request)?, output::width()));
    }
    let term = explain::term(page.name).ok_or_else(|| {
        Error::usage(format!("`{}` is a finding and has no figures in a plan", page.name)).with_hint("leave out `--model` and `--config`")
    })?;
    let plan = plan::make(&command.request)?;
    explain::figures(&plan, term, output::width()).ok_or_else(|| {
        Error::input(format!("this plan has no `{}`", page.name)).with_hint("see why with `gpudoctor plan` and the same options")
    })
}

/// A problem that both checks and logs show has one id and two pages.
fn joined(rule: Option<String>, cause: Option<String>) -> Option<String> {
    match (rule, cause) {
        (Some(rule), Some(cause)) => Some(format!("{rule}\n{cause}")),
        (rule, cause) => rule.or(cause),
    }
}

fn quirks(catalog: &Catalog) -> impl Iterator<Item = &Quirk> {
    catalog.engines().iter().flat_map(Engine::quirks)
}

fn unknown(word: &str, catalog: &Catalog) -> Error {
    let error = Error::usage(format!("nothing is called `{word}`"));
    let known = pages::all().map(|page| page.name).chain(quirks(catalog).map(|quirk| quirk.id.as_str()));
    let known = known.chain(catalog.causes().iter().map(|cause| cause.id.as_str()));
    let known = known.chain(catalog.roots().iter().map(|root| root.id.as_str()));
    let known = known.chain(catalog.checks().iter().map(|rule| rule.id.as_str()));
    match nearest(word, known) {
        Some(name) => error.with_hint(format!("the nearest is `{name}`")),
        None => error.with_hint("list what can be explained with `gpudoctor explain`"),
    }
}
