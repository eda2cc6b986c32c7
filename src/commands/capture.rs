//! `capture`: read the machine, take out who and where, write it down.

use std::time::Duration;

use crate::capture::redact;
use crate::cli::CaptureCommand;
use crate::commands::output;
use crate::error::{EXIT_GOOD, Error};
use crate::probe::{self, Python, Request};
use crate::write;

/// Runs `gpudoctor capture`.
///
/// # Errors
/// When `--python` names no environment, or when the file cannot be written.
pub fn run(command: &CaptureCommand) -> Result<u8, Error> {
    let python = match &command.python {
        Some(path) => {
            probe::is_environment(path).map_err(|error| Error::hinted(&error))?;
            Python::At(path.clone())
        }
        None => Python::InReach,
    };
    let deadline = Duration::from_secs(command.timeout);
    let capture = probe::capture(&Request { copies: command.peers, online: command.online, python, deadline, ..Request::all() });
    let internal = |error: serde_json::Error| Error::internal(format!("no JSON form: {error}"));
    let capture = match command.include_identifiers {
        true => capture,
        false => redact::redacted(capture, &probe::identifiers()).map_err(internal)?,
    };
    let text = capture.to_text().map_err(internal)?;
    match &command.output {
        Some(path) => write::replace(path, &text).map_err(|error| Error::hinted(&error))?,
        None => output::print(&text)?,
    }
    Ok(EXIT_GOOD)
}
