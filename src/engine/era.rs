//! How one engine version accounts for memory and fills in what was not said: the rows of
//! `rules/engines/vllm/memory.toml` and `quirks.toml` that hold for it, resolved.

use crate::catalog::{
    AccountingEra, BatchDefault, BeforeSnapshot, CaptureSizes, CpuOffload, CudagraphMode, Engine, HybridGrouping, OnlineQuantization,
    PrintedTokens, Rounding, RunnerRule, SamplerPath, WindowInFlight,
};
use crate::engine::launch::UsageContext;
use crate::units::Bytes;
use crate::version::Version;

/// Batch defaults of one version, usage context and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDefaults {
    /// `max_num_batched_tokens`.
    pub max_num_batched_tokens: u64,
    /// `max_num_seqs`.
    pub max_num_seqs: u64,
}

/// The behaviours of one version.
#[derive(Clone, Debug)]
pub struct Era {
    /// What is measured to find the memory left for the KV cache.
    pub accounting: AccountingEra,
    /// Default of `--gpu-memory-utilization`.
    pub gpu_memory_utilization: f64,
    /// Whether the requested size is rounded up to whole bytes (else down).
    pub requested_rounds_up: bool,
    /// Whether the engine refuses to start when less than the requested size is free.
    pub checks_free_memory: bool,
    /// Whether NCCL and the custom all-reduce are set up before the first snapshot, so that they lie outside
    /// the requested size.
    pub communicators_before_snapshot: bool,
    /// Whether an estimate of the graphs is subtracted from the KV budget, by default.
    pub graphs_subtracted: bool,
    /// Whether such an estimate exists at all, so that the environment can switch it on.
    pub graphs_can_be_subtracted: bool,
    /// Whether the V2 runner makes that estimate, too.
    pub v2_runner_estimates_graphs: bool,
    /// Whether the admission check keeps one block back for the null block.
    pub null_block_reserved: bool,
    /// How the KV size is printed.
    pub printed_tokens: PrintedTokens,
    /// Whether sliding-window layers get blocks of their own (hybrid KV cache manager).
    pub hybrid_kv_cache_manager: bool,
    /// Which sizes are captured by default.
    pub capture_sizes: CaptureSizes,
    /// Whether decode steps are captured whole by default (`FULL_AND_PIECEWISE`), else pieces only.
    pub full_decode_graphs: bool,
    /// Whether steps are scheduled ahead by default.
    pub async_scheduling: bool,
    /// Whether what is in flight is counted once for each step scheduled ahead, for sliding windows.
    pub in_flight_by_batches: bool,
    /// Whether the sampler sorts all logits with torch; else one kernel selects.
    pub sorts_logits: bool,
    /// Whether FlashInfer's sampler is used by default where it is supported.
    pub flashinfer_sampler: bool,
    /// When the V2 runner is used.
    pub v2_runner: RunnerRule,
    /// Whether the V2 runner installs the offloader.
    pub v2_runner_offloads: bool,
    /// Whether weights that a kernel repacks after loading stay in host memory.
    pub repacked_weights_stay_offloaded: bool,
    /// Quantisation methods whose parameters loading replaces by new ones on the device, by which an offload is lost.
    pub loses_offload: Vec<String>,
    /// Whether Inductor times fused kernels with arguments of its own (`benchmark_combo_kernel`).
    pub times_combo_kernels: bool,
    /// Whether GPTQ finds its quantised layers in the tensor headers, so that a folder without them loads dense
    /// layers in 16 bits (`AutoGPTQConfig.maybe_update_config`).
    pub gptq_reads_headers: bool,
    /// Whether torch rounds large tensors up to 2 MiB while loading (`max_split_size_mb:20`).
    pub rounds_large_tensors: bool,
    /// Whether in-flight quantisation holds the whole 16-bit model on the device first.
    pub in_flight_needs_whole_model: bool,
    /// The block size that is picked for latent attention on compute capability 9.0 and newer.
    pub latent_block_size: u64,
    batch_defaults: Vec<BatchDefault>,
}

/// A quantity for which the rules have no row: the rule files contradict the release list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rules/engines/{engine}/memory.toml has no `{quantity}` for version {version}")]
pub struct MissingRule {
    /// The engine.
    pub engine: String,
    /// The quantity.
    pub quantity: &'static str,
    /// The version.
    pub version: Version,
}

