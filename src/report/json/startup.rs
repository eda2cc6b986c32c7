//! The parts of `gpudoctor.diagnose/1` that are about the start of an engine.

use schemars::JsonSchema;
use serde::Serialize;

use crate::startup::{self, Basis};

/// A start: the engine's own figures beside those that a plan predicts, on the GPU that needs most.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Startup {
    /// vLLM's version.
    pub version: Option<String>,
    /// The model as the log names it.
    pub model: Option<String>,
    /// The card that was computed with.
    pub device: Option<String>,
    /// Worker processes that printed figures.
    pub ranks: usize,
    /// Whether the engine came up.
    pub serving: bool,
    /// The device's memory as the engine sees it.
    pub memory_total_bytes: Option<u64>,
    /// The utilisation.
    pub gpu_memory_utilization: Option<f64>,
    /// Utilisation × total.
    pub requested_bytes: Option<u64>,
    /// The terms.
    pub terms: Vec<Term>,
    /// The KV cache.
    pub kv_cache: Cache,
    /// What nvidia-smi will show for the card.
    pub device_used_bytes: Option<u64>,
    /// The most that nvidia-smi will show.
    pub device_used_high_bytes: Option<u64>,
    /// Memory that could do more.
    pub advice: Vec<Advice>,
    /// What was assumed.
    pub assumed: Vec<String>,
    /// Why nothing was predicted.
    pub not_computed: Option<String>,
}

/// One term.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Term {
    /// `weights`, `kv_cache`, `activation_peak`, `non_torch`, `cuda_graphs`, `context`, or `rest` for the sum that is left where
    /// the parts were not printed.
    pub name: &'static str,
    /// What a plan predicts.
    pub predicted_bytes: Option<u64>,
    /// The least that it predicts.
    pub predicted_low: Option<u64>,
    /// The most that it predicts.
    pub predicted_high: Option<u64>,
    /// What the log has; negative where nothing was left for it.
    pub bytes: Option<i64>,
    /// `printed` or `derived`.
    pub basis: Option<&'static str>,
    /// Whether the engine counts it inside the requested size.
    pub inside_requested: bool,
}

/// The cache in tokens.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cache {
    /// Tokens that the engine printed.
    pub tokens: Option<u64>,
    /// Tokens that a plan predicts.
    pub predicted_tokens: Option<u64>,
    /// The length of a request.
    pub request_length: Option<u64>,
    /// Requests of that length at once, as printed.
    pub max_concurrency: Option<f64>,
    /// The same as predicted.
    pub predicted_max_concurrency: Option<f64>,
}

/// A piece of advice.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Advice {
    /// Kebab-case name of what is wasted.
    pub id: &'static str,
    /// What is, in figures.
    pub message: String,
    /// What to set.
    pub change: Change,
}

/// Settings to change, and what they give.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Change {
    /// Flags without dashes, and their values.
    pub settings: indexmap::IndexMap<String, String>,
    /// Environment variables.
    pub env: indexmap::IndexMap<String, String>,
    /// The same as options of the command, variables before them.
    pub command: String,
    /// The size of the KV cache that follows, on one GPU.
    pub kv_cache_bytes: Option<u64>,
    /// Its tokens.
    pub kv_tokens: Option<u64>,
    /// Its tokens if every term is at its high end.
    pub kv_tokens_low: Option<u64>,
    /// Requests of full length at once.
    pub max_concurrency: Option<f64>,
    /// What else follows, or why.
    pub note: Option<String>,
}

/// The answer to a failure of memory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answer {
    /// What was, in figures.
    pub statements: Vec<String>,
    /// What to set: one of these, the best first.
    pub changes: Vec<Change>,
    /// By how much it does not fit, whatever is set.
    pub short_by_bytes: Option<u64>,
    /// What was assumed.
    pub assumed: Vec<String>,
    /// Why the planner could not compute it.
    pub not_computed: Option<String>,
}

impl From<&startup::Summary> for Startup {
    fn from(summary: &startup::Summary) -> Self {
        Self {
            version: summary.version.clone(),
            model: summary.model.clone(),
            device: summary.device.clone(),
            ranks: summary.ranks,
            serving: summary.serving,
            memory_total_bytes: summary.total.map(|total| total.0),
            gpu_memory_utilization: summary.utilization,
            requested_bytes: summary.requested.map(|requested| requested.0),
            terms: summary.rows.iter().map(Term::from).collect(),
            kv_cache: Cache {
                tokens: summary.cache.tokens,
                predicted_tokens: summary.cache.predicted_tokens,
                request_length: summary.cache.request_length,
                max_concurrency: summary.cache.concurrency,
                predicted_max_concurrency: summary.cache.predicted_concurrency,
            },
            device_used_bytes: summary.device_used.map(|(expected, _)| expected.0),
            device_used_high_bytes: summary.device_used.map(|(_, most)| most.0),
            advice: summary
                .advice
                .iter()
                .map(|advice| Advice { id: advice.id, message: advice.message.clone(), change: Change::from(&advice.change) })
                .collect(),
            assumed: summary.assumed.clone(),
            not_computed: summary.not_computed.clone(),
        }
    }
}

impl From<&startup::Row> for Term {
    fn from(row: &startup::Row) -> Self {
        Self {
            name: row.subject.id(),
            predicted_bytes: row.predicted.map(|band| band.expected.0),
            predicted_low: row.predicted.map(|band| band.low.0),
            predicted_high: row.predicted.map(|band| band.high.0),
            bytes: row.actual.map(|(bytes, _)| bytes),
            basis: row.actual.map(|(_, basis)| match basis {
                Basis::Printed => "printed",
                Basis::Derived => "derived",
            }),
            inside_requested: row.inside_requested,
        }
    }
}

impl From<&startup::Change> for Change {
    fn from(change: &startup::Change) -> Self {
        Self {
            settings: change.settings.iter().cloned().collect(),
            env: change.env.iter().cloned().collect(),
            command: change.command(),
            kv_cache_bytes: change.cache.map(|cache| cache.bytes.0),
            kv_tokens: change.cache.map(|cache| cache.tokens),
            kv_tokens_low: change.cache.map(|cache| cache.least_tokens),
            max_concurrency: change.cache.map(|cache| cache.concurrency),
            note: change.note.clone(),
        }
    }
}

impl From<&startup::Answer> for Answer {
    fn from(answer: &startup::Answer) -> Self {
        Self {
            statements: answer.statements.clone(),
            changes: answer.changes.iter().map(Change::from).collect(),
            short_by_bytes: answer.short_by.map(|short| short.0),
            assumed: answer.assumed.clone(),
            not_computed: answer.not_computed.clone(),
        }
    }
}
