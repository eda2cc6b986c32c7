//! The program on drivers that fail in every way: each failure becomes a reading, in time, and never one of the program's own.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and builds a driver"
)]

#[path = "fakes/library.rs"]
mod library;
#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::time::{Duration, Instant};

use gpudoctor::capture::Capture;
use gpudoctor::capture::call::Call;
use gpudoctor::capture::cuda::{Cuda, CudaDevice};
use gpudoctor::capture::nvml::{Nvml, NvmlDevice};
use gpudoctor::reading::Reading;

/// How long the program gives a driver that hangs in these tests, in seconds.
const PATIENCE: u64 = 3;
/// How long the program may take, which runs beside other tests.
const DEADLINE: Duration = Duration::from_secs(60);

/// What the program reads of the drivers in `folder` that do as they are told.
fn capture_of(folder: &Path, told: &str, options: &[&str]) -> Capture {
    let empty = tempfile::tempdir().expect("a folder");
    let (root, libraries) = (empty.path().display().to_string(), folder.display().to_string());
    // A driver that works may be slow where many tests run.
    let patience = if told.contains("hang") { PATIENCE } else { 30 }.to_string();
    let arguments = [&["capture", "--include-identifiers", "--timeout", &patience], options].concat();
    let outcome = program::run(&arguments, &[("LD_LIBRARY_PATH", &libraries), ("FAKE_DRIVER", told), ("GPUDOCTOR_ROOT", &root)], DEADLINE);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{told}");
    Capture::parse(&outcome.stdout).expect("a capture")
}

fn capture(told: &str) -> Capture {
    capture_of(library::folder(), told, &[])
}

fn nvml(capture: &Capture) -> &Nvml {
    capture.nvml.known().expect("NVML")
}

fn cuda(capture: &Capture) -> &Cuda {
    capture.cuda.known().expect("CUDA")
}

fn gpu(capture: &Capture, index: usize) -> &NvmlDevice {
    nvml(capture).devices[index].known().expect("a GPU")
}

fn device(capture: &Capture, index: usize) -> &CudaDevice {
    cuda(capture).devices[index].known().expect("a device")
}

/// The code and the name that a call returned.
fn failed<T>(call: &Call<T>) -> Option<(i64, &str)> {
    call.failure().map(|failure| (failure.code, failure.name.as_str()))
}

/// Why a call did not return.
fn stuck<T>(call: &Call<T>) -> &str {
    match call {
        Call::Stuck(reason) => reason,
        _ => "it returned",
    }
}

// A driver without fault is read whole.
#[test]
fn a_healthy_driver_is_read() {
    let capture = capture("gpus=1");
    let gpu = gpu(&capture, 0);
    assert_eq!(gpu.name, Call::Value("NVIDIA H100 80GB HBM3".to_owned()));
    assert_eq!(gpu.pci.value().expect("an address").address, "0000:18:00.0");
    assert_eq!((&gpu.modes.persistence, &gpu.capability), (&Call::Value(1), &Call::Value((9, 0))));
    let device = device(&capture, 0);
    assert_eq!((&device.launch, &device.correct), (&Call::Value(()), &Call::Value(true)));
    assert_eq!(device.pci.value(), gpu.pci.value().map(|pci| &pci.address));
    assert!(nvml(&capture).library.known().is_some_and(|path| path.ends_with("/libnvidia-ml.so.1")));
}

// Any number of GPUs is read, and each pair of them.
#[test]
fn any_number_of_gpus_is_read() {
    for count in [0_usize, 1, 8, 16] {
        let capture = capture(&format!("gpus={count}"));
        assert_eq!((nvml(&capture).devices.len(), nvml(&capture).pairs.len()), (count, count * count.saturating_sub(1) / 2));
        assert_eq!((cuda(&capture).devices.len(), cuda(&capture).peers.len()), (count, count * count.saturating_sub(1)));
        assert!(nvml(&capture).devices.iter().all(|gpu| gpu.known().is_some_and(|gpu| gpu.graphics_processes.value().is_some())));
    }
}

