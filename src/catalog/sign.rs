//! What shows that a program got ready, or that something failed, whatever the cause (`rules/signs.toml`).

use serde::Deserialize;

use super::cause::{Problem, compiled};
use super::literal;

/// The signs of every program.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signs {
    /// Lines that a server prints when it is ready to serve.
    #[serde(default)]
    pub ready: Vec<Sign>,
    /// Lines that say that something failed.
    #[serde(default)]
    pub failure: Vec<Sign>,
}

/// A text of programs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// The programs that print it.
    pub program: String,
    /// A regular expression, matched on one cleaned line.
    pub regex: String,
    /// Where the text is printed from.
    pub sources: Vec<String>,
}

impl Signs {
    /// Every expression.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.ready.iter().chain(&self.failure).map(|sign| sign.regex.as_str())
    }

    /// What is wrong with it that its types do not show.
    pub(super) fn check(&self) -> Result<(), Problem> {
        for regex in self.expressions() {
            literal::of(regex, None).map_err(|message| Problem::new(regex, message))?;
            compiled(regex).map_err(|error| Problem::new(regex, format!("not a regular expression: {error}")))?;
        }
        Ok(())
    }
}
