//! Which values of a launch's settings would have fitted. What is offered fits with every term at its high band.

use serde_json::{Value, json};

use crate::engine::launch::GraphMode;
use crate::plan::budget::TermName;
use crate::plan::evaluate::Evaluation;
use crate::plan::outcome::Verdict;
use crate::startup::rebuilt::Rebuilt;
use crate::units::Bytes;

/// Settings to change, and what they give.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Flags without dashes, and their values.
    pub settings: Vec<(String, String)>,
    /// Environment variables, and their values.
    pub env: Vec<(String, String)>,
    /// The cache that follows; `None` where it could not be computed.
    pub cache: Option<Gain>,
    /// What else follows, or why, as a phrase.
    pub note: Option<String>,
}

/// A cache that a change leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// Its size on one device.
    pub bytes: Bytes,
    /// Its tokens.
    pub tokens: u64,
    /// Its tokens if every term is at its high band.
    pub least_tokens: u64,
    /// Requests of full length at once.
    pub concurrency: f64,
}

impl Change {
    /// Of settings whose launch was evaluated.
    pub(super) fn evaluated(settings: &[(&str, Value)], evaluation: &Evaluation) -> Self {
        let cache = &evaluation.budget.kv_cache;
        Self {
            settings: settings.iter().map(|(flag, value)| ((*flag).to_owned(), shown(value))).collect(),
            env: Vec::new(),
            cache: Some(Gain {
                bytes: cache.bytes,
                tokens: cache.tokens,
                least_tokens: evaluation.guaranteed_kv_tokens,
                concurrency: cache.max_concurrency,
            }),
            note: None,
        }
    }

    /// Of settings whose cache is not known.
    pub(super) fn bare(flag: &str, value: impl std::fmt::Display) -> Self {
        Self { settings: vec![(flag.to_owned(), value.to_string())], env: Vec::new(), cache: None, note: None }
    }

