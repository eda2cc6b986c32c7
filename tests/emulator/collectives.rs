//! All-reduces over two devices by a library that does what it is told, and links between devices that are not what they should be.

use serde_json::Value;

use super::bad_cases::text;
use super::{Card, bench, ids, list, report};

/// A report of `bench --only nccl` on two devices whose NCCL does as told.
fn reduced(told: &[(&str, &str)]) -> (i32, Value) {
    with("900", told)
}

/// The same with a deadline in seconds.
fn with(deadline: &str, told: &[(&str, &str)]) -> (i32, Value) {
    let arguments = ["--quick", "--only", "nccl", "--format", "json", "--timeout", deadline];
    let devices = [("EMULATED_DEVICES", "2"), ("PATH", "/nonexistent"), ("EMULATED_FREE_MIB", "4")];
    let output = bench(Card::Ampere.with_nccl(), &arguments, &[&devices, told].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), json)
}

fn verdicts(report: &Value) -> Vec<(&str, bool)> {
    let runs = list(&report["nccl"], "runs");
    runs.into_iter().map(|run| (run["verdict"].as_str().unwrap(), run["peer_access"].as_bool().unwrap())).collect()
}

/// Sums are checked on every rank, launched one by one and in a graph, and the library says which way it went.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn all_reduces_are_verified() {
    let (code, report) = reduced(&[]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let nccl = &report["nccl"];
    assert_eq!((&nccl["verdict"], &nccl["version"], &nccl["gpus"]), (&"pass".into(), &"2.28.9".into(), &serde_json::json!([0, 1])));
    let run = &nccl["runs"][0];
    assert_eq!(run["transports"], serde_json::json!(["P2P/CUMEM"]));
    let sizes = list(run, "all_reduce");
    assert_eq!(sizes.len(), 6, "{run:#}");
    assert!(sizes.iter().all(|size| size["verified"] == true && size["bus_gb_per_s"] == size["algorithm_gb_per_s"]), "{run:#}");
    assert!(!report.to_string().contains("secret-host"), "{report:#}");
}

/// A hang of any call ends at the deadline and names the call; where it works without peer access, that is said with the switch.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_hang_is_a_finding() {
    for (call, place) in [
        ("ncclCommInitRank", "`ncclCommInitRank` on GPU 0 and 1"),
        ("ncclAllReduce", "`ncclAllReduce` of 8 KiB on GPU 0 and 1"),
        ("ncclCommDestroy", "`ncclCommDestroy` on GPU 0 and 1"),
    ] {
        let (code, report) = with("3", &[("EMULATED_NCCL", &format!("{call}:hang")), ("EMULATED_NCCL_P2P", "1")]);
        assert_eq!((code, ids(&report), verdicts(&report)), (1, vec!["nccl-hang"], vec![("hang", true), ("pass", false)]), "{report:#}");
        let message = text(&report, "nccl-hang", "message");
        assert!(message.contains(place) && message.contains("peer access is the cause"), "{message}");
        assert!(report["findings"][0]["fixes"][0]["command"].as_str().unwrap().starts_with("NCCL_P2P_DISABLE=1 "), "{report:#}");
    }
}

/// One rank that hangs keeps the others waiting: the finding names where each is.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_hang_of_one_rank_names_it() {
    let (_, report) = with("3", &[("EMULATED_NCCL", "ncclAllReduce:hang@1")]);
    let message = text(&report, "nccl-hang", "message");
    assert!(
        message.contains("`ncclAllReduce` of 8 KiB on GPU 0 and 1") || message.contains("on GPU 0; `ncclAllReduce` of 8 KiB on GPU 1"),
        "{message}"
    );
    assert!(message.contains("without peer access it does not work either"), "{message}");
}

/// A library that is silent before the ranks meet is one that hangs, too.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_hang_before_the_ranks_meet_is_a_finding() {
    let (_, report) = with("3", &[("EMULATED_NCCL", "ncclGetUniqueId:hang")]);
    let message = text(&report, "nccl-hang", "message");
    assert!(message.contains("`ncclGetUniqueId` on GPU 0"), "{message}");
}

/// An error of the library is told with its own words and warnings; other ranks do not wait for the deadline.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn an_error_is_told_in_the_librarys_words() {
    let (code, report) = reduced(&[("EMULATED_NCCL", "ncclCommInitRank:2@1")]);
    assert_eq!((code, ids(&report)), (1, vec!["nccl-failed"]), "{report:#}");
    let message = text(&report, "nccl-failed", "message");
    assert!(message.contains("unhandled system error (2): the last thing that went wrong"), "{message}");
    let evidence = list(&report["findings"][0], "evidence");
    assert!(evidence.iter().any(|fact| fact["value"].as_str().unwrap().contains("failed to extend /dev/shm")), "{evidence:#?}");
    let fixes = list(&report["findings"][0], "fixes");
    assert!(fixes.iter().any(|fix| fix["command"].as_str().is_some_and(|command| command.contains("--ipc=host"))), "{fixes:#?}");
}

