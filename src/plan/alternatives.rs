//! Other launches worth knowing: the smallest change that would make a plan fit, and models that run well here.

use crate::engine::arguments::Arguments;
use crate::model::spec::ModelSpec;
use crate::plan::budget::TermName;
use crate::plan::evaluate::{Evaluation, Setting, evaluate};
use crate::plan::make::Inputs;
use crate::plan::outcome::{Alternative, Devices, Plan, Verdict};
use crate::plan::pieces::PieceCache;
use crate::plan::search::{LEAST_CONTEXT, MOST_UTILIZATION, Settings, Variant, Wish, search};
use crate::plan::speed;
use crate::plan::variant::smallest;
use crate::plan::ways::Way;
use crate::units::Bytes;

/// Changes to a launch that does not fit, each alone, that would make it fit; smallest first.
pub fn changes_that_fit(plan: &Plan, setting: &Setting<'_>) -> Vec<Alternative> {
    let mut found = Vec::new();
    let mut offer = |change: String, args: Arguments, setting: &Setting<'_>| {
        let evaluation = evaluate(&args, setting);
        if evaluation.verdict.is_good() {
            found.push(alternative(change, args, &evaluation, setting));
        }
    };
    if let Some(launch) = &plan.launch {
        let longest = evaluate(&plan.args, setting).longest_request.min(launch.max_model_len.saturating_sub(1));
        let length = longest / 16 * 16;
        if length >= 256 {
            offer(format!("max-model-len {length} instead of {}", launch.max_model_len), with(plan, "max-model-len", length), setting);
        }
        for seqs in [64, 32, 16, 8].into_iter().filter(|seqs| *seqs < launch.max_num_seqs) {
            offer(format!("max-num-seqs {seqs} instead of {}", launch.max_num_seqs), with(plan, "max-num-seqs", seqs), setting);
        }
        if !launch.enforce_eager {
            offer("enforce-eager: no CUDA graphs".to_owned(), with(plan, "enforce-eager", true), setting);
        }
    }
    let short = plan.reasons.iter().filter_map(|reason| reason.short_by).max().unwrap_or_default();
    if let Some((devices, change)) = larger(setting.devices, short) {
        offer(change, plan.args.clone(), &Setting { devices: &devices, ..*setting });
    }
    found
}

fn with(plan: &Plan, flag: &str, value: impl Into<serde_json::Value>) -> Arguments {
    let mut args = plan.args.clone();
    args.set(flag, value);
    args
}

/// The same card with as much more memory as is short, at the utilisation that was asked for.
fn larger(devices: &Devices, short: Bytes) -> Option<(Devices, String)> {
    if short == Bytes::ZERO || devices.limit < devices.memory {
        return None;
    }
    let more = Bytes(short.0 + short.0 / 10).0.next_multiple_of(1 << 30);
    let grown = |bytes: Bytes| bytes + Bytes(more);
    let larger = Devices {
        memory: grown(devices.memory),
        cuda_total: grown(devices.cuda_total),
        cuda_total_high: grown(devices.cuda_total_high),
        limit: grown(devices.limit),
        ..devices.clone()
    };
    let change = format!("a device with {} instead of {}", larger.memory, devices.memory);
    Some((larger, change))
}

/// The alternative that `args` are, with the figures of its evaluation.
pub fn alternative(change: String, args: Arguments, evaluation: &Evaluation, setting: &Setting<'_>) -> Alternative {
    let tokens_per_second = speed::performance(setting, evaluation).decode.first().map(|decode| decode.tokens_per_second);
    Alternative {
        change,
        verdict: evaluation.verdict,
        args,
        device_used: evaluation.budget.device_used.expected,
        kv_tokens: evaluation.budget.kv_cache.tokens,
        tokens_per_second,
    }
}

/// How many other models to offer: one beside a plan that runs, more where none does.
const fn models(plan: &Plan) -> usize {
    if plan.verdict.is_good() { 1 } else { 2 }
}

/// The largest reference models that run on these devices with all weights on them.
pub fn alternatives(inputs: &Inputs<'_>, settings: &Settings<'_>, plan: &Plan) -> Vec<Alternative> {
    let room = settings.device.devices.limit * settings.device.devices.count;
    let mut sizes: Vec<_> = inputs
        .catalog
        .model_sizes()
        .iter()
        .filter_map(|size| Some((billions(&size.name)?, size)))
        // 4-bit weights take at least half a byte a parameter, and nothing runs in less than a GiB beside them.
        .filter(|(billions, _)| Bytes::from_f64(billions * 0.52e9) + Bytes::GIB < room)
        .collect();
    sizes.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let mut found: Vec<Alternative> = Vec::new();
    for (_, size) in sizes {
        if found.len() == models(plan) {
            break;
        }
        let Some(model) = inputs.catalog.model(&size.model).ok().and_then(|entry| ModelSpec::from_catalogue(entry, &size.model).ok())
        else {
            continue;
        };
        if model.parameters.total >= plan.model.parameters.total {
            continue;
        }
        found.extend(fast(model, inputs, settings));
    }
    found
}

/// `70b` is 70; mixtures of experts such as `8x7b` and names without a number are left out.
fn billions(name: &str) -> Option<f64> {
    name.strip_suffix('b')?.parse().ok()
}

fn fast(model: ModelSpec, inputs: &Inputs<'_>, settings: &Settings<'_>) -> Option<Alternative> {
    let chosen = &inputs.chosen;
    let name = model.id.rsplit('/').next().unwrap_or(&model.id).to_owned();
    let least_context = LEAST_CONTEXT.min(model.context_length);
    let smallest = smallest(model, inputs.catalog, chosen.engine, &chosen.behaviour, &inputs.devices);
    if !could_run(&smallest, settings) {
        return None;
    }
    let mut fixed = Arguments::default();
    fixed.set("cpu-offload-gb", 0);
    let wish = Wish { context: None, concurrency: None, fixed };
    let found = search(std::slice::from_ref(&smallest), settings, &wish, &[Way::ALONE])?;
    if found.evaluation.verdict != Verdict::Fits || found.evaluation.launch.max_model_len < least_context {
        return None;
    }
    let pieces = PieceCache::default();
    let setting = Setting { model: &smallest.model, pieces: &pieces, ..settings.device };
    let mut args = found.args;
    args.remove("cpu-offload-gb");
    Some(alternative(format!("{name}, {}, all weights on the device", smallest.label), args, &found.evaluation, &setting))
}

/// Whether the least that one would call running fits: one look instead of a search.
fn could_run(variant: &Variant, settings: &Settings<'_>) -> bool {
    let pieces = PieceCache::default();
    let setting = Setting { model: &variant.model, pieces: &pieces, ..settings.device };
    let mut args = Arguments::default();
    args.set("max-model-len", LEAST_CONTEXT.min(variant.model.context_length));
    args.set("max-num-seqs", 8);
    args.set("max-num-batched-tokens", 512);
    args.set("enforce-eager", true);
    args.set("gpu-memory-utilization", MOST_UTILIZATION);
    let budget = evaluate(&args, &setting).budget;
    // What is over the limit at this utilisation, a lower one takes from the cache.
    let over = budget.device_used.high - settings.device.devices.limit;
    let cache = budget.term(TermName::KvCache).map_or(Bytes::ZERO, |term| term.size.low);
    cache > over + budget.kv_cache.request_bytes
}
