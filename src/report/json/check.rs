//! `gpudoctor.check/1`: what `check --format json` prints. Fields may be added; none is renamed or removed under `/1`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::check::{self, Diagnosis, Judged};
use crate::finding::Severity;
use crate::report::json::finding::Finding;

/// The contract's name and version.
pub const SCHEMA: &str = "gpudoctor.check/1";

/// The report of `gpudoctor check`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckReport {
    /// `gpudoctor.check/1`.
    pub schema: &'static str,
    /// The exit code of the command.
    pub exit_code: u8,
    /// The id of the finding to mend first; `null` where nothing is wrong.
    pub primary: Option<String>,
    /// What was examined.
    pub subject: Option<String>,
    /// How many of each.
    pub summary: Summary,
    /// What is wrong, or worth knowing; the primary cause first.
    pub findings: Vec<Finding<Links, Page>>,
    /// Checks that could not look, or had nothing to look at.
    pub skipped: Vec<Skipped>,
    /// Ids of checks that looked and found nothing wrong.
    pub passed: Vec<String>,
}

/// How many findings and checks of each kind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// Findings that are errors.
    pub errors: usize,
    /// Findings that are warnings.
    pub warnings: usize,
    /// Findings that are worth knowing.
    pub infos: usize,
    /// Checks that found nothing wrong.
    pub passed: usize,
    /// Checks that could not look, or had nothing to look at.
    pub skipped: usize,
    /// Those of them that could not look.
    pub unseen: usize,
}

/// A check that could not look, or had nothing to look at.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Whether it should have looked and could not.
    pub unseen: bool,
}

/// How a finding hangs together with others.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Links {
    /// Ids of other findings that follow from this one.
    pub explains: Vec<String>,
    /// The id of the finding that this one follows from.
    pub explained_by: Option<String>,
}

/// The page of a finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page {
    /// The command that prints its page.
    pub docs: String,
}

impl From<&check::Skipped> for Skipped {
    fn from(skipped: &check::Skipped) -> Self {
        Self { id: skipped.id.clone(), reason: skipped.reason.clone(), unseen: skipped.unseen }
    }
}

impl From<&Judged> for Finding<Links, Page> {
    fn from(judged: &Judged) -> Self {
        let links = Links { explains: judged.explains.clone(), explained_by: judged.explained_by.clone() };
        Self::with(&judged.finding, links, Page { docs: format!("gpudoctor explain {}", judged.finding.id) })
    }
}

/// The JSON of a diagnosis. Ends with a line break.
///
/// # Errors
/// When the report has no JSON form.
pub fn render(diagnosis: &Diagnosis, exit_code: u8) -> Result<String, serde_json::Error> {
    let report = CheckReport {
        schema: SCHEMA,
        exit_code,
        primary: diagnosis.primary.clone(),
        subject: diagnosis.subject.clone(),
        summary: Summary {
            errors: diagnosis.count(Severity::Error),
            warnings: diagnosis.count(Severity::Warning),
            infos: diagnosis.count(Severity::Info),
            passed: diagnosis.passed.len(),
            skipped: diagnosis.skipped.len(),
            unseen: diagnosis.unseen(),
        },
        findings: diagnosis.findings.iter().map(Finding::from).collect(),
        skipped: diagnosis.skipped.iter().map(Skipped::from).collect(),
        passed: diagnosis.passed.clone(),
    };
    serde_json::to_string_pretty(&report).map(|text| text + "\n")
}

/// The JSON Schema of the contract.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(CheckReport);
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}
