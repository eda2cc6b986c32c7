//! The plan that the renderers' tests print: a 70B model in 7 GiB.

use indexmap::IndexMap;

use crate::engine::arguments::Arguments;
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::model::config::ModelConfig;
use crate::model::spec::ModelSpec;
use crate::plan::budget::{Band, Budget, Input, KvCache, Part, Term, TermName};
use crate::plan::outcome::{
    Alternative, Bound, Decision, Decode, Devices, EngineRelease, EnvironmentVariable, Interpretation, Performance, Plan, Reason, Rejected,
    Validation, Verdict,
};
use crate::units::{Bytes, Milliseconds};

/// A plan that fits with offload.
pub(crate) fn plan() -> Plan {
    Plan {
        interpretations: vec![
            interpretation(
                "70b",
                "DeepSeek-R1-Distill-Llama-70B (Llama architecture, 70.6 B parameters)",
                Some("--model to choose another"),
            ),
            interpretation("7g", "7 GiB of device memory, all that nvidia-smi may show for this server", Some("--gpu to name the card")),
        ],
        verdict: Verdict::FitsWithOffload,
        reasons: vec![Reason {
            code: "weights-in-host-memory".to_owned(),
            message: "without offload it is 31.5 GiB short".to_owned(),
            short_by: Some(Bytes::from_gib(31.5)),
        }],
        findings: vec![finding()],
        model: model(),
        devices: devices(),
        engine: EngineRelease {
            name: "vllm".to_owned(),
            version: "0.25.1".parse().unwrap(),
            torch: "2.11.0".to_owned(),
            cuda: "13.0".to_owned(),
            min_driver: "580.65.06".parse().unwrap(),
            min_compute_capability: 75,
            image: "vllm/vllm-openai:v0.25.1".to_owned(),
        },
        args: arguments(),
        env: IndexMap::from([(
            "VLLM_USE_V2_MODEL_RUNNER".to_owned(),
            EnvironmentVariable { value: "0".to_owned(), reason: "vLLM 0.22-0.27 ignores cpu-offload-gb with the V2 runner".to_owned() },
        )]),
        launch: None,
        budget: Some(budget()),
        performance: Performance {
            source: None,
            inputs: Vec::new(),
            decode: vec![decode(1.4, "PCIe 5.0 x16"), decode(0.7, "PCIe 4.0 x16"), decode(0.349, "PCIe 3.0 x16")],
            formula: "offloaded bytes / host link rate".to_owned(),
            ways: None,
        },
        decisions: vec![Decision {
            flag: "cpu-offload-gb".to_owned(),
            value: "34".to_owned(),
            why: "the smallest that leaves room for 4,096 tokens of KV cache".to_owned(),
        }],
        alternatives: vec![Alternative {
            change: "Qwen3-8B AWQ, no offload".to_owned(),
            verdict: Verdict::Fits,
            args: Arguments::default(),
            device_used: Bytes::from_gib(6.8),
            kv_tokens: 9_216,
            tokens_per_second: Some(60.2),
        }],
        rejected: vec![Rejected {
            change: "no offload".to_owned(),
            reason: Reason {
                code: "weights-too-large".to_owned(),
                message: "weights take 37.9 GiB of 7".to_owned(),
                short_by: Some(Bytes::from_gib(31.5)),
            },
        }],
        validation: vec![
            validation("flags", "14 flags exist in vLLM 0.25.1", Some(true)),
            validation("wheel", "no driver was named", None),
        ],
    }
}

fn interpretation(given: &str, meaning: &str, instead: Option<&str>) -> Interpretation {
    Interpretation { given: given.to_owned(), meaning: meaning.to_owned(), instead: instead.map(str::to_owned) }
}

fn validation(id: &str, statement: &str, holds: Option<bool>) -> Validation {
    Validation { id: id.to_owned(), statement: statement.to_owned(), holds }
}

fn finding() -> Finding {
    Finding {
        id: "offload-moves-weights".to_owned(),
        severity: Severity::Warning,
        subject: "file:serve.yaml:10".to_owned(),
        message: "cpu-offload-gb 34 moves weights, not KV cache; every token then reads 33 GiB over PCIe".to_owned(),
        evidence: vec![Evidence { fact: "cpu-offload-gb".to_owned(), value: "34".to_owned(), source: "serve.yaml:10".to_owned() }],
        fixes: vec![Fix::edit("choose a model that fits without it").with_command("gpudoctor plan --model 8b --vram 7g")],
    }
}

fn model() -> ModelSpec {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_size": 8192,
        "num_hidden_layers": 80, "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128,
        "intermediate_size": 28672, "vocab_size": 128_256, "max_position_embeddings": 131_072, "tie_word_embeddings": false,
    });
    let config = ModelConfig::from_json(&config.to_string(), "config.json").unwrap();
    config.spec("deepseek-ai/DeepSeek-R1-Distill-Llama-70B").unwrap()
}

fn devices() -> Devices {
    Devices {
        name: "7 GiB of device memory".to_owned(),
        count: 1,
        memory: Bytes(7 << 30),
        cuda_total: Bytes::from_gib(6.9),
        limit: Bytes(7 << 30),
        compute_capability: None,
        memory_bandwidth: None,
        host_link: None,
        tflops_16bit: None,
        nvlink: false,
        multiprocessors: Some(28),
        cuda_total_high: Bytes::from_gib(6.95),
        pcie_generation: Some(4),
        driver: None,
        rates: None,
        interconnect: None,
        assumed: vec!["the card supports compute capability 8.0 or newer".to_owned()],
    }
}

fn arguments() -> Arguments {
    let mut args = Arguments::default();
    args.set("model", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B");
    args.set("max-model-len", 4096);
    args.set("cpu-offload-gb", 34);
    args.set("enforce-eager", true);
    args.set("api-key", "a secret");
    args
}

fn budget() -> Budget {
    let term = |name: TermName, gib: f64, inside_requested: bool, note: &str| Term {
        name,
        size: Band { low: Bytes::from_gib(gib * 0.95), expected: Bytes::from_gib(gib), high: Bytes::from_gib(gib * 1.05) },
        formula: "rows × columns × bytes".to_owned(),
        inputs: vec![Input { name: "bytes".to_owned(), value: "2".to_owned(), source: "dtype bfloat16".to_owned() }],
        parts: vec![Part { name: "embedding".to_owned(), bytes: Bytes::from_gib(gib / 2.0) }],
        inside_requested,
        note: note.to_owned(),
    };
    Budget {
        memory_total: Bytes::from_gib(6.9),
        requested: Bytes::from_gib(6.31),
        terms: vec![
            term(TermName::Weights, 3.95, true, "embeddings and head in bf16; all 80 layers in host memory (AWQ 4-bit, group 128)"),
            term(TermName::KvCache, 1.95, true, ""),
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
            bytes_per_token: Bytes::KIB * 320,
            max_concurrency: 1.56,
            request_bytes: Bytes::from_gib(1.25),
        },
        device_used: Band { low: Bytes::from_gib(6.8), expected: Bytes::from_gib(6.95), high: Bytes::from_gib(7.0) },
        offloaded: Bytes::from_gib(33.1),
        host_memory: Bytes::from_gib(33.1),
    }
}

fn decode(rate: f64, link: &str) -> Decode {
    Decode {
        batch: 1,
        context: 4096,
        step: Milliseconds(1e3 / rate),
        exchange: Milliseconds(0.0),
        tokens_per_second: rate,
        bound_by: Bound::HostLink,
        host_link: Some(link.to_owned()),
    }
}
