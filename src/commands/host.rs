//! The machine that a command looks at: this one, an image, or one that was recorded.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::capture::Capture;
use crate::capture::record::LONGEST;
use crate::capture::redact;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::probe::{self, Python, Request};
use crate::reading::Reading;

/// The capture in a file; `-` is stdin.
///
/// # Errors
/// When the file cannot be read, or is no capture.
pub fn recorded(path: &Path) -> Result<Capture, Error> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("`{shown}` does not exist"),
            std::io::ErrorKind::IsADirectory => format!("`{shown}` is a directory"),
            _ => error.to_string(),
        };
        Error::input(message).with_hint("name a file that `gpudoctor capture -o host.json` wrote")
    };
    let most = LONGEST as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        fs_err::File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::input(format!("`{shown}` is not text; a capture is JSON in UTF-8")))?;
    Capture::parse(&text).map_err(|error| {
        let hinted = Error::hinted(&error);
        Error { message: format!("`{shown}`: {}", hinted.message), ..hinted }
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
