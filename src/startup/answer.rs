//! What to set instead: a failure of memory answered with figures, or with what is missing for them.

use crate::catalog::MemoryTopic;
use crate::plan::budget::{Term, TermName};
use crate::plan::evaluate::Evaluation;
use crate::startup::failure::{Failure, Phase};
use crate::startup::figures::Run;
use crate::startup::printed::Printed;
use crate::startup::rebuilt::{RUNNER, Rebuilt};
use crate::startup::solve::{self, Change};
use crate::startup::{cache_answer, free_answer, oom_answer};
use crate::units::Bytes;

/// The answer to one failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The line that it answers.
    pub line: u64,
    /// What was, in figures, a sentence each without its full stop.
    pub statements: Vec<String>,
    /// What to set, best first: one of these, not all.
    pub changes: Vec<Change>,
    /// By how much it does not fit, whatever is set; `None` where something helps or nothing is known.
    pub short_by: Option<Bytes>,
    /// What was assumed, as sentences.
    pub assumed: Vec<String>,
    /// Why the planner could not compute it; the figures are then the log's alone.
    pub not_computed: Option<String>,
}

/// What an answer is computed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) run: &'a Run,
    pub(super) rebuilt: Option<&'a Rebuilt<'a>>,
}

/// The answer to what a cause of `topic` on `line` is about; `None` where the start has no such failure.
pub(super) fn answer(topic: MemoryTopic, line: u64, run: &Run, rebuilt: Result<&Rebuilt<'_>, &str>) -> Option<Answer> {
    let case = Case { run, rebuilt: rebuilt.ok() };
    let fitting = run.failures.iter().filter(|failure| is_about(failure, topic));
    let mut answer = match fitting.min_by_key(|failure| failure.line().abs_diff(line)) {
        Some(failure) => of_failure(failure, &case),
        None if topic == MemoryTopic::Host => host(&case)?,
        None => return None,
    };
    if answer.line == 0 {
        answer.line = line;
    }
    answer.assumed = rebuilt.map(|rebuilt| rebuilt.assumed.clone()).unwrap_or_default();
    answer.not_computed = rebuilt.err().map(str::to_owned);
    Some(answer)
}

/// The answer to the first failure, whatever the cause is called.
pub(super) fn first(run: &Run, rebuilt: Result<&Rebuilt<'_>, &str>) -> Option<Answer> {
    let failure = run.failures.iter().find(|failure| !matches!(failure, Failure::OutOfMemory { phase: Phase::Unknown, .. }))?;
    let mut answer = of_failure(failure, &Case { run, rebuilt: rebuilt.ok() });
    answer.assumed = rebuilt.map(|rebuilt| rebuilt.assumed.clone()).unwrap_or_default();
    answer.not_computed = rebuilt.err().map(str::to_owned);
    Some(answer)
}

const fn is_about(failure: &Failure, topic: MemoryTopic) -> bool {
    match failure {
        Failure::NothingLeft { .. } | Failure::RequestTooLong { .. } | Failure::TooFewTokens { .. } | Failure::NothingFits { .. } => {
            matches!(topic, MemoryTopic::Kv | MemoryTopic::Weights)
        }
        Failure::TooLittleFree { .. } | Failure::Released { .. } => matches!(topic, MemoryTopic::Free),
        Failure::OutOfMemory { .. } => {
            matches!(topic, MemoryTopic::Oom | MemoryTopic::Weights | MemoryTopic::Graphs | MemoryTopic::Sampler | MemoryTopic::Free)
        }
        Failure::Sampler { .. } => matches!(topic, MemoryTopic::Sampler | MemoryTopic::Graphs),
    }
}

