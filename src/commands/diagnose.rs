//! `diagnose`: read the log, rank what it shows, report.

#![expect(clippy::disallowed_methods, reason = "opens the log")]

use std::io::{self, Read};
use std::path::Path;

use crate::cli::{DiagnoseCommand, Format};
use crate::commands::{output, plan};
use crate::diagnose::{Diagnosis, Examiner, Patterns};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::hint::Hint;
use crate::log::LogError;
use crate::report::{self, github, json, markdown};

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
    let diagnosis = examiner.finish(&minijinja::context! {});
    let code = exit_code(&diagnosis);
    let text = match command.format {
        Format::Json => json::diagnose::render(&diagnosis, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?,
        Format::Markdown => markdown::diagnose::render(&diagnosis),
        Format::Github => github::diagnose(&diagnosis),
        Format::Text => report::diagnose::render(&diagnosis, output::width()),
    };
    output::print(&text)?;
    Ok(code)
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
