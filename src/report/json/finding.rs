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
///
/// `L` is what a report says of how it hangs together with others, and `P` of its page: [`Alone`] where it says nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding", description = "One thing that is wrong, or worth knowing.")]
pub struct Finding<L = Alone, P = Alone> {
    /// Kebab-case id; `gpudoctor explain ID` has its page.
    pub id: String,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// What it is about: `host`, `gpu:0`, `link:0-1`, `image`, `engine`, `torch`, `driver`, `gpu:ID`, `package:NAME`, `file:NAME:LINE`.
    pub subject: String,
    /// The fact, then the requirement.
    pub message: String,
    /// What was read.
    pub evidence: Vec<Evidence>,
    /// How it hangs together with others.
    #[serde(flatten)]
    pub links: L,
    /// What to do, best first.
    pub fixes: Vec<Fix>,
    /// Its page.
    #[serde(flatten)]
    pub page: P,
}

/// Nothing more than every finding has.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alone {}

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

impl<L, P> Finding<L, P> {
    /// A finding with what a report says beside it.
    pub fn with(finding: &finding::Finding, links: L, page: P) -> Self {
        Self {
            id: finding.id.clone(),
            severity: finding.severity.name(),
            subject: finding.subject.clone(),
            message: finding.message.clone(),
            evidence: finding.evidence.iter().map(Evidence::from).collect(),
            links,
            fixes: finding.fixes.iter().map(Fix::from).collect(),
            page,
        }
    }
}

impl From<&finding::Finding> for Finding {
    fn from(finding: &finding::Finding) -> Self {
        Self::with(finding, Alone {}, Alone {})
    }
}
