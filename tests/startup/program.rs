//! The same through the program: the cause, the figures below it, and terms that are kept for later plans.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::command::{Outcome, run};
use crate::log;

fn diagnose(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let all: Vec<&str> = std::iter::once("diagnose").chain(arguments.iter().copied()).collect();
    run(&all, environment, Duration::from_secs(60))
}

fn fixture(name: &str) -> String {
    format!("{}/tests/startup/{name}.log", env!("CARGO_MANIFEST_DIR"))
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// "No available memory for the cache blocks": the cause, and the two values to set.
#[test]
fn a_cause_comes_with_the_number() {
    let outcome = diagnose(&[&fixture("no-cache-blocks"), "--gpu", "rtx 3080 20gb", "--gpus", "2", "--format", "json"], &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let report = json(&outcome);
    let cause = &report["causes"][0];
    assert_eq!((report["verdict"].as_str(), cause["root"].as_str()), (Some("found"), Some("kv-budget-too-small")), "{cause:#}");
    let commands: Vec<&str> =
        cause["answer"]["changes"].as_array().unwrap().iter().filter_map(|change| change["command"].as_str()).collect();
    assert!(commands.iter().any(|command| command.starts_with("--max-num-seqs ")), "{commands:?}");
    assert!(commands.iter().any(|command| command.starts_with("--gpu-memory-utilization 0.")), "{commands:?}");
    let text = diagnose(&[&fixture("no-cache-blocks"), "--gpu", "rtx 3080 20gb", "--gpus", "2"], &[]).stdout;
    assert!(text.contains("requested 2.36 GiB = 0.12 × 19.65 GiB") && text.contains("set --max-num-seqs"), "{text}");
}

/// Out of memory at 0.95 while graphs were captured: the share goes down.
#[test]
fn out_of_memory_in_graphs_goes_down() {
    let report = json(&diagnose(&[&fixture("graphs-out-of-memory"), "--format", "json"], &[]));
    let cause = &report["causes"][0];
    assert_eq!(cause["root"].as_str(), Some("no-headroom-for-graphs-or-sampler"), "{cause:#}");
    let share =
        cause["answer"]["changes"].as_array().unwrap().iter().find_map(|change| change["settings"]["gpu-memory-utilization"].as_str());
    assert!(share.is_some_and(|share| share.parse::<f64>().unwrap() < 0.95), "{cause:#}");
}

/// A healthy log is good, and shows the table.
#[test]
fn a_healthy_log_has_a_table() {
    let outcome = diagnose(&[&fixture("bitsandbytes-healthy"), "--gpu", "rtx 3080 20gb", "--gpus", "2"], &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for part in ["weights                         1.22       1.22", "0.50*", "1.99", "7,216 tokens", "cpu-offload-gb 0"] {
        assert!(outcome.stdout.contains(part), "{part}:\n{}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("2.5 GB"));
}

/// `--save` keeps the terms, and a plan of the same launch has them and says so; any other plan is as before. A damaged file is
/// ignored, and that is said.
#[test]
fn what_was_printed_is_used_by_the_same_plan() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().display().to_string();
    let environment = [("XDG_CACHE_HOME", cache.as_str())];
    let start = log::Start {
        version: "0.25.1",
        model: "Qwen/Qwen3-8B",
        quantization: None,
        ranks: 1,
        eager: true,
        server: true,
        given: vec![
            ("gpu_memory_utilization".to_owned(), "0.5".to_owned()),
            ("max_num_seqs".to_owned(), "16".to_owned()),
            ("enforce_eager".to_owned(), "True".to_owned()),
        ],
        max_model_len: 8192,
        max_num_batched_tokens: 2048,
        second_runner: true,
        offloaded: None,
        weights: 15.27,
        activation: 0.31,
        non_torch: 0.21,
        available: 23.8,
        graphs: 0.0,
        free: 78.66,
        total: 79.18,
        requested: 39.59,
        utilization: 0.5,
        tokens: 173_300,
        concurrency: 21.15,
        debug: true,
    };
    let log = folder.path().join("serve.log");
    fs_err::write(&log, start.healthy()).unwrap();
    let yaml = folder.path().join("serve.yaml");
    let write = |sequences: u64| {
        let text = format!(
            "model: Qwen/Qwen3-8B\ngpu-memory-utilization: 0.5\nmax-num-seqs: {sequences}\nmax-num-batched-tokens: 2048\nmax-model-len: 8192\nenforce-eager: true\n"
        );
        fs_err::write(&yaml, text).unwrap();
    };
    let plan = || {
        let yaml = yaml.display().to_string();
        let arguments = ["plan", "--config", &yaml, "--gpu", "h100", "--engine", "vllm@0.25.1", "--offline", "--format", "json"];
        run(&arguments, &environment, Duration::from_secs(60))
    };
    let term = |outcome: &Outcome, name: &str| {
        let report = json(outcome);
        report["budget"]["terms"].as_array().unwrap().iter().find(|term| term["name"] == name).unwrap().clone()
    };
    write(16);
    let before = plan();
    assert_ne!(term(&before, "activation_peak")["inputs"][0]["name"], "measured");
    let saved = diagnose(&[&log.display().to_string(), "--gpu", "h100", "--save"], &environment);
    assert!(saved.stderr.contains("saved to ") && saved.code == Some(0), "{saved:?}");
    let file = folder.path().join("gpudoctor/measured-1.json");
    assert!(!fs_err::read_to_string(&file).unwrap().contains(&cache), "what is kept names no path");

    let after = plan();
    let peak = term(&after, "activation_peak");
    assert_eq!(peak["bytes"].as_u64(), Some((0.31_f64 * 1_073_741_824.0).round() as u64), "{peak:#}");
    assert_eq!(peak["inputs"][0]["name"], "measured", "{peak:#}");
    assert_eq!(peak["inputs"][0]["source"], "a start of vLLM 0.25.1");

    write(32);
    let other = plan();
    assert_eq!(term(&other, "weights")["inputs"][0]["name"], "measured", "weights do not depend on the number of requests");
    assert_ne!(term(&other, "activation_peak")["inputs"][0]["name"], "measured");

    write(16);
    fs_err::write(&file, "{").unwrap();
    let damaged = plan();
    assert_eq!(damaged.stdout, before.stdout, "a damaged file changes nothing");
    assert!(damaged.stderr.contains("is ignored"), "{}", damaged.stderr);
    assert!(Path::new(&file).exists());
}

/// A log without a healthy start has nothing to keep, and says so.
#[test]
fn a_failed_start_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().display().to_string();
    let outcome =
        diagnose(&[&fixture("no-cache-blocks"), "--gpu", "rtx 3080 20gb", "--gpus", "2", "--save"], &[("XDG_CACHE_HOME", &cache)]);
    assert!(outcome.stderr.contains("nothing is saved"), "{outcome:?}");
    assert!(!folder.path().join("gpudoctor").exists());
}
