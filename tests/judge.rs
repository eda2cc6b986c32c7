//! What `plan --config` says about configurations, line by line, as the library sees it.
//!
//! `OVERWRITE=1 cargo test --test judge` rewrites the expected texts; read the difference before committing it.

#![expect(clippy::expect_used, clippy::disallowed_methods, reason = "a test fails by panicking, and reads its own fixtures")]

use std::fmt::Write as _;
use std::path::Path;

use gpudoctor::catalog::Catalog;
use gpudoctor::engine::arguments::{Argument, Arguments, Place};
use gpudoctor::engine::launch::UsageContext;
use gpudoctor::engine::yaml::read_arguments;
use gpudoctor::finding::{Finding, Severity};
use gpudoctor::judge::{JudgeContext, as_parsed, judge};
use gpudoctor::model::config::ModelConfig;
use gpudoctor::model::spec::ModelSpec;
use gpudoctor::plan::outcome::Devices;
use gpudoctor::units::Bytes;
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::{Value, json};

const FOLDER: &str = "tests/plans/seventy-b-in-7-gb";

/// The findings as they read best: severity, id, place and message, then fixes and evidence.
fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let place = finding.subject.strip_prefix("file:").unwrap_or(&finding.subject);
        let _ = writeln!(text, "{}[{}] {place} {}", finding.severity.name(), finding.id, finding.message);
        for fix in &finding.fixes {
            let command = fix.command.as_deref().filter(|command| !command.is_empty());
            let _ = writeln!(text, "  fix: {}{}", fix.text, command.map(|command| format!(": {command}")).unwrap_or_default());
        }
        for evidence in &finding.evidence {
            let _ = writeln!(text, "  {} = {} ({})", evidence.fact, evidence.value, evidence.source);
        }
    }
    text
}

/// The model of the write-up: its config.json, as far as it matters.
const SEVENTY_B: &str = r#"{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
  "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80,
  "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128,
  "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": false
}"#;

/// What the findings are about, beside the lines.
struct Case {
    catalog: Catalog,
    model: Option<ModelSpec>,
    devices: Option<Devices>,
    env: IndexMap<String, String>,
}

impl Case {
    fn new() -> Self {
        Self { catalog: Catalog::builtin(), model: None, devices: None, env: IndexMap::new() }
    }

