//! Runs on real GPUs: the log that each printed, rebuilt from its figures, gives a table that agrees.

use gpudoctor::catalog::MemoryTopic;
use gpudoctor::model::config::ModelConfig;
use gpudoctor::model::spec::ModelSpec;
use gpudoctor::plan::budget::TermName;
use gpudoctor::startup::{Start, Subject};
use serde_json::Value;

use crate::{answer, figures, known, log, summary};

const RUNS: &str = include_str!("../../docs/measurements/2026-11-22-whole-models-vllm-0.25.1.jsonl");
const MODELS: &str = include_str!("../../docs/measurements/models.json");

/// A run and its model, as a folder with a config.json has it.
struct Run {
    row: Value,
    model: ModelSpec,
}

fn runs() -> Vec<Run> {
    let models: Value = serde_json::from_str(MODELS).expect("models");
    let rows = RUNS.lines().map(|line| serde_json::from_str::<Value>(line).expect("a run"));
    rows.map(|row| {
        let mut config = models["models"][row["model"].as_str().unwrap()].clone();
        if let Some(quantization) = row["quantization"].as_str() {
            config["quantization_config"] = models["quantization"][quantization].clone();
        }
        let mut model = ModelConfig::from_json(&config.to_string(), "config.json").unwrap().spec("/models/it").unwrap();
        model.without_tensors = true;
        Run { row, model }
    })
    .collect()
}

impl Run {
    fn measured(&self, name: &str) -> Option<f64> {
        self.row["measured"][name].as_f64()
    }

    fn id(&self) -> &str {
        self.row["id"].as_str().unwrap()
    }

    /// The run as its log has it.
    fn start(&self, debug: bool) -> log::Start<'_> {
        let args = self.row["args"].as_object().unwrap();
        let python = |value: &Value| match value {
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            other => other.to_string(),
        };
        let figure = |name: &str| self.measured(name).unwrap_or(0.0);
        let effective =
            |name: &str, default: u64| self.row["effective"][name].as_u64().or_else(|| args.get(name)?.as_u64()).unwrap_or(default);
        log::Start {
            version: "0.25.1",
            model: "/models/it",
            quantization: self.row["quantization"].as_str(),
            ranks: self.row["gpu_count"].as_u64().unwrap(),
            eager: args.get("enforce_eager") == Some(&Value::Bool(true)),
            server: false,
            given: args.iter().map(|(name, value)| (name.clone(), python(value))).collect(),
            max_model_len: effective("max_model_len", 8192),
            max_num_batched_tokens: effective("max_num_batched_tokens", 16_384),
            second_runner: self.row["env"]["VLLM_USE_V2_MODEL_RUNNER"] != "0",
            offloaded: self.row["measured"]["offload_log"].get(1).map(|_| 33.12),
            weights: figure("weights_gib"),
            activation: figure("activation_peak_gib"),
            non_torch: figure("non_torch_gib"),
            available: figure("kv_gib"),
            graphs: figure("cudagraph_gib"),
            free: figure("free_at_start_gib"),
            total: self.row["gpu"]["cuda_total_gib"].as_f64().unwrap(),
            requested: figure("requested_gib"),
            utilization: args.get("gpu_memory_utilization").and_then(Value::as_f64).unwrap_or(0.92),
            tokens: self.row["measured"]["kv_tokens"].as_u64().unwrap_or(0),
            concurrency: figure("max_concurrency"),
            debug,
        }
    }
}

