//! The machine that a command looks at: this one, an image, or one that was recorded.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::capture::Capture;
use crate::capture::record::LONGEST;
use crate::capture::redact;
use crate::catalog::Catalog;
use crate::commands::input;
use crate::error::Error;
use crate::probe::{self, Python, Request};
use crate::reading::Reading;

/// What to name where a capture is wanted.
const RECORDED: &str = "name a file that `gpudoctor capture -o host.json` wrote";

/// The capture in a file; `-` is stdin.
///
/// # Errors
/// When the file cannot be read, or is no capture.
pub fn recorded(path: &Path) -> Result<Capture, Error> {
    let shown = input::Name(path);
    let mut bytes = Vec::new();
    let file = input::open(path, RECORDED)?;
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| input::unreadable(path, &error, RECORDED))?;
    if bytes.is_empty() {
        return Err(Error::input(format!("{shown} is empty")).with_hint(RECORDED));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::input(format!("{shown} is not text; a capture is JSON in UTF-8")).with_hint(RECORDED))?;
    Capture::parse(&text).map_err(|error| {
        let hinted = Error::hinted(&error);
        Error { message: format!("{shown}: {}", hinted.message), ..hinted }
    })
}

/// The packages of the image that this program runs in, and nothing of the machine.
///
/// # Errors
/// When `python` names no environment.
pub fn image(python: Option<&Path>, catalog: &Catalog) -> Result<Capture, Error> {
    let image = probe::image(python, catalog.libraries()).map_err(|error| Error::hinted(&error))?;
    Ok(Capture { image: Reading::Known(image), ..Capture::default() })
}

/// The cards of this machine and who uses them, and little else.
pub fn cards() -> Capture {
    probe::capture(&Request::gpus())
}

/// This machine, without who and where: what `capture` would write. A driver that does not answer within `deadline` hangs.
///
/// # Errors
/// When `python` names no environment.
pub fn here(python: Option<&Path>, online: bool, deadline: Duration) -> Result<Capture, Error> {
    without_identifiers(probe::capture(&Request { copies: true, python: environment(python)?, online, deadline, ..Request::all() }))
}

/// The environment at `python`, or those in reach.
///
/// # Errors
/// When `python` names no environment.
pub fn environment(python: Option<&Path>) -> Result<Python, Error> {
    let Some(path) = python else { return Ok(Python::InReach) };
    probe::is_environment(path).map_err(|error| Error::hinted(&error))?;
    Ok(Python::At(path.to_path_buf()))
}

/// `capture` without names, serial numbers and addresses of this machine.
///
/// # Errors
/// When gpudoctor itself fails.
pub fn without_identifiers(capture: Capture) -> Result<Capture, Error> {
    redact::redacted(capture, &probe::identifiers()).map_err(|error| Error::internal(format!("no JSON form: {error}")))
}

/// `capture` with names and addresses, without tokens, keys and passwords.
///
/// # Errors
/// When gpudoctor itself fails.
pub fn without_secrets(capture: &Capture) -> Result<Capture, Error> {
    redact::without_secrets(capture).map_err(|error| Error::internal(format!("no JSON form: {error}")))
}
