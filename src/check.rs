//! Judges what was read of an image: facts to outcomes, outcomes to findings with one primary cause.

mod environment;
mod extension;
pub mod facts;
mod fix;
mod import;
mod kernels;
mod loading;
mod marker;
mod packages;
mod target;
mod torch;

use crate::capture::Image;
use crate::catalog::Catalog;
use crate::check::facts::Facts;
use crate::finding::{Evidence, Finding, Severity};
use crate::plan::request::EngineRequest;
use crate::version::Version;

/// What the image is meant for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The engine that it must hold.
    pub engine: Option<EngineRequest>,
    /// The driver that it must run on.
    pub driver: Option<Version>,
    /// The card that it must run on: a name that the catalogue knows.
    pub gpu: Option<String>,
    /// The environment that was chosen with `--python`.
    pub python: Option<String>,
    /// The only checks to run; all if empty.
    pub only: Vec<String>,
    /// Checks to leave out.
    pub skip: Vec<String>,
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

/// One thing that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its id, which its findings carry.
    pub id: &'static str,
    /// The judgement.
    judge: fn(&Facts<'_>) -> Outcome,
    /// Findings that follow from this one.
    explains: &'static [&'static str],
}

/// All checks, causes before their consequences: the first that fires is the primary cause.
pub static CHECKS: [Check; 30] = [
    Check { id: "nothing-to-check", judge: packages::nothing, explains: &[] },
    Check { id: "engine-missing", judge: packages::engine_missing, explains: &["torch-missing"] },
    Check { id: "torch-missing", judge: torch::missing, explains: &[] },
    Check {
        id: "broken-upgrade",
        judge: environment::broken_upgrade,
        explains: &["requirement-unmet", "library-unreadable", "import-fails"],
    },
    Check {
        id: "user-site-leaks",
        judge: environment::user_site,
        explains: &["extension-built-for-other-torch", "requirement-unmet", "import-fails"],
    },
    Check { id: "module-hidden", judge: environment::hidden_module, explains: &["extension-built-for-other-torch", "import-fails"] },
    Check {
        id: "conda-and-pip-mixed",
        judge: environment::conda_mixed,
        explains: &["two-torches", "extension-built-for-other-torch", "libstdcxx-too-old", "requirement-unmet", "import-fails"],
    },
    Check {
        id: "two-torches",
        judge: torch::two,
        explains: &[
            "torch-not-the-pinned",
            "torch-cuda-differs-from-engine",
            "mixed-cuda-wheels",
            "extension-built-for-other-torch",
            "library-not-found",
            "import-fails",
        ],
    },
    Check { id: "engine-version-differs", judge: packages::engine_version, explains: &["torch-not-the-pinned"] },
    Check {
        id: "torch-not-the-pinned",
        judge: torch::not_the_pinned,
        explains: &[
            "torch-cuda-differs-from-engine",
            "mixed-cuda-wheels",
            "torch-without-cuda",
            "extension-built-for-other-torch",
            "library-not-found",
            "cuda-runtime-of-other-version",
            "requirement-unmet",
            "import-fails",
        ],
    },
    Check { id: "torch-without-cuda", judge: torch::without_cuda, explains: &["mixed-cuda-wheels", "library-not-found", "import-fails"] },
    Check {
        id: "torch-cuda-differs-from-engine",
        judge: torch::cuda_differs,
        explains: &["mixed-cuda-wheels", "library-not-found", "import-fails"],
    },
    Check {
        id: "mixed-cuda-wheels",
        judge: torch::mixed_wheels,
        explains: &["cudnn-mixed", "library-lacks-symbols", "library-not-found", "import-fails"],
    },
    Check {
        id: "library-unreadable",
        judge: extension::unreadable,
        explains: &["library-not-found", "library-lacks-symbols", "import-fails"],
    },
    Check { id: "extension-built-for-other-python", judge: extension::other_python, explains: &["import-fails"] },
    Check { id: "extension-built-for-other-torch", judge: extension::other_torch, explains: &["library-not-found", "import-fails"] },
    Check { id: "library-not-found", judge: loading::not_found, explains: &["import-fails"] },
    Check {
        id: "library-shadowed",
        judge: loading::shadowed,
        explains: &["library-lacks-symbols", "cudnn-mixed", "cuda-runtime-of-other-version", "import-fails"],
    },
    Check { id: "library-lacks-symbols", judge: loading::lacking_symbols, explains: &["import-fails"] },
    Check { id: "cudnn-mixed", judge: loading::one_build, explains: &[] },
    Check { id: "cuda-runtime-of-other-version", judge: loading::cuda_runtime, explains: &[] },
    Check { id: "python-version-unsupported", judge: packages::python_version, explains: &["import-fails"] },
    Check { id: "glibc-too-old", judge: packages::glibc, explains: &["libstdcxx-too-old", "import-fails"] },
    Check { id: "libstdcxx-too-old", judge: loading::libstdcxx, explains: &["import-fails"] },
    Check { id: "requirement-unmet", judge: environment::requirement_unmet, explains: &["import-fails"] },
    Check { id: "import-fails", judge: import::works, explains: &[] },
    Check { id: "driver-older-than-cuda", judge: target::driver, explains: &[] },
    Check { id: "no-kernels-for-gpu", judge: target::kernels, explains: &[] },
    Check { id: "cuda-newer-than-driver", judge: target::minor_versions, explains: &[] },
    Check { id: "base-environment-used", judge: environment::base_environment, explains: &[] },
];

