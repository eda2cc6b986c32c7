//! `check --image` on fabricated environments: what fits passes, each thing that does not is named, and nothing that
//! can lie in a package directory makes it fail.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "lays out environments and runs the program")]

#[path = "check/libraries.rs"]
mod libraries;
#[path = "common/library.rs"]
mod library;
#[path = "common/program.rs"]
mod program;
#[path = "check/tree.rs"]
mod tree;

use std::time::{Duration, Instant};

use program::Outcome;
use serde_json::Value;
use tree::Tree;

const DEADLINE: Duration = Duration::from_secs(20);

fn check(tree: &Tree, options: &str) -> Outcome {
    let root = tree.root().display().to_string();
    let mut arguments = vec!["check", "--image", "--python", &root];
    arguments.extend(options.split_whitespace());
    program::run(&arguments, &[], DEADLINE)
}

fn report(tree: &Tree, options: &str) -> Value {
    let outcome = check(tree, &format!("{options} --format json"));
    assert!(outcome.stderr.is_empty(), "{}", outcome.stderr);
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(report["exit_code"].as_i64(), outcome.code.map(i64::from), "{report:#}");
    report
}

/// The report of a run whose primary cause must be `id`.
fn fails_with(tree: &Tree, options: &str, id: &str) -> Value {
    let report = report(tree, options);
    assert_eq!((report["primary"].as_str(), report["exit_code"].as_u64()), (Some(id), Some(1)), "{report:#}");
    let finding = &report["findings"][0];
    assert_eq!(finding["id"], id);
    assert!(!finding["evidence"].as_array().expect("evidence").is_empty(), "{finding:#}");
    assert!(finding["fixes"][0]["verify"].as_str().is_some_and(|verify| verify.starts_with("gpudoctor check --image")), "{finding:#}");
    report
}

fn message(report: &Value) -> &str {
    report["findings"][0]["message"].as_str().expect("a message")
}

