//! The parts of a finding that every report has.

use schemars::JsonSchema;
use serde::Serialize;

use crate::finding::{self, Risk};

/// A fact that a finding rests on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Evidence {
    /// Its name.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// Where it was read.
    pub source: String,
}

/// One way to mend a finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Fix {
    /// What to do.
    pub text: String,
    /// The command or line to copy.
    pub command: Option<String>,
    /// `safe` or `risky`.
    pub risk: &'static str,
    /// `root`, `reboot`.
    pub needs: Vec<String>,
    /// The command that shows that it worked.
    pub verify: Option<String>,
}

impl From<&finding::Evidence> for Evidence {
    fn from(evidence: &finding::Evidence) -> Self {
        Self { fact: evidence.fact.clone(), value: evidence.value.clone(), source: evidence.source.clone() }
    }
}

impl From<&finding::Fix> for Fix {
    fn from(fix: &finding::Fix) -> Self {
        let risk = match fix.risk {
            Risk::Safe => "safe",
            Risk::Risky => "risky",
        };
        Self { text: fix.text.clone(), command: fix.command.clone(), risk, needs: fix.needs.clone(), verify: fix.verify.clone() }
    }
}
