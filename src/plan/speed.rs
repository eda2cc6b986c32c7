//! The decode estimates of a plan: its own concurrency and customary batches, over the host links in question.

use crate::plan::budget::Input;
use crate::plan::evaluate::{Evaluation, Setting};
use crate::plan::outcome::{Decode, Performance};
use crate::plan::target::pinned_rate;
use crate::plan::throughput::{FORMULA, HAND_OVER, HostLink, MEASURED_FORMULA, PIPELINED_FORMULA, REDUCED_FORMULA, SEND_WAIT, Step};
use crate::plan::weights::Weights;
use crate::units::{Bytes, BytesPerSecond};

/// Batches that people compare engines at.
const BATCHES: [u64; 3] = [1, 16, 64];
/// Context that the estimates assume: a question and half an answer.
const CONTEXT: u64 = 1024;

/// What the steps of `evaluation` are computed from.
pub fn step<'a>(setting: &Setting<'a>, evaluation: &'a Evaluation) -> Step<'a> {
    Step {
        model: setting.model,
        launch: &evaluation.launch,
        stages: &evaluation.stages,
        devices: setting.devices,
        constants: setting.constants,
    }
}

/// The estimates for `evaluation`.
pub fn performance(setting: &Setting<'_>, evaluation: &Evaluation) -> Performance {
    let step = step(setting, evaluation);
    let cache = &evaluation.budget.kv_cache;
    // More requests than the cache holds do not run at once.
    let context = |batch: u64| evaluation.launch.max_model_len.min(CONTEXT).min((cache.tokens / batch).max(1));
    let own = evaluation.launch.max_num_seqs;
    let mut batches: Vec<u64> = BATCHES.into_iter().filter(|batch| *batch <= own).collect();
    if own < 64 && !batches.contains(&own) {
        batches.push(own);
    }
    let offloads = evaluation.weights.read_from_host > Bytes::ZERO;
    let links = links(setting, offloads);
    let decode: Vec<Decode> =
        batches.iter().flat_map(|batch| links.iter().filter_map(|link| step.decode(*batch, context(*batch), link.as_ref()))).collect();
    let inputs = inputs(setting, &step, &evaluation.weights, &links);
    let measured = setting.devices.rates.as_ref();
    let formula = if measured.is_some() { MEASURED_FORMULA } else { FORMULA };
    let reduces = step.stages.first().is_some_and(|stage| step.reductions(stage, 1, true).is_some());
    let reduced = if reduces { REDUCED_FORMULA } else { "" };
    let pipelined = if step.stages.len() > 1 { PIPELINED_FORMULA } else { "" };
    Performance {
        source: measured.map(|rates| rates.source.clone()),
        inputs,
        decode,
        formula: format!("{formula}{reduced}{pipelined}"),
        ways: None,
    }
}

/// The card's own link; where the card is not known, the three that machines have, newest first; one entry
/// without a link where nothing crosses it.
fn links(setting: &Setting<'_>, offloads: bool) -> Vec<Option<HostLink>> {
    if !offloads {
        return vec![None];
    }
    let link = |generation: u8| HostLink { name: format!("PCIe {generation}.0 x16"), rate: pinned_rate(generation) };
    match (setting.devices.pcie_generation, setting.devices.host_link) {
        (Some(generation), Some(rate)) => {
            let measured = setting.devices.rates.as_ref().and_then(|rates| rates.host_to_device);
            vec![Some(HostLink { name: format!("PCIe {generation}.0"), rate: measured.unwrap_or(rate) })]
        }
        _ => [5, 4, 3].into_iter().map(|generation| Some(link(generation))).collect(),
    }
}

/// Every figure that the estimates are made of, and where it is from.
fn inputs(setting: &Setting<'_>, step: &Step<'_>, weights: &Weights, links: &[Option<HostLink>]) -> Vec<Input> {
    let devices = setting.devices;
    let mut inputs = vec![Input::new("device reads a step", weights.read_per_step, "the rank's weights that a token needs; see `weights`")];
    match &devices.rates {
        Some(rates) => {
            let mut measured =
                |name: &str, rate: Option<BytesPerSecond>| inputs.extend(rate.map(|rate| Input::new(name, rate, &rates.source)));
            measured("read rate", Some(rates.read));
            measured("attention", rates.attention);
            measured("attention, 8-bit cache", rates.attention_8bit);
            measured("host link", rates.host_to_device);
            inputs.extend(rates.packed(1).filter(|_| step.has_packed_products()).map(|cost| {
                let value = format!("{:.1} µs + bytes at {}", cost.fixed.0 * 1e3, cost.rate);
                Input::new("a product with 4-bit weights, batch 1", value, &rates.source)
            }));
            inputs.push(setting.constant_input("speed.gemm_share_of_read"));
            if step.has_packed_products() {
                inputs.push(Input::new("of it, 4-bit weights", weights.read_packed, "what a kernel repacks"));
                inputs.push(setting.constant_input("speed.packed_engine_share"));
            }
        }
        None => {
            inputs.extend(devices.memory_bandwidth.map(|rate| Input::new("memory bandwidth", rate, "the card's data sheet, `rules/gpus`")));
            inputs.extend(
                links
                    .iter()
                    .flatten()
                    .map(|link| Input::new("host link", format!("{}, {}", link.name, link.rate), "its generation and lanes")),
            );
            inputs.push(setting.constant_input("speed.hbm_share"));
        }
    }
    if weights.read_from_host > Bytes::ZERO {
        inputs.push(Input::new("host reads a step", weights.read_from_host, "offloaded weights; see `weights`"));
        inputs.push(setting.constant_input("speed.uva_share_of_link"));
    }
    inputs.extend(exchanges(setting, step));
    inputs.push(setting.constant_input(step.launch_constant()));
    inputs
}

/// What devices exchange in a step, as far as it was measured.
fn exchanges(setting: &Setting<'_>, step: &Step<'_>) -> Vec<Input> {
    let mut inputs = Vec::new();
    let Some(stage) = step.stages.first() else { return inputs };
    let links = setting.devices.interconnect.as_ref();
    if let (Some(reductions), Some(links)) = (step.reductions(stage, 1, true), links) {
        let count = step.stages.iter().filter_map(|stage| step.reductions(stage, 1, true)).map(|one| one.count).sum::<u64>();
        inputs.push(Input::new("all-reduces a step", count, "two of each layer; tensor parallelism"));
        let each = format!("{:.1} µs for {}{}", reductions.each.time.0 * 1e3, reductions.bytes, reductions.each.reach.phrase());
        let way = if links.peer_access { "" } else { ", without peer access" };
        inputs.push(Input::new(&format!("an all-reduce by NCCL, batch 1{way}"), each, &links.source));
    }
    if step.stages.len() > 1 {
        inputs.push(Input::new("stages", step.stages.len(), "pipeline parallelism; a request is in one of them at a time"));
        if let (Some(transfer), Some(links)) = (step.transfer(1), links) {
            let value = format!("{:.1} µs{}", transfer.time.0 * 1e3, transfer.reach.phrase());
            inputs.push(Input::new("sending to the next stage, batch 1", value, &format!("an all-reduce of as much; {}", links.source)));
        }
        inputs.push(setting.constant_input(HAND_OVER));
        inputs.push(setting.constant_input(SEND_WAIT));
    }
    inputs
}