// Each error that starting NVML can return is kept with its name, and nothing else is asked.
#[test]
fn every_error_of_nvml_is_kept() {
    for (code, name) in [
        (1, "NVML_ERROR_UNINITIALIZED"),
        (4, "NVML_ERROR_NO_PERMISSION"),
        (9, "NVML_ERROR_DRIVER_NOT_LOADED"),
        (12, "NVML_ERROR_LIBRARY_NOT_FOUND"),
        (15, "NVML_ERROR_GPU_IS_LOST"),
        (16, "NVML_ERROR_RESET_REQUIRED"),
        (18, "NVML_ERROR_LIB_RM_VERSION_MISMATCH"),
        (999, "NVML_ERROR_UNKNOWN"),
        (4242, "unknown"),
    ] {
        let capture = capture(&format!("nvmlInit_v2={code}"));
        assert_eq!(failed(&nvml(&capture).init), Some((code, name)));
        assert_eq!((&nvml(&capture).device_count, nvml(&capture).devices.len()), (&Call::NotCalled, 0));
    }
}

// Each error that starting CUDA can return is kept with its name, and nothing else is asked.
#[test]
fn every_error_of_cuda_is_kept() {
    for (code, name) in [
        (1, "CUDA_ERROR_INVALID_VALUE"),
        (2, "CUDA_ERROR_OUT_OF_MEMORY"),
        (3, "CUDA_ERROR_NOT_INITIALIZED"),
        (34, "CUDA_ERROR_STUB_LIBRARY"),
        (36, "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER"),
        (46, "CUDA_ERROR_DEVICE_UNAVAILABLE"),
        (100, "CUDA_ERROR_NO_DEVICE"),
        (304, "CUDA_ERROR_OPERATING_SYSTEM"),
        (802, "CUDA_ERROR_SYSTEM_NOT_READY"),
        (803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
        (804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"),
        (805, "CUDA_ERROR_MPS_CONNECTION_FAILED"),
        (919, "CUDA_ERROR_FABRIC_NOT_READY"),
        (999, "CUDA_ERROR_UNKNOWN"),
        (31_337, "unknown"),
    ] {
        let capture = capture(&format!("cuInit={code}"));
        assert_eq!(failed(&cuda(&capture).init), Some((code, name)));
        assert_eq!((&cuda(&capture).device_count, &cuda(&capture).driver_version), (&Call::NotCalled, &Call::Value(13000)));
    }
}

// Each error of a context or of the kernel belongs to its device; the others are read as ever.
#[test]
fn an_error_of_one_device_stays_there() {
    for code in [2, 46, 101, 102, 214, 999] {
        let capture = capture(&format!("gpus=2 cuDevicePrimaryCtxRetain@1={code}"));
        assert_eq!(device(&capture, 1).context.code(), Some(code));
        assert_eq!((&device(&capture, 1).launch, &device(&capture, 0).correct), (&Call::NotCalled, &Call::Value(true)));
    }
    for code in [209, 218, 221, 222] {
        assert_eq!(device(&capture(&format!("cuModuleLoadData={code}")), 0).module.code(), Some(code));
    }
    for code in [98, 214, 700, 716, 719] {
        let capture = capture(&format!("cuCtxSynchronize={code}"));
        assert_eq!((device(&capture, 0).launch.code(), &device(&capture, 0).correct), (Some(code), &Call::NotCalled));
    }
    assert_eq!(device(&capture("wrong=1"), 0).correct, Call::Value(false));
}

// A GPU that fell off the bus answers everything with that; its neighbour is read.
#[test]
fn a_lost_gpu_does_not_hide_the_others() {
    let capture = capture("gpus=2 nvmlDeviceGetHandleByIndex_v2@0=15");
    assert_eq!(failed(&gpu(&capture, 0).handle), Some((15, "NVML_ERROR_GPU_IS_LOST")));
    assert_eq!(gpu(&capture, 0).name, Call::NotCalled);
    assert_eq!(gpu(&capture, 1).temperature, Call::Value(34));
}

// A call that never returns is marked, with the time that it had and its name; what returned before is kept.
#[test]
fn a_hang_is_a_reading() {
    let reason = |call: &str| format!("timed out after {PATIENCE} s in `{call}`");
    let cases = ["nvmlInit_v2=hang", "cuInit=hang", "gpus=2 nvmlDeviceGetTemperature@1=hang", "gpus=2 cuDevicePrimaryCtxRetain@1=hang"];
    let captures: Vec<Capture> = std::thread::scope(|scope| {
        let threads = cases.map(|told| {
            scope.spawn(move || {
                let start = Instant::now();
                let capture = capture(told);
                assert!(start.elapsed() < Duration::from_secs(PATIENCE + 20), "{told} took {:?}", start.elapsed());
                capture
            })
        });
        threads.into_iter().map(|thread| thread.join().expect("a capture")).collect()
    });
    assert_eq!(captures[0].nvml.reason(), Some(reason("nvmlInit_v2").as_str()));
    assert!(captures[0].cuda.known().is_some());
    assert_eq!(captures[1].cuda.reason(), Some(reason("cuInit").as_str()));
    let hung = gpu(&captures[2], 1);
    assert_eq!(
        (&hung.name, stuck(&hung.temperature)),
        (&Call::Value("NVIDIA H100 80GB HBM3".to_owned()), reason("nvmlDeviceGetTemperature of GPU 1").as_str())
    );
    assert!(stuck(&hung.clocks.sm_mhz).starts_with("timed out"), "what came after was not asked");
    assert_eq!(gpu(&captures[2], 0).temperature, Call::Value(34));
    assert_eq!(stuck(&device(&captures[3], 1).context), reason("cuDevicePrimaryCtxRetain of device 1"));
    assert_eq!(device(&captures[3], 0).correct, Call::Value(true));
}

// A library that ends the process ends that of the probe only; what it had read before is kept.
#[test]
fn a_crash_is_a_reading() {
    let both = capture("nvmlInit_v2=segv cuInit=abort");
    assert_eq!(both.nvml.reason(), Some("crashed with SIGSEGV in `nvmlInit_v2`"));
    assert_eq!(both.cuda.reason(), Some("crashed with SIGABRT in `cuInit`"));
    let late = capture("nvmlDeviceGetName=segv");
    assert_eq!(nvml(&late).driver_version, Call::Value("580.95.05".to_owned()));
    assert_eq!(stuck(&gpu(&late, 0).name), "crashed with SIGSEGV in `nvmlDeviceGetName of GPU 0`");
    let early = capture("nvmlDeviceGetCount_v2=abort");
    assert_eq!(stuck(&nvml(&early).device_count), "crashed with SIGABRT in `nvmlDeviceGetCount_v2`");
}

// A text without an end, or that is no text, is cut and shown as such.
#[test]
fn a_text_without_an_end_is_survived() {
    let capture = capture("nvmlDeviceGetName=garbage nvmlSystemGetDriverVersion=garbage cuDeviceGetName=garbage");
    for text in [&gpu(&capture, 0).name, &nvml(&capture).driver_version, &device(&capture, 0).name] {
        let text = text.value().expect("a text");
        assert!(text.chars().all(|c| c == '\u{fffd}') && text.chars().count() < 256, "{text:?}");
    }
}

// A function that the library does not have is told from one that fails.
#[test]
fn missing_functions_are_told() {
    let names = ["nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetGpuFabricInfoV", "cuDeviceGetUuid_v2", "cuModuleLoadData"];
    let folder = library::without(&names);
    let old = capture_of(folder.path(), "gpus=1", &[]);
    assert_eq!((&gpu(&old, 0).memory_v2, &gpu(&old, 0).fabric), (&Call::Missing, &Call::Missing));
    assert!(gpu(&old, 0).memory.value().is_some());
    assert_eq!((&device(&old, 0).uuid, &device(&old, 0).module), (&Call::Missing, &Call::Missing));
    let folder = library::without(&["nvmlInit_v2", "cuInit"]);
    let none = capture_of(folder.path(), "gpus=1", &[]);
    assert_eq!((&nvml(&none).init, &cuda(&none).init), (&Call::Missing, &Call::Missing));
}

// Something that is no library is said to be none.
#[test]
fn a_damaged_library_is_said_to_be_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["libcuda.so.1", "libnvidia-ml.so.1"] {
        fs_err::write(folder.path().join(name), "not a library").expect("a file");
    }
    let capture = capture_of(folder.path(), "", &[]);
    for reason in [capture.nvml.reason(), capture.cuda.reason()] {
        assert!(reason.is_some_and(|reason| reason.contains("file too short") || reason.contains("invalid ELF header")), "{reason:?}");
    }
}

// Without library and without device nothing is loaded, and that is an answer.
#[test]
fn no_driver_is_an_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = capture_of(folder.path(), "", &[]);
    assert_eq!((&capture.nvml, &capture.cuda, capture.libraries.len()), (&Reading::Absent, &Reading::Absent, 0));
}

