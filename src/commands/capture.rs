//! `capture`: read the machine, take out who and where, write it down.

use std::time::Duration;

use crate::cli::CaptureCommand;
use crate::commands::{host, output};
use crate::error::{EXIT_GOOD, Error};
use crate::probe::{self, Request};
use crate::write;

/// Runs `gpudoctor capture`.
///
/// # Errors
/// When `--python` names no environment, or when the file cannot be written.
pub fn run(command: &CaptureCommand) -> Result<u8, Error> {
    let deadline = Duration::from_secs(command.timeout);
    let capture = probe::capture(&Request {
        copies: command.peers,
        online: command.online,
        python: host::environment(command.python.as_deref())?,
        deadline,
        ..Request::all()
    });
    let capture = if command.include_identifiers { host::without_secrets(&capture)? } else { host::without_identifiers(capture)? };
    let text = capture.to_text().map_err(|error| Error::internal(format!("no JSON form: {error}")))?;
    match &command.output {
        Some(path) => write::replace(path, &text).map_err(|error| Error::hinted(&error))?,
        None => output::print(&text)?,
    }
    Ok(EXIT_GOOD)
}
