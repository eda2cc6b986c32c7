//! What stops a command: a kind, a message, hints; and the one place that turns a kind into an exit code.

use std::fmt;

/// Everything is as wanted.
pub const EXIT_GOOD: u8 = 0;
/// The command worked and its answer is no: it does not fit, is invalid, or has findings at `--fail-on`.
pub const EXIT_FINDINGS: u8 = 1;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// What the command line names cannot be read or understood: a file, a model, a name.
    Input,
    /// gpudoctor itself failed.
    Internal,
}

impl ErrorKind {
    /// The exit code of an error of this kind.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::Input => 2,
            Self::Internal => 3,
        }
    }
}

/// An error that ends a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Who has to act.
    pub kind: ErrorKind,
    /// The fact, then the requirement; no full stop.
    pub message: String,
    /// What to do, in the imperative, best first.
    pub hints: Vec<String>,
}

impl Error {
    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Usage, message: message.into(), hints: Vec::new() }
    }

    /// What the command line names cannot be read or understood.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Input, message: message.into(), hints: Vec::new() }
    }

    /// gpudoctor itself failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Internal, message: message.into(), hints: Vec::new() }
    }

    /// Bad input, with the hint that stands beside the error's type.
    pub fn hinted(error: &(impl std::error::Error + crate::hint::Hint)) -> Self {
        let input = Self::input(error.to_string());
        match error.hint() {
            Some(hint) => input.with_hint(hint),
            None => input,
        }
    }

    /// The same error with one more hint; a hint that is already there is not repeated.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        self
    }

    /// The same error with more hints.
    #[must_use]
    pub fn with_hints(self, hints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        hints.into_iter().fold(self, |error, hint| error.with_hint(hint))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The name among `known` that is most like `word`, if any is like it at all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_decides_the_exit_code() {
        assert_eq!(Error::usage("x").kind.exit_code(), 2);
        assert_eq!(Error::input("x").kind.exit_code(), 2);
        assert_eq!(Error::internal("x").kind.exit_code(), 3);
    }

    #[test]
    fn a_hint_is_said_once() {
        assert_eq!(Error::usage("x").with_hints(["a", "b", "a"]).hints, ["a", "b"]);
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("max-model-length", ["max-num-seqs", "max-model-len"]), Some("max-model-len"));
        assert_eq!(nearest("zzz", ["max-num-seqs"]), None);
    }
}
