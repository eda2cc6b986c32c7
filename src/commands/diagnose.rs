//! `diagnose`: read the log, rank what it shows, report.

#![expect(clippy::disallowed_methods, reason = "opens the log")]

use std::io::{self, Read};
use std::path::Path;

use minijinja::Value;

use crate::cli::{DiagnoseCommand, Format};
use crate::commands::{output, plan};
use crate::diagnose::{Diagnosis, Examiner};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::hint::Hint;
use crate::log::{LogError, Reader};
use crate::report::{self, json};

/// Runs `gpudoctor diagnose`.
///
/// # Errors
/// When the log or a rule cannot be read.
pub fn run(command: &DiagnoseCommand) -> Result<u8, Error> {
    let catalog = plan::catalog(command.rules.as_deref())?;
    let examiner = Examiner::new(&catalog);
    let facts = Value::from_iter(std::iter::empty::<(String, Value)>());
    let diagnosis = match &command.log {
        Some(path) if path != Path::new("-") => {
            let name = format!("`{}`", path.display());
            examine(open(path)?, &name, examiner, &facts)?
        }
        _ => examine(io::stdin().lock(), "the standard input", examiner, &facts)?,
    };
    let code = exit_code(&diagnosis);
    let text = match command.format {
        Format::Json => json::diagnose::render(&diagnosis, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?,
        _ => report::diagnose::render(&diagnosis, output::width()),
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

fn examine(stream: impl Read, name: &str, mut examiner: Examiner<'_>, facts: &Value) -> Result<Diagnosis, Error> {
    let unreadable = |error: &LogError| {
        let told = Error::input(format!("{name} cannot be diagnosed: {error}"));
        match error.hint() {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    };
    let mut reader = Reader::open(stream).map_err(|error| unreadable(&error))?;
    while let Some(raw) = reader.next_line().map_err(|error| unreadable(&error))? {
        if raw.is_plain() && !examiner.wants(raw.bytes) {
            continue;
        }
        for line in raw.lines() {
            examiner.observe(&line);
        }
    }
    Ok(examiner.finish(facts, reader.lines()))
}
