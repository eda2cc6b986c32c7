//! The activation term: the largest transient allocation of the profile run, which is the forward pass over
//! `max_num_batched_tokens`, the sampler over `max_num_seqs` rows of logits, or the compiler's own timing.

use crate::engine::launch::{Launch, Runner};
use crate::plan::budget::{Band, Input, Part, Term, TermName};
use crate::plan::evaluate::Setting;
use crate::plan::pieces::{effective_quantization, leaves_dense_layers_plain};
use crate::plan::sharding::Stage;
use crate::plan::widths::{Widths, widths};
use crate::units::Bytes;

/// The peaks of the profile run on one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peaks {
    /// The forward pass over all batched tokens.
    pub forward: Band,
    /// The sampler, on the last pipeline stage.
    pub sampler: Band,
    /// What Inductor allocates to time the first fused kernel, on the first pipeline stage.
    pub compilation: Band,
    /// Workspace of the expert kernels, which stays allocated.
    pub expert_workspace: Bytes,
}

impl Peaks {
    /// The largest of them: they do not overlap.
    pub fn largest(&self) -> Band {
        let largest = |pick: fn(&Band) -> Bytes| pick(&self.forward).max(pick(&self.sampler)).max(pick(&self.compilation));
        Band { low: largest(|band| band.low), expected: largest(|band| band.expected), high: largest(|band| band.high) }
    }
}

