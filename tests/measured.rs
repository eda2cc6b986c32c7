//! The planner against every real run in `docs/measurements/`: each engine configuration is judged as it was
//! given, and each term is compared with what the engine and nvidia-smi said.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

const GIB: f64 = 1_073_741_824.0;

/// How far a prediction may be off in any single run.
struct Limits {
    /// Weights, in percent.
    weights: f64,
    /// KV tokens predicted beyond what was there, in percent: the dangerous direction.
    tokens_high: f64,
    /// KV tokens predicted short of what was there, in percent.
    tokens_low: f64,
    /// Activation peak, in GiB.
    activation: f64,
    /// Non-torch memory, in GiB.
    non_torch: f64,
    /// CUDA graphs, in GiB.
    graphs: f64,
    /// Device memory after start, in percent.
    device: f64,
}

const LIMITS: Limits =
    Limits { weights: 0.5, tokens_high: 0.5, tokens_low: 1.0, activation: 0.02, non_torch: 0.08, graphs: 0.2, device: 2.0 };

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Value> {
    let folder = repository().join("docs/measurements");
    let mut rows = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = fs_err::read_to_string(path).unwrap();
            rows.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    rows
}

/// The plan's JSON for the configuration of `row`.
fn judge(row: &Value, models: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut config = models["models"][row["model"].as_str().unwrap()].clone();
    assert!(config.is_object(), "docs/measurements/models.json has no {}", row["model"]);
    if let Some(layers) = row["layers"].as_u64() {
        config["num_hidden_layers"] = layers.into();
    }
    if let Some(quantization) = row["quantization"].as_str() {
        config["quantization_config"] = models["quantization"][quantization].clone();
    }
    fs_err::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut yaml = format!("model: {}\n", folder.path().display());
    for (flag, value) in row["args"].as_object().unwrap() {
        yaml.push_str(&format!("{}: {value}\n", flag.replace('_', "-")));
    }
    let file = folder.path().join("serve.yaml");
    fs_err::write(&file, yaml).unwrap();
    let count = row["gpu_count"].to_string();
    let engine = format!("vllm@{}", row["engine_version"].as_str().unwrap());
    let file = file.display().to_string();
    let gpu = row["gpu"]["name"].as_str().unwrap();
    let mut arguments =
        vec!["plan", "--config", &file, "--gpu", gpu, "--gpus", &count, "--engine", &engine, "--usage-context", "llm", "--format", "json"];
    let variables: Vec<String> =
        row["env"].as_object().unwrap().iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    for variable in &variables {
        arguments.extend(["--env", variable]);
    }
    let outcome = program::run(&arguments, &[], Duration::from_secs(30));
    assert!(matches!(outcome.code, Some(0 | 1)), "{}: exit {:?}\n{}", row["id"], outcome.code, outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{}", row["id"], outcome.stderr))
}

/// A figure of a row in GiB: from the engine's own variables where they were read, of the rank that has most,
/// else as it printed it.
fn measured(row: &Value, bytes: &str, printed: &str) -> Option<f64> {
    let measured = &row["measured"];
    let ranks = row["ranks"].as_array().or_else(|| measured["ranks"].as_array());
    let most = ranks.and_then(|ranks| ranks.iter().filter_map(|rank| rank["bytes"][bytes].as_f64()).max_by(f64::total_cmp));
    if let Some(most) = most {
        return Some(most / GIB);
    }
    let exact = measured["bytes"][bytes].as_f64().map(|bytes| bytes / GIB);
    let first = measured["printed_usage_gib"][0][bytes].as_f64();
    exact.or_else(|| measured[printed].as_f64()).or(first)
}

#[test]
fn every_measured_run_is_predicted() {
    let models: Value = serde_json::from_str(&fs_err::read_to_string(repository().join("docs/measurements/models.json")).unwrap()).unwrap();
    let rows = rows();
    assert!(rows.len() >= 40, "only {} rows", rows.len());
    let mut problems = Vec::new();
    for row in &rows {
        let plan = judge(row, &models);
        let id = row["id"].as_str().unwrap();
        if row["measured"]["error"].is_string() {
            if plan["verdict"] != "invalid" && plan["verdict"] != "does_not_fit" {
                problems.push(format!("{id}: it fails, and the plan says {}", plan["verdict"]));
            }
            continue;
        }
        let term = |name: &str| {
            let terms = plan["budget"]["terms"].as_array().unwrap();
            terms.iter().find(|term| term["name"] == name).map_or(0.0, |term| term["bytes"].as_f64().unwrap() / GIB)
        };
        let mut within = |what: &str, predicted: f64, real: Option<f64>, low: f64, high: f64, relative: bool| {
            let Some(real) = real else { return };
            let error = if relative { (predicted - real) / real * 100.0 } else { predicted - real };
            if error < -low || error > high {
                problems.push(format!("{id}: {what} {predicted:.3} against {real:.3}"));
            }
        };
        within("weights", term("weights"), measured(row, "weights", "weights_gib"), LIMITS.weights, LIMITS.weights, true);
        let peak = measured(row, "activation_peak", "activation_peak_gib");
        within("activation", term("activation_peak"), peak, LIMITS.activation, LIMITS.activation, false);
        let outside = measured(row, "non_torch", "non_torch_gib");
        within("non-torch", term("non_torch"), outside, LIMITS.non_torch, LIMITS.non_torch, false);
        within("graphs", term("cuda_graphs"), row["measured"]["cudagraph_gib"].as_f64(), LIMITS.graphs, LIMITS.graphs, false);
        let tokens = plan["budget"]["kv_cache"]["tokens"].as_f64().unwrap();
        within("KV tokens", tokens, row["measured"]["kv_tokens"].as_f64(), LIMITS.tokens_low, LIMITS.tokens_high, true);
        let used = row["measured"]["nvidia_smi_used_mib_after_start"].as_array();
        let used = used.and_then(|used| used.iter().filter_map(Value::as_f64).max_by(f64::total_cmp));
        let predicted = plan["budget"]["device_used_bytes"].as_f64().unwrap() / 1_048_576.0;
        within("device memory", predicted, used, LIMITS.device, LIMITS.device, true);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
