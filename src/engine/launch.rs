//! The effective launch: every value that the memory model needs, after the engine's own defaults.

use indexmap::IndexMap;

use crate::model::spec::Dtype;
use crate::units::Bytes;
use crate::version::Version;

/// How the engine is started; it has other batch defaults for each (`EngineArgs.get_batch_defaults`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageContext {
    /// `vllm serve`, the OpenAI-compatible server.
    Serve,
    /// The `LLM` class, offline.
    LlmClass,
}

/// Which model runner executes the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// The legacy engine (V0), which 0.8.5 falls back to for some features.
    V0,
    /// `v1/worker/gpu_model_runner.py`.
    V1,
    /// `v1/worker/gpu/model_runner.py`, default for more and more models from 0.22 on.
    V2,
}

/// Which CUDA graphs the engine captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphMode {
    /// None.
    None,
    /// Graphs of the pieces between attention calls.
    Piecewise,
    /// Graphs of whole steps.
    Full,
    /// Whole steps for decode only, none for mixed batches.
    FullDecodeOnly,
    /// Whole steps for decode, pieces for mixed batches.
    FullAndPiecewise,
}

impl GraphMode {
    /// The engine's own name of the mode.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Piecewise => "PIECEWISE",
            Self::Full => "FULL",
            Self::FullDecodeOnly => "FULL_DECODE_ONLY",
            Self::FullAndPiecewise => "FULL_AND_PIECEWISE",
        }
    }
}

/// How weights are kept in host memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Zero-copy views of pinned host memory, up to this many bytes a rank (`--cpu-offload-gb`).
    Uva {
        /// Requested bytes a rank.
        requested: Bytes,
    },
    /// Whole layers, copied ahead of their use (`--offload-group-size` …).
    Prefetch {
        /// Layers a group.
        group_size: u64,
        /// Offloaded layers of each group: its last ones.
        in_group: u64,
        /// Layers that are fetched ahead; each needs a buffer on the device.
        step: u64,
    },
}

/// The parallel sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParallelSizes {
    /// Tensor parallel size.
    pub tensor: u64,
    /// Pipeline parallel size.
    pub pipeline: u64,
    /// Data parallel size.
    pub data: u64,
    /// Decode context parallel size.
    pub decode_context: u64,
    /// Whether experts are divided whole among ranks.
    pub expert: bool,
}

impl ParallelSizes {
    /// Devices that one replica of the model takes.
    pub const fn devices(self) -> u64 {
        self.tensor.saturating_mul(self.pipeline)
    }
}

/// The effective launch.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The engine version whose rules these values follow.
    pub version: Version,
    /// How the engine is started.
    pub usage: UsageContext,
    /// Environment variables of the engine's process.
    pub env: IndexMap<String, String>,
    /// The runner that this version picks for this model and environment.
    pub runner: Runner,
    /// The dtype of weights and activations.
    pub dtype: Dtype,
    /// The quantisation method in effect, by its rule's id; `None` for 16-bit weights.
    pub quantization: Option<String>,
    /// Whether the quantisation is applied while loading a 16-bit checkpoint (`--quantization fp8`, bitsandbytes).
    pub quantized_in_flight: bool,
    /// `--kv-cache-dtype`, `auto` resolved to the model's dtype name.
    pub kv_cache_dtype: String,
    /// Tokens a KV block.
    pub block_size: u64,
    /// Longest request, prompt and answer together, in tokens.
    pub max_model_len: u64,
    /// `--max-model-len auto`: the engine searches the longest that fits.
    pub max_model_len_auto: bool,
    /// Requests that one step serves at most.
    pub max_num_seqs: u64,
    /// Tokens that one step computes at most.
    pub max_num_batched_tokens: u64,
    /// Share of the device's total memory that the engine may take.
    pub gpu_memory_utilization: f64,
    /// A fixed KV size instead of the measured one (`--kv-cache-memory-bytes`).
    pub kv_cache_memory: Option<Bytes>,
    /// The parallel sizes.
    pub parallel: ParallelSizes,
    /// Weights in host memory; `None` when nothing is offloaded. Set only if the engine really does it.
    pub offload: Option<Offload>,
    /// Whether graphs and compilation are off.
    pub enforce_eager: bool,
    /// Whether the model is compiled by Inductor, with or without graphs.
    pub compiled: bool,
    /// Which graphs are captured.
    pub graph_mode: GraphMode,
    /// Batch sizes that pieces are captured for, descending.
    pub capture_sizes: Vec<u64>,
    /// Whether the engine schedules one step ahead (doubles what sliding-window layers hold in flight).
    pub async_scheduling: bool,
    /// Whether finished prompts stay cached for other requests.
    pub prefix_caching: bool,
    /// Whether layers of different kinds share one pool by groups (hybrid KV cache manager).
    pub hybrid_kv_cache_manager: bool,
    /// Whether the FlashInfer sampler runs (else the engine's own).
    pub flashinfer_sampler: bool,
    /// Whether the custom all-reduce may be used.
    pub custom_all_reduce: bool,
}
