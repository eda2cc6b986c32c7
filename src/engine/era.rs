//! How one engine version accounts for memory and fills in what was not said: every behaviour that changed
//! between releases, resolved for one version. The rows stand in `rules/engines/vllm/memory.toml`.

use serde::Deserialize;

/// What the engine measures to find the memory left for the KV cache (`determine_available_memory`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accounting {
    /// Up to 0.9.0: everything in use on the device counts against the requested size, the CUDA context and
    /// other processes included.
    DeviceUsed,
    /// 0.9.1 to 0.26: growth since the first snapshot counts: weights, torch peak, non-torch.
    Increase,
    /// From 0.27: what `cudaMemGetInfo` lost since the first snapshot counts, plus the transient part of the peak.
    Consumed,
}

/// Which batch sizes graphs are captured for when the user names none (`_set_cudagraph_sizes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureRule {
    /// 1, 2, 4 and every 8th up to 512, whatever `max_num_seqs` is.
    Every8To512,
    /// 1, 2, 4 and every 8th up to the smaller of 512 and twice `max_num_seqs`.
    Every8ToTwiceSeqs,
    /// 1, 2, 4, every 8th below 256 and every 16th from there, up to the smaller of 512 (1024 on compute
    /// capability 10.x from 0.28) and twice `max_num_seqs`.
    Every16ToTwiceSeqs,
}

/// How "GPU KV cache size" is computed from blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrintedTokens {
    /// Blocks × block size.
    Blocks,
    /// Blocks divided among the groups, × block size.
    BlocksByGroups,
    /// Maximum concurrency × `max_model_len`, rounded down.
    Concurrency,
}

/// What the sampler allocates at the profile run, a row × vocabulary element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerPath {
    /// PyTorch's sort of all logits.
    TorchSort,
    /// The Triton top-k/top-p kernel (FlashInfer's instead, where that is in use).
    TopKTopPKernel,
}

/// When the V2 model runner executes a model without being asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum V2Runner {
    /// Never.
    Never,
    /// Only the listed architectures, unquantised.
    ListedUnquantized,
    /// Only the listed architectures.
    Listed,
    /// Every dense, non-hybrid generation model, and the listed mixture-of-experts architectures.
    Dense,
    /// Every model whose features it supports.
    Always,
}

/// Batch defaults of one memory class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDefaults {
    /// `max_num_batched_tokens`.
    pub max_num_batched_tokens: u64,
    /// `max_num_seqs`.
    pub max_num_seqs: u64,
}

/// The behaviours of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Era {
    /// What is measured.
    pub accounting: Accounting,
    /// Default of `--gpu-memory-utilization`.
    pub gpu_memory_utilization: f64,
    /// Whether the requested size is rounded up to whole bytes (else down).
    pub requested_rounds_up: bool,
    /// Whether NCCL and the custom all-reduce are set up before the first snapshot, so that they lie outside
    /// the requested size.
    pub communicators_before_snapshot: bool,
    /// Whether an estimate of the graphs is subtracted from the KV budget, by default.
    pub graphs_subtracted: bool,
    /// Whether the admission check keeps one block back for the null block.
    pub null_block_reserved: bool,
    /// How the KV size is printed.
    pub printed_tokens: PrintedTokens,
    /// Whether sliding-window layers get blocks of their own (hybrid KV cache manager).
    pub hybrid_kv_cache_manager: bool,
    /// Which sizes are captured.
    pub capture_rule: CaptureRule,
    /// Whether the largest default capture size is 1024 on compute capability 10.x, else 512 everywhere.
    pub captures_1024_on_sm100: bool,
    /// Whether decode steps are captured whole by default (`FULL_AND_PIECEWISE`), else pieces only.
    pub full_decode_graphs: bool,
    /// Whether steps are scheduled ahead by default.
    pub async_scheduling: bool,
    /// Whether what is in flight is counted once for each step scheduled ahead, for sliding windows.
    pub in_flight_by_batches: bool,
    /// What the sampler does.
    pub sampler: SamplerPath,
    /// Whether FlashInfer's sampler is used by default where it is installed and supported.
    pub flashinfer_sampler: bool,
    /// When the V2 runner is used.
    pub v2_runner: V2Runner,
    /// Whether the V2 runner installs the offloader.
    pub v2_runner_offloads: bool,
    /// Whether weights that a kernel repacks after loading stay in host memory.
    pub repacked_weights_stay_offloaded: bool,
    /// Whether an explicitly requested bf16 cache of a model on compute capability below 8.0 falls back.
    pub auto_dtype_falls_back: bool,
    /// Whether in-flight quantisation holds the whole 16-bit model on the device first.
    pub in_flight_needs_whole_model: bool,
}
