//! Judges what was read of a machine or an image: facts to outcomes, outcomes to findings with one primary cause.

mod declared;
mod fix;
mod order;
mod packages;
mod target;
mod torch;

use crate::capture::{Capture, Image};
use crate::catalog::{Catalog, Layer};
use crate::check::facts::Facts;
use crate::finding::{Evidence, Finding, Severity};

pub use crate::facts::Question;
pub use declared::{example_outcome, reads};

/// What the checks of Python environments look at.
pub mod facts {
    pub use crate::facts::image::{Engine, ImageFacts as Facts, TargetDriver, Torch, build_name, evidence, title};
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It looked, and nothing is wrong.
    Passes,
    /// Something is wrong, or worth knowing.
    Fires(Vec<Finding>),
    /// There was nothing to look at, or nothing was asked.
    Skips(String),
    /// The question was asked, and what it needs could not be seen. Never good.
    Unseen(String),
}

/// One thing that is looked at, and needs an algorithm. Those that are an expression are in `rules/checks`.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its id, which its findings carry.
    pub id: &'static str,
    /// The judgement.
    judge: fn(&Facts<'_>) -> Outcome,
    /// Findings that follow from this one.
    explains: &'static [&'static str],
}

/// The checks of Python environments, causes before their consequences: the first that fires is the primary cause.
pub static CHECKS: [Check; 14] = [
    Check { id: "nothing-to-check", judge: packages::nothing, explains: &[] },
    Check { id: "engine-missing", judge: packages::engine_missing, explains: &["torch-missing"] },
    Check { id: "torch-missing", judge: torch::missing, explains: &[] },
    Check {
        id: "two-torches",
        judge: torch::two,
        explains: &["torch-not-the-pinned", "torch-cuda-differs-from-engine", "mixed-cuda-wheels"],
    },
    Check { id: "engine-version-differs", judge: packages::engine_version, explains: &["torch-not-the-pinned"] },
    Check {
        id: "torch-not-the-pinned",
        judge: torch::not_the_pinned,
        explains: &["torch-cuda-differs-from-engine", "mixed-cuda-wheels", "torch-without-cuda"],
    },
    Check { id: "torch-without-cuda", judge: torch::without_cuda, explains: &["mixed-cuda-wheels"] },
    Check { id: "torch-cuda-differs-from-engine", judge: torch::cuda_differs, explains: &["mixed-cuda-wheels"] },
    Check { id: "mixed-cuda-wheels", judge: torch::mixed_wheels, explains: &[] },
    Check { id: "python-version-unsupported", judge: packages::python_version, explains: &[] },
    Check { id: "glibc-too-old", judge: packages::glibc, explains: &[] },
    Check { id: "driver-older-than-cuda", judge: target::driver, explains: &[] },
    Check { id: "no-kernels-for-gpu", judge: target::kernels, explains: &["gpu-kernel-launch-failed"] },
    Check { id: "cuda-newer-than-driver", judge: target::minor_versions, explains: &[] },
];

/// The id of the finding that stands for questions without an answer.
const UNSEEN: &str = "asked-but-unseen";

/// The check that only an image without anything in it fails.
const NOTHING: &str = "nothing-to-check";

/// The ids that can be named in `--only` and `--skip`.
pub fn ids(catalog: &Catalog) -> Vec<&str> {
    let declared = catalog.checks().iter().map(|rule| rule.id.as_str());
    CHECKS.iter().map(|check| check.id).chain([UNSEEN]).chain(declared).collect()
}

/// What all checks found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was examined, in one line; `None` where there was nothing.
    pub subject: Option<String>,
    /// The id of the finding to mend first.
    pub primary: Option<String>,
    /// What is wrong, the primary cause first, then worst first.
    pub findings: Vec<Judged>,
    /// Checks that could not look, or had nothing to look at.
    pub skipped: Vec<Skipped>,
    /// Checks that looked and found nothing wrong.
    pub passed: Vec<String>,
}

/// A check that did not judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Whether it should have looked and could not; else there was nothing to look at.
    pub unseen: bool,
}

/// A finding, and which others follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// Ids of other findings that it explains.
    pub explains: Vec<String>,
    /// The id of the finding that explains it.
    pub explained_by: Option<String>,
}

impl Diagnosis {
    /// How many findings are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|judged| judged.finding.severity == severity).count()
    }

    /// How many checks could not see what they should have.
    pub fn unseen(&self) -> usize {
        self.skipped.iter().filter(|skipped| skipped.unseen).count()
    }

    /// The worst severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|judged| judged.finding.severity).max()
    }
}

/// A check that ran: its place among the causes, and what it found.
struct Ran {
    id: String,
    layer: Layer,
    outcome: Outcome,
    explains: Vec<String>,
    /// Whether a question that was asked needs its answer.
    asked: bool,
}

