//! Whether the model and the devices can be divided as asked.

use super::line::{Found, Lines};
use crate::finding::{Fix, Severity};
use crate::model::spec::ModelSpec;

const TENSOR: &str = "tensor-parallel-size";
const PIPELINE: &str = "pipeline-parallel-size";

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = more_ranks_than_devices(lines).into_iter().collect();
    if let Some((model, ranks)) = lines.context.model.zip(ranks(lines, TENSOR)).filter(|(_, ranks)| *ranks > 1) {
        found.extend(heads(lines, model, ranks).or_else(|| vocabulary(lines, model, ranks)));
    }
    found.extend(alone(lines));
    found
}

fn ranks(lines: &Lines<'_>, flag: &str) -> Option<u64> {
    lines.number(flag).filter(|ranks| *ranks >= 1.0 && *ranks <= 1e6).map(|ranks| ranks as u64)
}

fn more_ranks_than_devices(lines: &Lines<'_>) -> Option<Found> {
    let devices = lines.context.devices?;
    let tensor = ranks(lines, TENSOR).unwrap_or(1);
    let needed = tensor.saturating_mul(ranks(lines, PIPELINE).unwrap_or(1));
    let across_nodes = lines.number("nnodes").is_some_and(|nodes| nodes > 1.0) || lines.text("distributed-executor-backend") == Some("ray");
    if needed <= devices.count || across_nodes {
        return None;
    }
    let flag = if tensor > 1 { TENSOR } else { PIPELINE };
    let text = format!("{needed} ranks need as many GPUs, and there are {}; vLLM refuses to start", devices.count);
    let found = lines.found("more-ranks-than-gpus", Severity::Error, flag, &text).because("devices.count", devices.count, &devices.name);
    Some(found.line("use what is there", format!("{flag}: {}", devices.count)))
}

fn heads(lines: &Lines<'_>, model: &ModelSpec, ranks: u64) -> Option<Found> {
    let (heads, kv_heads) = model.attention_heads()?;
    let fits = |ranks: u64| heads.is_multiple_of(ranks) && (kv_heads.is_multiple_of(ranks) || ranks.is_multiple_of(kv_heads.max(1)));
    if fits(ranks) {
        return None;
    }
    let text = format!("{ranks} ranks do not divide {heads} attention heads with {kv_heads} key/value heads; vLLM refuses to start");
    let below = (1..ranks).rev().find(|ranks| fits(*ranks)).unwrap_or(1);
    let found =
        lines.found("heads-not-divisible", Severity::Error, TENSOR, &text).because("model.heads", format!("{heads}/{kv_heads}"), &model.id);
    Some(found.line("the next smaller size that divides them", format!("{TENSOR}: {below}")))
}

/// The engine pads the vocabulary to a multiple of 64 and then divides it.
fn vocabulary(lines: &Lines<'_>, model: &ModelSpec, ranks: u64) -> Option<Found> {
    let padded = model.vocab_size.next_multiple_of(64);
    let text = format!("{ranks} ranks do not divide the vocabulary, {padded} rows after padding; vLLM refuses to start");
    (!padded.is_multiple_of(ranks)).then(|| {
        lines
            .found("vocabulary-not-divisible", Severity::Error, TENSOR, &text)
            .because("model.vocabulary", model.vocab_size, &model.id)
            .fix(Fix::edit("use a power of two"))
    })
}

/// Flags about talking between ranks, with one rank.
fn alone(lines: &Lines<'_>) -> Option<Found> {
    let flag = "disable-custom-all-reduce";
    let single = ranks(lines, TENSOR).unwrap_or(1) == 1;
    let text = "there is one tensor-parallel rank, so nothing is reduced between GPUs and the line has no effect";
    (single && lines.is_on(flag)).then(|| lines.found("flag-without-effect", Severity::Info, flag, text).fix(Fix::edit("delete the line")))
}
