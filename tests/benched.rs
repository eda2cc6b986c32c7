//! Plans with measured rates: what the kernels of the bench reached on an H100 (`docs/measurements/2026-11-22-bench-all-families.md`) predicts the
//! decode steps that vLLM took there (`docs/measurements/2026-11-22-whole-models-vllm-0.25.1.md`).
#![expect(clippy::disallowed_methods, reason = "runs the program")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

use serde_json::Value;

const RATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/benched/h100.json");

fn run(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpudoctor"));
    let nowhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    command.args(arguments.split_whitespace()).env("XDG_CACHE_HOME", nowhere.path()).output().unwrap()
}

fn plan(arguments: &str) -> Value {
    let output = run(&format!("plan {arguments} --offline --format json"));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| unreachable!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// Every estimate is within 15 % of what was measured.
#[track_caller]
fn assert_near(arguments: &str, measured: &[(u64, f64)]) {
    let plan = plan(&format!("{arguments} --bench {RATES}"));
    assert_eq!(plan["performance"]["basis"], "measured", "{plan:#}");
    for (batch, milliseconds) in measured {
        let steps = plan["performance"]["decode"].as_array().unwrap();
        let step = steps.iter().find(|step| step["batch"] == *batch).unwrap_or_else(|| unreachable!("{steps:#?}"));
        let error = step["step_ms"].as_f64().unwrap() / milliseconds - 1.0;
        assert!(error.abs() < 0.15, "batch {batch}: {:+.1} % of {milliseconds} ms", error * 100.0);
    }
}

/// 16-bit weights with graphs.
#[test]
fn decode_of_16_bit_weights_is_predicted() {
    assert_near(
        "--model Qwen/Qwen3-8B --gpu h100 --context 128 --concurrency 64 --quantization none",
        &[(1, 6.754), (16, 6.885), (64, 7.769)],
    );
}

/// 4-bit weights with graphs.
#[test]
fn decode_of_4_bit_weights_is_predicted() {
    assert_near(
        "--model meta-llama/Llama-3.1-70B-Instruct --gpu h100 --context 128 --concurrency 64 --quantization awq",
        &[(1, 22.396), (16, 22.393)],
    );
}

/// 34 GiB of weights in host memory.
#[test]
fn decode_over_the_host_link_is_predicted() {
    let launch = "--set cpu-offload-gb=34 --set enforce-eager=true --env VLLM_USE_V2_MODEL_RUNNER=0";
    assert_near(
        &format!("--model meta-llama/Llama-3.1-70B-Instruct --gpu h100 --vram 7g --context 512 --quantization awq {launch}"),
        &[(1, 761.066)],
    );
}

/// Without measurements the basis is nominal; rates of another card are refused.
#[test]
fn rates_are_of_the_card_that_is_planned_for() {
    assert_eq!(plan("--model Qwen/Qwen3-8B --gpu h100")["performance"]["basis"], "nominal");
    let output = run(&format!("plan --model Qwen/Qwen3-8B --gpu l4 --offline --bench {RATES}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("it has measured NVIDIA H100 80GB HBM3"), "{complaint}");
}

/// `explain decode` says where each figure is from.
#[test]
fn the_figures_of_a_step_can_be_explained() {
    let output = run(&format!("explain decode --model Qwen/Qwen3-8B --gpu h100 --offline --bench {RATES}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("3122 GB/s") && text.contains("speed.gemm_share_of_read"), "{text}");
}

/// A report of two H200s with what NCCL did there.
fn with_nccl(nccl: &str) -> tempfile::NamedTempFile {
    let gpu = |index: u32| format!(r#"{{"index": {index}, "name": "NVIDIA H200", "memory_bytes": 150110208000, "results": []}}"#);
    let text = format!(r#"{{"schema": "gpudoctor.bench/1", "driver": null, "gpus": [{}, {}], "nccl": {nccl}}}"#, gpu(0), gpu(1));
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs_err::write(file.path(), text).unwrap();
    file
}

const WORKS: &str = r#"{"peer_access": true, "verdict": "pass", "all_reduce": [
    {"bytes": 8192, "launch": "graph", "median_us": 10.0}, {"bytes": 131072, "launch": "graph", "median_us": 20.0}]}"#;
const HANGS: &str =
    r#"{"peer_access": true, "verdict": "hang", "stopped_in": "`ncclAllReduce` of 8 KiB on GPU 0 and 1", "all_reduce": []}"#;
const WORKS_WITHOUT: &str =
    r#"{"peer_access": false, "verdict": "pass", "all_reduce": [{"bytes": 8192, "launch": "graph", "median_us": 30.0}]}"#;

fn two(nccl: &str, more: &str) -> Value {
    let file = with_nccl(nccl);
    plan(&format!("--model meta-llama/Llama-3.1-70B-Instruct --gpu h200 --gpus 2 --bench {} {more}", file.path().display()))
}

/// Where NCCL hangs over peer access and works without it, the plan does without, and says why.
#[test]
fn broken_peer_access_is_switched_off() {
    let plan = two(&format!(r#"{{"gpus": [0, 1], "runs": [{HANGS}, {WORKS_WITHOUT}]}}"#), "");
    assert_eq!(plan["launch"]["env"]["NCCL_P2P_DISABLE"], "1", "{plan:#}");
    assert_eq!(plan["launch"]["args"]["disable-custom-all-reduce"], true, "{plan:#}");
    let decisions = plan["decisions"].as_array().unwrap();
    let decision = decisions.iter().find(|decision| decision["flag"] == "disable-custom-all-reduce").unwrap();
    let why = decision["why"].as_str().unwrap();
    assert!(why.contains("an all-reduce hung in `ncclAllReduce` of 8 KiB on GPU 0 and 1"), "{why}");
}

/// Where NCCL works, nothing is switched off.
#[test]
fn sound_peer_access_stays() {
    let plan = two(&format!(r#"{{"gpus": [0, 1], "runs": [{WORKS}]}}"#), "");
    assert_eq!(
        (plan["launch"]["env"]["NCCL_P2P_DISABLE"].is_null(), plan["launch"]["args"]["disable-custom-all-reduce"].is_null()),
        (true, true),
        "{plan:#}"
    );
}

/// Where NCCL works in no way, a plan over several GPUs warns; one GPU needs none.
#[test]
fn a_plan_that_needs_nccl_warns_where_there_is_none() {
    let broken = format!(r#"{{"gpus": [0, 1], "runs": [{HANGS}, {HANGS}]}}"#);
    let ids = |plan: &Value| {
        plan["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(ids(&two(&broken, "")).contains(&"nccl-failed".to_owned()));
    assert!(!ids(&two(&broken, "--set tensor-parallel-size=1 --set pipeline-parallel-size=1")).contains(&"nccl-failed".to_owned()));
}

/// Measured all-reduces are part of a step: 160 of 16 KiB, each of 10.7 µs, and `explain` says so.
#[test]
fn measured_all_reduces_count_in_a_step() {
    let works = format!(r#"{{"gpus": [0, 1], "runs": [{WORKS}]}}"#);
    let step = |plan: &Value| plan["performance"]["decode"][0]["step_ms"].as_f64().unwrap();
    let model = "--model meta-llama/Llama-3.1-70B-Instruct --gpu h200 --gpus 2";
    let longer = step(&two(&works, "")) - step(&plan(model));
    assert!((longer - 160.0 * 0.010_667).abs() < 0.01, "{longer} ms");
    let file = with_nccl(&works);
    let text =
        String::from_utf8_lossy(&run(&format!("explain decode {model} --offline --bench {}", file.path().display())).stdout).into_owned();
    assert!(text.contains("10.7 µs for 16 KiB"), "{text}");
}

/// What was measured elsewhere is shown again, in every form, without a GPU; the exit code is that of its findings.
#[test]
fn a_saved_report_is_shown_again() {
    const TWO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/drawn/bench.json");
    for (format, start) in [
        ("text", "GPU 0  NVIDIA H100 80GB HBM3"),
        ("json", "{"),
        ("markdown", "## gpudoctor bench\n"),
        ("html", "<!DOCTYPE html>"),
        ("svg", "<svg "),
        ("junit", "<?xml"),
        ("github", "::error title=gpudoctor bench%3A gpu-slow"),
    ] {
        let output = run(&format!("bench --from {TWO} --format {format}"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(1), 0), "{format}: {text}");
        assert!(text.starts_with(start) && text.ends_with('\n'), "{format}: {text:.200}");
        assert_eq!(run(&format!("bench --from {TWO} --format {format}")).stdout, output.stdout, "the same again");
    }
    assert_eq!(run(&format!("bench --from {RATES}")).status.code(), Some(0));
}

/// A file that is no report is one error, and nothing is printed.
#[test]
fn what_is_no_report_is_an_error() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (arguments, expected) in [
        (format!("bench --from {manifest} --format svg"), "is no report of `gpudoctor bench`"),
        ("bench --from /nowhere/bench.json".to_owned(), "`/nowhere/bench.json` does not exist"),
        (format!("bench --from {RATES} --quick"), "cannot be used with"),
        (format!("bench --from {RATES} --python /usr"), "cannot be used with"),
    ] {
        let output = run(&arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments}: {complaint}");
        assert!(complaint.contains(expected), "{arguments}: {complaint}");
    }
}
