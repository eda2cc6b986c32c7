//! Terms that an engine printed when it ran, in place of those that would be computed: for the same model, device, engine
//! and settings, and for nothing else.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::catalog::AccountingEra;
use crate::engine::launch::{Launch, Offload, Runner};
use crate::plan::budget::{Band, Input, Term};
use crate::plan::evaluate::Setting;
use crate::units::Bytes;

/// What one start of an engine printed, and what it ran with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What it ran with.
    pub settings: Settings,
    /// Weights on one device.
    pub weights: Option<Band>,
    /// The activation peak, without an estimate of graphs.
    pub activation_peak: Option<Band>,
    /// Growth outside torch while profiling.
    pub non_torch: Option<Band>,
    /// What captured graphs took.
    pub cuda_graphs: Option<Band>,
    /// What the engine subtracted for graphs.
    pub graph_estimate: Option<Band>,
    /// What the requested size lost beside weights, cache and graphs: where the parts were not printed, their sum.
    pub rest: Option<Band>,
    /// Who printed it, as a phrase: `a start of vLLM 0.25.1`.
    pub source: String,
}

/// What a launch is made of, by what its terms depend on. Each value is a text, so that it is compared as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The model's shape, the device, the engine.
    pub of: IndexMap<String, String>,
    /// What decides the weights beside these.
    pub weights: IndexMap<String, String>,
    /// What decides the profile run beside both.
    pub profile: IndexMap<String, String>,
    /// What decides the graphs beside all others.
    pub graphs: IndexMap<String, String>,
}

impl Settings {
    /// The settings of `launch`. A fine-tuned model has the memory of the one that it was tuned from, so that its shape
    /// stands for its name; utilisation is left out, since no term but the cache depends on it.
    pub fn of(launch: &Launch, setting: &Setting<'_>) -> Self {
        let model = setting.model;
        let quantization = model.quantization.as_ref().map_or_else(
            || "none".to_owned(),
            |quantization| format!("{} {} {:?}", quantization.method, quantization.bits, quantization.group_size),
        );
        let text = |name: &str, value: &dyn std::fmt::Display| (name.to_owned(), value.to_string());
        let depends_on_length = model.uses_latent_attention() || model.is_hybrid();
        Self {
            of: [
                text("architecture", &model.architecture),
                text("parameters", &model.parameters.total),
                text("layers", &model.layers.len()),
                text("vocabulary", &model.vocab_size),
                text("checkpoint", &quantization),
                text("device", &setting.devices.name),
                text("engine", &format!("vllm {}", launch.version)),
            ]
            .into(),
            weights: [
                text("dtype", &launch.dtype.name()),
                text("quantization", &launch.quantization.as_deref().unwrap_or("none")),
                text("in_flight", &launch.quantized_in_flight),
                text("tensor_parallel_size", &launch.parallel.tensor),
                text("pipeline_parallel_size", &launch.parallel.pipeline),
                text("expert_parallel", &launch.parallel.expert),
                text("offload", &offload(launch.offload.as_ref())),
                text("runner", &runner(launch.runner)),
            ]
            .into(),
            profile: [
                text("max_num_seqs", &launch.max_num_seqs),
                text("max_num_batched_tokens", &launch.max_num_batched_tokens),
                text("max_model_len", &if depends_on_length { launch.max_model_len } else { 0 }),
                text("kv_cache_dtype", &launch.kv_cache_dtype),
                text("compiled", &launch.compiled),
                text("flashinfer_sampler", &launch.flashinfer_sampler),
            ]
            .into(),
            graphs: [text("mode", &launch.graph_mode.name()), text("sizes", &format!("{:?}", launch.capture_sizes))].into(),
        }
    }
}

fn offload(offload: Option<&Offload>) -> String {
    match offload {
        None => "none".to_owned(),
        Some(Offload::Uva { requested }) => format!("uva {}", requested.0),
        Some(Offload::Prefetch { group_size, in_group, step }) => format!("prefetch {group_size} {in_group} {step}"),
    }
}

const fn runner(runner: Runner) -> &'static str {
    match runner {
        Runner::V0 => "v0",
        Runner::V1 => "v1",
        Runner::V2 => "v2",
    }
}

/// The terms of one rank that a measurement may replace.
#[derive(Debug)]
pub struct RankTerms<'a> {
    /// The weights.
    pub weights: &'a mut Term,
    /// The activation peak.
    pub peak: &'a mut Term,
    /// Growth outside torch.
    pub outside: &'a mut Term,
    /// Captured graphs.
    pub graphs: &'a mut Term,
    /// What is gone before the first snapshot.
    pub before: &'a mut Term,
    /// What the engine subtracts for graphs.
    pub estimate: &'a mut Option<Band>,
    /// Buffers that count as consumed without being in a term.
    pub persistent: Bytes,
}

/// Replaces terms of `launch` by what was measured under the same settings. Pipeline stages differ from each other, and a log
/// does not say which stage a figure is of, so that they are left as computed.
pub fn replace(terms: &mut RankTerms<'_>, launch: &Launch, setting: &Setting<'_>) {
    if setting.measured.is_empty() || launch.parallel.pipeline > 1 {
        return;
    }
    let settings = Settings::of(launch, setting);
    for measured in setting.measured.iter().filter(|measured| measured.settings.of == settings.of) {
        if measured.settings.weights != settings.weights {
            continue;
        }
        put(terms.weights, measured.weights, &measured.source);
        put(terms.outside, measured.non_torch, &measured.source);
        if measured.settings.profile != settings.profile {
            continue;
        }
        put(terms.peak, measured.activation_peak, &measured.source);
        if let (Some(rest), None) = (measured.rest, measured.activation_peak) {
            divide(terms, rest, setting, &measured.source);
        }
        if measured.settings.graphs == settings.graphs {
            put(terms.graphs, measured.cuda_graphs, &measured.source);
            if terms.estimate.is_some() {
                *terms.estimate = measured.graph_estimate.or(*terms.estimate);
            }
        }
    }
}

fn put(term: &mut Term, measured: Option<Band>, source: &str) {
    let Some(band) = measured else { return };
    term.size = band;
    term.parts.clear();
    mark(term, band, source);
}

fn mark(term: &mut Term, band: Band, source: &str) {
    term.inputs.insert(0, Input::new("measured", band.expected, source));
    if !term.note.contains("measured") {
        term.note = if term.note.is_empty() { "measured".to_owned() } else { format!("measured; {}", term.note) };
    }
}

/// Only the sum was measured: what is best known of it stays as computed, the activation peak is the difference, and the sum
/// is exact.
fn divide(terms: &mut RankTerms<'_>, rest: Band, setting: &Setting<'_>, source: &str) {
    let mut others = terms.outside.size.expected + terms.persistent;
    terms.outside.size = Band::exact(terms.outside.size.expected.min(rest.expected));
    if setting.era.accounting == AccountingEra::DeviceInUse {
        others += terms.before.size.expected;
        terms.before.size = Band::exact(terms.before.size.expected);
    }
    let peak = Band { low: rest.low - others, expected: rest.expected - others, high: rest.high - others };
    terms.peak.size = peak;
    terms.peak.parts.clear();
    mark(terms.peak, peak, &format!("{source}: what the requested size lost beside weights and cache, less the other terms"));
}