#[test]
fn a_consistent_image_passes() {
    let report = report(&Tree::consistent(), "--for vllm@0.25.1 --target-driver 580 --target-gpu h100");
    assert_eq!((&report["exit_code"], &report["primary"]), (&Value::from(0), &Value::Null), "{report:#}");
    assert_eq!(report["findings"], Value::Array(vec![]), "{report:#}");
    let passed: Vec<&str> = report["passed"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for id in ["driver-older-than-cuda", "no-kernels-for-gpu", "torch-not-the-pinned", "mixed-cuda-wheels", "python-version-unsupported"] {
        assert!(passed.contains(&id), "{id}: {report:#}");
    }
}

#[test]
fn an_older_driver_is_the_cause() {
    let tree = Tree::consistent();
    let report = fails_with(&tree, "--for vllm@0.25.1 --target-driver 535.104.05", "driver-older-than-cuda");
    assert_eq!(message(&report), "vLLM 0.25.1 is built for CUDA 13.0 and needs driver 580.65.06 or newer; the target has 535.104.05");
    let fixes = &report["findings"][0]["fixes"];
    assert_eq!(fixes[0]["command"], "FROM vllm/vllm-openai:v0.25.1-cu129");
    let install = fixes[1]["command"].as_str().expect("a command");
    assert!(install.starts_with("uv pip install --python ") && install.contains("vllm==0.19.1 --torch-backend=cu129"), "{install}");
    assert_eq!((&fixes[2]["risk"], &fixes[2]["needs"][1]), (&Value::from("risky"), &Value::from("reboot")));
    fails_with(&tree, "--for vllm --target-driver 535", "driver-older-than-cuda");
    fails_with(&tree, "--for vllm --target-driver 580.65.05", "driver-older-than-cuda");
}

#[test]
fn a_card_without_kernels_is_the_cause() {
    for (gpu, capability) in [("v100", "7.0"), ("gtx-1080-ti", "6.1")] {
        let report =
            fails_with(&Tree::consistent(), &format!("--for vllm@0.25.1 --target-driver 580 --target-gpu {gpu}"), "no-kernels-for-gpu");
        let message = message(&report);
        assert!(message.contains(&format!("compute capability {capability}")) && message.contains("too old"), "{message}");
    }
}

#[test]
fn a_card_newer_than_its_torch_is_the_cause() {
    let tree = Tree::new("3.12");
    tree.package("torch", "2.7.0", &[], "cp312-cp312-manylinux_2_28_x86_64");
    tree.torch("2.7.0+cu126", Some("12.6"));
    let report = fails_with(&tree, "--target-gpu rtx-5090", "no-kernels-for-gpu");
    assert!(message(&report).contains("too new"), "{report:#}");
    let command = report["findings"][0]["fixes"][0]["command"].as_str().expect("a command");
    assert!(command.ends_with("torch==2.7.0 --torch-backend=cu128"), "{command}");
}

#[test]
fn a_replaced_torch_is_the_cause_and_explains_what_follows() {
    let tree = Tree::consistent();
    fs_err::remove_dir_all(tree.site().join("torch-2.11.0.dist-info")).expect("removed");
    tree.package("torch", "2.9.1", &[], "cp312-cp312-manylinux_2_28_x86_64");
    tree.torch("2.9.1+cu128", Some("12.8"));
    let report = fails_with(&tree, "--for vllm@0.25.1 --target-driver 580", "torch-not-the-pinned");
    assert_eq!(message(&report), "vllm 0.25.1 is built against torch==2.11.0; 2.9.1+cu128 is installed");
    let explains = report["findings"][0]["explains"].as_array().expect("a list");
    assert!(explains.contains(&Value::from("torch-cuda-differs-from-engine")), "{report:#}");
}

#[test]
fn libraries_of_another_cuda_are_found() {
    let tree = Tree::consistent();
    tree.package("nvidia-cublas-cu12", "12.8.4.1", &[], "py3-none-manylinux_2_27_x86_64");
    let warned = report(&tree, "--for vllm@0.25.1");
    assert_eq!((&warned["exit_code"], &warned["primary"]), (&Value::from(0), &Value::from("mixed-cuda-wheels")), "{warned:#}");
    fails_with(&tree, "--for vllm@0.25.1 --fail-on warning", "mixed-cuda-wheels");
    tree.package("nvidia-cudnn-cu12", "9.10.2.21", &[], "py3-none-manylinux_2_27_x86_64");
    let report = fails_with(&tree, "--for vllm@0.25.1", "mixed-cuda-wheels");
    assert!(message(&report).contains("nvidia-cudnn-cu12"), "{report:#}");
}

#[test]
fn libraries_of_cuda_13_beside_an_older_torch_are_found() {
    let tree = Tree::new("3.12");
    tree.package("torch", "2.9.1", &["nvidia-cudnn-cu12==9.10.2.21"], "cp312-cp312-manylinux_2_28_x86_64");
    tree.package("nvidia-cudnn-cu12", "9.10.2.21", &[], "py3-none-manylinux_2_27_x86_64");
    tree.torch("2.9.1+cu128", Some("12.8"));
    assert_eq!(report(&tree, "")["exit_code"], 0);
    tree.package("nvidia-nccl-cu13", "2.28.9", &[], "py3-none-manylinux_2_27_x86_64");
    fails_with(&tree, "", "mixed-cuda-wheels");
}

#[test]
fn two_torches_are_found() {
    let tree = Tree::consistent();
    tree.package("torch", "2.10.0", &[], "cp312-cp312-manylinux_2_28_x86_64");
    let twice = fails_with(&tree, "--for vllm@0.25.1", "two-torches");
    assert!(message(&twice).starts_with("torch is listed twice"), "{twice:#}");

    let tree = Tree::consistent();
    tree.torch("2.10.0+cu130", Some("13.0"));
    let replaced = fails_with(&tree, "--for vllm@0.25.1", "two-torches");
    assert!(message(&replaced).contains("its files are 2.10.0+cu130"), "{replaced:#}");

    let tree = Tree::consistent();
    tree.write("lib/python3.12/dist-packages/torch/version.py", "__version__ = '2.11.0+cu130'\ncuda = '13.0'\n");
    let hidden = fails_with(&tree, "--for vllm@0.25.1 --fail-on warning", "two-torches");
    assert_eq!(message(&hidden), "torch 2.11.0+cu130 hides torch 2.11.0+cu130; one of them must go");
}

#[test]
fn an_engine_that_is_not_there_never_passes() {
    let tree = Tree::new("3.12");
    fails_with(&tree, "--for vllm@0.25.1 --target-driver 580", "engine-missing");
    fails_with(&tree, "", "nothing-to-check");
    tree.package("torch", "2.11.0", &[], "cp312-cp312-manylinux_2_28_x86_64");
    tree.torch("2.11.0+cu130", Some("13.0"));
    fails_with(&tree, "--for vllm --target-driver 580 --target-gpu h100", "engine-missing");
    assert_eq!(report(&tree, "--target-driver 580 --target-gpu h100")["exit_code"], 0);
    assert_eq!(report(&Tree::consistent(), "--for vllm@0.24.0")["primary"], "engine-version-differs");
}

#[test]
fn what_is_asked_and_cannot_be_seen_never_passes() {
    let tree = Tree::consistent();
    tree.write(&tree.inside("torch/version.py"), [0xff, 0x00, 0xfe].repeat(100_000));
    fails_with(&tree, "--for vllm@0.25.1 --target-driver 580", "asked-but-unseen");

    let tree = Tree::consistent();
    let nothing = fails_with(&tree, "--only driver-older-than-cuda", "asked-but-unseen");
    assert_eq!(message(&nothing), "no check could look at anything; a pass needs at least one that did");

    tree.torch("2.11.0", Some("13.7"));
    fails_with(&tree, "--target-gpu h100", "asked-but-unseen");
}

#[test]
fn a_torch_without_cuda_is_the_cause() {
    let tree = Tree::consistent();
    tree.torch("2.11.0+cpu", None);
    let report = fails_with(&tree, "--for vllm@0.25.1 --target-driver 580 --target-gpu h100", "torch-without-cuda");
    let command = report["findings"][0]["fixes"][0]["command"].as_str().expect("a command");
    assert!(command.ends_with("torch==2.11.0+cu130 --torch-backend=cu130"), "{command}");

    let tree = Tree::consistent();
    fs_err::remove_dir_all(tree.site().join("torch")).expect("removed");
    fails_with(&tree, "--for vllm@0.25.1", "torch-missing");
}

#[test]
fn wheels_of_another_python_or_c_library_are_found() {
    let tree = Tree::consistent();
    tree.package("torch", "2.11.0", &[], "cp311-cp311-manylinux_2_28_x86_64");
    let report = fails_with(&tree, "--for vllm@0.25.1", "python-version-unsupported");
    assert_eq!(message(&report), "torch 2.11.0 is a wheel for `cp311`; the environment has Python 3.12");

    let tree = Tree::new("3.9");
    tree.package("torch", "2.11.0", &[], "cp39-cp39-manylinux_2_28_x86_64");
    tree.torch("2.11.0+cu130", Some("13.0"));
    fails_with(&tree, "", "python-version-unsupported");

    let tree = Tree::consistent();
    tree.package("torch", "2.11.0", &[], "cp312-cp312-manylinux_2_99_x86_64");
    let old = self::report(&tree, "--for vllm@0.25.1");
    let seen = old["skipped"].as_array().expect("a list").iter().all(|skipped| skipped["id"] != "glibc-too-old");
    assert!(!seen || old["primary"] == "glibc-too-old", "a machine with glibc has an older one: {old:#}");
}

#[test]
fn an_older_cuda_of_the_same_major_is_a_note() {
    let tree = Tree::new("3.12");
    tree.package("torch", "2.11.0", &[], "cp312-cp312-manylinux_2_28_x86_64");
    tree.torch("2.11.0+cu129", Some("12.9"));
    let report = report(&tree, "--target-driver 535.104.05 --target-gpu h100 --fail-on warning");
    assert_eq!((&report["exit_code"], &report["summary"]["infos"]), (&Value::from(0), &Value::from(1)), "{report:#}");
    assert_eq!(report["findings"][0]["id"], "cuda-newer-than-driver");
}

#[test]
fn nothing_in_a_package_directory_is_too_odd() {
    let tree = Tree::consistent();
    let huge: Vec<u8> = b"Name: huge\nVersion: 1\n".iter().copied().chain(vec![b'x'; 1 << 20]).collect();
    let long: String = (0..50_000).map(|number| format!("Requires-Dist: p{number}==1\n")).collect();
    tree.write(&tree.inside("huge-1.dist-info/METADATA"), huge);
    tree.write(&tree.inside("long-1.dist-info/METADATA"), long);
    tree.write(&tree.inside("binary-1.dist-info/METADATA"), (0..=255_u8).cycle().take(200_000).collect::<Vec<_>>());
    tree.write(&tree.inside("file.dist-info"), "a file");
    for name in
        ["-.dist-info", "x.dist-info", "a-b-c-d.egg-info", "ü-1.dist-info", "metadata-1.dist-info/METADATA", "\u{1b}[31m-1.dist-info"]
    {
        fs_err::create_dir_all(tree.site().join(name)).expect("a folder");
    }
    std::os::unix::fs::symlink(tree.site(), tree.site().join("loop-1.dist-info")).expect("a link");
    std::os::unix::fs::symlink("self-1.dist-info", tree.site().join("self-1.dist-info")).expect("a link");
    let pipe = tree.site().join("pipe-1.dist-info");
    fs_err::create_dir_all(&pipe).expect("a folder");
    let made = std::process::Command::new("mkfifo").arg(pipe.join("METADATA")).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe that nobody writes to");
    let report = report(&tree, "--for vllm@0.25.1 --target-driver 580 --target-gpu h100");
    assert_eq!(report["exit_code"], 0, "{report:#}");
}

#[test]
fn an_empty_machine_takes_no_time() {
    let tree = Tree::new("3.12");
    let fastest = (0..5).map(|_| {
        let start = Instant::now();
        assert_eq!(check(&tree, "").code, Some(1));
        start.elapsed()
    });
    let fastest = fastest.min().unwrap_or_default();
    assert!(fastest < Duration::from_millis(40), "{fastest:?}");
}

#[test]
fn the_line_of_an_emitted_dockerfile_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let plan = ["plan", "--model", "Qwen/Qwen3-8B", "--gpu", "h100", "--engine", "vllm@0.25.1", "--offline", "--emit", &out];
    assert_eq!(program::run(&plan, &[], DEADLINE).code, Some(0));
    let dockerfile = fs_err::read_to_string(folder.path().join("Dockerfile")).expect("the file");
    let line = dockerfile.lines().find_map(|line| line.strip_prefix("RUN gpudoctor ")).expect("the line");
    let arguments: Vec<String> = shlex::split(line).expect("words");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = |tree: &Tree| program::run(&arguments, &[("VIRTUAL_ENV", &tree.root().display().to_string())], DEADLINE);

    let good = run(&Tree::consistent());
    assert_eq!(good.code, Some(0), "{}{}", good.stdout, good.stderr);
    let tree = Tree::consistent();
    tree.torch("2.11.0+cu126", Some("12.6"));
    let bad = run(&tree);
    assert!(bad.code == Some(1) && bad.stdout.contains("✗ torch-cuda-differs-from-engine"), "{}", bad.stdout);
}

