//! `check` on drivers that fail in every way: each failure has its own first cause, an exit code, and an end in time.
//!
//! The driver is the fake one of `tests/fakes`; the machine around it is a staged tree where nothing is wrong.

#![expect(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking, and builds a driver")]

#[path = "fakes/library.rs"]
mod library;
#[path = "scenarios/machine.rs"]
mod machine;
#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long the program gives a driver that hangs, and one that works on a machine that runs other tests, in seconds.
const PATIENCE: u64 = 3;
const CALM: u64 = 60;
/// What the program may take beyond that, beside other tests.
const BESIDE: Duration = Duration::from_secs(30);
/// How many run at once: those that hang cost little of a processor.
const AT_ONCE: usize = 12;

/// What `check` says: its first cause, its exit code, and the ids of all errors and warnings.
#[derive(Debug)]
struct Said {
    primary: Option<String>,
    code: Option<i32>,
    report: Value,
}

/// Runs `check` where the drivers in `folder` do as they are told.
fn check(folder: &Path, told: &str) -> Result<Said, String> {
    let patience = if told.contains("=hang") { PATIENCE } else { CALM };
    let (seconds, libraries) = (patience.to_string(), folder.display().to_string());
    let root = machine::whole().display().to_string();
    let environment = machine::environment().display().to_string();
    let begun = Instant::now();
    let outcome = program::run(
        &["check", "--format", "json", "--timeout", &seconds, "--python", &environment],
        &[("LD_LIBRARY_PATH", &libraries), ("FAKE_DRIVER", told), ("GPUDOCTOR_ROOT", &root)],
        Duration::from_secs(patience) + BESIDE,
    );
    let took = begun.elapsed();
    if took > Duration::from_secs(patience) + BESIDE / 2 {
        return Err(format!("took {took:?}"));
    }
    if !outcome.stderr.is_empty() {
        return Err(outcome.stderr);
    }
    let report: Value = serde_json::from_str(&outcome.stdout).map_err(|error| error.to_string())?;
    Ok(Said { primary: report["primary"].as_str().map(str::to_owned), code: outcome.code, report })
}

/// Runs every scenario, some at once, and tells of all that say something else than they should.
fn hold(scenarios: &[(String, Option<&str>, i32)]) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let folder = library::folder();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((told, primary, code)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let problem = match check(folder, told) {
                        Ok(said) if said.primary.as_deref() == *primary && said.code == Some(*code) => continue,
                        Ok(said) => format!("{told}: {:?} and exit code {:?}, not {primary:?} and {code}", said.primary, said.code),
                        Err(problem) => format!("{told}: {problem}"),
                    };
                    wrong.lock().expect("a list").push(problem);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), scenarios.len(), wrong.join("\n"));
}

/// Scenarios that end with one cause and exit code 1: `{}` is each code in turn.
fn each(told: &str, codes: &[i64], primary: &'static str) -> Vec<(String, Option<&'static str>, i32)> {
    codes.iter().map(|code| (told.replace("{}", &code.to_string()), Some(primary), 1)).collect()
}

// A driver without fault has no finding, with any number of GPUs.
#[test]
fn nothing_is_found_on_a_healthy_driver() {
    let healthy = ["gpus=1", "gpus=2", "gpus=8", "gpus=16", "gpus=1 mig=3", "gpus=2 links=18"];
    let mut scenarios: Vec<_> = healthy.map(|told| (told.to_owned(), None, 0)).into();
    scenarios.push(("gpus=0".to_owned(), Some("no-gpu-listed"), 1));
    scenarios.push(("gpus=0 cuInit=100".to_owned(), Some("no-gpu-listed"), 1));
    hold(&scenarios);
}

// Every code that starting CUDA can return has its cause.
#[test]
fn every_code_of_starting_cuda_has_its_cause() {
    let general = [1, 2, 3, 35, 36, 46, 98, 100, 101, 102, 304, 800, 801, 804, 919, 999, 31_337];
    let mut scenarios = each("gpus=2 cuInit={}", &general, "cuda-initialisation-failed");
    scenarios.extend(each("gpus=2 cuInit={}", &[34], "libcuda-is-stub"));
    scenarios.extend(each("gpus=2 cuInit={}", &[802], "fabric-manager-not-running"));
    scenarios.extend(each("gpus=2 cuInit={}", &[803], "kernel-module-userspace-mismatch"));
    scenarios.extend(each("gpus=2 cuInit={}", &[805, 806, 807, 808, 809, 810], "mps-not-answering"));
    hold(&scenarios);
}

