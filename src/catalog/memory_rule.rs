//! How each version of an engine accounts for device memory, and its defaults (`rules/engines/<engine>/memory.toml`).

use serde::{Deserialize, Serialize};

use super::timeline::Timeline;

/// The memory rules of one engine: one timeline a quantity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoryRules {
    /// What counts against the requested size when the KV cache is sized.
    pub accounting: Timeline<AccountingEra>,
    /// `gpu_memory_utilization` when not given.
    pub gpu_memory_utilization: Timeline<f64>,
    /// How `total × utilization` becomes whole bytes.
    pub requested_rounding: Timeline<Rounding>,
    /// Whether start-up fails when less than the requested size is free.
    pub startup_free_check: Timeline<bool>,
    /// What exists before the free-memory snapshot, and so lies outside the requested size.
    pub before_snapshot: Timeline<Vec<BeforeSnapshot>>,
    /// Whether the estimated size of CUDA graphs is subtracted from the KV cache by default.
    pub graph_estimate_subtracted: Timeline<bool>,
    /// Whether that estimate exists, so that `VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS` can switch it on.
    pub graph_estimate_exists: Timeline<bool>,
    /// Whether the V2 model runner makes that estimate, too.
    pub graph_estimate_v2: Timeline<bool>,
    /// Whether Inductor times fused kernels with arguments of its own.
    pub combo_kernels_timed: Timeline<bool>,
    /// Whether GPTQ finds its quantised layers in the tensor headers.
    pub gptq_reads_headers: Timeline<bool>,
    /// Whether large tensors are rounded up to 2 MiB while loading.
    pub large_tensors_rounded: Timeline<bool>,
    /// Whether one block is set aside before a request of full length is admitted.
    pub null_block_reserved: Timeline<bool>,
    /// Whether `--max-model-len auto` exists.
    pub max_model_len_auto: Timeline<bool>,
    /// `max_num_batched_tokens` and `max_num_seqs` when not given. The first row of a version whose conditions hold counts.
    pub batch_defaults: Timeline<Vec<BatchDefault>>,
    /// The default block of the KV cache in tokens.
    pub block_size: Timeline<u32>,
    /// The default block for latent attention from compute capability 9.0 on, in tokens.
    pub latent_block_size: Timeline<u32>,
    /// Which batch sizes are captured as CUDA graphs.
    pub capture_sizes: Timeline<CaptureSizes>,
    /// What is captured as a CUDA graph when nobody chooses.
    pub cudagraph_mode: Timeline<CudagraphMode>,
    /// Whether scheduling overlaps with execution by default, which doubles the tokens in flight.
    pub async_scheduling: Timeline<bool>,
    /// How many steps of batched tokens a sliding window must hold beyond itself.
    pub window_in_flight: Timeline<WindowInFlight>,
    /// How the printed `GPU KV cache size` follows from the blocks.
    pub printed_tokens: Timeline<PrintedTokens>,
    /// How the printed maximum concurrency follows from the blocks.
    pub printed_concurrency: Timeline<PrintedConcurrency>,
    /// How layers of different attention share one pool of blocks.
    pub hybrid_grouping: Timeline<HybridGrouping>,
    /// Which implementations sample, first choice first.
    pub sampler: Timeline<Vec<SamplerPath>>,
    /// Workspaces of attention kernels.
    pub attention_workspace: Timeline<Vec<WorkspaceCost>>,
    /// How `--cpu-offload-gb` keeps weights on the host.
    pub cpu_offload: Timeline<CpuOffload>,
    /// How weights of a checkpoint in 16 bits are quantised at load time.
    pub online_quantization: Timeline<OnlineQuantization>,
    /// Rows to which the vocabulary is padded before it is divided.
    pub vocabulary_padding: Timeline<u64>,
}

/// What counts against the requested size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountingEra {
    /// Everything in use on the device: context, communicators, other processes.
    DeviceInUse,
    /// What appeared since the snapshot: non-torch growth, torch peak growth, weights.
    GrowthSinceSnapshot,
    /// What free memory lost since the snapshot, and the transient peak above it.
    ConsumedSinceSnapshot,
}

