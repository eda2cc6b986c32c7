//! `gpus` and `pick` on recorded machines.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::time::Duration;

use program::Outcome;
use serde_json::Value;

fn on(situation: &str, words: &[&str]) -> Outcome {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(situation).join("host.json").display().to_string();
    let words: Vec<&str> = words.iter().copied().chain(["--from", &host]).collect();
    program::run(&words, &[], Duration::from_secs(30))
}

/// The table says who holds what, for how long, and which cards are free.
#[test]
fn the_shared_server_is_a_table() {
    let outcome = on("4090x8-shared", &["gpus"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(
        lines[1].contains("RTX 4090") && lines[1].contains("97%") && lines[1].contains("xinference (w***)  8123  6 days"),
        "{}",
        lines[1]
    );
    assert!(lines[3].ends_with("asleep, held") && lines[5].trim_end().ends_with("free"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("Free: 4, 5, 6, 7 (same NUMA node, no NVLink, this card has no P2P)"), "{}", outcome.stdout);
    assert!(outcome.stdout.lines().all(|line| line.chars().count() <= 100), "{}", outcome.stdout);
}

#[test]
fn the_cards_are_json() {
    let outcome = on("4090x8-shared", &["gpus", "--format", "json"]);
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!((&report["schema"], report["gpus"].as_array().map(Vec::len)), (&Value::from("gpudoctor.gpus/1"), Some(8)));
    assert_eq!(report["free"], serde_json::json!([4, 5, 6, 7]));
    assert_eq!(report["gpus"][0]["processes"][0]["name"], "xinference");
}

#[test]
fn a_machine_without_cards_says_so() {
    let outcome = on("no-gpu", &["gpus"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.starts_with("No GPU is seen: the NVIDIA driver is not loaded."), "{}", outcome.stdout);
}

/// What a shell evaluates, in numbers or UUIDs; cards on one NUMA node come together.
#[test]
fn free_cards_are_picked() {
    let picked = |words: &[&str]| on("4090x8-shared", words).stdout;
    assert_eq!(picked(&["pick", "--count", "2", "--free", "20g"]), "CUDA_VISIBLE_DEVICES=4,5; export CUDA_VISIBLE_DEVICES\n");
    assert_eq!(picked(&["pick", "--bare"]), "4\n");
    assert_eq!(picked(&["pick", "--uuid", "--bare"]), "GPU-00000004-0000-0000-0000-000000000000\n");
    assert!(
        on("mixed-cards", &["pick"]).stdout.starts_with("CUDA_DEVICE_ORDER=PCI_BUS_ID; export CUDA_DEVICE_ORDER; CUDA_VISIBLE_DEVICES=")
    );
    assert_eq!(on("h200x2-container-healthy", &["pick", "-n", "2", "--bare"]).stdout, "0,1\n");
}

/// Nothing on stdout, so that nothing is evaluated; the reason on stderr.
#[test]
fn a_refusal_is_polite() {
    let outcome = on("4090x8-shared", &["pick", "--count", "5"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(
        outcome.stderr.starts_with("5 cards with nine tenths of their memory free are wanted; only 4 cards are so\n"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("  GPU 0: 0.9 GiB of 24.0 GiB free, held by pid 8123 (xinference, user w***, 6 days)\n"),
        "{}",
        outcome.stderr
    );
    let outcome = on("no-gpu", &["pick"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    assert!(outcome.stderr.starts_with("no GPU is seen"), "{}", outcome.stderr);
}

/// A plan takes the machine's cards, what is free on them, and its driver.
#[test]
fn a_plan_takes_the_machines_cards() {
    let outcome = on("h200x2-container-healthy", &["plan", "--model", "8b", "--format", "json"]);
    let plan: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(
        (&plan["devices"][0]["name"], &plan["devices"][0]["count"]),
        (&Value::from("NVIDIA H200"), &Value::from(2)),
        "{}",
        outcome.stderr
    );
    let outcome = on("no-gpu", &["plan", "--model", "8b"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("no device was named, and the recorded machine shows no GPU"), "{}", outcome.stderr);
}

/// Every format of a report says the same, and a broken capture is one clear error.
#[test]
fn reports_have_forms_for_ci() {
    let junit = on("h100-driver-535", &["check", "--for", "vllm", "--format", "junit"]);
    assert!(junit.code == Some(1) && junit.stdout.contains("<failure message=\"vLLM 0.25.1 is built for CUDA 13.0"), "{}", junit.stdout);
    let markdown = on("h100-driver-535", &["check", "--for", "vllm", "--format", "markdown"]).stdout;
    assert!(markdown.contains("**Primary cause: `driver-older-than-cuda`**"), "{markdown}");
    let github = on("h100-driver-535", &["check", "--for", "vllm", "--format", "github"]).stdout;
    assert!(github.starts_with("::error title=gpudoctor check%3A driver-older-than-cuda::"), "{github}");
    let broken = program::run(&["check", "--from", "/dev/null"], &[], Duration::from_secs(30));
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(2), ""));
    assert!(broken.stderr.starts_with("error: `/dev/null` is empty"), "{}", broken.stderr);
}

/// With `--require-gpu` what cannot be seen fails; without it, it is counted.
#[test]
fn a_required_gpu_must_be_seen() {
    let ids = |words: &[&str]| {
        let outcome = on("h100-healthy", words);
        (outcome.code, serde_json::from_str::<Value>(&outcome.stdout).expect("JSON"))
    };
    assert_eq!(ids(&["check", "--require-gpu", "--format", "json"]).0, Some(0));
    let outcome = on("no-gpu", &["check", "--require-gpu", "--format", "json"]);
    assert_eq!(outcome.code, Some(1));
}