/// An error that the library found by itself, a code that nobody knows, and a crash are failures, each with its place.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn what_fails_later_is_told_with_its_place() {
    for (told, part) in [
        ("ncclCommGetAsyncError:6", "`ncclCommGetAsyncError` failed"),
        ("ncclAllReduce:4711", "(4711)"),
        ("ncclAllReduce:crash@1", "of 8 KiB on GPU 1: the process crashed with SIGABRT"),
    ] {
        let (code, report) = reduced(&[("EMULATED_NCCL", told)]);
        assert_eq!((code, ids(&report)), (1, vec!["nccl-failed"]), "{told}: {report:#}");
        let message = text(&report, "nccl-failed", "message");
        assert!(message.contains(part), "{told}: {message}");
    }
}

/// One wrong word of one rank is enough, and what is wrong has no speed.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn wrong_sums_are_a_finding() {
    let (code, report) = reduced(&[("EMULATED_NCCL", "ncclAllReduce:wrong@1"), ("EMULATED_NCCL_P2P", "1")]);
    assert_eq!(
        (code, ids(&report), verdicts(&report)),
        (1, vec!["nccl-result-wrong"], vec![("wrong", true), ("pass", false)]),
        "{report:#}"
    );
    let sizes = list(&report["nccl"]["runs"][0], "all_reduce");
    assert!(sizes.iter().all(|size| size["median_us"].is_null() && size["bus_gb_per_s"].is_null()), "{sizes:#?}");
}

/// One device has nobody to reduce with, and a machine without NCCL cannot: neither is a failure, and both are said.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn what_cannot_be_measured_is_said_and_no_failure() {
    let reason = |report: &Value| report["nccl"]["reason"].as_str().unwrap().to_owned();
    let (code, alone) = reduced(&[("EMULATED_DEVICES", "1")]);
    assert_eq!((code, ids(&alone), &alone["nccl"]["verdict"]), (0, vec![], &"skipped".into()), "{alone:#}");
    assert!(reason(&alone).contains("two GPUs or more"), "{alone:#}");
    let (code, none) =
        report(Card::Ampere.driver(), &["--quick", "--only", "nccl"], &[("EMULATED_DEVICES", "2"), ("PATH", "/nonexistent")]);
    assert_eq!((code, ids(&none), &none["nccl"]["verdict"]), (0, vec![], &"skipped".into()), "{none:#}");
    assert!(reason(&none).contains("libnccl.so.2` cannot be loaded"), "{none:#}");
}

/// Where peer access is switched off, that is measured and told, and not measured twice.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_environments_own_switch_is_told() {
    let (code, report) = reduced(&[("NCCL_P2P_DISABLE", "1")]);
    assert_eq!((code, verdicts(&report)), (0, vec![("pass", false)]), "{report:#}");
    assert_eq!(report["nccl"]["runs"][0]["transports"], serde_json::json!(["SHM/direct/direct"]));
}

/// People read sizes, times, rates and the way.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn all_reduces_are_reported_for_people() {
    let devices = [("EMULATED_DEVICES", "2"), ("PATH", "/nonexistent"), ("EMULATED_FREE_MIB", "4")];
    let output = bench(Card::Ampere.with_nccl(), &["--quick", "--only", "nccl"], &devices);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["over GPU 0, 1, a process each", "NCCL 2.28.9", "over P2P/CUMEM: pass", "all-reduce 8 KiB", "every sum right"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Nobody asked for clocks.
    assert!(!text.contains("clocks"), "{text}");
}

/// Devices that do not reach each other copy through the host, and no kernel loads over the link.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn loads_between_devices_need_peer_access() {
    let peer = |told: &[(&str, &str)]| {
        report(Card::Ampere.driver(), &["--only", "peer"], &[&[("EMULATED_DEVICES", "2")], told].concat()).1["peers"][0].clone()
    };
    let (direct, staged) = (peer(&[]), peer(&[("EMULATED_PEERS", "0")]));
    assert_eq!(
        (&direct["direct"], direct["load_gb_per_s"].is_number(), &direct["verdict"]),
        (&true.into(), true, &"pass".into()),
        "{direct:#}"
    );
    assert_eq!(
        (&staged["direct"], staged["load_gb_per_s"].is_null(), &staged["verdict"]),
        (&false.into(), true, &"pass".into()),
        "{staged:#}"
    );
}
