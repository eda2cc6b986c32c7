//! Answers where the KV cache is too small, or nothing is left for it.

use crate::plan::budget::TermName;
use crate::startup::answer::{Answer, Case};
use crate::startup::printed::Printed;
use crate::startup::solve::{self, Change};
use crate::units::{Bytes, thousands};

/// Nothing is left for a cache.
pub(super) fn nothing_left(case: &Case<'_>) -> Answer {
    let mut answer = Answer::default();
    what_was(case, &mut answer);
    let left = case.run.available();
    if let Some(short) = left.and_then(Printed::shortage) {
        answer.statements.push(format!("{short} were missing before the first block of the cache"));
    }
    if case.mend_offload(&mut answer) && !answer.changes.is_empty() {
        return answer;
    }
    let Some(rebuilt) = case.rebuilt else {
        // How much one request needs is not in the log: what is said is only where a cache begins.
        if let Some(share) = raised(case, left.and_then(Printed::shortage).unwrap_or(Bytes::ZERO)).filter(|_| left.is_some()) {
            answer
                .statements
                .push(format!("a cache begins above gpu-memory-utilization {share:.2}; how much one request needs is not in the log"));
        }
        return answer;
    };
    answer.changes.extend(solve::sequences(rebuilt));
    answer.changes.extend(solve::batched_tokens(rebuilt).filter(|_| answer.changes.is_empty()));
    answer.changes.extend(more(case));
    or_smallest(case, &mut answer);
    answer
}

/// One request of full length does not fit into the cache.
pub(super) fn too_long(case: &Case<'_>, length: u64, need: Printed, have: Printed, estimate: Option<u64>) -> Answer {
    let mut answer = Answer::default();
    let (Some(needed), Some(left)) = (need.size(), have.size()) else { return answer };
    answer.statements.push(format!("one request of {length} tokens needs {needed} of KV cache, and {left} are left"));
    what_was(case, &mut answer);
    if case.mend_offload(&mut answer) && !answer.changes.is_empty() {
        return answer;
    }
    let computed = case.rebuilt.and_then(solve::length);
    match (estimate, computed) {
        // The engine's own figure is of this very run.
        (Some(longest), computed) => {
            let cache = computed.and_then(|change| change.cache);
            answer
                .changes
                .push(Change { cache, ..Change::bare("max-model-len", longest).noting("the longest that the engine found to fit") });
        }
        (None, Some(change)) => answer.changes.push(change),
        (None, None) => answer.changes.extend(by_proportion(length, need, have)),
    }
    match case.rebuilt {
        Some(rebuilt) => {
            answer.changes.extend(more(case));
            answer.changes.extend(solve::sequences(rebuilt));
        }
        None => answer.changes.extend(raised(case, needed - left).map(|share| {
            Change::bare("gpu-memory-utilization", format!("{share:.2}"))
                .noting("the least with which one request fits, if nothing else changes")
        })),
    }
    answer
}

/// The legacy engine counts tokens.
pub(super) fn too_few_tokens(case: &Case<'_>, length: u64, tokens: u64) -> Answer {
    let mut answer = Answer::default();
    answer.statements.push(format!("one request may have {length} tokens, and the KV cache holds {tokens}"));
    what_was(case, &mut answer);
    answer.changes.push(Change::bare("max-model-len", tokens).noting("all that the cache holds, for one request at a time"));
    let left = case.run.available().and_then(Printed::size);
    if let Some(left) = left.filter(|_| tokens > 0) {
        let missing = Bytes::from_f64(left.0 as f64 / tokens as f64 * length.saturating_sub(tokens) as f64);
        answer.changes.extend(raised(case, missing).map(|share| {
            Change::bare("gpu-memory-utilization", format!("{share:.2}"))
                .noting("the least with which one request fits, if nothing else changes")
        }));
    }
    answer
}

/// What was requested and what took it.
fn what_was(case: &Case<'_>, answer: &mut Answer) {
    answer.statements.extend(case.requested());
    if let Some((text, evaluation)) = case.taken() {
        let inside = evaluation.budget.terms.iter().filter(|term| term.inside_requested && term.name != TermName::KvCache);
        let sum: Bytes = inside.map(|term| term.size.expected).sum();
        let requested = evaluation.budget.requested;
        let rest = match requested.checked_sub(sum) {
            Some(left) if left > Bytes::from_mib(1) => format!("{left} are left for the KV cache"),
            _ => format!("{} more than requested", sum - requested),
        };
        answer.statements.push(format!("{text}: {sum}, {rest}"));
    } else if let Some(rank) = case.run.tightest() {
        let figures = [("weights", rank.weights), ("activation peak", rank.activation_peak), ("non-torch", rank.non_torch)];
        let printed: Vec<String> =
            figures.iter().filter_map(|(name, figure)| Some(format!("{name} {}", figure.as_ref()?.size()?))).collect();
        if !printed.is_empty() {
            answer.statements.push(format!("{} as printed", printed.join(", ")));
        }
    }
}

/// More utilisation: the least that starts, and what the card would allow.
fn more(case: &Case<'_>) -> Option<Change> {
    let rebuilt = case.rebuilt?;
    let least = solve::more_utilization(rebuilt)?;
    let most = solve::most_utilization(rebuilt);
    Some(match most {
        Some((share, all)) if least.settings.first().is_none_or(|(_, value)| value.parse() != Ok(share)) => {
            let tokens = all.cache.map_or(0, |cache| cache.tokens);
            least.noting(format!("at least; up to {share:.2} on this card, for {} tokens", thousands(tokens)))
        }
        _ => least.noting("at least"),
    })
}

/// Where no single setting helps: all together, or by how much even that is short.
fn or_smallest(case: &Case<'_>, answer: &mut Answer) {
    let Some(rebuilt) = case.rebuilt.filter(|_| answer.changes.is_empty()) else { return };
    match solve::smallest(rebuilt) {
        Ok(change) => answer.changes.push(change.noting("no one setting is enough")),
        Err(short) => answer.short_by = short,
    }
}

/// The cache of a request grows with its length, so that the part of the cache is the part of the length; whole blocks of 16. What
/// rounding may have added to the cache, or taken from the need, is not counted on.
fn by_proportion(length: u64, need: Printed, have: Printed) -> Option<Change> {
    let share = have.band().low.0 as f64 / need.band().high.0.max(1) as f64;
    let longest = (length as f64 * share) as u64 / 16 * 16;
    (longest > 0 && longest < length).then(|| {
        Change::bare("max-model-len", longest).noting("by proportion, which is exact where all layers attend to the whole context")
    })
}

/// The utilisation that asks for `missing` more, in whole hundredths; none beyond what is free or known.
fn raised(case: &Case<'_>, missing: Bytes) -> Option<f64> {
    let (utilization, total) = (case.run.utilization()?, case.total().filter(|total| *total > Bytes::ZERO)?);
    let share = ((utilization + missing.gib() / total.gib()) * 100.0 - 1e-9).ceil() / 100.0;
    let free = case.run.free_at_start().and_then(|free| free.size()).unwrap_or(total);
    (share <= 0.98 && total.scale(share) <= free).then_some(share)
}
