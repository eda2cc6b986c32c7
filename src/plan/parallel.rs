//! How fast requests are served one way of sharing a model between devices, by what was measured between them.
//!
//! Tensor parallel ranks wait for an all-reduce twice in each layer and shorten the step of one request; the stages of a pipeline
//! wait for a hand-over each, and serve more requests but not one request faster.

use crate::engine::arguments::Arguments;
use crate::plan::evaluate::{Evaluation, Setting, evaluate};
use crate::plan::interconnect::Reductions;
use crate::plan::speed;
use crate::plan::ways::{Comparison, PIPELINE, Served, TENSOR, Way};

/// Tokens of the prompt of a request that ways are compared for.
pub const PROMPT: u64 = 768;
/// Tokens of its answer. With half of them, the prompt makes the context of the decode estimates.
pub const ANSWER: u64 = 512;

/// How fast `evaluation` serves `requests` at once. `None` where what its devices exchange was not measured, or their rates are not
/// known.
pub fn served(setting: &Setting<'_>, evaluation: &Evaluation, requests: u64) -> Option<Served> {
    let way = Way::from(evaluation.launch.parallel);
    let step = speed::step(setting, evaluation);
    let length = (PROMPT + ANSWER).min(evaluation.launch.max_model_len).max(1);
    let requests = requests.min(evaluation.budget.kv_cache.tokens / length).max(1);
    let batch = requests.div_ceil(way.pipeline.min(requests));
    let reductions = step.stages.first().and_then(|stage| step.reductions(stage, batch, true));
    if way.tensor > 1 && reductions.is_none() || way.pipeline > 1 && step.transfer(batch).is_none() {
        return None;
    }
    let answer = (length * ANSWER / (PROMPT + ANSWER)).max(1);
    let prompt = (length - answer).max(1);
    let decode = step.decode(requests, prompt + answer / 2, None)?;
    let prefill = step.prefill(requests, prompt, None)?;
    // Prompts of the others are computed between the steps of each.
    let request = answer as f64 * decode.step.0 + requests as f64 * prefill.0;
    let tokens_per_second = (requests * answer) as f64 / request * 1e3;
    let reductions = reductions.map(|one| Reductions { count: one.count * way.pipeline, ..one });
    Some(Served { way, requests, step: decode.step, exchange: decode.exchange, prefill, tokens_per_second, reductions })
}

/// The ways of a launch that stands as it is: its own, and those of the same arguments with other parallel sizes that fit.
pub fn compare(args: &Arguments, evaluation: &Evaluation, setting: &Setting<'_>) -> Option<Comparison> {
    let requests = evaluation.launch.max_num_seqs;
    let links = setting.devices.interconnect.as_ref()?;
    let chosen = served(setting, evaluation, requests).filter(|_| evaluation.verdict.is_good())?;
    let own = chosen.way;
    let others = splits(evaluation.launch.parallel.devices()).into_iter().filter(|way| *way != own).filter_map(|way| {
        let mut args = args.clone();
        args.set(TENSOR, way.tensor);
        args.set(PIPELINE, way.pipeline);
        let other = evaluate(&args, setting);
        if other.verdict.is_good() { served(setting, &other, requests) } else { None }
    });
    Comparison::of(chosen, others.collect(), &links.source)
}

/// All ways to share a model between `devices` devices, the largest tensor parallel size first.
pub fn splits(devices: u64) -> Vec<Way> {
    let divisors = (1..=devices).rev().filter(|size| devices.is_multiple_of(*size));
    divisors.map(|tensor| Way { tensor, pipeline: devices / tensor }).collect()
}
