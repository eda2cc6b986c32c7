//! Recorded machines: each folder of `hosts/` is a situation, what `check` must say of it, and nothing else.
//!
//! `SNAPSHOTS=overwrite cargo test --test hosts` writes what it says now; read the difference before committing it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpudoctor::catalog::Catalog;
use program::Outcome;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(30);

/// The folders, by name.
fn situations() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let entries = fs_err::read_dir(folder).expect("tests/hosts is a folder");
    let mut folders: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    folders.sort();
    folders
}

/// Runs the command that `about.txt` ends with, with further options.
fn check(folder: &Path, more: &[&str]) -> Outcome {
    let about = fs_err::read_to_string(folder.join("about.txt")).expect("about.txt");
    let command = about.lines().nth(1).expect("a command").strip_prefix("gpudoctor ").expect("a command of gpudoctor");
    let host = folder.join("host.json").display().to_string();
    let mut words: Vec<&str> = command.split(' ').map(|word| if word == "host.json" { host.as_str() } else { word }).collect();
    words.extend(more);
    program::run(&words, &[], DEADLINE)
}

fn report(folder: &Path) -> Value {
    let outcome = check(folder, &["--format", "json"]);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{}: {error}: {}", folder.display(), outcome.stderr))
}

/// The text and the JSON are as they were.
#[test]
fn every_situation_is_judged_as_expected() {
    for (_, folder) in situations() {
        for (options, file) in [(&["--skipped"][..], "check.txt"), (&["--format", "json"][..], "check.json")] {
            let outcome = check(&folder, options);
            assert!(outcome.stderr.is_empty(), "{}: {}", folder.display(), outcome.stderr);
            assert!(matches!(outcome.code, Some(0 | 1)), "{}: {:?}", folder.display(), outcome.code);
            snapbox::assert_data_eq!(
                outcome.stdout,
                snapbox::Data::read_from(&folder.join(file), Some(snapbox::data::DataFormat::Text)).raw()
            );
        }
    }
}

/// What is healthy has no errors and no warnings: a false alarm is the worst defect.
#[test]
fn healthy_machines_raise_no_alarm() {
    let healthy: Vec<_> = situations().into_iter().filter(|(name, _)| name.ends_with("-healthy") || name.ends_with("-idle")).collect();
    assert!(healthy.len() >= 4);
    for (name, folder) in healthy {
        let report = report(&folder);
        let counts = (&report["summary"]["errors"], &report["summary"]["warnings"], &report["exit_code"]);
        assert_eq!(counts, (&Value::from(0), &Value::from(0), &Value::from(0)), "{name}: {report:#}");
    }
}

/// The primary cause of each situation that is named after one.
#[test]
fn the_cause_is_found() {
    for (name, cause) in [
        ("no-gpu", "nvidia-driver-missing"),
        ("driver-not-installed", "nvidia-driver-missing"),
        ("nouveau", "nouveau-loaded"),
        ("secure-boot", "secure-boot-blocks-driver"),
        ("dkms-not-built", "driver-not-built-for-kernel"),
        ("libraries-newer-than-module", "kernel-module-userspace-mismatch"),
        ("5090-proprietary-module", "open-modules-needed"),
        ("p40-driver-595", "gpu-needs-older-driver"),
        ("uvm-missing", "uvm-not-loaded"),
        ("h100-driver-535", "driver-older-than-cuda"),
        ("p40-vllm", "capability-below-engine"),
        ("container-without-gpus", "container-without-gpu-access"),
        ("container-lost-gpus", "container-lost-gpu"),
        ("container-small-shm", "shm-too-small"),
        ("compat-on-geforce", "cuda-compat-not-usable"),
        ("container-utility-only", "driver-capabilities-missing"),
        ("visible-devices-beyond", "visible-devices-wrong"),
        ("4090x8-shared", "memory-held-by-others"),
        ("a100-uncorrectable-memory", "xid-hardware-fault"),
        ("l4-hot-on-riser", "pcie-width-reduced"),
        ("h100x8-no-fabric-manager", "fabric-manager-not-running"),
        ("a100-mig-without-instances", "mig-without-instances"),
        ("driver-hangs", "driver-not-answering"),
        ("a10x4-acs", "acs-redirects-p2p"),
        ("t4-bfloat16", "bf16-unsupported"),
        ("wsl2-no-driver", "wsl2-gpu-blocked"),
        ("nccl-settings-copied", "network-interface-missing"),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name);
        let report = report(&folder);
        let found: Vec<&Value> = report["findings"].as_array().expect("a list").iter().map(|finding| &finding["id"]).collect();
        assert_eq!(report["primary"], cause, "{name}: {found:?}");
        let fails = report["summary"]["errors"].as_u64().expect("a number") > 0;
        assert_eq!(report["exit_code"], u8::from(fails), "{name}");
    }
}

/// Minor-version compatibility is worth knowing and no fault.
#[test]
fn an_older_driver_of_the_same_major_is_a_note() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/h100-driver-550");
    let report = report(&folder);
    let note = report["findings"].as_array().expect("a list").iter().find(|finding| finding["id"] == "cuda-newer-than-driver");
    assert_eq!(note.map(|note| &note["severity"]), Some(&Value::from("info")), "{report:#}");
    assert_eq!(report["exit_code"], 0);
}

/// Many of the checks fire on some machine, not only in their examples.
#[test]
fn situations_reach_many_checks() {
    let mut fired: BTreeSet<String> = BTreeSet::new();
    for (_, folder) in situations() {
        let report = report(&folder);
        fired.extend(report["findings"].as_array().expect("a list").iter().filter_map(|finding| Some(finding["id"].as_str()?.to_owned())));
    }
    let known = Catalog::builtin();
    let declared = known.checks().iter().filter(|rule| fired.contains(&rule.id)).count();
    assert!(declared >= 45, "{declared}: {fired:?}");
}
