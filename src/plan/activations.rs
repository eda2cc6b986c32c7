//! The activation term: the largest transient allocation of the profile run, which is either the forward pass
//! over `max_num_batched_tokens` or the sampler over `max_num_seqs` rows of logits.

use crate::engine::launch::{GraphMode, Launch, Runner};
use crate::plan::budget::{Band, Input, Part, Term, TermName};
use crate::plan::evaluate::Setting;
use crate::plan::sharding::Stage;
use crate::plan::weights::effective_quantization;
use crate::plan::widths::{Widths, widths};
use crate::units::Bytes;

/// The peaks of the profile run on one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peaks {
    /// The forward pass over all batched tokens.
    pub forward: Band,
    /// The sampler, on the last pipeline stage.
    pub sampler: Band,
    /// Workspace of the expert kernels, which stays allocated.
    pub expert_workspace: Bytes,
}

/// The activation term of a rank of `stage`.
pub fn activation_peak(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Term {
    let peaks = peaks(launch, setting, stage);
    let larger = |pick: fn(&Band) -> Bytes| pick(&peaks.forward).max(pick(&peaks.sampler));
    let sampler_wins = peaks.sampler.expected > peaks.forward.expected;
    let note = if sampler_wins {
        format!("sampler over {} rows of {} logits", rows(launch), setting.model.vocab_size)
    } else {
        format!("forward pass over {} batched tokens", launch.max_num_batched_tokens)
    };
    let number =
        |name: &str, value: u64, source: &str| Input { name: name.to_owned(), value: value.to_string(), source: source.to_owned() };
    let mut inputs = vec![
        number("max_num_batched_tokens", launch.max_num_batched_tokens, "the launch"),
        number("max_num_seqs", launch.max_num_seqs, "the launch"),
        number("vocabulary", setting.model.vocab_size, "config.json: vocab_size"),
        number("hidden size", setting.model.hidden_size, "config.json: hidden_size"),
    ];
    inputs.push(setting.constant_input(sampler_constant(launch, setting)));
    Term {
        name: TermName::ActivationPeak,
        size: Band { low: larger(|band| band.low), expected: larger(|band| band.expected), high: larger(|band| band.high) },
        formula: "max(forward pass: tokens × bytes × live widths, sampler: rows × vocabulary × bytes a logit) + cuBLAS workspace"
            .to_owned(),
        inputs,
        parts: vec![
            Part { name: "forward pass".to_owned(), bytes: peaks.forward.expected },
            Part { name: "sampler".to_owned(), bytes: peaks.sampler.expected },
        ],
        inside_requested: true,
        note,
    }
}

/// Both peaks of the profile run.
pub fn peaks(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Peaks {
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let workspace = expert_workspace(&widths, launch);
    Peaks {
        forward: forward(&widths, launch, setting, workspace),
        sampler: if stage.last { sampler(&widths, launch, setting, workspace) } else { Band::default() },
        expert_workspace: workspace,
    }
}

/// Rows that the sampler sees in the profile run: one a request, at most one a batched token.
pub fn rows(launch: &Launch) -> u64 {
    launch.max_num_seqs.min(launch.max_num_batched_tokens)
}

/// `fused_experts`: two buffers of `tokens × experts a token`, each as wide as the widest thing that passes it.
fn expert_workspace(widths: &Widths, launch: &Launch) -> Bytes {
    let (inner, hidden) = (widths.expert_intermediate, widths.hidden);
    let elements = inner.max(hidden) + (2 * inner).max(hidden);
    Bytes(launch.dtype.bytes() * launch.max_num_batched_tokens) * widths.experts_per_token * elements
}

/// What is alive at the widest point of a layer. Compiled graphs free what eager modules still hold.
fn forward(widths: &Widths, launch: &Launch, setting: &Setting<'_>, workspace: Bytes) -> Band {
    let tokens = launch.max_num_batched_tokens;
    let compiled = launch.graph_mode != GraphMode::None;
    let (hidden, query, key, inner) = (widths.hidden, widths.query, widths.key, widths.intermediate);
    let attention = if compiled { 2 * hidden + 4 * query + 3 * key } else { 2 * hidden + 3 * query + 3 * key };
    let dense = if compiled { 2 * hidden + query + 3 * inner } else { held_hidden(setting) * hidden + 3 * inner };
    let alive = if widths.experts_per_token > 0 { attention } else { dense };
    let mut bytes = Bytes(launch.dtype.bytes() * tokens) * alive + workspace;
    bytes += latent_workspace(widths, launch, tokens);
    let quantization = effective_quantization(setting.model, launch);
    if quantization.as_ref().is_some_and(|quantization| quantization.bits == 8) && !compiled && widths.experts_per_token == 0 {
        // The quantised input of the down projection, and its fp32 scale for each 128 elements.
        bytes += Bytes(tokens * inner + tokens * inner.div_ceil(128) * 4);
    }
    let cublas = if quantization.is_none() { setting.mebibytes("cublas.workspace") } else { Band::default() };
    let tuning = if compiled { setting.mebibytes("autotune.l2_flush") } else { Band::default() };
    let model_band = setting.constant("forward.share");
    let band = Band { low: bytes.scale(model_band.low), expected: bytes, high: bytes.scale(model_band.high) };
    band + cublas + tuning
}

/// How many tensors as wide as the residual stream an eager layer holds at its widest point: its input, the
/// residual and its output; Qwen models keep one more.
fn held_hidden(setting: &Setting<'_>) -> u64 {
    if setting.model.architecture.starts_with("Qwen") { 4 } else { 3 }
}

/// Latent attention allocates its worst-case up-projection for chunked prefill while profiling (`MLACommonImpl`).
fn latent_workspace(widths: &Widths, launch: &Launch, tokens: u64) -> Bytes {
    if widths.up_projected == 0 {
        return Bytes::ZERO;
    }
    let chunk = (8 * launch.max_model_len).max(4 * launch.max_num_seqs * launch.block_size).min(64 * 1024).max(tokens.min(64 * 1024));
    Bytes(launch.dtype.bytes()) * chunk * widths.key
}

/// The sampler's peak: logits in the model's dtype and in fp32, and what top-k and top-p need.
fn sampler(widths: &Widths, launch: &Launch, setting: &Setting<'_>, workspace: Bytes) -> Band {
    let (rows, vocabulary, hidden) = (rows(launch), widths.vocabulary, widths.hidden);
    let held = Bytes(launch.dtype.bytes()) * hidden * (launch.max_num_batched_tokens + rows) + workspace;
    let logits = setting.constant(sampler_constant(launch, setting));
    let entries = (rows * vocabulary) as f64;
    let band = Band {
        low: Bytes::from_f64(entries * logits.low),
        expected: Bytes::from_f64(entries * logits.value),
        high: Bytes::from_f64(entries * logits.high),
    };
    let held = Band::exact(held + kernel_buffer(rows, vocabulary, launch, setting));
    band + held + setting.mebibytes("cublas.workspace")
}

/// Which constant says what the sampler takes a logit.
fn sampler_constant(launch: &Launch, setting: &Setting<'_>) -> &'static str {
    let rows = rows(launch);
    match (launch.runner, setting.era.sorts_logits) {
        (Runner::V2, _) => "sampler.v2_bytes_per_logit",
        (_, true) if rows < 128 => "sampler.full_sort_bytes_per_logit",
        (_, true) => "sampler.segmented_sort_bytes_per_logit",
        (_, false) if rows < 8 && !launch.flashinfer_sampler => "sampler.full_sort_bytes_per_logit",
        (_, false) => "sampler.kernel_bytes_per_logit",
    }
}

/// Buffers that do not grow with rows × vocabulary: the Triton kernel's row buffer for each multiprocessor, or
/// the V2 runner's partial results of 12 bytes for each 1024 logits.
fn kernel_buffer(rows: u64, vocabulary: u64, launch: &Launch, setting: &Setting<'_>) -> Bytes {
    let multiprocessors = u64::from(setting.devices.multiprocessors.unwrap_or(108));
    if launch.runner == Runner::V2 {
        return Bytes(12 * rows * vocabulary.div_ceil(1024));
    }
    let kernel = !setting.era.sorts_logits && rows >= 8 && !launch.flashinfer_sampler;
    let hidden = Bytes(launch.dtype.bytes() * rows * setting.model.hidden_size);
    if kernel { hidden + Bytes(4 * vocabulary) * rows.min(multiprocessors).next_power_of_two().min(multiprocessors) } else { hidden }
}
