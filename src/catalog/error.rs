//! What can be wrong with a rule file, and with a name that is looked up.

use std::path::PathBuf;

/// A rule file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Its text is not TOML, or not the TOML of its kind.
    #[error("{}:{line}:{column}: {message}{excerpt}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 when the place is not known.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
        /// The line itself with a caret below the place, or nothing.
        excerpt: String,
    },
    /// Nothing is known about a file of this name.
    #[error("{}: no rule file has this place; the known ones are {}", file.display(), super::place::LAYOUT)]
    Misplaced {
        /// The file.
        file: PathBuf,
    },
    /// It names something that no file defines, or contradicts another entry.
    #[error("{}: {entry}: {problem}", file.display())]
    Inconsistent {
        /// The file.
        file: PathBuf,
        /// The entry in it.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl CatalogError {
    /// The error of `text` at `span`, with the line and a caret.
    pub(super) fn at(file: PathBuf, text: &str, span: Option<std::ops::Range<usize>>, message: &str) -> Self {
        let message = message.trim().replace('\n', "; ");
        let Some(span) = span else {
            return Self::Invalid { file, line: 0, column: 0, message, excerpt: String::new() };
        };
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = text.get(start..span.start).unwrap_or("").chars().count() + 1;
        let shown = text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let left = shown.chars().count().saturating_sub(column - 1);
        let marked = text.get(span).unwrap_or("").lines().next().unwrap_or("").chars().count();
        let carets = "^".repeat(marked.clamp(1, left.max(1)));
        let excerpt = format!("\n  | {shown}\n  | {}{carets}", " ".repeat(column - 1));
        Self::Invalid { file, line, column, message, excerpt }
    }
}

/// A name that the catalogue does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} `{name}`{}", self.suggestion())]
pub struct Unknown {
    /// What was looked for: `GPU`, `model`.
    pub kind: &'static str,
    /// The name as it was given.
    pub name: String,
    /// Known names that resemble it, the nearest first; not empty when anything is known.
    pub nearest: Vec<String>,
}

impl Unknown {
    /// The error for `name`, with the nearest three of `known`.
    pub(super) fn new<'a>(kind: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        Self { kind, name: name.to_owned(), nearest: super::names::nearest(name, known) }
    }

    fn suggestion(&self) -> String {
        match self.nearest.as_slice() {
            [] => String::new(),
            [only] => format!("; the nearest known one is `{only}`"),
            several => format!("; the nearest known ones are `{}`", several.join("`, `")),
        }
    }
}
