//! `diagnose`: read the log, rank what it shows, report.

mod known;

use std::path::Path;

use crate::catalog::Catalog;
use crate::cli::{DiagnoseCommand, Format};
use crate::commands::{host, input, measured, output, plan};
use crate::diagnose::{Arithmetic, Diagnosis, Examiner, Machine, Patterns};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::facts::{Facts, Question};
use crate::hint::Hint;
use crate::log::LogError;
use crate::probe::Request;
use crate::report::{self, github, json, markdown};
use crate::startup::{Figures, Known, Start};

/// What to name where a log is wanted.
const LOG: &str = "name the file that the program's output went to, or pipe it: `docker logs NAME 2>&1 | gpudoctor diagnose -`";

/// Runs `gpudoctor diagnose`.
///
/// # Errors
/// When the log, the machine or a rule cannot be read.
pub fn run(command: &DiagnoseCommand) -> Result<u8, Error> {
    let catalog = plan::catalog(command.rules.as_deref())?;
    let facts = facts(command, &catalog)?;
    let patterns = Patterns::new(&catalog);
    let mut examiner = Examiner::new(&patterns);
    let path = command.log.as_deref().unwrap_or(Path::new("-"));
    let name = input::Name(path);
    match examiner.read(input::open(path, LOG)?) {
        Err(error) if examiner.lines() == 0 => return Err(unreadable(name, &error)),
        // Half a log may well show the cause: a file that is still written, a disk that is full.
        Err(error) => output::progress(&format!("{name}: {error}; what came before is diagnosed")),
        Ok(()) => {}
    }
    let figures = examiner.take_figures();
    let diagnosis = examiner.finish(&facts.as_ref().map(Machine::new).unwrap_or_default());
    let known = known::known(command, facts.as_ref(), &figures, &catalog)?;
    let arithmetic = Arithmetic::new(&diagnosis, &figures, &known);
    let code = exit_code(&diagnosis);
    let text = match command.format {
        Format::Json => {
            json::diagnose::render(&diagnosis, &arithmetic, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?
        }
        Format::Markdown => markdown::diagnose::render(&diagnosis, &arithmetic),
        Format::Github => github::diagnose(&diagnosis, &arithmetic),
        Format::Text => report::diagnose::render(&diagnosis, &arithmetic, output::width()),
    };
    output::print(&text)?;
    if command.save {
        save(&figures, &known)?;
    }
    Ok(code)
}

/// The facts of the machine that the log is of, where one was named.
fn facts(command: &DiagnoseCommand, catalog: &Catalog) -> Result<Option<Facts>, Error> {
    let capture = match &command.from {
        Some(path) if path == Path::new("-") && command.log.as_deref().is_none_or(|log| log == path) => {
            return Err(Error::usage("the standard input cannot be both the log and the capture").with_hint("name a file for one of them"));
        }
        Some(path) => host::recorded(path)?,
        None if command.host => host::here(None, false, Request::all().deadline)?,
        None => return Ok(None),
    };
    Ok(Some(Facts::new(&capture, &Question::default(), catalog)))
}

/// Keeps what the last start printed for later plans, and says what became of it.
fn save(figures: &Figures, known: &Known<'_>) -> Result<(), Error> {
    let start = figures.last().map(|run| Start::new(run, known));
    let Some(kept) = start.as_ref().and_then(Start::measured) else {
        let reason = start.as_ref().and_then(Start::not_computed).unwrap_or("the log shows no healthy start with figures");
        output::progress(&format!("nothing is saved: {reason}"));
        return Ok(());
    };
    let path = measured::save(kept)?;
    output::progress(&format!("saved to {}: plans for the same model, card, engine and settings use it", path.display()));
    Ok(())
}

/// A healthy start is good. A log that shows neither a failure nor a start proves nothing.
fn exit_code(diagnosis: &Diagnosis) -> u8 {
    if diagnosis.is_healthy() { EXIT_GOOD } else { EXIT_FINDINGS }
}

fn unreadable(name: input::Name<'_>, error: &LogError) -> Error {
    let told = Error::input(format!("{name} cannot be diagnosed: {error}"));
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}
