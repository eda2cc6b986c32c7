//! From arguments as written to the effective launch: the engine's own defaults, filled in as that version does.
//!
//! Resolution never fails: what is wrong with a value is the judge's finding, and a value that cannot be read
//! counts as not given.

use indexmap::IndexMap;
use serde_json::Value;

use crate::catalog::RunnerRule;
use crate::engine::arguments::Arguments;
use crate::engine::capture_sizes::{Limits, default_capture_sizes};
use crate::engine::era::{BatchDefaults, Era};
use crate::engine::launch::{GraphMode, Launch, Offload, ParallelSizes, Runner, UsageContext};
use crate::model::spec::{Dtype, ModelSpec};
use crate::units::Bytes;
use crate::version::Version;

/// What the engine asks of the machine before it fills in defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Compute capability × 10, where known.
    pub compute_capability: Option<u32>,
}

/// Everything that resolution reads beside the arguments.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The engine's version.
    pub version: &'a Version,
    /// Its behaviours.
    pub era: &'a Era,
    /// Batch defaults of this version, usage context and device.
    pub batch: BatchDefaults,
    /// The model.
    pub model: &'a ModelSpec,
    /// The machine.
    pub machine: &'a Machine,
    /// How the engine is started.
    pub usage: UsageContext,
    /// The environment of the engine's process.
    pub env: &'a IndexMap<String, String>,
}

/// The launch that `args` mean.
pub fn resolve(args: &Arguments, context: &Context<'_>) -> Launch {
    let model = context.model;
    let max_model_len_auto = matches!(args.get("max-model-len"), Some(Value::String(text)) if text == "auto" || text == "-1")
        || args.get("max-model-len").and_then(Value::as_i64) == Some(-1);
    let max_model_len = args.count("max-model-len").unwrap_or(model.context_length);
    let (max_num_seqs, max_num_batched_tokens) = batch_sizes(args, context, max_model_len);
    let dtype = dtype(args, context);
    let quantization = quantization(args, model);
    let runner = runner(context, quantization.as_deref());
    let eager = args.flag("enforce-eager") || int8_bitsandbytes(model, quantization.as_deref());
    let compiled = !eager && !compilation_is_off(args) && runner != Runner::V0;
    let graph_mode = if eager { GraphMode::None } else { graph_mode(args, context.era) };
    let parallel = ParallelSizes {
        tensor: args.count("tensor-parallel-size").unwrap_or(1).max(1),
        pipeline: args.count("pipeline-parallel-size").unwrap_or(1).max(1),
        data: args.count("data-parallel-size").unwrap_or(1).max(1),
        decode_context: args.count("decode-context-parallel-size").unwrap_or(1).max(1),
        expert: args.flag("enable-expert-parallel"),
    };
    let asynchronous = args.switch("async-scheduling").unwrap_or(context.era.async_scheduling);
    Launch {
        version: context.version.clone(),
        usage: context.usage,
        env: context.env.clone(),
        runner,
        dtype,
        quantized_in_flight: quantization.is_some() && model.quantization.is_none(),
        quantization,
        kv_cache_dtype: kv_cache_dtype(args, dtype),
        block_size: args.count("block-size").unwrap_or_else(|| default_block_size(model, context)),
        max_model_len,
        max_model_len_auto,
        max_num_seqs,
        max_num_batched_tokens,
        gpu_memory_utilization: args.number("gpu-memory-utilization").unwrap_or(context.era.gpu_memory_utilization),
        kv_cache_memory: args.count("kv-cache-memory-bytes").or_else(|| args.count("kv-cache-memory")).filter(|b| *b > 0).map(Bytes),
        parallel,
        offload: offload(args, context.era, runner),
        enforce_eager: eager,
        compiled,
        graph_mode,
        capture_sizes: if graph_mode == GraphMode::None {
            Vec::new()
        } else {
            capture_sizes(args, context, max_num_seqs, max_num_batched_tokens)
        },
        async_scheduling: asynchronous && (parallel.pipeline == 1 || runner == Runner::V2),
        prefix_caching: args.switch("enable-prefix-caching").unwrap_or(!model.is_hybrid()),
        hybrid_kv_cache_manager: context.era.hybrid_kv_cache_manager && !args.flag("disable-hybrid-kv-cache-manager"),
        flashinfer_sampler: flashinfer_sampler(context),
        custom_all_reduce: !args.flag("disable-custom-all-reduce"),
    }
}

