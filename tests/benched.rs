//! Plans with measured rates: what the kernels of the bench reached on an H100 (`docs/measurements/2026-11-22-warpgroups-h100.md`) predicts the
//! decode steps that vLLM took there (`docs/measurements/2026-11-22-whole-models-vllm-0.25.1.md`).
#![expect(clippy::disallowed_methods, reason = "runs the program")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const RATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/benched/h100.json");

fn run(arguments: &str) -> Output {
    let nowhere = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    run_with(nowhere.path(), arguments)
}

/// The program with a cache directory.
fn run_with(cache: &Path, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpudoctor"));
    command.args(arguments.split_whitespace()).env("XDG_CACHE_HOME", cache).output().unwrap()
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

/// A floor for measured cards is one that a report of such a card has: what its shape is called may change, and then it judges nothing.
#[test]
fn floors_of_a_measured_card_are_of_what_is_measured() {
    let report: Value = serde_json::from_str(&fs_err::read_to_string(RATES).unwrap()).unwrap();
    let results = report["gpus"][0]["results"].as_array().unwrap();
    for floor in &gpudoctor::catalog::Catalog::builtin().floors().floor {
        let Some(shape) = floor.shape.as_deref().filter(|_| floor.gpus.iter().flatten().any(|gpu| gpu == "h100-sxm")) else { continue };
        let is_this = |result: &&Value| {
            let overlapped = result["launch"] == "overlapped";
            result["kernel"] == *floor.kernel && result["shape"] == shape && floor.overlapped.is_none_or(|only| only == overlapped)
        };
        assert!(results.iter().any(|result| is_this(&result)), "{} {shape}: nothing of the kind is measured", floor.kernel);
    }
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
    assert!(text.contains("3127 GB/s") && text.contains("speed.gemm_share_of_read"), "{text}");
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
const WORKS_WITHOUT: &str = r#"{"peer_access": false, "verdict": "pass", "all_reduce": [
    {"bytes": 8192, "launch": "graph", "median_us": 30.0}, {"bytes": 33554432, "launch": "plain", "median_us": 600.0}]}"#;

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