/// Judges a machine and its Python environment, or with [`Question::image`] the environment alone.
pub fn diagnose(capture: &Capture, question: &Question, catalog: &Catalog) -> Diagnosis {
    let nothing = Image::default();
    let image = capture.image.known().unwrap_or(&nothing);
    let known = crate::facts::Facts::new(capture, question, catalog);
    let facts = packaged(Facts::new(image, question, catalog), &known);
    let wanted = |id: &str| (question.only.is_empty() || named(&question.only, id)) && !named(&question.skip, id);
    let mut ran = coded(&facts, &known, &wanted);
    ran.extend(declared::run(&known, question, catalog, &wanted));
    let mut diagnosis = Diagnosis { subject: subject(&facts, &known), ..Diagnosis::default() };
    let mut causes: Vec<(Layer, Finding, Vec<String>)> = Vec::new();
    let mut unanswered = Vec::new();
    for ran in ran {
        match ran.outcome {
            Outcome::Passes => diagnosis.passed.push(ran.id),
            Outcome::Fires(fired) => causes.extend(fired.into_iter().map(|finding| (ran.layer, finding, ran.explains.clone()))),
            Outcome::Skips(reason) => diagnosis.skipped.push(Skipped { id: ran.id, reason, unseen: false }),
            Outcome::Unseen(reason) => {
                if ran.asked {
                    unanswered.push((ran.id.clone(), reason.clone()));
                }
                diagnosis.skipped.push(Skipped { id: ran.id, reason, unseen: true });
            }
        }
    }
    let failed = causes.iter().any(|(_, finding, _)| finding.severity == Severity::Error);
    if !failed && !named(&question.skip, UNSEEN) {
        let proven = !diagnosis.passed.is_empty() || !causes.is_empty();
        let finding = order::unanswered(&facts, &unanswered, &diagnosis.skipped, proven);
        causes.extend(finding.map(|finding| (Layer::Driver, finding, Vec::new())));
    }
    (diagnosis.primary, diagnosis.findings) = order::judged(causes);
    diagnosis
}

/// The checks of Python environments.
fn coded(facts: &Facts<'_>, known: &crate::facts::Facts, wanted: &dyn Fn(&str) -> bool) -> Vec<Ran> {
    let image = facts.question.image;
    let asked = image || facts.question.engine.is_some() || facts.question.driver.is_some() || facts.question.gpu.is_some();
    let checks = CHECKS.iter().filter(|check| wanted(check.id) && (image || check.id != NOTHING));
    let ran = |check: &Check| Ran {
        id: check.id.to_owned(),
        layer: Layer::Python,
        outcome: match (check.id, facts.gpu) {
            ("no-kernels-for-gpu", None) if !image => each_card(facts, known, check.judge),
            _ => (check.judge)(facts),
        },
        explains: check.explains.iter().map(|id| (*id).to_owned()).collect(),
        asked,
    };
    checks.map(ran).collect()
}

/// The judgement for each kind of card in the machine.
fn each_card(facts: &Facts<'_>, known: &crate::facts::Facts, judge: fn(&Facts<'_>) -> Outcome) -> Outcome {
    let mut ids: Vec<&String> = known.gpus.iter().filter_map(|gpu| gpu.id.known()).collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Outcome::Skips("no card of the catalogue is in the machine".to_owned());
    }
    if facts.torch.is_none() && facts.engine.is_none() {
        return Outcome::Skips("no engine and no torch is installed".to_owned());
    }
    let mut findings = Vec::new();
    let mut other = Outcome::Passes;
    for id in ids {
        let mut with = Facts::new(facts.image, facts.question, facts.catalog);
        with.gpu = facts.catalog.gpu(id).ok();
        match judge(&with) {
            Outcome::Fires(fired) => findings.extend(fired),
            Outcome::Passes => {}
            unseen => other = unseen,
        }
    }
    if findings.is_empty() { other } else { Outcome::Fires(findings) }
}

/// The environment's facts with the machine's driver, where no other was named.
fn packaged<'a>(mut facts: Facts<'a>, known: &crate::facts::Facts) -> Facts<'a> {
    if facts.driver.is_none()
        && !facts.question.image
        && let Some(version) = known.driver.version.known()
    {
        facts.driver =
            Some(facts::TargetDriver { version: version.clone(), source: crate::facts::source("driver.version"), is_here: true });
    }
    facts
}

/// What was examined, in one line: cards and driver, then the environment.
fn subject(facts: &Facts<'_>, known: &crate::facts::Facts) -> Option<String> {
    let environment = facts.subject();
    if facts.question.image {
        return environment;
    }
    let mut parts = Vec::new();
    match (known.cards.count.known(), known.cards.names.known()) {
        (Some(number), Some(names)) if *number > 0 => parts.push(format!("{number} × {names}")),
        _ => parts.push("no GPU".to_owned()),
    }
    parts.push(known.driver.version.known().map_or_else(|| "no driver".to_owned(), |version| format!("driver {version}")));
    parts.extend(environment);
    Some(parts.join(", "))
}

fn named(ids: &[String], id: &str) -> bool {
    ids.iter().any(|other| other == id)
}

/// The evidence of a check that was skipped.
fn skipped_evidence(id: &str, reason: &str, source: &str) -> Evidence {
    Evidence { fact: id.to_owned(), value: reason.to_owned(), source: source.to_owned() }
}