/// `EngineArgs._set_default_max_num_seqs_and_batched_tokens_args`: the two limits bound each other where not given.
fn batch_sizes(args: &Arguments, context: &Context<'_>, max_model_len: u64) -> (u64, u64) {
    let doubled = if args.text("performance-mode") == Some("throughput") { 2 } else { 1 };
    let given_seqs = args.count("max-num-seqs");
    let seqs = given_seqs.unwrap_or(context.batch.max_num_seqs * doubled);
    let tokens = args.count("max-num-batched-tokens").unwrap_or_else(|| {
        let mut tokens = context.batch.max_num_batched_tokens * doubled;
        if args.switch("enable-chunked-prefill") == Some(false) {
            tokens = tokens.max(max_model_len);
        }
        tokens.min(seqs.saturating_mul(max_model_len))
    });
    let seqs = if given_seqs.is_some() { seqs } else { seqs.min(tokens) };
    (seqs.max(1), tokens.max(1))
}

/// `ModelConfig`'s dtype: `auto` takes the checkpoint's, narrowed from 32 bits; without bf16 hardware it takes float16.
fn dtype(args: &Arguments, context: &Context<'_>) -> Dtype {
    let has_bf16 = context.machine.compute_capability.is_none_or(|capability| capability >= 80);
    match args.text("dtype").unwrap_or("auto") {
        "half" | "float16" => Dtype::Float16,
        "bfloat16" => Dtype::Bfloat16,
        "float" | "float32" => Dtype::Float32,
        _ => match context.model.dtype {
            Dtype::Float16 => Dtype::Float16,
            Dtype::Bfloat16 | Dtype::Float32 if has_bf16 => Dtype::Bfloat16,
            Dtype::Bfloat16 | Dtype::Float32 => Dtype::Float16,
        },
    }
}

fn quantization(args: &Arguments, model: &ModelSpec) -> Option<String> {
    let asked = args.text("quantization").filter(|method| !matches!(*method, "None" | "none" | ""));
    asked.map(str::to_owned).or_else(|| model.quantization.as_ref().map(|quantization| quantization.method.clone()))
}

fn int8_bitsandbytes(model: &ModelSpec, method: Option<&str>) -> bool {
    method == Some("bitsandbytes") && model.quantization.as_ref().is_some_and(|quantization| quantization.bits == 8)
}

/// `--kv-cache-dtype`, with `auto` and the plain `fp8` under the names of the stored type.
fn kv_cache_dtype(args: &Arguments, dtype: Dtype) -> String {
    match args.text("kv-cache-dtype").unwrap_or("auto") {
        "auto" => dtype.name().to_owned(),
        other => other.to_owned(),
    }
}

/// The block size that the platform picks: 16, but what the latent-attention kernels need where they run.
fn default_block_size(model: &ModelSpec, context: &Context<'_>) -> u64 {
    match context.machine.compute_capability {
        Some(90..) if model.uses_latent_attention() => context.era.latent_block_size,
        _ => 16,
    }
}

/// `VllmConfig.use_v2_model_runner`.
fn runner(context: &Context<'_>, quantization: Option<&str>) -> Runner {
    match context.env.get("VLLM_USE_V2_MODEL_RUNNER").map(String::as_str) {
        Some("1" | "true" | "True") => return Runner::V2,
        Some("0" | "false" | "False") => return Runner::V1,
        _ => {}
    }
    let model = context.model;
    let v2 = match &context.era.v2_runner {
        RunnerRule::Never => false,
        RunnerRule::Listed { architectures, unquantized_only, .. } => {
            architectures.contains(&model.architecture) && !(*unquantized_only && quantization.is_some())
        }
        RunnerRule::DenseGenerate { architectures, .. } => {
            !model.is_hybrid() && (architectures.contains(&model.architecture) || !model.is_mixture_of_experts())
        }
        RunnerRule::Everything => true,
    };
    if v2 { Runner::V2 } else { Runner::V1 }
}

/// A field of `--compilation-config`, given as JSON or as a dotted flag.
fn compilation_field<'a>(args: &'a Arguments, name: &str) -> Option<&'a Value> {
    args.get("compilation-config")
        .and_then(|config| config.get(name))
        .or_else(|| args.get(&format!("compilation-config.{}", name.replace('_', "-"))))
        .or_else(|| args.get(&format!("compilation-config.{name}")))
}

/// The optimisation level: `-O1`, `--optimization-level 1`, or a bare number as `--compilation-config`.
fn optimization_level(args: &Arguments) -> Option<u64> {
    args.get("optimization-level").or_else(|| args.get("compilation-config")).and_then(Value::as_u64)
}