#[test]
fn people_and_workflows_read_the_same() {
    let tree = Tree::consistent();
    let text = check(&tree, "--for vllm@0.25.1 --target-driver 535.104.05").stdout;
    for part in [
        "✗ driver-older-than-cuda",
        "primary cause",
        "--target-driver\n",
        "fix 3 (root, reboot, risky): ",
        "  verify gpudoctor check --image",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().last().is_some_and(|line| line.starts_with("1 error; ")), "{text}");
    let lines = check(&tree, "--for vllm@0.25.1 --target-driver 535.104.05 --format github").stdout;
    assert!(lines.starts_with("::error title=gpudoctor check%3A driver-older-than-cuda::vLLM 0.25.1 is built"), "{lines}");
}

#[test]
fn a_wrong_command_says_what_is_right() {
    let run = |arguments: &[&str]| program::run(arguments, &[], DEADLINE);
    for (arguments, part) in [
        (["check", "--image", "--python", "/nonexistent"], "does not exist"),
        (["check", "--image", "--python", "/dev/null"], "belongs to no Python environment"),
        (["check", "--image", "--target-gpu", "h1000"], "unknown GPU `h1000`"),
        (["check", "--image", "--only", "driver-older"], "the nearest is `driver-older-than-cuda`"),
        (["check", "--image", "--for", "vlm"], "engine `vlm` is not known"),
    ] {
        let outcome = run(&arguments);
        assert!(outcome.code == Some(2) && outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}
