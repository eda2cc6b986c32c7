//! The machine that a command looks at: this one, an image, or one that was recorded.

use std::io::Read;
use std::path::Path;

use crate::capture::Capture;
use crate::capture::record::LONGEST;
use crate::error::Error;
use crate::probe;
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
pub fn image(python: Option<&Path>) -> Result<Capture, Error> {
    let image = probe::image(python).map_err(|error| Error::hinted(&error))?;
    Ok(Capture { image: Reading::Known(image), ..Capture::default() })
}

/// The cards of this machine and who uses them, and little else.
///
/// # Errors
/// When gpudoctor itself fails.
pub fn cards() -> Result<Capture, Error> {
    here(None, false)
}

/// This machine.
///
/// # Errors
/// When `python` names no environment.
pub fn here(python: Option<&Path>, _online: bool) -> Result<Capture, Error> {
    image(python)
}