/// The id of the finding that stands for questions without an answer.
const UNSEEN: &str = "asked-but-unseen";

/// The ids that can be named in `--only` and `--skip`.
pub fn ids() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.id).chain([UNSEEN])
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
    /// Checks that could not look, with the reason.
    pub skipped: Vec<(&'static str, String)>,
    /// Checks that looked and found nothing wrong.
    pub passed: Vec<&'static str>,
}

/// A finding, and which others follow from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// Ids of other findings that it explains.
    pub explains: Vec<String>,
}

impl Diagnosis {
    /// How many findings are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|judged| judged.finding.severity == severity).count()
    }

    /// The worst severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|judged| judged.finding.severity).max()
    }
}

/// Judges an image.
pub fn diagnose(image: &Image, question: &Question, catalog: &Catalog) -> Diagnosis {
    let facts = Facts::new(image, question, catalog);
    let named = |ids: &[String], id: &str| ids.iter().any(|other| other == id);
    let wanted = |id: &str| (question.only.is_empty() || named(&question.only, id)) && !named(&question.skip, id);
    let mut diagnosis = Diagnosis { subject: facts.subject(), ..Diagnosis::default() };
    let (mut findings, mut unseen) = (Vec::new(), Vec::new());
    for check in CHECKS.iter().filter(|check| wanted(check.id)) {
        match (check.judge)(&facts) {
            Outcome::Passes => diagnosis.passed.push(check.id),
            Outcome::Fires(fired) => findings.extend(fired),
            Outcome::Skips(reason) => diagnosis.skipped.push((check.id, reason)),
            Outcome::Unseen(reason) => unseen.push((check.id, reason)),
        }
    }
    let failed = findings.iter().any(|finding: &Finding| finding.severity == Severity::Error);
    if !failed && !named(&question.skip, UNSEEN) {
        let proven = !diagnosis.passed.is_empty() || !findings.is_empty();
        let reasons = if unseen.is_empty() { &diagnosis.skipped } else { &unseen };
        findings.extend(unanswered(&facts, reasons, !unseen.is_empty(), proven));
    }
    diagnosis.skipped.extend(unseen);
    diagnosis.primary = primary(&findings);
    findings.sort_by_key(|finding| (Some(&finding.id) != diagnosis.primary.as_ref(), std::cmp::Reverse(finding.severity)));
    let present: Vec<String> = findings.iter().map(|finding| finding.id.clone()).collect();
    diagnosis.findings = findings.into_iter().map(|finding| Judged { explains: explained(&finding, &present), finding }).collect();
    diagnosis
}

/// The first error in the order of the checks, else the first warning.
fn primary(findings: &[Finding]) -> Option<String> {
    let first = |severity| findings.iter().find(|finding| finding.severity == severity);
    first(Severity::Error).or_else(|| first(Severity::Warning)).map(|finding| finding.id.clone())
}

fn explained(finding: &Finding, present: &[String]) -> Vec<String> {
    let check = CHECKS.iter().find(|check| check.id == finding.id).filter(|_| finding.severity == Severity::Error);
    let explains = check.map_or(&[][..], |check| check.explains);
    explains.iter().filter(|id| present.iter().any(|other| other == *id)).map(|id| (*id).to_owned()).collect()
}

/// The finding for what was asked and could not be judged; also where nothing at all was proven.
fn unanswered(facts: &Facts<'_>, reasons: &[(&'static str, String)], asked: bool, proven: bool) -> Option<Finding> {
    let message = match reasons {
        _ if !asked && proven => return None,
        _ if !asked => "no check could look at anything; a pass needs at least one that did".to_owned(),
        [(id, reason)] => format!("`{id}` could not be judged: {reason}; what was asked needs an answer to pass"),
        several => format!("{} checks could not be judged; what was asked needs an answer to pass", several.len()),
    };
    let evidence = |(id, reason): &(&'static str, String)| Evidence {
        fact: (*id).to_owned(),
        value: reason.clone(),
        source: facts.site().unwrap_or_default().to_owned(),
    };
    let unreadable = facts.image.unreadable.iter().take(4).map(|unreadable| Evidence {
        fact: "unreadable".to_owned(),
        value: unreadable.reason.clone(),
        source: unreadable.place.clone(),
    });
    Some(Finding {
        id: UNSEEN.to_owned(),
        severity: Severity::Error,
        subject: "image".to_owned(),
        message,
        evidence: reasons.iter().map(evidence).chain(unreadable).collect(),
        fixes: vec![fix::verified(
            facts,
            UNSEEN,
            crate::finding::Fix::edit("repair what could not be read, or leave the question out of the command"),
        )],
    })
}
