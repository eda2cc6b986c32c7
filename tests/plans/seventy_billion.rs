//! The 70B model in 7 GiB of device memory, through the program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::program::{Outcome, run};

const SEVEN_GIB: u64 = 7 << 30;

fn plan(arguments: &[&str]) -> Outcome {
    let all: Vec<&str> = ["plan", "--offline", "--vram", "7g"].iter().chain(arguments).copied().collect();
    run(&all, &[], Duration::from_secs(20))
}

fn json(arguments: &[&str]) -> (Option<i32>, Value) {
    let all: Vec<&str> = arguments.iter().chain(&["--format", "json"]).copied().collect();
    let outcome = plan(&all);
    (outcome.code, serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}")))
}

/// An empty folder below the target directory.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plans").join(name);
    let _ = fs_err::remove_dir_all(&folder);
    folder
}

fn codes(plan: &Value) -> Vec<&str> {
    plan["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["code"].as_str()).collect()
}

/// The most that device memory can be: the high band of all terms but headroom is the limit less its low band.
fn device_memory_high(plan: &Value) -> u64 {
    let terms = plan["budget"]["terms"].as_array().expect("terms");
    let headroom = terms.iter().find(|term| term["name"] == "headroom").expect("a headroom");
    SEVEN_GIB - headroom["low"].as_u64().expect("bytes")
}

#[test]
fn it_fits_with_weights_in_host_memory() {
    for version in ["0.25.1", "0.28.0", "0.33.0"] {
        let engine = format!("vllm@{version}");
        let (code, plan) = json(&["--model", "70b", "--engine", &engine]);
        assert_eq!((code, &plan["verdict"]), (Some(0), &Value::from("fits_with_offload")), "{version}: {plan:#}");
        assert!(device_memory_high(&plan) <= SEVEN_GIB);
        assert!(plan["budget"]["device_used_bytes"].as_u64().expect("bytes") > SEVEN_GIB * 9 / 10, "{version}: memory is left unused");
        assert!(plan["budget"]["host_memory_bytes"].as_u64().expect("bytes") > 30 << 30);
        let links: Vec<&str> = plan["performance"]["decode"]
            .as_array()
            .expect("estimates")
            .iter()
            .filter(|decode| decode["batch"] == 1 && decode["tokens_per_second"].as_f64().is_some_and(|rate| rate > 0.1))
            .filter_map(|decode| decode["host_link"].as_str())
            .collect();
        for generation in ["PCIe 3.0", "PCIe 4.0", "PCIe 5.0"] {
            assert!(links.iter().any(|link| link.starts_with(generation)), "{version}: no estimate for {generation} in {links:?}");
        }
        let runner = &plan["launch"]["env"]["VLLM_USE_V2_MODEL_RUNNER"];
        assert_eq!(*runner == "0", version == "0.25.1", "{version}: {}", plan["launch"]["env"]);
    }
}

#[test]
fn the_text_names_host_memory_links_and_the_runner() {
    let outcome = plan(&["--model", "70b", "--engine", "vllm@0.25.1"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for part in
        ["host memory", "PCIe 5.0", "4.0", "3.0", "VLLM_USE_V2_MODEL_RUNNER=0", "because the V2 model runner of vLLM 0.25.1 ignores"]
    {
        assert!(outcome.stdout.contains(part), "no `{part}` in\n{}", outcome.stdout);
    }
}

#[test]
fn its_own_file_needs_the_variable_on_0_25_alone() {
    for (version, needs_variable) in [("0.25.1", true), ("0.28.0", false), ("0.33.0", false)] {
        let engine = format!("vllm@{version}");
        let out = folder(&format!("seventy-billion-{version}"));
        let directory = out.display().to_string();
        let (code, first) = json(&["--model", "70b", "--engine", &engine, "--emit", &directory]);
        assert_eq!(code, Some(0), "{version}");
        let file = out.join("serve.yaml").display().to_string();
        let judge = |more: &[&str]| json(&[&["--config", file.as_str(), "--engine", &engine][..], more].concat());
        let (bare_code, bare) = judge(&[]);
        if needs_variable {
            let (code, with) = judge(&["--env", "VLLM_USE_V2_MODEL_RUNNER=0"]);
            assert_eq!((code, &with["verdict"], &with["budget"]), (Some(0), &first["verdict"], &first["budget"]), "{version}");
            assert_eq!((bare_code, &bare["verdict"]), (Some(1), &Value::from("invalid")));
            assert!(codes(&bare).contains(&"offload-ignored"), "{:?}", codes(&bare));
        } else {
            assert_eq!((bare_code, &bare["verdict"], &bare["budget"]), (Some(0), &first["verdict"], &first["budget"]), "{version}");
        }
    }
}

#[test]
fn without_offload_it_is_short_and_nothing_is_written() {
    let out = folder("nothing");
    let directory = out.display().to_string();
    for version in ["0.25.1", "0.28.0", "0.33.0"] {
        let engine = format!("vllm@{version}");
        let given = ["--model", "70b", "--engine", &engine, "--set", "cpu-offload-gb=0", "--emit", &directory];
        let (code, plan) = json(&given);
        assert_eq!((code, &plan["verdict"]), (Some(1), &Value::from("does_not_fit")), "{version}");
        let short: Vec<u64> =
            plan["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["short_by_bytes"].as_u64()).collect();
        let most = short.iter().max().copied().unwrap_or(0);
        assert!((28_u64 << 30..36 << 30).contains(&most), "{version}: short by {short:?}");
        assert!(!out.exists(), "files were written");
        assert_eq!(plan["artifacts"], Value::Array(Vec::new()));
        let alternatives = plan["alternatives"].as_array().expect("alternatives");
        let inside = alternatives
            .iter()
            .filter(|other| other["verdict"] == "fits" && other["device_used_bytes"].as_u64().is_some_and(|used| used <= SEVEN_GIB));
        assert!(inside.count() > 0, "{version}: nothing that fits in 7 GiB among {alternatives:#?}");
    }
}