// MIG instances have their own names, memory and ids.
#[test]
fn instances_are_listed() {
    let capture = capture("gpus=1 mig=3");
    let gpu = gpu(&capture, 0);
    assert_eq!((&gpu.modes.mig, gpu.instances.seen.len()), (&Call::Value((1, 1)), 3));
    let uuids: Vec<_> = gpu.instances.seen.iter().filter_map(|instance| instance.uuid.value()).collect();
    assert!(uuids.iter().all(|uuid| uuid.starts_with("MIG-")) && uuids[0] != uuids[1], "{uuids:?}");
}

// The state of an NVSwitch fabric and of each link is kept.
#[test]
fn fabric_and_links_are_read() {
    for state in [0, 1, 2, 3] {
        let capture = capture(&format!("fabric={state} links=18 links_up=16"));
        let gpu = gpu(&capture, 0);
        assert_eq!(gpu.fabric.value().map(|fabric| fabric.state), Some(state));
        assert_eq!((gpu.links.len(), gpu.links.iter().filter(|link| link.state == Call::Value(1)).count()), (18, 16));
    }
    assert_eq!(gpu(&capture("links=0"), 0).links, []);
}

// Who holds GPU memory is looked up, and a process that cannot be seen is said to be none.
#[test]
fn processes_are_named() {
    let own = std::process::id();
    let capture = capture(&format!("pid={own}"));
    assert_eq!(gpu(&capture, 0).compute_processes.value().map(Vec::len), Some(1));
    let process = &capture.processes[0];
    // The staged tree has no processes.
    assert_eq!((process.pid, &process.name), (own, &Reading::Absent));
}

