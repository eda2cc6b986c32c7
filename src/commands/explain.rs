//! `explain`: the page of a term or finding, and the figures of a plan behind a term.

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
        output::print(&explain::index(&quirks, catalog.checks()))?;
        return Ok(EXIT_GOOD);
    };
    if let Some(quirk) = quirks(&catalog).find(|quirk| quirk.id == *word) {
        output::print(&explain::quirk(quirk))?;
        return Ok(EXIT_GOOD);
    }
    if let Some(rule) = catalog.checks().iter().find(|rule| rule.id == *word) {
        output::print(&explain::check(rule, &catalog))?;
        return Ok(EXIT_GOOD);
    }
    let page = explain::page(word).ok_or_else(|| unknown(word, &catalog))?;
    let mut text = explain::render(page);
    if !command.request.is_empty() {
        text.push('\n');
        text.push_str(&figures(command, page)?);
    }
    output::print(&text)?;
    Ok(EXIT_GOOD)
}

fn figures(command: &ExplainCommand, page: &Page) -> Result<String, Error> {
    let term = explain::term(page.name).ok_or_else(|| {
        Error::usage(format!("`{}` is a finding and has no figures in a plan", page.name)).with_hint("leave out `--model` and `--config`")
    })?;
    let plan = plan::make(&command.request)?;
    explain::figures(&plan, term, output::width()).ok_or_else(|| {
        Error::input(format!("this plan has no `{}`", page.name)).with_hint("see why with `gpudoctor plan` and the same options")
    })
}

fn quirks(catalog: &Catalog) -> impl Iterator<Item = &Quirk> {
    catalog.engines().iter().flat_map(Engine::quirks)
}

fn unknown(word: &str, catalog: &Catalog) -> Error {
    let error = Error::usage(format!("nothing is called `{word}`"));
    let known = pages::all().map(|page| page.name).chain(quirks(catalog).map(|quirk| quirk.id.as_str()));
    let known = known.chain(catalog.checks().iter().map(|rule| rule.id.as_str()));
    match nearest(word, known) {
        Some(name) => error.with_hint(format!("the nearest is `{name}`")),
        None => error.with_hint("list what can be explained with `gpudoctor explain`"),
    }
}
