//! The only file that names colours. Each style repeats what the words beside it say.

use owo_colors::OwoColorize;

use crate::finding::Severity;
use crate::plan::outcome::Verdict;

/// A heading.
pub fn heading(text: &str) -> String {
    text.bold().to_string()
}

/// What matters less than its neighbours.
pub fn quiet(text: &str) -> String {
    text.dimmed().to_string()
}

/// `text` with each of its lines in one style: a style that spans lines is lost where a pager starts in its middle.
pub fn each(text: &str, style: fn(&str) -> String) -> String {
    text.lines().map(style).collect::<Vec<_>>().join("\n")
}

/// Something to type.
pub fn literal(text: &str) -> String {
    text.cyan().to_string()
}

/// The first word of a verdict sentence.
pub fn verdict(verdict: Verdict, text: &str) -> String {
    match verdict {
        Verdict::Fits => text.green().bold().to_string(),
        Verdict::FitsWithOffload => text.yellow().bold().to_string(),
        Verdict::DoesNotFit | Verdict::Invalid => text.red().bold().to_string(),
    }
}

/// A severity's label.
pub fn severity(severity: Severity, text: &str) -> String {
    match severity {
        Severity::Info => text.cyan().bold().to_string(),
        Severity::Warning => text.yellow().bold().to_string(),
        Severity::Error => text.red().bold().to_string(),
    }
}

/// The word that says whether a validation line holds.
pub fn holds(holds: Option<bool>, text: &str) -> String {
    match holds {
        Some(true) => text.green().to_string(),
        Some(false) => text.red().bold().to_string(),
        None => text.yellow().to_string(),
    }
}

/// The label before an error message.
pub fn error_label() -> String {
    "error:".red().bold().to_string()
}

/// The label before a hint.
pub fn hint_label() -> String {
    "hint:".cyan().bold().to_string()
}
