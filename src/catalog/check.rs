//! Checks that are a question about facts and a message (`rules/checks/<id>.toml`).

use serde::Deserialize;
use serde_json::Value;

use super::origin::Origin;
use crate::finding::Severity;

/// One check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckRule {
    /// The name of its file: kebab-case, names the problem.
    pub id: String,
    /// The problem in one line.
    pub summary: String,
    /// How bad the problem is.
    pub severity: Severity,
    /// What it is asked of.
    pub subject: CheckSubject,
    /// Where it stands in the chain of causes.
    pub layer: Layer,
    /// The expression that is true where there is the problem.
    pub when: String,
    /// What is said then. Of several the first counts whose values are all known.
    pub message: Messages,
    /// What else to show as evidence, beside the facts that the expression reads; or exactly this, if not empty.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Why it is a problem, in sentences.
    pub why: String,
    /// Problems that follow from it.
    #[serde(default)]
    pub explains: Vec<String>,
    /// The file of `rules/advice` that says what to do; its own id if absent.
    pub advice: Option<String>,
    /// Whether the problem may often not be seen, as in containers, so that nobody is asked to make it visible.
    #[serde(default)]
    pub often_unseen: bool,
    /// The version of gpudoctor that has it first.
    pub since: String,
    /// Where this comes from.
    pub sources: Vec<String>,
    /// Facts with which it fires, passes and skips.
    #[serde(default)]
    pub example: Vec<CheckExample>,
    /// The file that it was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// One message or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Messages {
    /// One.
    One(String),
    /// Several, the best first.
    Several(Vec<String>),
}

impl Messages {
    /// All of them, the best first.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(message) => std::slice::from_ref(message),
            Self::Several(messages) => messages,
        }
    }
}

/// What a check is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckSubject {
    /// The machine, once.
    Host,
    /// Each GPU.
    Gpu,
    /// Each pair of GPUs.
    Link,
    /// The engine, where there is one.
    Engine,
}

/// Where a problem stands in the chain of causes: what stands earlier is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The kernel and its modules.
    Driver,
    /// What a container was given.
    Container,
    /// The cards themselves.
    Device,
    /// The driver's libraries, and which cards they show.
    Library,
    /// The Python environment.
    Python,
    /// The engine on these cards.
    Engine,
    /// Who else uses the cards.
    Sharing,
    /// Between cards and between machines.
    Link,
    /// Memory, processors, limits and disks around the cards.
    Host,
    /// What lies outside of the machine.
    Network,
}

/// Facts, and what the check says of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckExample {
    /// `fires`, `passes` or `skips`.
    pub outcome: ExampleOutcome,
    /// The facts by path; `{ unreadable = "why" }` and `"absent"` as readings.
    #[serde(default)]
    pub facts: Value,
    /// The message that is said, where it matters.
    pub message: Option<String>,
}

/// What a check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExampleOutcome {
    /// It finds the problem.
    Fires,
    /// It finds nothing wrong.
    Passes,
    /// It cannot look, or has nothing to look at.
    Skips,
}