    /// The same with a remark.
    pub(super) fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// The options to add to the command, or the variable to set before it: `--max-num-seqs 32`.
    pub fn command(&self) -> String {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        let flags =
            self.settings.iter().map(|(flag, value)| if value == "true" { format!("--{flag}") } else { format!("--{flag} {value}") });
        env.chain(flags).collect::<Vec<_>>().join(" ")
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Whether a launch starts, as far as memory decides.
pub(super) fn starts(evaluation: &Evaluation) -> bool {
    evaluation.reasons.is_empty() && evaluation.guaranteed_kv_tokens > 0
}

/// Whether a launch starts if every term is as expected; the high bands may say otherwise.
fn should_start(evaluation: &Evaluation, rebuilt: &Rebuilt<'_>) -> bool {
    let cache = &evaluation.budget.kv_cache;
    let expected = |name| evaluation.budget.term(name).map_or(Bytes::ZERO, |term| term.size.expected);
    let room = rebuilt.devices.cuda_total - expected(TermName::Context);
    evaluation.verdict != Verdict::Invalid
        && cache.tokens > 0
        && cache.bytes >= cache.request_bytes
        && evaluation.budget.requested <= room
        && evaluation.budget.device_used.expected <= rebuilt.devices.limit
}

/// Smaller powers of two than `value`, not below `least`, largest first.
fn smaller(value: u64, least: u64) -> impl Iterator<Item = u64> {
    (0..20).rev().map(|exponent| 1_u64 << exponent).filter(move |power| *power < value && *power >= least)
}

/// The largest power of two for `max-num-seqs` that starts, and whose requests each find an eighth of the full length in the
/// cache; else the largest that starts. Where none starts at the high bands, one that is expected to, and says so.
pub(super) fn sequences(rebuilt: &Rebuilt<'_>) -> Option<Change> {
    let launch = rebuilt.predicted().launch;
    let tried: Vec<(u64, Evaluation)> =
        smaller(launch.max_num_seqs, 1).map(|sequences| (sequences, rebuilt.with(&[("max-num-seqs", json!(sequences))]))).collect();
    let change = |sequences: u64, evaluation: &Evaluation| Change::evaluated(&[("max-num-seqs", json!(sequences))], evaluation);
    let each = (launch.max_model_len / 8).max(1);
    let sure = || tried.iter().filter(|(_, evaluation)| starts(evaluation));
    let roomy = sure().find(|(sequences, evaluation)| evaluation.guaranteed_kv_tokens >= sequences * each);
    if let Some((sequences, evaluation)) = roomy.or_else(|| sure().next()) {
        return Some(change(*sequences, evaluation));
    }
    let likely = || tried.iter().filter(|(_, evaluation)| should_start(evaluation, rebuilt));
    let roomy = likely().find(|(sequences, evaluation)| evaluation.budget.kv_cache.tokens >= sequences * each);
    let (sequences, evaluation) = roomy.or_else(|| likely().next())?;
    let short =
        evaluation.short_by().map_or_else(String::new, |short| format!("; {short} more are needed if every term is at its high end"));
    Some(change(*sequences, evaluation).noting(format!("expected to start{short}")))
}

/// The largest power of two for `max-num-batched-tokens` that starts.
pub(super) fn batched_tokens(rebuilt: &Rebuilt<'_>) -> Option<Change> {
    let launch = rebuilt.predicted().launch;
    smaller(launch.max_num_batched_tokens, 256.max(launch.max_num_seqs)).find_map(|tokens| {
        let settings = [("max-num-batched-tokens", json!(tokens))];
        let evaluation = rebuilt.with(&settings);
        starts(&evaluation).then(|| Change::evaluated(&settings, &evaluation))
    })
}

/// The longest request that starts, in whole blocks.
pub(super) fn length(rebuilt: &Rebuilt<'_>) -> Option<Change> {
    let now = rebuilt.with(&[]);
    let launch = &now.launch;
    let available = now.budget.term(TermName::KvCache)?.size.low;
    let layout = rebuilt.layout(launch)?;
    let reserved = if rebuilt.era.null_block_reserved { layout.pool_block } else { Bytes::ZERO };
    let longest = layout.longest_request(available - reserved, launch.max_model_len.saturating_sub(1));
    let length = longest - longest % layout.block_size.max(1);
    if length < layout.block_size {
        return None;
    }
    let settings = [("max-model-len", json!(length))];
    let evaluation = rebuilt.with(&settings);
    starts(&evaluation).then(|| Change::evaluated(&settings, &evaluation))
}

/// Utilisations in hundredths.
fn hundredths(range: std::ops::RangeInclusive<u64>) -> impl DoubleEndedIterator<Item = f64> {
    range.map(|hundredth| hundredth as f64 / 100.0)
}

/// The least utilisation above the run's that starts.
pub(super) fn more_utilization(rebuilt: &Rebuilt<'_>) -> Option<Change> {
    let now = rebuilt.predicted().launch.gpu_memory_utilization;
    hundredths(1..=98).filter(|share| *share > now).find_map(|share| at_utilization(rebuilt, share))
}

/// The largest utilisation below the run's that starts.
pub(super) fn less_utilization(rebuilt: &Rebuilt<'_>, below: f64) -> Option<Change> {
    hundredths(1..=98).rev().filter(|share| *share < below).find_map(|share| at_utilization(rebuilt, share))
}

/// The largest utilisation that starts at all.
pub(super) fn most_utilization(rebuilt: &Rebuilt<'_>) -> Option<(f64, Change)> {
    hundredths(1..=95).rev().find_map(|share| Some((share, at_utilization(rebuilt, share)?)))
}

fn at_utilization(rebuilt: &Rebuilt<'_>, share: f64) -> Option<Change> {
    let settings = [("gpu-memory-utilization", json!(share))];
    let evaluation = rebuilt.with(&settings);
    starts(&evaluation).then(|| Change::evaluated(&settings, &evaluation))
}

/// No graphs, if that starts.
pub(super) fn eager(rebuilt: &Rebuilt<'_>) -> Option<Change> {
    if rebuilt.predicted().launch.graph_mode == GraphMode::None {
        return None;
    }
    let settings = [("enforce-eager", json!(true))];
    let evaluation = rebuilt.with(&settings);
    starts(&evaluation)
        .then(|| Change::evaluated(&settings, &evaluation).noting("each step then launches every kernel by itself, which is slower"))
}

/// The whole of it: few requests, small steps, no graphs, and the utilisation and length that they allow. `Err` is by how
/// much even that is short, where it is known.
pub(super) fn smallest(rebuilt: &Rebuilt<'_>) -> Result<Change, Option<Bytes>> {
    let launch = rebuilt.predicted().launch;
    let mut nearest: Option<Bytes> = None;
    for length in [launch.max_model_len, 8192, 4096, 2048, 1024, 512, 256].into_iter().filter(|length| *length <= launch.max_model_len) {
        for share in hundredths(1..=95).rev().step_by(5) {
            let settings = [
                ("gpu-memory-utilization", json!(share)),
                ("max-model-len", json!(length)),
                ("max-num-seqs", json!(launch.max_num_seqs.min(8))),
                ("max-num-batched-tokens", json!(launch.max_num_batched_tokens.min(512))),
                ("enforce-eager", json!(true)),
            ];
            let evaluation = rebuilt.with(&settings);
            if starts(&evaluation) {
                return Ok(Change::evaluated(&settings, &evaluation));
            }
            let short = evaluation.short_by();
            nearest = match (nearest, short) {
                (Some(least), Some(short)) => Some(least.min(short)),
                (known, short) => known.or(short),
            };
        }
    }
    Err(nearest)
}
