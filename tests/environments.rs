//! Real environments, built from the package index by `tests/environments/build.sh DIR`; run with
//! `GPUDOCTOR_ENVIRONMENTS=DIR cargo test --test environments -- --ignored --nocapture`.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking; this one shows what it saw")]
#![expect(clippy::disallowed_methods, reason = "reads the directory that was built, and runs the program")]

#[path = "common/program.rs"]
mod program;

use std::path::PathBuf;
use std::time::Duration;

use gpudoctor::catalog::Catalog;
use gpudoctor::elf::{CodeKind, Elf, Scope};
use gpudoctor::version::Version;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("GPUDOCTOR_ENVIRONMENTS").expect("GPUDOCTOR_ENVIRONMENTS names the directory of build.sh"))
}

fn check(environment: &str, options: &str, variables: &[(&str, &str)]) -> Value {
    let root = folder().join(environment).display().to_string();
    let mut arguments = vec!["check", "--image", "--format", "json", "--python", &root];
    arguments.extend(options.split_whitespace());
    let outcome = program::run(&arguments, variables, DEADLINE);
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.stderr));
    println!("{environment} {options}: exit {:?}, primary {}", outcome.code, report["primary"]);
    for finding in report["findings"].as_array().expect("a list") {
        println!("  {} {}: {}", finding["severity"], finding["id"], finding["message"]);
    }
    assert_eq!(report["exit_code"].as_i64(), outcome.code.map(i64::from), "{report:#}");
    report
}

fn fails(environment: &str, options: &str, variables: &[(&str, &str)], primary: &str) -> Value {
    let report = check(environment, options, variables);
    assert_eq!((&report["primary"], &report["exit_code"]), (&Value::from(primary), &Value::from(1)), "{report:#}");
    report
}

/// Whether a finding of this id speaks of `word`.
fn speaks_of(report: &Value, id: &str, word: &str) -> bool {
    let findings = report["findings"].as_array().expect("a list");
    findings.iter().any(|finding| finding["id"] == id && finding["message"].as_str().is_some_and(|message| message.contains(word)))
}

// vLLM 0.25.1 as it is installed: nothing is wrong on a driver and a card that it is for, and the reason is right on others.
#[test]
#[ignore = "needs the environments of tests/environments/build.sh"]
fn vllm_is_clean_where_it_runs() {
    let report = check("clean", "--for vllm@0.25.1 --target-driver 580 --target-gpu h100", &[]);
    assert_eq!((&report["exit_code"], &report["findings"]), (&Value::from(0), &Value::Array(vec![])), "{report:#}");
    fails("clean", "--for vllm@0.25.1 --target-driver 535 --target-gpu h100", &[], "driver-older-than-cuda");
    for (gpu, capability) in [("v100", "7.0"), ("gtx-1080-ti", "6.1")] {
        let options = format!("--for vllm@0.25.1 --target-driver 580 --target-gpu {gpu}");
        let report = fails("clean", &options, &[], "no-kernels-for-gpu");
        assert!(speaks_of(&report, "no-kernels-for-gpu", capability), "{report:#}");
    }
}

// torch 2.7 for CUDA 12.6 has kernels for Volta to Hopper.
#[test]
#[ignore = "needs the environments of tests/environments/build.sh"]
fn an_older_torch_ends_at_hopper() {
    let report = fails("older", "--target-driver 580 --target-gpu rtx-5090", &[], "no-kernels-for-gpu");
    assert!(speaks_of(&report, "no-kernels-for-gpu", "too new: the wheel ends at 9.0"), "{report:#}");
    let report = check("older", "--target-driver 580 --target-gpu h100", &[]);
    assert_eq!(report["findings"], Value::Array(vec![]), "{report:#}");
}

// What was replaced, mixed or installed twice is found, and the symbols that vLLM lacks then are, too.
#[test]
#[ignore = "needs the environments of tests/environments/build.sh"]
fn what_was_changed_is_found() {
    let report = fails("replaced", "--for vllm@0.25.1", &[], "torch-not-the-pinned");
    assert!(speaks_of(&report, "extension-built-for-other-torch", "vllm 0.25.1"), "{report:#}");
    fails("mixed", "", &[], "mixed-cuda-wheels");
    fails("two", "", &[], "two-torches");
    let home = folder().join("home").display().to_string();
    fails("user", "", &[("HOME", &home)], "user-site-leaks");
    assert_eq!(check("user", "", &[("HOME", &home), ("PYTHONNOUSERSITE", "1")])["exit_code"], 0);
}

// The targets read from each wheel are those of the catalogue.
#[test]
#[ignore = "needs the wheels of tests/environments/build.sh"]
fn targets_of_wheels_are_those_of_the_catalogue() {
    let catalog = Catalog::builtin();
    let mut wrong = Vec::new();
    let mut read = 0;
    for entry in fs_err::read_dir(folder().join("wheels")).expect("the wheels") {
        let wheel = entry.expect("a wheel").path();
        let name = wheel.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let (version, variant) = name.strip_prefix("torch-").and_then(|name| name.split_once('+')).expect("torch-VERSION+VARIANT");
        let version: Version = version.parse().expect("a version");
        let known = catalog.torch().release(&version).and_then(|release| release.variant(variant)).expect("a known build");
        // Up to 1.13 the kernels are in a library of their own.
        let libraries = ["libtorch_cuda.so", "libtorch_cuda_cu.so"].map(|name| wheel.join(name)).into_iter().filter(|path| path.exists());
        let read_one = |path: PathBuf| {
            let file = fs_err::File::open(path).expect("a library");
            Elf::open(file).and_then(|mut elf| elf.targets()).expect("targets")
        };
        let all = libraries.map(read_one).find(|targets| !targets.is_empty()).expect("kernels");
        let most = all.iter().map(|target| target.entries).max().unwrap_or(0);
        let full =
            all.iter().filter(|target| target.kind == CodeKind::Cubin && target.scope == Scope::Compatible && target.entries * 7 >= most);
        let full: Vec<u16> = full.map(|target| target.sm).collect();
        let parts: Vec<String> = all.iter().map(|it| format!("{:?} {} {:?} {}", it.kind, it.sm, it.scope, it.entries)).collect();
        println!("{name}: {full:?} of {}", parts.join(", "));
        if full != known.targets {
            wrong.push(format!("{name}: read {full:?}, known {:?}", known.targets));
        }
        read += 1;
    }
    assert!(read > 0 && wrong.is_empty(), "{read} read\n{}", wrong.join("\n"));
}
