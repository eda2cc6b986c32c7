//! `gpudoctor.diagnose/1`: what `diagnose --format json` prints. Fields may be added; none is renamed or removed under `/1`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::catalog::CauseKind;
use crate::diagnose::{self, Arithmetic, Diagnosis, Named, Sighting};
use crate::report::json::finding::{Evidence, Fix};
use crate::report::json::startup::{Answer, Startup};

/// The contract's name and version.
pub const SCHEMA: &str = "gpudoctor.diagnose/1";

/// The report of `gpudoctor diagnose`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DiagnoseReport {
    /// `gpudoctor.diagnose/1`.
    pub schema: &'static str,
    /// The exit code of the command.
    pub exit_code: u8,
    /// `found`, `ambiguous` or `not_in_this_log`.
    pub verdict: &'static str,
    /// How many lines the log has.
    pub lines: u64,
    /// The last line by which a server was ready to serve.
    pub ready_line: Option<u64>,
    /// The causes, the likeliest first. Where one text has several causes, these are they.
    pub causes: Vec<Cause>,
    /// Messages that say that something failed, and not why.
    pub wrappers: Vec<Cause>,
    /// The first and the last lines that look like failures, whether or not a cause is known for them.
    pub failures: Vec<Line>,
    /// What the figures say to a failure of memory that no cause accounts for.
    pub answer: Option<Answer>,
    /// The last start of an engine: its own figures, beside what a plan predicts.
    pub startup: Option<Startup>,
}

/// One cause.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cause {
    /// Kebab-case id; `gpudoctor explain ID` has its page.
    pub id: String,
    /// The class that it belongs to; `gpudoctor explain ROOT` lists the causes of a class.
    pub root: String,
    /// `cause`, `consequence` or `wrapper`.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: String,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// What happened, with the figures of the log.
    pub message: Option<String>,
    /// The lines that show it, redacted; the surest first.
    pub lines: Vec<Line>,
    /// The number of the first line that shows it.
    pub first_line: u64,
    /// The number of the last line that shows it.
    pub last_line: u64,
    /// How many lines show it.
    pub count: u64,
    /// What to do, best first.
    pub fixes: Vec<Fix>,
    /// What its figures say, and what to set: only of failures of memory.
    pub answer: Option<Answer>,
    /// What would make it sure.
    pub needs: Vec<Need>,
    /// Facts of the machine that decided for it.
    pub evidence: Vec<Evidence>,
    /// What decides between this cause and others that print the same text.
    pub question: Option<Question>,
    /// Ids of what else was seen and follows from it.
    pub explains: Vec<String>,
    /// What to look for in the rest of the log.
    pub look_for: Option<String>,
    /// The command that prints its page.
    pub docs: String,
}

/// A line of the log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text without the prefixes of its carriers, redacted.
    pub text: String,
    /// The process that printed it, by the name that it prints.
    pub process: Option<String>,
    /// That process's id.
    pub pid: Option<u32>,
    /// That process's rank.
    pub rank: Option<u32>,
    /// The container, pod or host.
    pub container: Option<String>,
}

/// A fact that would make a cause sure.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Need {
    /// The fact.
    pub fact: String,
    /// The command that shows it.
    pub command: Option<String>,
}

/// A question that decides.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Question {
    /// The question.
    pub text: String,
    /// The command that answers it.
    pub command: Option<String>,
}

impl From<&Sighting> for Line {
    fn from(sighting: &Sighting) -> Self {
        let source = sighting.source.clone();
        Self {
            number: sighting.number,
            text: sighting.text.clone(),
            process: source.process,
            pid: source.pid,
            rank: source.rank,
            container: source.container,
        }
    }
}

impl From<&Named> for Cause {
    fn from(named: &Named) -> Self {
        let question = named.question.as_ref();
        Self {
            id: named.id.clone(),
            root: named.root.clone(),
            kind: kind(named.kind),
            title: named.title.clone(),
            // Two decimals: more would claim a measurement.
            confidence: (named.confidence * 100.0).round() / 100.0,
            message: named.message.clone(),
            lines: named.lines.iter().map(Line::from).collect(),
            first_line: named.first,
            last_line: named.last,
            count: named.count,
            fixes: named.fixes.iter().map(Fix::from).collect(),
            answer: None,
            needs: named.needs.iter().map(|need| Need { fact: need.fact.clone(), command: need.command.clone() }).collect(),
            evidence: named.evidence.iter().map(Evidence::from).collect(),
            question: question.map(|diagnose::Question { text, command }| Question { text: text.clone(), command: command.clone() }),
            explains: named.explains.iter().map(|consequence| consequence.id.clone()).collect(),
            look_for: named.look_for.clone(),
            docs: format!("gpudoctor explain {}", named.id),
        }
    }
}

const fn kind(kind: CauseKind) -> &'static str {
    match kind {
        CauseKind::Cause | CauseKind::Fork => "cause",
        CauseKind::Consequence => "consequence",
        CauseKind::Wrapper => "wrapper",
    }
}

/// The JSON of a diagnosis. Ends with a line break.
///
/// # Errors
/// When the report has no JSON form.
pub fn render(diagnosis: &Diagnosis, arithmetic: &Arithmetic, exit_code: u8) -> Result<String, serde_json::Error> {
    let report = DiagnoseReport {
        schema: SCHEMA,
        exit_code,
        verdict: diagnosis.verdict.name(),
        lines: diagnosis.lines,
        ready_line: diagnosis.outcome.ready,
        causes: diagnosis
            .causes
            .iter()
            .map(|named| Cause { answer: arithmetic.answer(&named.id).map(Answer::from), ..Cause::from(named) })
            .collect(),
        wrappers: diagnosis.wrappers.iter().map(Cause::from).collect(),
        failures: diagnosis.outcome.failures.iter().map(Line::from).collect(),
        answer: arithmetic.other.as_ref().map(Answer::from),
        startup: arithmetic.summary.as_ref().map(Startup::from),
    };
    serde_json::to_string_pretty(&report).map(|text| text + "\n")
}

/// The JSON Schema of the contract.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(DiagnoseReport);
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}