/// Where NCCL works in no way, a launch over several GPUs that was asked for warns; one GPU needs none.
#[test]
fn a_plan_that_needs_nccl_warns_where_there_is_none() {
    let broken = format!(r#"{{"gpus": [0, 1], "runs": [{HANGS}, {HANGS}]}}"#);
    assert!(ids(&two(&broken, "--set tensor-parallel-size=2")).contains(&"nccl-failed".to_owned()));
    assert!(!ids(&two(&broken, "--set tensor-parallel-size=1 --set pipeline-parallel-size=1")).contains(&"nccl-failed".to_owned()));
}

/// All-reduces between two H200s over NVLink, without graphs and by one, as measured (`docs/measurements/2026-11-22-collectives-h200.md`).
const OVER_NVLINK: &[(u64, f64, Option<f64>)] = &[
    (8192, 8.0, Some(6.3)),
    (32_768, 8.7, Some(6.8)),
    (131_072, 9.9, Some(7.0)),
    (524_288, 10.2, Some(9.5)),
    (2_097_152, 28.0, Some(27.4)),
    (8_388_608, 47.3, Some(46.7)),
    (33_554_432, 143.8, None),
    (134_217_728, 474.2, None),
    (268_435_456, 896.7, None),
];
/// The same between the same cards without peer access, through memory of the host.
const THROUGH_THE_HOST: &[(u64, f64, Option<f64>)] = &[
    (8192, 11.2, Some(10.7)),
    (32_768, 12.4, Some(12.0)),
    (131_072, 23.0, Some(22.2)),
    (524_288, 49.4, Some(49.1)),
    (2_097_152, 100.4, Some(99.5)),
    (8_388_608, 325.6, Some(326.6)),
    (33_554_432, 1255.1, None),
    (134_217_728, 5039.1, None),
    (268_435_456, 9907.4, None),
];

fn nccl(times: &[(u64, f64, Option<f64>)]) -> String {
    let sample = |bytes: u64, launch: &str, time: f64| format!(r#"{{"bytes": {bytes}, "launch": "{launch}", "median_us": {time}}}"#);
    let samples = times.iter().flat_map(|&(bytes, plain, graph)| {
        [Some(sample(bytes, "plain", plain)), graph.map(|graph| sample(bytes, "graph", graph))].into_iter().flatten()
    });
    let samples: Vec<String> = samples.collect();
    let run = format!(r#"{{"peer_access": true, "verdict": "pass", "all_reduce": [{}]}}"#, samples.join(","));
    format!(r#"{{"gpus": [0, 1], "runs": [{run}]}}"#)
}

/// The tensor and the pipeline parallel size of a plan.
fn sizes(plan: &Value) -> (u64, u64) {
    let size = |flag: &str| plan["launch"]["args"][flag].as_u64().unwrap_or(1);
    (size("tensor-parallel-size"), size("pipeline-parallel-size"))
}

fn ids(plan: &Value) -> Vec<String> {
    plan["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
}

fn why<'a>(plan: &'a Value, flag: &str) -> &'a str {
    let decisions = plan["decisions"].as_array().unwrap();
    decisions.iter().find(|decision| decision["flag"] == flag).unwrap_or_else(|| unreachable!("{plan:#}"))["why"].as_str().unwrap()
}

/// Over NVLink an all-reduce costs little, and tensor parallel serves one request and many faster.
#[test]
fn over_nvlink_a_plan_is_tensor_parallel() {
    for requests in [1, 16, 64, 256] {
        let plan = two(&nccl(OVER_NVLINK), &format!("--concurrency {requests}"));
        assert_eq!(sizes(&plan), (2, 1), "{requests}: {:#}", plan["performance"]);
        assert!(why(&plan, "tensor-parallel-size").starts_with("tensor parallel serves "), "{plan:#}");
    }
}

/// Through the host, prompts of many requests wait longer for all-reduces than a pipeline's stages for each other; one request
/// alone is still faster tensor parallel, because it is in one stage at a time.
#[test]
fn through_the_host_many_requests_are_pipelined_and_one_is_not() {
    let many = two(&nccl(THROUGH_THE_HOST), "--concurrency 256");
    assert_eq!(sizes(&many), (1, 2), "{:#}", many["performance"]);
    let one = two(&nccl(THROUGH_THE_HOST), "--concurrency 1");
    assert_eq!(sizes(&one), (2, 1), "{:#}", one["performance"]);
}

/// The choice is told in one line, with what was measured, and in figures.
#[test]
fn the_choice_is_told_with_its_figures() {
    let plan = two(&nccl(THROUGH_THE_HOST), "--concurrency 256");
    let why = why(&plan, "pipeline-parallel-size");
    assert!(why.starts_with("pipeline parallel serves 256 requests at once at ") && why.contains("tokens/s, tensor parallel at "), "{why}");
    assert!(why.contains("160 all-reduces of 4 MiB take 175 µs each") && why.contains("measured: "), "{why}");
    let compared = plan["performance"]["ways"]["compared"].as_array().unwrap();
    assert_eq!((compared.len(), &compared[0]["chosen"], &compared[1]["chosen"]), (2, &Value::Bool(true), &Value::Bool(false)));
    assert!(compared[0]["tokens_per_second"].as_f64() > compared[1]["tokens_per_second"].as_f64(), "{compared:#?}");
    assert_eq!(compared[1]["all_reduces"]["count"], 160, "{compared:#?}");
    let rejected = plan["rejected"].as_array().unwrap();
    assert!(rejected.iter().any(|one| one["code"] == "slower"), "{rejected:#?}");
}

/// One request is in one stage at a time: a pipeline takes as long for its token as the stages after each other, and longer
/// than tensor parallel over NVLink; many requests divide among the stages.
#[test]
fn a_pipeline_serves_more_requests_and_not_one_faster() {
    let sizes = "--concurrency 64 --set tensor-parallel-size=1 --set pipeline-parallel-size=2";
    let (tensor, stages) = (two(&nccl(OVER_NVLINK), "--concurrency 64"), two(&nccl(OVER_NVLINK), sizes));
    let step = |plan: &Value, batch: u64| {
        let steps = plan["performance"]["decode"].as_array().unwrap();
        steps.iter().find(|step| step["batch"] == batch).unwrap()["step_ms"].as_f64().unwrap()
    };
    assert!(step(&stages, 1) > 1.5 * step(&tensor, 1), "{} and {}", step(&stages, 1), step(&tensor, 1));
    assert!(step(&stages, 64) < 1.5 * step(&stages, 1), "{} and {}", step(&stages, 64), step(&stages, 1));
}

/// The token of one request takes through two stages what it takes on one GPU, and a hand-over.
#[test]
fn a_pipeline_takes_as_long_for_one_request_as_one_gpu() {
    let model = "--quantization awq --concurrency 1 --context 4096";
    let step = |plan: &Value| plan["performance"]["decode"][0]["step_ms"].as_f64().unwrap();
    let stages = two(&nccl(OVER_NVLINK), &format!("{model} --set tensor-parallel-size=1 --set pipeline-parallel-size=2"));
    let alone = plan(&format!("--model meta-llama/Llama-3.1-70B-Instruct --gpu h200 {model}"));
    let hand_over = stages["performance"]["decode"][0]["exchange_ms"].as_f64().unwrap();
    assert!((step(&stages) - step(&alone) - hand_over).abs() < 0.01, "{} and {}", step(&stages), step(&alone));
}

/// The user's sizes stand, and are commented on where they are slow: in a request and in a configuration.
#[test]
fn sizes_that_were_given_stand_and_are_commented_on() {
    let given = two(&nccl(THROUGH_THE_HOST), "--concurrency 256 --set tensor-parallel-size=2");
    assert_eq!((sizes(&given), ids(&given)), ((2, 1), vec!["parallel-sizes-slow".to_owned()]), "{given:#}");
    let fix = given["findings"][0]["fixes"][0]["command"].as_str().unwrap();
    assert!(fix.ends_with("--tensor-parallel-size 1 --pipeline-parallel-size 2"), "{fix}");
    let sound = two(&nccl(OVER_NVLINK), "--concurrency 256 --set tensor-parallel-size=2");
    assert_eq!((sizes(&sound), ids(&sound)), ((2, 1), Vec::new()), "{sound:#}");

    let file = tempfile::Builder::new().suffix(".yaml").tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs_err::write(
        file.path(),
        "model: meta-llama/Llama-3.1-70B-Instruct\ntensor_parallel_size: 2\nmax-model-len: 8192\nmax-num-seqs: 256\n",
    )
    .unwrap();
    let report = with_nccl(&nccl(THROUGH_THE_HOST));
    let judged = plan(&format!("--config {} --gpu h200 --gpus 2 --bench {}", file.path().display(), report.path().display()));
    assert!(ids(&judged).contains(&"parallel-sizes-slow".to_owned()), "{judged:#}");
}

/// Without a measurement the choice is that of the model's shape, and says so.
#[test]
fn without_a_measurement_the_shape_decides() {
    let plan = plan("--model meta-llama/Llama-3.1-70B-Instruct --gpu h200 --gpus 2 --concurrency 64");
    assert_eq!((sizes(&plan), &plan["performance"]["ways"]), ((2, 1), &Value::Null), "{plan:#}");
    assert!(why(&plan, "tensor-parallel-size").contains("what these GPUs exchange was not measured"), "{plan:#}");
}

/// A machine whose NCCL does not work gets no tensor parallel plan: one GPU takes what fits it, with weights in host memory if
/// need be.
#[test]
fn without_nccl_one_gpu_serves() {
    let broken = format!(r#"{{"gpus": [0, 1], "runs": [{HANGS}, {HANGS}]}}"#);
    let plan = two(&broken, "");
    assert_eq!((sizes(&plan), ids(&plan)), ((1, 1), Vec::new()), "{plan:#}");
    let why = why(&plan, "tensor-parallel-size");
    assert!(why.contains("an all-reduce hung in `ncclAllReduce` of 8 KiB on GPU 0 and 1"), "{why}");
}

/// What fits no GPU alone is divided by layers, with the finding that stages send through NCCL, too.
#[test]
fn without_nccl_what_fits_no_gpu_is_pipelined_with_a_warning() {
    let broken = format!(r#"{{"gpus": [0, 1], "runs": [{HANGS}, {HANGS}]}}"#);
    let plan = two(&broken, "--quantization none --context 32768 --host-memory 8g");
    assert_eq!((sizes(&plan), ids(&plan)), ((1, 2), vec!["nccl-failed".to_owned()]), "{plan:#}");
    let message = plan["findings"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("the stages of a pipeline send through it, too"), "{message}");
}

/// Measured all-reduces are part of a step: 160 of 16 KiB, each of 10.7 µs, and `explain` says so.
#[test]
fn measured_all_reduces_count_in_a_step() {
    let works = format!(r#"{{"gpus": [0, 1], "runs": [{WORKS}]}}"#);
    let step = |plan: &Value| plan["performance"]["decode"][0]["step_ms"].as_f64().unwrap();
    let model = "--model meta-llama/Llama-3.1-70B-Instruct --gpu h200 --gpus 2 --concurrency 1";
    let longer = step(&two(&works, "--concurrency 1")) - step(&plan(model));
    assert!((longer - 160.0 * 0.010_667).abs() < 0.01, "{longer} ms");
    let file = with_nccl(&works);
    let text =
        String::from_utf8_lossy(&run(&format!("explain decode {model} --offline --bench {}", file.path().display())).stdout).into_owned();
    assert!(text.contains("10.7 µs for 16 KiB"), "{text}");
}

/// A cache directory with kept runs of two H200s, oldest first: the read rate in GB/s, and what NCCL did.
fn kept(runs: &[(u64, &str)]) -> tempfile::TempDir {
    let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = cache.path().join("gpudoctor/bench");
    fs_err::create_dir_all(&folder).unwrap();
    for (number, (rate, nccl)) in runs.iter().enumerate() {
        let read = format!(r#"{{"kernel": "hbm-read", "shape": "{rate}", "launch": "plain", "gb_per_s": {rate}}}"#);
        let gpu = |index: u32| format!(r#"{{"index": {index}, "name": "NVIDIA H200", "memory_bytes": 150110208000, "results": [{read}]}}"#);
        let text = format!(r#"{{"schema": "gpudoctor.bench/1", "driver": "580.1", "gpus": [{}, {}], "nccl": {nccl}}}"#, gpu(0), gpu(1));
        fs_err::write(folder.join(format!("{number}.json")), text).unwrap();
    }
    cache
}

const KEPT: &str = "plan --model meta-llama/Llama-3.1-70B-Instruct --gpu h200 --gpus 2 --concurrency 256 --offline --format json";

/// A run that measured less does not hide what an older one told: rates are from the newest, what GPUs exchange from the newest
/// that has it.
#[test]
fn kept_runs_complete_each_other() {
    let full = nccl(THROUGH_THE_HOST);
    let cache = kept(&[(4000, &full), (4100, "null")]);
    let output = run_with(cache.path(), KEPT);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((sizes(&plan), &plan["performance"]["basis"]), ((1, 2), &Value::from("measured")), "{plan:#}");
    let explained = run_with(cache.path(), &KEPT.replace("plan", "explain decode").replace(" --format json", ""));
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(text.contains("4100 GB/s") && !text.contains("4000 GB/s") && text.contains("on this machine, today"), "{text}");
}

/// A newer run of NCCL takes the place of an older one, also where it tells of trouble.
#[test]
fn the_newest_run_of_a_family_counts() {
    let broken = format!(r#"{{"gpus": [0, 1], "runs": [{HANGS}, {HANGS}]}}"#);
    let cache = kept(&[(4000, &nccl(OVER_NVLINK)), (4000, &broken)]);
    let plan: Value = serde_json::from_slice(&run_with(cache.path(), KEPT).stdout).unwrap();
    assert_eq!(sizes(&plan), (1, 1), "{plan:#}");
}

/// Runs of another driver or card are not for this plan, old ones are for none, and a damaged one is named and passed over.
#[test]
fn kept_runs_are_of_this_machine_and_recent() {
    let full = nccl(THROUGH_THE_HOST);
    let cache = kept(&[(4000, &full)]);
    let basis = |arguments: &str| {
        let output = run_with(cache.path(), arguments);
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        (plan["performance"]["basis"].as_str().unwrap().to_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(basis(&format!("{KEPT} --target-driver 590.1")).0, "nominal");
    assert_eq!(basis(&KEPT.replace("h200", "h100")).0, "nominal");
    fs_err::write(cache.path().join("gpudoctor/bench/2.json"), "{").unwrap();
    let (with_damaged, note) = basis(KEPT);
    assert!(with_damaged == "measured" && note.contains("2.json is ignored"), "{note}");
    let file = fs_err::File::options().write(true).open(cache.path().join("gpudoctor/bench/0.json")).unwrap();
    let days = |count: u64| std::time::SystemTime::now() - std::time::Duration::from_secs(count * 24 * 3600);
    file.set_modified(days(3)).unwrap();
    assert_eq!(basis(KEPT).0, "measured");
    file.set_modified(days(31)).unwrap();
    assert_eq!(basis(KEPT).0, "nominal");
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
