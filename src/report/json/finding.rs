//! A finding, and the parts of it that every report has.

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

/// One thing that is wrong, or worth knowing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// Kebab-case id; `gpudoctor explain ID` has its page.
    pub id: String,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// What it is about.
    pub subject: String,
    /// The fact, then the requirement.
    pub message: String,
    /// What was read.
    pub evidence: Vec<Evidence>,
    /// What to do, best first.
    pub fixes: Vec<Fix>,
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

impl From<&finding::Finding> for Finding {
    fn from(finding: &finding::Finding) -> Self {
        Self {
            id: finding.id.clone(),
            severity: finding.severity.name(),
            subject: finding.subject.clone(),
            message: finding.message.clone(),
            evidence: finding.evidence.iter().map(Evidence::from).collect(),
            fixes: finding.fixes.iter().map(Fix::from).collect(),
        }
    }
}