/// The quirk by which the V2 runner ignores offload, in `quirks.toml`.
pub const OFFLOAD_IGNORED: &str = "offload-ignored";
/// The quirk by which repacked weights return to the device, in `quirks.toml`.
pub const OFFLOAD_LOST: &str = "offload-lost-on-repack";
impl Era {
    /// The behaviours of `version`, which must be one whose source was read (`Resolved::behaviour`).
    pub fn of(engine: &Engine, version: &Version) -> Result<Self, MissingRule> {
        let rules = engine.memory();
        let missing = |quantity| MissingRule { engine: engine.name().to_owned(), quantity, version: version.clone() };
        let quirk = |id: &str| engine.quirks_for(version).any(|quirk| quirk.id == id);
        let before = rules.before_snapshot.value(version).ok_or_else(|| missing("before_snapshot"))?;
        let sampler = rules.sampler.value(version).ok_or_else(|| missing("sampler"))?;
        let graphs_subtracted = *rules.graph_estimate_subtracted.value(version).ok_or_else(|| missing("graph_estimate_subtracted"))?;
        Ok(Self {
            accounting: *rules.accounting.value(version).ok_or_else(|| missing("accounting"))?,
            gpu_memory_utilization: *rules.gpu_memory_utilization.value(version).ok_or_else(|| missing("gpu_memory_utilization"))?,
            requested_rounds_up: rules.requested_rounding.value(version) == Some(&Rounding::Ceiling),
            checks_free_memory: rules.startup_free_check.value(version) == Some(&true),
            communicators_before_snapshot: before.contains(&BeforeSnapshot::Communicators),
            graphs_subtracted,
            graphs_can_be_subtracted: engine.memory().graph_estimate_exists.value(version) == Some(&true),
            v2_runner_estimates_graphs: rules.graph_estimate_v2.value(version) == Some(&true),
            null_block_reserved: rules.null_block_reserved.value(version) == Some(&true),
            printed_tokens: *rules.printed_tokens.value(version).ok_or_else(|| missing("printed_tokens"))?,
            hybrid_kv_cache_manager: rules.hybrid_grouping.value(version) == Some(&HybridGrouping::SharedPool),
            capture_sizes: rules.capture_sizes.value(version).cloned().ok_or_else(|| missing("capture_sizes"))?,
            full_decode_graphs: rules.cudagraph_mode.value(version) == Some(&CudagraphMode::FullAndPiecewise),
            async_scheduling: rules.async_scheduling.value(version) == Some(&true),
            in_flight_by_batches: rules.window_in_flight.value(version) == Some(&WindowInFlight::EachStage),
            sorts_logits: sampler.first() == Some(&SamplerPath::TorchSort),
            flashinfer_sampler: sampler.contains(&SamplerPath::Flashinfer),
            v2_runner: engine.v2_model_runner(version).map_or(RunnerRule::Never, |row| row.value.clone()),
            v2_runner_offloads: !quirk(OFFLOAD_IGNORED),
            repacked_weights_stay_offloaded: rules.cpu_offload.value(version) == Some(&CpuOffload::UvaKeptOnRepack),
            loses_offload: engine
                .quirks_for(version)
                .filter(|quirk| quirk.id == OFFLOAD_LOST)
                .flat_map(|quirk| quirk.when.quantization.iter().cloned())
                .collect(),
            in_flight_needs_whole_model: rules.online_quantization.value(version) == Some(&OnlineQuantization::WholeModelFirst),
            times_combo_kernels: rules.combo_kernels_timed.value(version) == Some(&true),
            gptq_reads_headers: rules.gptq_reads_headers.value(version) == Some(&true),
            rounds_large_tensors: rules.large_tensors_rounded.value(version) == Some(&true),
            latent_block_size: rules.latent_block_size.value(version).map_or(16, |size| u64::from(*size)),
            batch_defaults: rules.batch_defaults.value(version).cloned().ok_or_else(|| missing("batch_defaults"))?,
        })
    }

    /// Batch defaults on a device of `total` memory and `name` (`EngineArgs.get_batch_defaults`).
    pub fn batch_defaults(&self, usage: UsageContext, total: Bytes, name: &str) -> BatchDefaults {
        let name = name.to_ascii_lowercase();
        let wanted = match usage {
            UsageContext::Serve => crate::catalog::UsageContext::Serve,
            UsageContext::LlmClass => crate::catalog::UsageContext::Llm,
        };
        let row = self.batch_defaults.iter().find(|row| {
            row.usage.is_none_or(|usage| usage == wanted)
                && row.min_memory_gib.is_none_or(|least| total.gib() >= least)
                && row.name_without.as_ref().is_none_or(|part| !name.contains(part))
                && row.name_with.as_ref().is_none_or(|part| name.contains(part))
        });
        row.map_or(BatchDefaults { max_num_batched_tokens: 2048, max_num_seqs: 256 }, |row| BatchDefaults {
            max_num_batched_tokens: row.max_num_batched_tokens,
            max_num_seqs: row.max_num_seqs,
        })
    }
}