/// `-O0`, `level: 0` or `mode: 0`.
fn compilation_is_off(args: &Arguments) -> bool {
    let field = || compilation_field(args, "mode").or_else(|| compilation_field(args, "level")).and_then(Value::as_u64);
    optimization_level(args).or_else(field) == Some(0)
}

/// The graph mode: `--compilation-config`, the optimisation level, or the version's default.
fn graph_mode(args: &Arguments, era: &Era) -> GraphMode {
    let default = if era.full_decode_graphs { GraphMode::FullAndPiecewise } else { GraphMode::Piecewise };
    if let Some(mode) = compilation_field(args, "cudagraph_mode").and_then(Value::as_str) {
        return match mode.to_ascii_uppercase().as_str() {
            "NONE" => GraphMode::None,
            "PIECEWISE" => GraphMode::Piecewise,
            "FULL" => GraphMode::Full,
            "FULL_DECODE_ONLY" => GraphMode::FullDecodeOnly,
            "FULL_AND_PIECEWISE" => GraphMode::FullAndPiecewise,
            _ => default,
        };
    }
    match optimization_level(args) {
        _ if compilation_is_off(args) => GraphMode::None,
        Some(1) => GraphMode::Piecewise,
        _ => default,
    }
}

fn capture_sizes(args: &Arguments, context: &Context<'_>, seqs: u64, tokens: u64) -> Vec<u64> {
    let listed = args
        .get("cudagraph-capture-sizes")
        .or_else(|| args.get("compilation-config").and_then(|config| config.get("cudagraph_capture_sizes")))
        .or_else(|| args.get("cuda-graph-sizes").filter(|sizes| sizes.as_array().is_some_and(|sizes| sizes.len() > 1)))
        .and_then(Value::as_array);
    if let Some(listed) = listed {
        let mut sizes: Vec<u64> = listed.iter().filter_map(Value::as_u64).filter(|size| *size <= tokens).collect();
        sizes.sort_unstable();
        sizes.dedup();
        return sizes;
    }
    let limit = args
        .count("max-cudagraph-capture-size")
        .or_else(|| args.get("compilation-config").and_then(|config| config.get("max_cudagraph_capture_size")).and_then(Value::as_u64))
        .or_else(|| args.count("cuda-graph-sizes"))
        .or_else(|| args.get("cuda-graph-sizes").and_then(|sizes| sizes.get(0)).and_then(Value::as_u64));
    let speculative = args
        .get("speculative-config")
        .and_then(|config| config.get("num_speculative_tokens"))
        .and_then(Value::as_u64)
        .or_else(|| args.count("spec-tokens"))
        .unwrap_or(0);
    let sm100 = matches!(context.machine.compute_capability, Some(100..110));
    let limits = Limits { max_num_seqs: seqs, max_num_batched_tokens: tokens, speculative_tokens: speculative, largest: limit, sm100 };
    default_capture_sizes(&context.era.capture_sizes, limits)
}

/// Whether `args` ask for weights in host memory, whatever becomes of it.
pub fn asks_for_offload(args: &Arguments) -> bool {
    args.number("cpu-offload-gb").unwrap_or(0.0) > 0.0 || args.count("offload-group-size").unwrap_or(0) > 0
}

/// What is really offloaded: nothing where the runner never installs the offloader.
fn offload(args: &Arguments, era: &Era, runner: Runner) -> Option<Offload> {
    if runner == Runner::V2 && !era.v2_runner_offloads {
        return None;
    }
    let backend = args.text("offload-backend").unwrap_or("auto");
    let group_size = args.count("offload-group-size").unwrap_or(0);
    if group_size > 0 && backend != "uva" {
        return Some(Offload::Prefetch {
            group_size,
            in_group: args.count("offload-num-in-group").unwrap_or(1),
            step: args.count("offload-prefetch-step").unwrap_or(1),
        });
    }
    let gib = args.number("cpu-offload-gb").unwrap_or(0.0);
    (gib > 0.0 && backend != "prefetch").then(|| Offload::Uva { requested: Bytes::from_gib(gib) })
}

/// `VLLM_USE_FLASHINFER_SAMPLER`, else the version's default where the hardware is supported.
fn flashinfer_sampler(context: &Context<'_>) -> bool {
    match context.env.get("VLLM_USE_FLASHINFER_SAMPLER").map(String::as_str) {
        Some("1") => true,
        Some(_) => false,
        None => context.era.flashinfer_sampler && context.machine.compute_capability.is_none_or(|capability| capability >= 80),
    }
}