fn of_failure(failure: &Failure, case: &Case<'_>) -> Answer {
    let mut answer = match failure {
        Failure::NothingLeft { .. } | Failure::NothingFits { .. } => cache_answer::nothing_left(case),
        Failure::RequestTooLong { length, need, have, estimate } => cache_answer::too_long(case, *length, *need, *have, *estimate),
        Failure::TooFewTokens { length, tokens, .. } => cache_answer::too_few_tokens(case, *length, *tokens),
        Failure::TooLittleFree { free, total, utilization, requested } => {
            free_answer::too_little(case, *free, *total, *utilization, *requested)
        }
        Failure::Released { before, after, .. } => free_answer::released(*before, *after),
        Failure::OutOfMemory { message, phase, .. } => oom_answer::out_of_memory(case, message, *phase),
        Failure::Sampler { requests, .. } => {
            let message = case.run.failures.iter().find_map(|failure| match failure {
                Failure::OutOfMemory { message, phase: Phase::WarmingUp, .. } => Some(message),
                _ => None,
            });
            oom_answer::sampler(case, *requests, message.map(Box::as_ref))
        }
    };
    answer.line = failure.line();
    answer
}

/// Host memory that offloaded weights are pinned in.
fn host(case: &Case<'_>) -> Option<Answer> {
    let evaluation = case.rebuilt?.predicted();
    let pinned = evaluation.budget.host_memory;
    (pinned > Bytes::ZERO).then(|| Answer {
        statements: vec![format!(
            "{} of weights in host memory pin {pinned} of it, all ranks together: each tensor is rounded up to a power of two",
            evaluation.budget.offloaded
        )],
        ..Answer::default()
    })
}

impl Case<'_> {
    /// `requested 2.36 GiB = 0.12 × 19.65 GiB`, where utilisation and total are known.
    pub(super) fn requested(&self) -> Option<String> {
        let utilization = self.run.utilization().or_else(|| {
            let rebuilt = self.rebuilt.filter(|rebuilt| rebuilt.utilization_known)?;
            Some(rebuilt.predicted().launch.gpu_memory_utilization)
        })?;
        let total = self.total()?;
        Some(format!("requested {} = {utilization} × {total}", total.scale(utilization)))
    }

    /// The device's memory as the engine sees it.
    pub(super) fn total(&self) -> Option<Bytes> {
        self.run.total().and_then(Printed::size).or_else(|| Some(self.rebuilt?.devices.cuda_total))
    }

    /// What the requested size is taken by: each term with its figure, those of the log first.
    pub(super) fn taken(&self) -> Option<(String, Evaluation)> {
        let evaluation = self.rebuilt?.with(&[]);
        let named = |term: &Term| {
            let measured = term.note.starts_with("measured");
            let note = match term.name {
                TermName::Weights if measured => " as printed".to_owned(),
                TermName::ActivationPeak if measured => " by the log".to_owned(),
                TermName::ActivationPeak => format!(
                    " computed for max-num-seqs {} and max-num-batched-tokens {}",
                    evaluation.launch.max_num_seqs, evaluation.launch.max_num_batched_tokens
                ),
                _ if measured => String::new(),
                _ => " computed".to_owned(),
            };
            format!("{} {}{note}", term.name.title(), term.size.expected)
        };
        let inside = evaluation.budget.terms.iter().filter(|term| term.inside_requested && term.name != TermName::KvCache);
        let text = inside.map(named).collect::<Vec<_>>().join(", ");
        Some((text, evaluation))
    }

    /// An offload that this version ignores, with the variable that mends it: it comes before all other changes.
    pub(super) fn mend_offload(&self, answer: &mut Answer) -> bool {
        let Some(rebuilt) = self.rebuilt else { return false };
        let evaluation = rebuilt.with(&[]);
        let Some(reason) = evaluation.reasons.iter().find(|reason| reason.code.starts_with("offload-")) else { return false };
        answer.statements.push(reason.message.clone());
        if reason.code == "offload-ignored" {
            let mended = rebuilt.with_first_runner();
            let moved = mended.budget.offloaded;
            let note = format!("{moved} of the weights then stay in host memory");
            let mut change = Change::evaluated(&[], &mended).noting(note);
            change.env = vec![(RUNNER.to_owned(), "0".to_owned())];
            if solve::starts(&mended) {
                answer.changes.push(change);
            }
        }
        true
    }
}