/// With the lines of the debug level every term is printed; the prediction is as near as plans are held to.
#[test]
fn every_term_stands_beside_its_prediction() {
    let mut seen = 0;
    for run in runs().iter().filter(|run| run.measured("max_concurrency").is_some()) {
        let summary = summary(&run.start(true).healthy(), &known(None, Some(&run.model)));
        let limits = [
            (TermName::Weights, "weights_gib", 0.1),
            (TermName::ActivationPeak, "activation_peak_gib", 0.03),
            (TermName::NonTorch, "non_torch_gib", 0.09),
            (TermName::CudaGraphs, "cudagraph_gib", 0.25),
            (TermName::KvCache, "kv_gib", 0.4),
        ];
        for (name, field, limit) in limits {
            let row =
                summary.rows.iter().find(|row| row.subject == Subject::Term(name)).unwrap_or_else(|| panic!("{}: no {field}", run.id()));
            let actual = row.actual.unwrap_or_else(|| panic!("{}: {field} was printed", run.id())).0 as f64 / 1_073_741_824.0;
            assert!((actual - run.measured(field).unwrap()).abs() < 0.006, "{}: {field} {actual}", run.id());
            let predicted = row.predicted.expect("a prediction").expected.gib();
            assert!((predicted - actual).abs() <= limit, "{}: {field} {predicted} for {actual}", run.id());
        }
        assert_eq!(summary.cache.tokens, run.row["measured"]["kv_tokens"].as_u64(), "{}", run.id());
        seen += 1;
    }
    assert!(seen >= 8, "{seen} runs");
}

/// At the default level the log has weights, cache and graphs. With the card named the rest follows, and is what was measured.
#[test]
fn what_the_default_level_leaves_out_follows() {
    for run in runs().iter().filter(|run| run.measured("max_concurrency").is_some()) {
        let gpu = run.row["gpu"]["name"].as_str().unwrap();
        let summary = summary(&run.start(false).healthy(), &known(Some((gpu, run.row["gpu_count"].as_u64().unwrap())), Some(&run.model)));
        let rest = summary.rows.iter().find(|row| row.subject == Subject::Rest).unwrap_or_else(|| panic!("{}: {summary:#?}", run.id()));
        let rest = rest.actual.expect("a difference").0 as f64 / 1_073_741_824.0;
        let measured = run.measured("activation_peak_gib").unwrap() + run.measured("non_torch_gib").unwrap();
        assert!((rest - measured).abs() < 0.04, "{}: {rest} for {measured}", run.id());
    }
}

/// What a start printed, used for the same launch, gives its cache to the digits printed.
#[test]
fn measured_terms_give_the_cache_that_was() {
    for run in runs().iter().filter(|run| run.measured("max_concurrency").is_some()) {
        let log = run.start(true).healthy();
        let figures = figures(&log);
        let known = known(None, Some(&run.model));
        let start = Start::new(figures.last().unwrap(), &known);
        let measured = start.measured().unwrap_or_else(|| panic!("{}: {:?}", run.id(), start.not_computed()));
        let gib = |band: Option<gpudoctor::plan::budget::Band>| band.map(|band| band.expected.gib()).unwrap_or(f64::NAN);
        let sum = gib(measured.weights) + gib(measured.activation_peak) + gib(measured.non_torch);
        let cache = run.measured("requested_gib").unwrap() - sum;
        assert!((cache - run.measured("kv_gib").unwrap()).abs() < 0.03, "{}: {cache}", run.id());
        let text = serde_json::to_string(measured).unwrap();
        assert!(!text.contains("/models/"), "what is kept names no path: {text}");
    }
}

/// An offload that the V2 runner ignores is the cause, and the variable that mends it is the answer, with what it gives.
#[test]
fn an_ignored_offload_is_named() {
    let runs = runs();
    let run = runs.iter().find(|run| run.id() == "a02_llama70b_awq_7g").unwrap();
    let answer = answer(&run.start(true).nothing_left(), MemoryTopic::Kv, &known(None, Some(&run.model)));
    let first = &answer.changes[0];
    assert_eq!(first.command(), "VLLM_USE_V2_MODEL_RUNNER=0", "{answer:#?}");
    assert!(answer.statements.iter().any(|sentence| sentence.contains("V2 model runner, which ignores offload")), "{answer:#?}");
    // The run with that variable had 2.65 GiB of cache.
    assert!((first.cache.expect("a cache").bytes.gib() - 2.65).abs() < 0.1, "{first:?}");
}