// A copy between two GPUs is verified byte by byte, when it is asked for.
#[test]
fn copies_are_verified() {
    let folder = library::folder();
    assert!(cuda(&capture("gpus=2")).transfers.is_empty());
    let good = capture_of(folder, "gpus=2", &["--peers"]);
    let verified: Vec<_> = cuda(&good).transfers.iter().map(|transfer| (transfer.from, transfer.to, transfer.verified.value())).collect();
    assert_eq!(verified, [(0, 1, Some(&true)), (1, 0, Some(&true))]);
    let bad = capture_of(folder, "gpus=2 corrupt=1", &["--peers"]);
    assert_eq!(cuda(&bad).transfers[0].verified, Call::Value(false));
    let refused = capture_of(folder, "gpus=2 cuCtxEnablePeerAccess=217", &["--peers"]);
    assert_eq!(failed(&cuda(&refused).transfers[0].peer_access), Some((217, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED")));
    assert_eq!(cuda(&refused).transfers[0].verified, Call::Value(true));
    let hung = capture_of(folder, "gpus=2 cuMemcpyPeerAsync=hang", &["--peers"]);
    assert_eq!(stuck(&cuda(&hung).transfers[0].copy), format!("timed out after {PATIENCE} s in `cuMemcpyPeerAsync from 0 to 1`"));
}

// Each CUDA runtime of an environment is asked what a program linked with it would find.
#[test]
fn runtimes_are_asked() {
    let environment = tempfile::tempdir().expect("a folder");
    let folder = environment.path().join("lib/python3.12/site-packages/nvidia/cuda_runtime/lib");
    fs_err::create_dir_all(&folder).expect("a folder");
    fs_err::copy(library::folder().join("libcudart.so.12"), folder.join("libcudart.so.12")).expect("a copy");
    let python = environment.path().display().to_string();
    let capture = capture_of(library::folder(), "gpus=2 cudaGetDeviceCount=804", &["--python", &python]);
    let (path, runtime) = capture.runtimes.iter().next().expect("a runtime");
    let runtime = runtime.known().expect("an answer");
    assert!(path.ends_with("libcudart.so.12"), "{path}");
    assert_eq!(
        (&runtime.version, failed(&runtime.device_count)),
        (&Call::Value(12080), Some((804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE")))
    );
}
