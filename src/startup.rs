//! The figures of an engine's start, read from its log, and what follows from them: the budget that was, the values that
//! would have fitted, and how far the plan was off. Pure.
//!
//! [`Figures`] sees the lines one by one; [`Start`] computes what they mean, with the planner where it can.

pub mod printed;
pub mod oom;
pub mod dump;
pub mod failure;
pub mod figures;
pub mod lines;
pub mod subject;
pub mod rebuilt;
pub mod solve;
pub mod answer;
mod cache_answer;
mod free_answer;
mod oom_answer;
pub mod table;
pub mod waste;

pub use answer::Answer;
pub use figures::{Figures, Rank, Run};
pub use lines::LITERALS;
pub use rebuilt::{Known, Rebuilt};
pub use solve::{Change, Gain};
pub use table::{Basis, Cache, Row, Subject};
pub use waste::Advice;

use crate::catalog::MemoryTopic;
use crate::plan::measured::Measured;
use crate::units::Bytes;

/// One start of an engine, with what follows from its figures.
#[derive(Debug)]
pub struct Start<'a> {
    run: &'a Run,
    rebuilt: Result<Rebuilt<'a>, String>,
}

/// What a start came to: predicted against printed, and what it wastes.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// vLLM's version.
    pub version: Option<String>,
    /// The model as the log names it.
    pub model: Option<String>,
    /// The card, where the planner computed with one.
    pub device: Option<String>,
    /// How many worker processes printed figures.
    pub ranks: usize,
    /// Whether the engine came up.
    pub serving: bool,
    /// The device's memory as the engine sees it.
    pub total: Option<Bytes>,
    /// The utilisation.
    pub utilization: Option<f64>,
    /// Utilisation × total.
    pub requested: Option<Bytes>,
    /// The table, of the rank that needs most.
    pub rows: Vec<Row>,
    /// The cache in tokens and requests.
    pub cache: Cache,
    /// What nvidia-smi will show for the card, by the planner with the log's figures; the expected value and the most.
    pub device_used: Option<(Bytes, Bytes)>,
    /// Least and most weights, where ranks differ.
    pub weights_differ: Option<(Bytes, Bytes)>,
    /// What is wasted.
    pub advice: Vec<Advice>,
    /// What was assumed, as sentences.
    pub assumed: Vec<String>,
    /// Why nothing was predicted.
    pub not_computed: Option<String>,
}

impl<'a> Start<'a> {
    /// The start `run`, computed anew where what is `known` allows.
    pub fn new(run: &'a Run, known: &Known<'a>) -> Self {
        Self { run, rebuilt: Rebuilt::new(run, known) }
    }

    /// The answer to what a cause of `topic` on `line` is about; `None` where this start has no such failure.
    pub fn answer(&self, topic: MemoryTopic, line: u64) -> Option<Answer> {
        answer::answer(topic, line, self.run, self.rebuilt.as_ref().map_err(String::as_str))
    }

    /// The answer to the first failure of memory, for logs whose cause is not known; `None` where there is none.
    pub fn first_answer(&self) -> Option<Answer> {
        answer::first(self.run, self.rebuilt.as_ref().map_err(String::as_str))
    }

    /// What the start came to; `None` where the log has no figures of it.
    pub fn summary(&self) -> Option<Summary> {
        let run = self.run;
        if !run.has_figures() {
            return None;
        }
        let rebuilt = self.rebuilt.as_ref().ok();
        let measured = rebuilt.map(|rebuilt| rebuilt.with(&[]));
        let launch = measured.as_ref().map(|evaluation| &evaluation.launch);
        let utilization = run.utilization().or_else(|| {
            launch.filter(|_| rebuilt.is_some_and(|rebuilt| rebuilt.utilization_known)).map(|launch| launch.gpu_memory_utilization)
        });
        let total = run.total().and_then(|total| total.size()).or_else(|| rebuilt.map(|rebuilt| rebuilt.devices.cuda_total));
        let requested = run.ranks.values().find_map(|rank| rank.requested?.size()).or_else(|| Some(total?.scale(utilization?)));
        Some(Summary {
            version: run.version.as_ref().map(ToString::to_string),
            model: run.model().map(str::to_owned),
            device: rebuilt.map(|rebuilt| rebuilt.devices.name.clone()),
            ranks: run.ranks.values().filter(|rank| rank.weights.is_some()).count(),
            serving: run.serving,
            total,
            utilization,
            requested,
            rows: table::rows(run, rebuilt),
            cache: table::tokens(run, rebuilt),
            device_used: measured
                .as_ref()
                .filter(|_| run.serving)
                .map(|evaluation| (evaluation.budget.device_used.expected, evaluation.budget.device_used.high)),
            weights_differ: table::spread(run, |rank| rank.weights?.size()),
            advice: rebuilt.map(|rebuilt| waste::advice(run, rebuilt)).unwrap_or_default(),
            assumed: rebuilt.map(|rebuilt| rebuilt.assumed.clone()).unwrap_or_default(),
            not_computed: self.rebuilt.as_ref().err().cloned(),
        })
    }

    /// The terms that were printed, for later plans of the same model, card, engine and settings. `None` where the start failed,
    /// or where it is not known what it was of.
    pub fn measured(&self) -> Option<&Measured> {
        let rebuilt = self.rebuilt.as_ref().ok().filter(|_| self.run.serving && self.run.failures.is_empty())?;
        rebuilt.measured().filter(|measured| measured.weights.is_some())
    }

    /// Why it could not be computed.
    pub fn not_computed(&self) -> Option<&str> {
        self.rebuilt.as_ref().err().map(String::as_str)
    }
}
