//! What goes wrong on real machines: each is a finding of its own, and what can be measured beside it is.

use serde_json::Value;

use super::{Card, bench, ids, list, report, results};

/// A finding's field.
pub(super) fn text<'a>(report: &'a Value, id: &str, field: &str) -> &'a str {
    let found = list(report, "findings").into_iter().find(|finding| finding["id"] == id);
    found.and_then(|finding| finding[field].as_str()).unwrap_or_else(|| panic!("{id}: {report:#}"))
}

fn passed(report: &Value, kernel: &str) -> bool {
    results(report).iter().any(|result| result["kernel"] == kernel && result["verdict"] == "pass")
}

/// A card slower than its memory should be is slow, and the floor is said.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_rate_below_the_floor_is_slow() {
    // The emulated card claims 640 GB/s, which no CPU reads.
    let (code, report) = report(Card::Ampere.driver(), &["--quick", "--only", "hbm"], &[("EMULATED_CLOCK_KHZ", "40000000")]);
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(text(&report, "gpu-slow", "severity"), "error");
    let read = results(&report).into_iter().find(|result| result["kernel"] == "hbm-read").unwrap();
    assert_eq!((&read["verdict"], read["floor_gb_per_s"].as_f64()), (&"slow".into(), Some(480.0)));
}

/// What lowers the clocks is the likely cause, with the power limit that does it.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_power_limit_is_named_as_the_cause() {
    let told = [("EMULATED_CLOCK_KHZ", "40000000"), ("EMULATED_THROTTLING", "4"), ("EMULATED_POWER", "200")];
    let (code, report) = report(Card::Ampere.with_nvml(), &["--quick", "--only", "hbm"], &told);
    assert_eq!(code, 1, "{report:#}");
    let message = text(&report, "gpu-slow", "message");
    assert!(message.contains("lowered its clocks meanwhile: software power cap"), "{message}");
    let evidence = list(&report["findings"][0], "evidence");
    assert!(evidence.iter().any(|fact| fact["fact"] == "power limit" && fact["value"] == "200 W of 350 W"), "{evidence:#?}");
}

/// Each code with which a driver refuses PTX is told apart; copies need no kernels, and are measured.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn kernels_that_the_driver_does_not_compile_are_a_finding() {
    let codes = [
        (209, "have no form for this GPU"),
        (218, "takes the kernels for invalid"),
        (221, "libnvidia-ptxjitcompiler.so.1` is missing"),
        (222, "R470 or newer"),
        (223, "switched off"),
    ];
    for (number, meaning) in codes {
        let failure = format!("cuModuleLoadDataEx:{number}");
        let (code, report) = report(Card::Ampere.driver(), &["--quick", "--only", "hbm,host,int4"], &[("EMULATED_FAIL", &failure)]);
        assert_eq!((code, ids(&report)), (1, vec!["gpu-kernels-not-compiled"]), "{report:#}");
        let message = text(&report, "gpu-kernels-not-compiled", "message");
        assert!(message.contains(meaning) && message.contains("`hbm`, `int4`"), "{number}: {message}");
        assert_eq!(list(&report, "host_links").iter().filter(|link| link["verdict"] == "pass").count(), 3, "{report:#}");
    }
}

/// What hangs in one family ends that family; the others are measured.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_hang_ends_one_family() {
    let arguments = ["--quick", "--only", "hbm,host", "--format", "json", "--timeout", "20"];
    let output = bench(Card::Ampere.driver(), &arguments, &[("EMULATED_FAIL", "cuMemHostAlloc:hang")]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert!(passed(&report, "hbm-read"), "{report:#}");
    let message = text(&report, "gpu-measurement-failed", "message");
    assert!(message.contains("no answer within 20 s in `pinning host memory`"), "{message}");
}

/// A kernel that faults in the middle ends its family with what was measured before; the next family has a context of its own.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_fault_in_the_middle_ends_one_family() {
    let (code, report) = report(Card::Ampere.with_nvml(), &["--quick", "--only", "hbm,host"], &[("EMULATED_FAIL", "cuGraphLaunch:719@30")]);
    assert_eq!(code, 1, "{report:#}");
    let message = text(&report, "gpu-measurement-failed", "message");
    assert!(message.contains("`hbm`") && message.contains("CUDA_ERROR_LAUNCH_FAILED (719)"), "{message}");
    assert_eq!(list(&report, "host_links").len(), 3, "{report:#}");
}

/// A GPU that NVML calls lost is one finding, and families after it do not wait for their deadlines.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_lost_gpu_is_one_finding() {
    let told = [("EMULATED_FAIL", "cuGraphLaunch:719@30"), ("EMULATED_LOST", "1")];
    let (code, report) = report(Card::Ampere.with_nvml(), &["--quick", "--only", "hbm,host,int4"], &told);
    assert_eq!(code, 1, "{report:#}");
    let message = text(&report, "gpu-lost", "message");
    assert!(message.contains("(`hbm`, `host`, `int4`)"), "{message}");
    assert!(!ids(&report).contains(&"gpu-measurement-failed"), "{report:#}");
}

/// Memory that others hold makes measurements smaller. That is said, and is no failure unless one asks for it.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn memory_that_others_hold_makes_measurements_smaller() {
    let told = [("EMULATED_HELD_MIB", "72"), ("EMULATED_FREE_MIB", "96")];
    let (code, report) = report(Card::Ampere.driver(), &["--quick", "--only", "hbm,int4"], &told);
    assert_eq!((code, text(&report, "gpu-memory-short", "severity")), (0, "warning"), "{report:#}");
    assert!(passed(&report, "int4-bf16") && passed(&report, "hbm-read"), "{report:#}");
    let arguments = ["--quick", "--only", "hbm", "--fail-on", "warning"];
    assert_eq!(bench(Card::Ampere.driver(), &arguments, &told).status.code(), Some(1));
}

/// Memory that cannot be had is no fault of the GPU: the family is skipped, with the reason.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn memory_that_is_not_there_is_a_reason_to_skip() {
    let (code, report) = report(Card::Ampere.driver(), &["--quick", "--only", "host"], &[("EMULATED_FAIL", "cuMemHostAlloc:2")]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let skipped = results(&report).into_iter().find(|result| result["verdict"] == "skipped").unwrap();
    assert!(skipped["reason"].as_str().unwrap().contains("CUDA_ERROR_OUT_OF_MEMORY"), "{skipped:#}");
}

/// A card in a slot with too few lanes copies slowly for that reason.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn too_few_lanes_are_reported_with_the_link() {
    let (_, report) = report(Card::Ampere.with_nvml(), &["--quick", "--only", "host"], &[("EMULATED_LANES", "4")]);
    let link = list(&report, "host_links").into_iter().next().unwrap();
    assert_eq!((&link["pcie_generation"], &link["pcie_lanes"]), (&4.into(), &4.into()), "{report:#}");
}