/// The activation term of a rank of `stage`.
pub fn activation_peak(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Term {
    let peaks = peaks(launch, setting, stage);
    let size = peaks.largest();
    let note = if peaks.compilation.expected == size.expected {
        "timing the first compiled kernel, with an embedding table of its own".to_owned()
    } else if peaks.sampler.expected == size.expected {
        format!("sampler over {} rows of {} logits", rows(launch), setting.model.vocab_size)
    } else {
        format!("forward pass over {} batched tokens", launch.max_num_batched_tokens)
    };
    let inputs = vec![
        Input::new("max_num_batched_tokens", launch.max_num_batched_tokens, "the launch"),
        Input::new("max_num_seqs", launch.max_num_seqs, "the launch"),
        Input::new("vocabulary", setting.model.vocab_size, "config.json: vocab_size"),
        Input::new("hidden size", setting.model.hidden_size, "config.json: hidden_size"),
        setting.constant_input(sampler_constant(launch, setting)),
    ];
    Term {
        name: TermName::ActivationPeak,
        size,
        formula: "max(forward pass: tokens × bytes × live widths, sampler: rows × vocabulary × bytes a logit, timing of the first compiled kernel)"
            .to_owned(),
        inputs,
        parts: vec![
            Part { name: "forward pass".to_owned(), bytes: peaks.forward.expected },
            Part { name: "sampler".to_owned(), bytes: peaks.sampler.expected },
            Part { name: "compilation".to_owned(), bytes: peaks.compilation.expected },
        ],
        inside_requested: true,
        note,
    }
}

/// All peaks of the profile run.
pub fn peaks(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Peaks {
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let workspace = expert_workspace(&widths, launch);
    Peaks {
        forward: forward(&widths, launch, setting, workspace, stage),
        sampler: if stage.last { sampler(&widths, launch, setting, workspace) } else { Band::default() },
        compilation: if stage.first { compilation(&widths, launch, setting) } else { Band::default() },
        expert_workspace: workspace,
    }
}

/// Rows that the sampler sees in the profile run: one a request, at most one a batched token.
pub fn rows(launch: &Launch) -> u64 {
    launch.max_num_seqs.min(launch.max_num_batched_tokens)
}

/// `TritonExperts.workspace_shapes`: two buffers of `tokens × experts a token`, each as wide as the widest
/// thing that passes it. The workspace manager keeps them.
fn expert_workspace(widths: &Widths, launch: &Launch) -> Bytes {
    let (inner, hidden) = (widths.expert_intermediate, widths.hidden);
    let elements = inner.max(hidden) + (2 * inner).max(hidden);
    Bytes(launch.dtype.bytes() * launch.max_num_batched_tokens) * widths.experts_per_token * elements
}

/// What is alive at the widest point of a layer. Compiled graphs free what eager modules still hold.
fn forward(widths: &Widths, launch: &Launch, setting: &Setting<'_>, workspace: Bytes, stage: &Stage) -> Band {
    let tokens = launch.max_num_batched_tokens;
    let mut bytes = Bytes(launch.dtype.bytes() * tokens) * alive(widths, launch, setting, stage);
    bytes += workspace + latent_workspace(widths, launch);
    let quantization = effective_quantization(setting.model, launch);
    let fp8 = quantization.as_ref().is_some_and(|quantization| quantization.bits == 8);
    if fp8 && !launch.compiled && is_qwen(setting) && widths.experts_per_token == 0 {
        // The quantised input of the down projection, and its fp32 scale for each 128 elements; with several
        // ranks it is gone when the all-reduce allocates its output.
        let quantised = Bytes(tokens * widths.intermediate + tokens * widths.intermediate.div_ceil(128) * 4);
        let reduced = if launch.parallel.tensor > 1 { Bytes(launch.dtype.bytes() * tokens * widths.hidden) } else { Bytes::ZERO };
        bytes = (bytes - reduced + quantised).max(bytes);
    }
    let plain = quantization.is_none_or(|quantization| leaves_dense_layers_plain(setting.model, setting.era, &quantization));
    let cublas = if plain { setting.mebibytes("cublas.workspace") } else { Band::default() };
    let tuning = if launch.compiled { setting.mebibytes("autotune.l2_flush") } else { Band::default() };
    let share = setting.constant("forward.share");
    Band { low: bytes.scale(share.low), expected: bytes, high: bytes.scale(share.high) } + cublas + tuning
}

/// Elements a token that are alive at once. Eager modules hold the layer's input, the residual and the
/// attention output beside the MLP; Qwen's MLP also holds the gate while the down projection allocates. The
/// all-reduce writes to a tensor of its own; a later pipeline stage has no embedding output to hold.
fn alive(widths: &Widths, launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> u64 {
    let Widths { hidden, query, key, intermediate, .. } = *widths;
    if widths.up_projected > 0 {
        // Queries, attention output, residual and input, the latent with its rotary part, and its norm's output.
        let dense = if widths.experts_per_token > 0 { 0 } else { 3 * intermediate };
        return query + widths.heads * widths.value_head + 2 * hidden + key + widths.latent + dense;
    }
    if widths.experts_per_token > 0 {
        let attention = 2 * key + 2 * query + 2 * hidden;
        return match (launch.compiled, is_qwen(setting)) {
            (true, _) => attention + 2 * query + key,
            (false, true) => attention + query + key,
            (false, false) => attention,
        };
    }
    if launch.compiled {
        return 2 * hidden + query + 3 * intermediate;
    }
    let reduces = launch.parallel.tensor > 1;
    let first = if stage.first { hidden } else { 0 };
    match (is_qwen(setting), reduces) {
        (true, reduces) => 3 * hidden + first + 3 * intermediate + if reduces { hidden } else { 0 },
        (false, false) => 2 * hidden + first + 3 * intermediate,
        (false, true) => (2 * hidden + first + 3 * intermediate).max(4 * hidden + first + intermediate),
    }
}

/// Whether the modules are Qwen's: the MLP keeps the gate alive, attention normalises queries and keys.
fn is_qwen(setting: &Setting<'_>) -> bool {
    setting.model.architecture.starts_with("Qwen")
}

/// Latent attention allocates the worst case of its up-projection while profiling (`MLACommonImpl.forward_impl`).
pub fn latent_workspace(widths: &Widths, launch: &Launch) -> Bytes {
    let tokens = (8 * launch.max_model_len).max(4 * launch.max_num_seqs * launch.block_size).min(64 * 1024);
    Bytes(launch.dtype.bytes()) * tokens * widths.up_projected
}

/// vLLM has Inductor time fused kernels (`benchmark_combo_kernel`), for which it builds the arguments of the
/// first one, embedding lookup and norm: a second embedding table. Not paid when the compile cache is warm.
fn compilation(widths: &Widths, launch: &Launch, setting: &Setting<'_>) -> Band {
    if !launch.compiled || !setting.era.times_combo_kernels {
        return Band::default();
    }
    let table = widths.vocabulary.next_multiple_of(64).div_ceil(launch.parallel.tensor) * widths.hidden * launch.dtype.bytes();
    // The table gets a segment of its own, whose remainder is too small to split off.
    let table = Bytes(table.next_multiple_of(2 << 20));
    let rows = launch.max_num_batched_tokens * widths.hidden * launch.dtype.bytes();
    let expected = if launch.parallel.tensor > 1 {
        table + Bytes(rows) + setting.mebibytes("autotune.l2_flush").expected
    } else {
        table + Bytes(2 * rows + 4 * launch.max_num_batched_tokens)
    };
    Band { low: Bytes::ZERO, expected, high: expected }
}

/// The sampler's peak: logits in the model's dtype and in fp32, and what top-k and top-p need.
fn sampler(widths: &Widths, launch: &Launch, setting: &Setting<'_>, workspace: Bytes) -> Band {
    let (rows, vocabulary, hidden) = (rows(launch), widths.vocabulary, widths.hidden);
    let sampled = if launch.runner == Runner::V2 { rows } else { 2 * rows };
    let held = Bytes(launch.dtype.bytes()) * hidden * (launch.max_num_batched_tokens + sampled) + workspace;
    let logits = setting.constant(sampler_constant(launch, setting));
    let entries = (rows * vocabulary) as f64;
    let band = Band {
        low: Bytes::from_f64(entries * logits.low),
        expected: Bytes::from_f64(entries * logits.value),
        high: Bytes::from_f64(entries * logits.high),
    };
    band + Band::exact(held + kernel_buffer(rows, vocabulary, launch, setting)) + setting.mebibytes("cublas.workspace")
}

/// Which constant says what the sampler takes a logit.
fn sampler_constant(launch: &Launch, setting: &Setting<'_>) -> &'static str {
    let rows = rows(launch);
    match (launch.runner, setting.era.sorts_logits) {
        (Runner::V2, _) => "sampler.v2_bytes_per_logit",
        (_, true) if rows < 128 => "sampler.full_sort_bytes_per_logit",
        (_, true) => "sampler.segmented_sort_bytes_per_logit",
        (_, false) if rows < 8 => "sampler.full_sort_bytes_per_logit",
        (_, false) => "sampler.kernel_bytes_per_logit",
    }
}

/// Multiprocessors to reckon with where they are not known: those of an A100.
pub const USUAL_MULTIPROCESSORS: u32 = 108;

/// Buffers that do not grow with rows × vocabulary: the Triton kernel's row buffer for each multiprocessor, or
/// the V2 runner's partial results of 12 bytes for each 1024 logits.
fn kernel_buffer(rows: u64, vocabulary: u64, launch: &Launch, setting: &Setting<'_>) -> Bytes {
    let multiprocessors = u64::from(setting.devices.multiprocessors.unwrap_or(USUAL_MULTIPROCESSORS));
    if launch.runner == Runner::V2 {
        return Bytes(12 * rows * vocabulary.div_ceil(1024));
    }
    let kernel = !setting.era.sorts_logits && rows >= 8;
    if kernel { Bytes(4 * vocabulary) * rows.min(multiprocessors).next_power_of_two().min(multiprocessors) } else { Bytes::ZERO }
}