    /// The model of the write-up with further fields of config.json, and `count` devices of a compute capability.
    fn on(extra: &str, count: u64, compute_capability: Option<u32>) -> Self {
        let config = SEVENTY_B.replacen('{', &format!("{{{extra}"), 1);
        let config = ModelConfig::from_json(&config, "config.json").expect("a config");
        let devices = Devices {
            name: "32 GiB vGPU".to_owned(),
            count,
            memory: Bytes::GIB * 32,
            cuda_total: Bytes::GIB * 32,
            cuda_total_high: Bytes::GIB * 32,
            limit: Bytes::GIB * 32,
            pcie_generation: None,
            multiprocessors: None,
            compute_capability,
            memory_bandwidth: None,
            host_link: None,
            tflops_16bit: None,
            nvlink: false,
            driver: None,
            rates: None,
            interconnect: None,
            assumed: Vec::new(),
        };
        Self { model: Some(config.spec("org/seventy-b").expect("a shape")), devices: Some(devices), ..Self::new() }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn judge(&self, args: &Arguments, version: &str) -> Vec<Finding> {
        let context = JudgeContext {
            catalog: &self.catalog,
            engine: self.catalog.engine("vllm").expect("vLLM is in the catalogue"),
            model: self.model.as_ref(),
            devices: self.devices.as_ref(),
            usage: UsageContext::Serve,
            runner: None,
            offloaded: None,
        };
        judge(args, &self.env, &version.parse().expect("a version"), &context)
    }

    fn lines(&self, text: &str, version: &str) -> Vec<Finding> {
        self.judge(&read_arguments(text.as_bytes(), "serve.yaml").expect("valid YAML"), version)
    }

    /// The severities and ids, without mere explanations.
    fn ids(&self, text: &str, version: &str) -> Vec<String> {
        let findings = self.lines(text, version);
        let told = findings.iter().filter(|finding| finding.severity != Severity::Info);
        told.map(|finding| format!("{} {}", finding.severity.name(), finding.id)).collect()
    }

    fn fix(&self, text: &str, version: &str) -> String {
        let findings = self.lines(text, version);
        let fixes = findings.iter().filter(|finding| finding.severity != Severity::Info).flat_map(|finding| &finding.fixes);
        fixes.filter_map(|fix| fix.command.clone()).next().unwrap_or_default()
    }
}

fn judged(name: &str, version: &str) -> Vec<Finding> {
    let bytes = std::fs::read(Path::new(FOLDER).join(name)).expect("a fixture");
    Case::on("", 1, None).judge(&read_arguments(&bytes, name).expect("valid YAML"), version)
}

/// The write-up's two configurations, on the version it was written for and on two newer ones.
#[test]
fn the_write_up_is_judged_line_by_line() {
    for config in ["default", "tuned"] {
        for version in ["0.8.5.post1", "0.25.1", "0.33.0"] {
            let got = report(&judged(&format!("{config}.yaml"), version));
            let expected = Path::new(FOLDER).join(format!("{config}.{version}.findings.txt"));
            if std::env::var_os("OVERWRITE").is_some() {
                std::fs::write(&expected, &got).expect("the expected text can be written");
            }
            let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(got, wanted, "{} differs; OVERWRITE=1 rewrites it", expected.display());
        }
    }
}

/// The key itself is never repeated.
#[test]
fn no_finding_shows_a_secret() {
    for version in ["0.8.5.post1", "0.25.1", "0.33.0"] {
        assert!(!report(&judged("default.yaml", version)).contains("sk-1234"), "{version}");
    }
}

/// Names that this version does not know, and what becomes of them.
#[test]
fn flags_that_do_not_exist_stop_the_engine() {
    let case = Case::new();
    for (line, version, expected) in [
        ("max-num-seq: 8", "0.25.1", "warning flag-abbreviated"),
        ("max-num: 8", "0.25.1", "error flag-ambiguous"),
        ("max-num-sequences: 8", "0.25.1", "error flag-unknown"),
        ("swap-space: 4", "0.18.0", "error flag-removed"),
        ("swap-space: 8", "0.17.1", "warning flag-without-effect"),
        ("task: embed", "0.13.0", "error flag-renamed"),
        ("task: embed", "0.12.0", "warning flag-deprecated"),
        ("cuda-graph-sizes: [8]", "0.13.0", "error flag-renamed"),
        ("cuda-graph-sizes: [8]", "0.12.0", "warning flag-deprecated"),
        ("kv-cache-memory-bytes: 4G", "0.9.2", "error flag-not-yet"),
        ("disable-log-requests: true", "0.10.2", "warning flag-deprecated"),
        ("disable-log-requests: true", "0.32.0", "error flag-removed"),
    ] {
        assert_eq!(case.ids(line, version), [expected], "{line} on {version}");
    }
    assert_eq!(case.fix("max-num-sequences: 8", "0.25.1"), "max-num-seqs: 8");
    assert!(case.ids("disable-log-requests: true", "0.33.0").is_empty());
    assert!(case.ids("no-enable-prefix-caching: true", "0.25.1").is_empty());
}

/// Values that the engine's parser refuses, or that its file reader loses.
#[test]
fn values_have_the_type_that_the_version_takes() {
    let case = Case::new();
    for (line, version, expected) in [
        ("max-num-seqs: many", "0.25.1", "error value-not-allowed"),
        ("max-num-seqs: 2.5", "0.25.1", "error value-not-allowed"),
        ("max-num-seqs: 0", "0.25.1", "error value-not-allowed"),
        ("enforce-eager: 1", "0.25.1", "error value-not-allowed"),
        ("enforce-eager: \"true\"", "0.25.1", "error value-not-allowed"),
        ("swap-space: true", "0.10.2", "error value-not-allowed"),
        ("dtype: fp16", "0.25.1", "error value-not-allowed"),
        ("kv-cache-dtype: int8", "0.25.1", "error value-not-allowed"),
        ("kv-cache-dtype: nvfp4", "0.19.1", "error value-not-allowed"),
        ("gpu-memory-utilization: 90", "0.25.1", "error value-not-allowed"),
        ("gpu-memory-utilization: 0", "0.8.5.post1", "error value-not-allowed"),
        ("gpu-memory-utilization: 0.98", "0.25.1", "warning memory-utilization-high"),
        ("block-size: 8", "0.25.1", "error value-not-allowed"),
        ("speculative-config: {method: ngram}", "0.11.2", "error value-not-allowed"),
        ("enable-prefix-caching: false", "0.25.1", "error false-is-ignored"),
        ("max-model-len: auto", "0.13.0", "error value-not-allowed"),
        ("quantization: gguf", "0.25.1", "error quantization-needs-plugin"),
    ] {
        assert_eq!(case.ids(line, version), [expected], "{line} on {version}");
    }
    for (line, version) in [
        ("max-model-len: 16k", "0.25.1"),
        ("max-model-len: auto", "0.25.1"),
        ("gpu-memory-utilization: \"0.9\"", "0.25.1"),
        ("enable-prefix-caching: false", "0.28.0"),
        ("kv-cache-dtype: nvfp4", "0.25.1"),
        ("speculative-config: {method: ngram, num_speculative_tokens: 3}", "0.25.1"),
        ("speculative-config: '{\"method\": \"ngram\"}'", "0.11.2"),
        ("enforce-eager: false", "0.25.1"),
    ] {
        assert!(case.ids(line, version).is_empty(), "{line} on {version}: {:?}", case.ids(line, version));
    }
    assert_eq!(case.fix("gpu-memory-utilization: 90", "0.25.1"), "gpu-memory-utilization: 0.9");
    assert_eq!(case.fix("enable-prefix-caching: false", "0.25.1"), "no-enable-prefix-caching: true");
    assert_eq!(case.fix("enforce-eager: \"true\"", "0.25.1"), "enforce-eager: true");
}

/// Lines that are fine alone and not together, or not with this model and these devices.
#[test]
fn lines_must_fit_each_other_the_model_and_the_devices() {
    let two = Case::on("", 2, Some(89));
    let awq = Case::on(r#""quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": true},"#, 2, Some(89));
    let turing = Case::on("", 2, Some(75));
    for (case, lines, version, expected) in [
        (&two, "max-num-batched-tokens: 4\nmax-num-seqs: 8", "0.25.1", "error batched-tokens-below-sequences"),
        (
            &two,
            "max-num-batched-tokens: 512\nmax-model-len: 1024\nno-enable-chunked-prefill: true",
            "0.25.1",
            "error batched-tokens-below-context",
        ),
        (&two, "max-model-len: 200000", "0.25.1", "error context-beyond-model"),
        (&two, "tensor-parallel-size: 4", "0.25.1", "error more-ranks-than-gpus"),
        (&Case::on("", 8, None), "tensor-parallel-size: 3", "0.25.1", "error heads-not-divisible"),
        (&two, "quantization: awq_marlin", "0.25.1", "error quantization-mismatch"),
        (&awq, "quantization: gptq", "0.10.2", "error quantization-mismatch"),
        (&awq, "quantization: awq", "0.10.2", "warning quantization-forces-slow-kernel"),
        (&turing, "dtype: bfloat16", "0.25.1", "error dtype-unsupported-by-gpu"),
        (&two, "trust-remote-code: true", "0.25.1", "warning trust-remote-code-unneeded"),
        (&two, "cpu-offload-gb: 30", "0.25.1", "error offload-ignored"),
        (&awq, "cpu-offload-gb: 30", "0.16.0", "error offload-lost-on-repack"),
        (&two, "cpu-offload-gb: 30", "0.29.0", "warning offload-moves-weights"),
    ] {
        assert_eq!(case.ids(lines, version), [expected], "{lines} on {version}");
    }
    assert_eq!(two.fix("cpu-offload-gb: 30", "0.25.1"), "VLLM_USE_V2_MODEL_RUNNER=0");
    let mended = Case::on("", 2, Some(89)).env("VLLM_USE_V2_MODEL_RUNNER", "0");
    assert_eq!(mended.ids("cpu-offload-gb: 30", "0.25.1"), ["warning offload-moves-weights"]);
    assert!(awq.ids("tensor-parallel-size: 2", "0.25.1").is_empty());
}

/// Variables that this version no longer reads.
#[test]
fn variables_are_judged_too() {
    let case = Case::new().env("VLLM_ATTENTION_BACKEND", "FLASHINFER");
    assert_eq!(case.ids("port: 8000", "0.16.0"), ["warning attention-backend-variable-unread"]);
    assert_eq!(case.fix("port: 8000", "0.16.0"), "attention-backend: FLASHINFER");
    assert!(case.ids("port: 8000", "0.11.2").is_empty());
}

/// What the engine's parser makes of the names and of `false`.
#[test]
fn names_become_what_they_mean() {
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("vLLM is in the catalogue");
    for (line, version, expected) in [
        ("no-enable-prefix-caching: true", "0.25.1", json!({"enable-prefix-caching": false})),
        ("enable-prefix-caching: false", "0.25.1", json!({})),
        ("enable-prefix-caching: false", "0.28.0", json!({"enable-prefix-caching": false})),
        ("disable-prefix-caching: true", "0.33.0", json!({"enable-prefix-caching": false})),
        ("device-memory-utilization: 0.5", "0.33.0", json!({"gpu-memory-utilization": 0.5})),
        ("max-num-seq: 8", "0.25.1", json!({"max-num-seqs": 8})),
        ("enforce-eager: false", "0.25.1", json!({"enforce-eager": false})),
        ("no-such-flag: 1", "0.25.1", json!({"no-such-flag": 1})),
    ] {
        let args = read_arguments(line.as_bytes(), "serve.yaml").expect("valid YAML");
        let parsed = as_parsed(&args, engine, &version.parse().expect("a version"));
        let values: serde_json::Map<String, Value> = parsed.0.into_iter().map(|(flag, argument)| (flag, argument.value)).collect();
        assert_eq!(Value::Object(values), expected, "{line} on {version}");
    }
}

/// Every flag of every version read, with a value of its own choosing, is not called unknown there.
#[test]
fn every_flag_is_known_where_it_exists() {
    let case = Case::new();
    let engine = case.catalog.engine("vllm").expect("vLLM is in the catalogue");
    for release in engine.releases() {
        for flag in engine.flags_for(&release.version) {
            let mut args = Arguments::default();
            args.set(&flag.name, Value::Null);
            let findings = case.judge(&args, &release.version.to_string());
            let lost = findings.iter().find(|finding| matches!(finding.id.as_str(), "flag-unknown" | "flag-removed" | "flag-not-yet"));
            assert!(lost.is_none(), "{} on {}: {lost:?}", flag.name, release.version);
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[0-9.]{0,6}[kKmMgGtT]?".prop_map(Value::from),
        prop_oneof![Just(json!([])), Just(json!([1, "a", null])), Just(json!({})), Just(json!({"a": {"b": [1]}}))],
    ]
}

proptest! {
    /// Any flags with any values are judged, in every version, without a panic and without losing a line's place.
    #[test]
    fn anything_is_judged(
        lines in proptest::collection::vec((any::<prop::sample::Index>(), "[a-z-]{0,12}", any::<bool>(), any_value(), any::<bool>()), 0..6),
        release in any::<prop::sample::Index>(),
        known in any::<bool>(),
    ) {
        thread_local! {
            static CASES: (Case, Case) = (Case::new(), Case::on("", 2, Some(89)));
        }
        CASES.with(|(bare, full)| {
            let case = if known { full } else { bare };
            let engine = case.catalog.engine("vllm").expect("vLLM is in the catalogue");
            let version = engine.releases()[release.index(engine.releases().len())].version.to_string();
            let mut args = Arguments::default();
            for (number, (index, random, pick, value, placed)) in lines.into_iter().enumerate() {
                let name = if pick { index.get(&engine.flags().collect::<Vec<_>>()).name.clone() } else { random };
                let place = placed.then(|| Place { file: "f.yaml".to_owned(), line: number + 1, column: 1 });
                args.0.insert(name, Argument { value, place });
            }
            let parsed = as_parsed(&args, engine, &version.parse().expect("a version"));
            assert!(parsed.0.len() <= args.0.len());
            for finding in case.judge(&args, &version) {
                assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "{}", finding.message);
            }
        });
    }
}
