//! Plans to render: a 70B model in 7 GiB with offload, a small one that fits, one over four GPUs.

use gpudoctor::engine::arguments::{Arguments, Place};
use gpudoctor::engine::launch::{GraphMode, Launch, Offload, ParallelSizes, Runner, UsageContext};
use gpudoctor::model::spec::{Dtype, ModelSpec, Origin, ParameterCount};
use gpudoctor::plan::budget::{Band, Budget, KvCache, Term, TermName};
use gpudoctor::plan::outcome::{
    Alternative, Bound, Decision, Decode, Devices, EngineRelease, EnvironmentVariable, Interpretation, Performance, Plan, Reason, Rejected,
    Validation, Verdict,
};
use gpudoctor::units::{Bytes, Milliseconds};
use gpudoctor::version::Version;
use indexmap::IndexMap;
use serde_json::{Value, json};

/// 70B AWQ in 7 GiB of device memory with 33 GiB of its weights in host memory, vLLM 0.25.1.
pub(crate) fn seventy_billion() -> Plan {
    let args = [
        ("cpu-offload-gb", json!(34), "weights that do not fit on the device stay in host memory"),
        ("gpu-memory-utilization", json!(0.9014), "6.31 of the 7 GiB; the rest is the CUDA context"),
        ("max-model-len", json!(4096), "the longest that leaves room for a request"),
        ("max-num-seqs", json!(8), "more would only wait"),
        ("max-num-batched-tokens", json!(512), "bounds the activation peak"),
        ("enforce-eager", json!(true), "graphs would take memory and save nothing behind PCIe"),
        ("enable-prefix-caching", json!(true), "shared prompts are computed once"),
    ];
    let mut plan = plan("casperhansen/deepseek-r1-distill-llama-70b-awq", &args);
    plan.verdict = Verdict::FitsWithOffload;
    plan.reasons = vec![Reason {
        code: "host-link".to_owned(),
        message: "every token reads 33.1 GiB over PCIe".to_owned(),
        short_by: Some(Bytes::from_gib(31.5)),
    }];
    let reason = "vLLM 0.22 to 0.27 ignores cpu-offload-gb with the V2 runner".to_owned();
    plan.env.insert("VLLM_USE_V2_MODEL_RUNNER".to_owned(), EnvironmentVariable { value: "0".to_owned(), reason });
    plan.launch.as_mut().expect("a launch").offload = Some(Offload::Uva { requested: Bytes(34 << 30) });
    plan.budget.as_mut().expect("a budget").host_memory = Bytes::from_gib(33.1);
    plan
}

/// 8B in 24 GiB, no offload, with a compilation configuration in JSON and a list.
pub(crate) fn eight_billion() -> Plan {
    let args = [
        ("max-model-len", json!(32768), "as asked"),
        ("compilation-config", json!({"cudagraph_mode": "FULL_DECODE_ONLY", "pass_config": {"x": [1, 2]}}), "fewer graphs"),
        ("cudagraph-capture-sizes", json!([1, 2, 4, 8]), "what eight requests need"),
        ("async-scheduling", json!(false), "one step ahead would hold more of the window"),
    ];
    plan("Qwen/Qwen3-8B", &args)
}

/// A large model over four GPUs.
pub(crate) fn four_gpus() -> Plan {
    let mut plan = plan("meta-llama/Llama-3.3-70B-Instruct", &[("tensor-parallel-size", json!(4), "the weights need four")]);
    plan.devices.count = 4;
    plan.devices.name = "NVIDIA L40S".to_owned();
    plan
}

/// A plan with these arguments: flag, value, why.
pub(crate) fn plan(model: &str, args: &[(&str, Value, &str)]) -> Plan {
    let mut arguments = Arguments::default();
    let mut decisions = vec![];
    for (flag, value, why) in args {
        arguments.set(flag, value.clone());
        decisions.push(Decision { flag: (*flag).to_owned(), value: value.to_string(), why: (*why).to_owned() });
    }
    arguments.set_at("seed", json!(0), Place { file: "serve.yaml".to_owned(), line: 3, column: 1 });
    Plan {
        interpretations: vec![Interpretation { given: "7g".to_owned(), meaning: "7 GiB of device memory".to_owned(), instead: None }],
        verdict: Verdict::Fits,
        reasons: vec![],
        findings: vec![],
        model: spec(model),
        devices: devices(),
        engine: release(),
        args: arguments,
        env: IndexMap::new(),
        launch: Some(launch()),
        budget: Some(budget()),
        performance: Performance {
            source: None,
            inputs: Vec::new(),
            decode: vec![Decode {
                batch: 1,
                context: 4096,
                step: Milliseconds(714.0),
                exchange: Milliseconds(0.0),
                tokens_per_second: 1.4,
                bound_by: Bound::HostLink,
                host_link: Some("PCIe 5.0 x16".to_owned()),
            }],
            formula: String::new(),
            ways: None,
        },
        decisions,
        alternatives: vec![Alternative {
            change: "Qwen3-8B AWQ, no offload".to_owned(),
            verdict: Verdict::Fits,
            args: Arguments::default(),
            device_used: Bytes::from_gib(6.8),
            kv_tokens: 12_000,
            tokens_per_second: Some(60.0),
        }],
        rejected: vec![Rejected {
            change: "max-model-len 8192".to_owned(),
            reason: Reason { code: "kv-cache-too-small".to_owned(), message: "one request needs 2.5 GiB".to_owned(), short_by: None },
        }],
        validation: vec![Validation { id: "flags".to_owned(), statement: "8 flags exist in vLLM 0.25.1".to_owned(), holds: Some(true) }],
    }
}

