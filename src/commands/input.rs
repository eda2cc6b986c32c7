//! Files and the standard input, opened to be read, or told why not in one line.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Read, StdinLock};
use std::path::Path;

use crate::commands::output;
use crate::error::Error;

/// A file, or the standard input.
pub enum Input {
    /// A file.
    File(fs_err::File),
    /// The standard input.
    Standard(StdinLock<'static>),
}

/// The name of an input in messages.
#[derive(Clone, Copy, Debug)]
pub struct Name<'p>(pub &'p Path);

impl fmt::Display for Name<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_standard(self.0) { formatter.write_str("the standard input") } else { write!(formatter, "`{}`", self.0.display()) }
    }
}

/// Opens `path`; `-` is the standard input. `hint` tells what to name instead. Whoever would have to type it is told so.
///
/// # Errors
/// When it does not exist, is a directory or may not be read.
pub fn open(path: &Path, hint: &str) -> Result<Input, Error> {
    if is_standard(path) {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            output::progress("reading what is typed here; Ctrl-D ends it");
        }
        return Ok(Input::Standard(stdin.lock()));
    }
    let refused = |error: &io::Error| unreadable(path, error, hint);
    // A directory can be opened, and fails when it is read.
    if fs_err::metadata(path).map_err(|error| refused(&error))?.is_dir() {
        return Err(refused(&ErrorKind::IsADirectory.into()));
    }
    fs_err::File::open(path).map(Input::File).map_err(|error| refused(&error))
}

/// Why `path` cannot be read.
pub fn unreadable(path: &Path, error: &io::Error, hint: &str) -> Error {
    let name = Name(path);
    let message = match error.kind() {
        ErrorKind::NotFound => format!("{name} does not exist"),
        ErrorKind::NotADirectory => format!("{name} does not exist: a file stands where a directory is named"),
        ErrorKind::IsADirectory => format!("{name} is a directory"),
        ErrorKind::PermissionDenied => format!("{name} may not be read by this user"),
        _ => format!("{name} cannot be read: {error}"),
    };
    Error::input(message).with_hint(hint)
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Standard(stdin) => stdin.read(buffer),
        }
    }
}