// Every code that starting NVML can return has its cause.
#[test]
fn every_code_of_starting_nvml_has_its_cause() {
    let mut scenarios = each("gpus=2 nvmlInit_v2={}", &[1, 9, 12, 15, 16, 17, 999, 4242], "nvml-initialisation-failed");
    scenarios.extend(each("gpus=2 nvmlInit_v2={}", &[4], "nvml-forbidden"));
    scenarios.extend(each("gpus=2 nvmlInit_v2={}", &[18], "kernel-module-userspace-mismatch"));
    scenarios.extend(each("gpus=2 nvmlDeviceGetHandleByIndex_v2@1={}", &[4, 17, 999], "gpu-not-opened"));
    scenarios.extend(each("gpus=2 nvmlDeviceGetHandleByIndex_v2@1={}", &[15], "gpu-lost"));
    scenarios.extend(each("gpus=2 nvmlDeviceGetTemperature@1={}", &[15], "gpu-lost"));
    scenarios.extend(each("gpus=2 nvmlDeviceGetHandleByIndex_v2@1={}", &[16], "gpu-needs-reset"));
    hold(&scenarios);
}

// Every code of a context, of a kernel and of a copy has its cause, and so has a result that is wrong without a code.
#[test]
fn every_code_of_a_device_has_its_cause() {
    let contexts = [2, 46, 101, 102, 214, 304, 800, 801, 802, 999];
    let mut scenarios = each("gpus=2 cuDevicePrimaryCtxRetain@1={}", &contexts, "gpu-context-failed");
    scenarios.extend(each("gpus=2 cuModuleLoadData={}", &[209, 218, 221, 222], "gpu-kernel-launch-failed"));
    scenarios.extend(each("gpus=2 cuCtxSynchronize={}", &[98, 209, 214, 700, 716, 719, 999], "gpu-kernel-launch-failed"));
    scenarios.extend(each("gpus=2 cuMemcpyPeerAsync={}", &[1, 700, 719, 801], "p2p-copy-failed"));
    for (told, primary, code) in [
        ("gpus=2 wrong=1", "gpu-computes-wrong", 1),
        ("gpus=2 corrupt=1", "p2p-corrupts-data", 1),
        ("gpus=2 cuCtxEnablePeerAccess=217", "p2p-refused", 0),
        ("gpus=2 peer=0", "p2p-not-working", 0),
        ("gpus=2 devices=0", "cuda-sees-no-gpu", 1),
        ("gpus=2 devices=1", "cuda-sees-fewer-gpus", 0),
        ("gpus=1 mig_mode=1 devices=0", "mig-without-instances", 1),
        ("gpus=2 fabric=1", "gpu-fabric-not-ready", 1),
        ("gpus=2 fabric=2", "gpu-fabric-not-ready", 1),
        ("gpus=2 ecc=3", "ecc-uncorrected", 1),
        ("gpus=2 remap_failed=1", "row-remap-failed", 1),
        ("gpus=2 recovery=1", "gpu-needs-reset", 1),
        ("gpus=2 compute_mode=2", "compute-mode-prohibited", 1),
        ("gpus=2 compute_mode=3", "compute-mode-exclusive", 0),
        ("gpus=2 links=18 links_up=16", "nvlink-down", 0),
        ("gpus=2 reasons=64", "slowed-by-hardware", 0),
    ] {
        scenarios.push((told.to_owned(), Some(primary), code));
    }
    hold(&scenarios);
}

// A call that ends the process is a finding, whichever it is.
#[test]
fn a_crash_has_its_cause() {
    let whole = ["nvmlInit_v2", "nvmlDeviceGetCount_v2", "cuInit", "cuDeviceGetCount", "cuDriverGetVersion"];
    let mut scenarios: Vec<_> = whole.map(|call| (format!("gpus=2 {call}=segv"), Some("driver-not-answering"), 1)).into();
    // NVML says of each card what it had asked; of CUDA's devices nothing is left when its process ends.
    for (call, cause) in [
        ("nvmlDeviceGetName@1", "gpu-not-answering"),
        ("nvmlDeviceGetMemoryInfo@1", "gpu-not-answering"),
        ("cuDevicePrimaryCtxRetain@1", "driver-not-answering"),
        ("cuModuleLoadData", "driver-not-answering"),
    ] {
        scenarios.push((format!("gpus=2 {call}=abort"), Some(cause), 1));
    }
    hold(&scenarios);
}