fn spec(id: &str) -> ModelSpec {
    ModelSpec {
        id: id.to_owned(),
        origin: Origin::Catalogue { file: "models.toml".to_owned() },
        architecture: "LlamaForCausalLM".to_owned(),
        model_type: "llama".to_owned(),
        dtype: Dtype::Bfloat16,
        hidden_size: 8192,
        vocab_size: 128_256,
        context_length: 131_072,
        default_context_length: 131_072,
        tie_word_embeddings: false,
        rotary: None,
        layers: vec![],
        tensors: vec![],
        parameters: ParameterCount { total: 70_553_706_496, active: 70_553_706_496 },
        quantization: None,
        multimodal: false,
        needs_remote_code: false,
        recurrent_dtype: None,
        without_tensors: false,
        assumed: vec!["the AWQ checkpoint quantises every linear layer".to_owned()],
    }
}

fn devices() -> Devices {
    Devices {
        name: "7 GiB of device memory".to_owned(),
        count: 1,
        memory: Bytes(7 << 30),
        cuda_total: Bytes(7 << 30),
        cuda_total_high: Bytes(7 << 30),
        limit: Bytes(7 << 30),
        compute_capability: None,
        memory_bandwidth: None,
        host_link: None,
        pcie_generation: None,
        tflops_16bit: None,
        nvlink: false,
        multiprocessors: None,
        driver: None,
        rates: None,
        interconnect: None,
        assumed: vec![],
    }
}

fn release() -> EngineRelease {
    EngineRelease {
        name: "vllm".to_owned(),
        version: version("0.25.1"),
        torch: "==2.11.0".to_owned(),
        cuda: "13.0".to_owned(),
        min_driver: version("580.65.06"),
        min_compute_capability: 75,
        image: "vllm/vllm-openai:v0.25.1".to_owned(),
    }
}

/// The version that `text` says.
pub(crate) fn version(text: &str) -> Version {
    text.parse().expect("a version of the test")
}

fn launch() -> Launch {
    Launch {
        version: version("0.25.1"),
        usage: UsageContext::Serve,
        env: IndexMap::new(),
        runner: Runner::V1,
        dtype: Dtype::Bfloat16,
        quantization: Some("awq".to_owned()),
        quantized_in_flight: false,
        kv_cache_dtype: "bfloat16".to_owned(),
        block_size: 16,
        max_model_len: 4096,
        max_model_len_auto: false,
        max_num_seqs: 8,
        max_num_batched_tokens: 512,
        gpu_memory_utilization: 0.9014,
        kv_cache_memory: None,
        parallel: ParallelSizes { tensor: 1, pipeline: 1, data: 1, decode_context: 1, expert: false },
        offload: None,
        enforce_eager: true,
        compiled: false,
        graph_mode: GraphMode::None,
        capture_sizes: vec![],
        async_scheduling: false,
        prefix_caching: true,
        hybrid_kv_cache_manager: true,
        flashinfer_sampler: true,
        custom_all_reduce: false,
    }
}

fn budget() -> Budget {
    let term = |name, gib: f64, inside_requested, note: &str| Term {
        name,
        size: Band { low: Bytes::from_gib(gib * 0.97), expected: Bytes::from_gib(gib), high: Bytes::from_gib(gib * 1.02) },
        formula: String::new(),
        inputs: vec![],
        parts: vec![],
        inside_requested,
        note: note.to_owned(),
    };
    Budget {
        memory_total: Bytes(7 << 30),
        requested: Bytes::from_gib(6.31),
        terms: vec![
            term(TermName::Weights, 3.95, true, "embeddings and head in bf16"),
            term(TermName::KvCache, 1.95, true, "6,384 tokens, block 16"),
            term(TermName::ActivationPeak, 0.11, true, "512 batched tokens"),
            term(TermName::NonTorch, 0.30, true, "with UVA offload"),
            term(TermName::Context, 0.52, false, "outside the requested size"),
            term(TermName::Headroom, 0.12, false, ""),
        ],
        kv_cache: KvCache {
            bytes: Bytes::from_gib(1.95),
            tokens: 6384,
            blocks: 399,
            block_size: 16,
            bytes_per_token: Bytes(320 << 10),
            max_concurrency: 1.56,
            request_bytes: Bytes::from_gib(1.25),
        },
        device_used: Band { low: Bytes::from_gib(6.8), expected: Bytes::from_gib(6.95), high: Bytes::from_gib(6.99) },
        offloaded: Bytes::ZERO,
        host_memory: Bytes::ZERO,
    }
}
