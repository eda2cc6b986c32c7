//! Memory that a healthy start wastes, each with what it would give: only what the planner finds to fit at its high band.

use serde_json::json;

use crate::engine::launch::{GraphMode, Offload};
use crate::plan::budget::TermName;
use crate::plan::evaluate::Evaluation;
use crate::startup::figures::Run;
use crate::startup::rebuilt::Rebuilt;
use crate::startup::solve::{self, Change};
use crate::units::{Bytes, thousands};

/// One piece of advice.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// Kebab-case name of what is wasted.
    pub id: &'static str,
    /// What is, in figures; no full stop.
    pub message: String,
    /// What to set instead.
    pub change: Change,
}

/// The least gain that is worth a change: less than this share of the cache is lost in a block or two.
const WORTH: f64 = 0.05;

/// What the start of `run` wastes.
pub(super) fn advice(run: &Run, rebuilt: &Rebuilt<'_>) -> Vec<Advice> {
    let now = rebuilt.with(&[]);
    if !run.serving || !run.failures.is_empty() || !rebuilt.utilization_known {
        return Vec::new();
    }
    [offload(rebuilt, &now), graphs_off(rebuilt, &now), sequences(rebuilt, &now), utilization(run, rebuilt, &now)]
        .into_iter()
        .flatten()
        .collect()
}

/// Weights in host memory although they would fit on the card.
fn offload(rebuilt: &Rebuilt<'_>, now: &Evaluation) -> Option<Advice> {
    let Some(Offload::Uva { .. }) = now.launch.offload else { return None };
    let moved = now.budget.offloaded;
    let ranks = now.launch.parallel.devices().max(1);
    let share = (now.launch.gpu_memory_utilization * 100.0).round() as u64;
    // Without offload the requested size must hold the weights: it may have to grow, on what the card has free.
    let found = std::iter::once(0).chain([1, 2, 4, 8, 16, 32, 64]).find_map(|gib: u64| {
        (share..=95).find_map(|hundredth| {
            let settings = [("cpu-offload-gb", json!(gib)), ("gpu-memory-utilization", json!(hundredth as f64 / 100.0))];
            let evaluation = rebuilt.with(&settings);
            let less = evaluation.budget.offloaded.scale(2.0) < moved;
            let enough = evaluation.guaranteed_kv_tokens >= now.budget.kv_cache.tokens.min(now.launch.max_model_len);
            (solve::starts(&evaluation) && less && enough).then_some((settings, evaluation))
        })
    })?;
    let (settings, evaluation) = found;
    let free = rebuilt.devices.limit - now.budget.device_used.high;
    Some(Advice {
        id: "offload-with-free-memory",
        message: format!(
            "{moved} of the weights lie in host memory, and each token reads {} of them over the host link on every card, while at least {free} of the card stay free",
            moved / ranks
        ),
        change: Change::evaluated(&settings, &evaluation),
    })
}

/// Graphs off although there is room for them.
fn graphs_off(rebuilt: &Rebuilt<'_>, now: &Evaluation) -> Option<Advice> {
    if now.launch.graph_mode != GraphMode::None || !now.launch.enforce_eager || now.launch.offload.is_some() {
        return None;
    }
    let settings = [("enforce-eager", json!(false))];
    let evaluation = rebuilt.with(&settings);
    let graphs = evaluation.budget.term(TermName::CudaGraphs)?.size;
    let serves = evaluation.budget.kv_cache.max_concurrency >= now.budget.kv_cache.max_concurrency.min(1.0);
    (evaluation.launch.graph_mode != GraphMode::None && solve::starts(&evaluation) && serves).then(|| Advice {
        id: "graphs-off",
        message: format!(
            "graphs are off, and the card has room for the {} (at most {}) that they take: without them each step launches every kernel by itself",
            graphs.expected, graphs.high
        ),
        change: Change { settings: vec![("no-enforce-eager".to_owned(), "true".to_owned())], ..Change::evaluated(&settings, &evaluation) },
    })
}

/// A limit on requests that the cache can never serve, for whose sampling memory is kept free.
fn sequences(rebuilt: &Rebuilt<'_>, now: &Evaluation) -> Option<Advice> {
    let cache = &now.budget.kv_cache;
    // Requests of an eighth of the full length are short; more than those at once the cache does not serve.
    let served = (cache.max_concurrency * 8.0).ceil().max(1.0) as u64;
    let limit = served.next_power_of_two();
    if limit >= now.launch.max_num_seqs {
        return None;
    }
    let settings = [("max-num-seqs", json!(limit))];
    let evaluation = rebuilt.with(&settings);
    let gained = evaluation.budget.kv_cache.bytes - cache.bytes;
    let worth = gained.gib() >= WORTH * cache.bytes.gib() && evaluation.guaranteed_kv_tokens > now.guaranteed_kv_tokens;
    (solve::starts(&evaluation) && worth).then(|| Advice {
        id: "sequences-beyond-cache",
        message: format!(
            "max-num-seqs {} keeps memory free for sampling that many requests, and the cache serves {:.1} of full length at once",
            now.launch.max_num_seqs, cache.max_concurrency
        ),
        change: Change::evaluated(&settings, &evaluation).noting(format!("{gained} more for the cache")),
    })
}

/// A small share of a card that nobody else uses.
fn utilization(run: &Run, rebuilt: &Rebuilt<'_>, now: &Evaluation) -> Option<Advice> {
    let share = now.launch.gpu_memory_utilization;
    if share >= 0.85 || now.launch.kv_cache_memory.is_some() {
        return None;
    }
    let context = now.budget.term(TermName::Context)?.size.high;
    // Whether the card is its own is only known where the free memory at start was printed.
    let own = run.held_by_others(context)? == Bytes::ZERO;
    let (most, change) = solve::most_utilization(rebuilt)?;
    let gained = change.cache?.tokens.saturating_sub(now.budget.kv_cache.tokens);
    let worth = gained as f64 >= WORTH * now.budget.kv_cache.tokens as f64;
    (own && most > share && worth).then(|| Advice {
        id: "utilization-low",
        message: format!(
            "gpu-memory-utilization {share} leaves {} of a card unused that no other process used",
            rebuilt.devices.limit - now.budget.device_used.high
        ),
        change: change.noting(format!("{} more tokens of cache", thousands(gained))),
    })
}