// Text without an end is no fault of the card.
#[test]
fn garbage_is_survived() {
    let calls = ["nvmlDeviceGetName", "nvmlSystemGetDriverVersion", "nvmlDeviceGetUUID", "nvmlDeviceGetSerial", "cuDeviceGetName"];
    let told: String = calls.map(|call| format!(" {call}=garbage")).concat();
    hold(&[(format!("gpus=2{told}"), None, 0)]);
}

// Each call of the driver that hangs ends in time, with the right cause. The calls are those that the fake driver has.
#[test]
fn a_hang_in_any_call_has_its_cause() {
    let sources = [include_str!("fakes/driver/nvml.rs"), include_str!("fakes/driver/cuda.rs")].concat();
    let start = |line: &str| {
        let line = line.trim_start().trim_start_matches("pub unsafe extern \"C\" fn ");
        let end = line.find('(')?;
        let name = line.get(..end)?;
        let is_call = (name.starts_with("nvml") || name.starts_with("cu")) && !name.starts_with("cuda");
        (is_call && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then(|| name.to_owned())
    };
    let calls: Vec<String> = sources.lines().filter_map(start).collect();
    assert!(calls.len() > 80, "{calls:?}");
    // Nobody waits for them: memory that is given back, and instances where there are none.
    let unasked = ["cuGetErrorName", "nvmlDeviceGetGpuInstanceId", "nvmlDeviceGetComputeInstanceId"];
    // A device that did not tell its address belongs to no card.
    let whole =
        ["cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetPCIBusId", "nvmlInit_v2"];
    let pairs = [
        "nvmlDeviceGetTopologyCommonAncestor",
        "nvmlDeviceGetP2PStatus",
        "cuDeviceCanAccessPeer",
        "cuDeviceGetP2PAttribute",
        "cuCtxEnablePeerAccess",
        "cuMemcpyPeerAsync",
        "cuMemsetD8_v2",
        "cuStream",
        "cuEvent",
    ];
    let scenarios: Vec<_> = calls
        .iter()
        .filter(|call| !unasked.contains(&call.as_str()))
        .map(|call| {
            let is_whole = whole.contains(&call.as_str()) || call.starts_with("nvmlSystem") || call == "nvmlDeviceGetCount_v2";
            let cause = if is_whole {
                "driver-not-answering"
            } else if pairs.iter().any(|start| call.starts_with(start)) || call == "cuMemcpyHtoD_v2" {
                "link-not-answering"
            } else {
                "gpu-not-answering"
            };
            (format!("gpus=2 links=4 {call}=hang"), Some(cause), 1)
        })
        .collect();
    hold(&scenarios);
}

// A library without a function: the first ones are needed, the others are not.
#[test]
fn missing_functions_have_their_cause() {
    let folder = library::without(&["nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetGpuFabricInfoV", "cuDeviceGetUuid_v2"]);
    let said = check(folder.path(), "gpus=2").expect("a report");
    assert_eq!((said.primary.as_deref(), said.code), (None, Some(0)), "{:#}", said.report);
    for function in ["nvmlInit_v2", "cuInit"] {
        let folder = library::without(&[function]);
        let said = check(folder.path(), "gpus=2").expect("a report");
        assert_eq!((said.primary.as_deref(), said.code), (Some("driver-not-answering"), Some(1)), "{:#}", said.report);
        assert!(said.report.to_string().contains(&format!("no function `{function}`")), "{:#}", said.report);
    }
}

// A file that is no library is one that gives no answer.
#[test]
fn a_damaged_library_has_its_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["libcuda.so.1", "libnvidia-ml.so.1"] {
        fs_err::write(folder.path().join(name), "not a library").expect("a file");
    }
    let said = check(folder.path(), "").expect("a report");
    assert_eq!((said.primary.as_deref(), said.code), (Some("driver-not-answering"), Some(1)), "{:#}", said.report);
}
