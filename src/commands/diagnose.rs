//! `diagnose`: read the log, rank what it shows, report.

#![expect(clippy::disallowed_methods, reason = "opens the log")]

mod known;

use std::io::{self, Read};
use std::path::Path;

use crate::cli::{DiagnoseCommand, Format};
use crate::commands::{measured, output, plan};
use crate::diagnose::{Arithmetic, Diagnosis, Examiner, Patterns};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::hint::Hint;
use crate::log::LogError;
use crate::report::{self, github, json, markdown};
use crate::startup::{Figures, Known, Start};

/// Runs `gpudoctor diagnose`.
///
/// # Errors
/// When the log or a rule cannot be read.
pub fn run(command: &DiagnoseCommand) -> Result<u8, Error> {
    let catalog = plan::catalog(command.rules.as_deref())?;
    let patterns = Patterns::new(&catalog);
    let mut examiner = Examiner::new(&patterns);
    let (name, read) = match &command.log {
        Some(path) if path != Path::new("-") => (format!("`{}`", path.display()), examiner.read(open(path)?)),
        _ => ("the standard input".to_owned(), examiner.read(io::stdin().lock())),
    };
    match read {
        Err(error) if examiner.lines() == 0 => return Err(unreadable(&name, &error)),
        // Half a log may well show the cause: a file that is still written, a disk that is full.
        Err(error) => output::progress(&format!("{name}: {error}; what came before is diagnosed")),
        Ok(()) => {}
    }
    let figures = examiner.take_figures();
    let diagnosis = examiner.finish(&minijinja::context! {});
    let known = known::known(command, &figures, &catalog)?;
    let arithmetic = Arithmetic::new(&diagnosis, &figures, &known);
    let code = exit_code(&diagnosis);
    let text = match command.format {
        Format::Json => {
            json::diagnose::render(&diagnosis, &arithmetic, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?
        }
        Format::Markdown => markdown::diagnose::render(&diagnosis, &arithmetic),
        Format::Github => github::diagnose(&diagnosis),
        Format::Text => report::diagnose::render(&diagnosis, &arithmetic, output::width()),
    };
    output::print(&text)?;
    if command.save {
        save(&figures, &known)?;
    }
    Ok(code)
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

fn open(path: &Path) -> Result<impl Read + use<>, Error> {
    let readable = |error: io::Error| Error::input(error.to_string());
    if fs_err::metadata(path).map_err(readable)?.is_dir() {
        return Err(Error::input(format!("`{}` is a directory", path.display())).with_hint("name the log file in it"));
    }
    fs_err::File::open(path).map_err(readable)
}

fn unreadable(name: &str, error: &LogError) -> Error {
    let told = Error::input(format!("{name} cannot be diagnosed: {error}"));
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}