/// Rounding of the requested size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Down to whole bytes.
    Truncate,
    /// Up to whole bytes.
    Ceiling,
}

/// What may exist before the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeforeSnapshot {
    /// The CUDA context.
    Context,
    /// NCCL and the custom all-reduce buffers.
    Communicators,
    /// Handles of cuBLAS and cuBLASLt.
    Cublas,
}

/// Who starts the engine: the defaults differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageContext {
    /// `vllm serve`.
    Serve,
    /// The `LLM` class.
    Llm,
}

/// Default batch limits under some conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchDefault {
    /// Who starts the engine; either when absent.
    pub usage: Option<UsageContext>,
    /// The device has at least this many GiB by `cudaMemGetInfo`.
    pub min_memory_gib: Option<f64>,
    /// The device's name, in lower case, contains this.
    pub name_with: Option<String>,
    /// The device's name, in lower case, does not contain this.
    pub name_without: Option<String>,
    /// Tokens of a step.
    pub max_num_batched_tokens: u64,
    /// Sequences of a step.
    pub max_num_seqs: u64,
}

/// Which batch sizes are captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureSizes {
    /// The smallest sizes, one by one.
    pub first: Vec<u64>,
    /// From here on in steps of `step`.
    pub from: u64,
    /// The step below `coarse_from`.
    pub step: u64,
    /// From here on in steps of `coarse_step`, where that exists.
    pub coarse_from: Option<u64>,
    /// The step from `coarse_from` on.
    pub coarse_step: Option<u64>,
    /// The largest size.
    pub max: u64,
    /// The largest size from compute capability 10.0 on, where it differs.
    pub max_sm100: Option<u64>,
    /// The largest size is at most `max_num_seqs` times this; no such limit when absent.
    pub max_per_sequence: Option<u64>,
    /// Whether the tokens that speculation adds to a sequence count in that limit.
    #[serde(default)]
    pub counts_speculation: bool,
}

/// What is captured as a CUDA graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CudagraphMode {
    /// The pieces between attention operations.
    Piecewise,
    /// These, and whole decode steps up to `max_num_seqs`.
    FullAndPiecewise,
}

/// How many steps a window holds in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowInFlight {
    /// One.
    OneStep,
    /// One for each pipeline stage, or two with asynchronous scheduling.
    EachStage,
}

/// How the printed tokens follow from the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintedTokens {
    /// Blocks × block size.
    Blocks,
    /// Blocks of each group × the smallest block size.
    BlocksPerGroup,
    /// Maximum concurrency × `max_model_len`.
    ConcurrencyTimesLength,
}

/// How the printed concurrency follows from the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrintedConcurrency {
    /// Blocks × block size / `max_model_len`.
    Tokens,
    /// Blocks / the blocks that one request of full length holds in all groups.
    BlocksPerRequest,
}

/// How layers of different attention share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HybridGrouping {
    /// They do not: windows are kept as full attention.
    AllFull,
    /// Groups of equal size share one pool of equal pages.
    SharedPool,
}

/// Implementations of top-k and top-p sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerPath {
    /// A PyTorch sort.
    TorchSort,
    /// A Triton kernel.
    Triton,
    /// FlashInfer.
    Flashinfer,
}

/// A workspace of attention kernels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceCost {
    /// The backend.
    pub backend: String,
    /// Its size in MiB.
    pub mib: f64,
    /// Whether it is allocated before the KV cache is sized, and so counts in its budget.
    pub in_budget: bool,
}

/// How weights are kept on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CpuOffload {
    /// In place; kernels that replace tensors after loading bring them back to the device.
    UvaLostOnRepack,
    /// In place; repacked tensors are offloaded again. Prefetching exists too.
    UvaKeptOnRepack,
}

/// How a 16-bit checkpoint is quantised at load time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnlineQuantization {
    /// The whole model is on the device in 16 bits first.
    WholeModelFirst,
    /// Layer by layer.
    LayerByLayer,
}
