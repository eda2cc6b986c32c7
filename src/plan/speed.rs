//! The decode estimates of a plan: its own concurrency and customary batches, over the host links in question.

use crate::plan::evaluate::{Evaluation, Setting};
use crate::plan::outcome::{Decode, Performance};
use crate::plan::target::pinned_rate;
use crate::plan::throughput::{FORMULA, HostLink, Step};
use crate::units::Bytes;

/// Batches that people compare engines at.
const BATCHES: [u64; 3] = [1, 16, 64];
/// Context that the estimates assume: a question and half an answer.
const CONTEXT: u64 = 1024;

/// The estimates for `evaluation`.
pub fn performance(setting: &Setting<'_>, evaluation: &Evaluation) -> Performance {
    let step = Step {
        model: setting.model,
        launch: &evaluation.launch,
        weights: &evaluation.weights,
        kv_bytes_per_token: evaluation.budget.kv_cache.bytes_per_token,
        devices: setting.devices,
        constants: setting.constants,
    };
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
    Performance { measured: false, decode, formula: FORMULA.to_owned() }
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
            vec![Some(HostLink { name: format!("PCIe {generation}.0"), rate })]
        }
        _ => [5, 4, 3].into_iter().map(|generation| Some(link(generation))).collect(),
    }
}
