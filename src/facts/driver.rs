//! The kernel driver, its modules and its device nodes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::place::Opened;
use crate::catalog::Catalog;
use crate::facts::text::{any_file, file, library_version, module, version_in};
use crate::reading::Reading;
use crate::version::Version;

/// The driver.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Driver {
    /// Its version: the kernel module's, else the one that NVML reports.
    pub version: Reading<Version>,
    /// The version of the loaded kernel module.
    pub kernel_version: Reading<Version>,
    /// The version of its user-space library: the number behind `libnvidia-ml.so` or `libcuda.so`.
    pub user_version: Reading<Version>,
    /// Whether the `nvidia` kernel module is loaded.
    pub loaded: Reading<bool>,
    /// Whether the loaded module is the open one.
    pub open_module: Reading<bool>,
    /// Whether `nouveau` drives the cards.
    pub nouveau: Reading<bool>,
    /// Whether a module was built for the running kernel.
    pub built_for_kernel: Reading<bool>,
    /// Whether the module's source waits to be built by DKMS.
    pub dkms: Reading<bool>,
    /// Whether `nvidia_uvm` is loaded.
    pub uvm: Reading<bool>,
    /// Whether `nvidia_peermem` is loaded.
    pub peermem: Reading<bool>,
    /// Whether the persistence daemon runs.
    pub persistenced: Reading<bool>,
    /// Whether the fabric manager runs.
    pub fabric_manager: Reading<bool>,
    /// The newest CUDA whose features it supports.
    pub cuda: Reading<Version>,
    /// The branch of its version: 580.
    pub branch: Reading<u64>,
    /// The month after which its branch gets no more fixes, as `2028-06`.
    pub end_of_life: Reading<String>,
    /// Whether that month was over when the readings were taken.
    pub past_end_of_life: Reading<bool>,
    /// How many nodes `/dev/nvidia0`, `/dev/nvidia1` … there are.
    pub devices: Reading<u64>,
    /// Device nodes that cannot be opened for want of rights (`EACCES`).
    pub forbidden_nodes: Reading<Vec<String>>,
    /// Device nodes that a control group keeps from being opened (`EPERM`).
    pub blocked_nodes: Reading<Vec<String>>,
    /// Whether `/dev/nvidiactl` is there.
    pub control_node: Reading<bool>,
    /// Whether `/dev/nvidia-uvm` is there.
    pub uvm_node: Reading<bool>,
}

/// Reads the driver.
pub(super) fn read(capture: &Capture, catalog: &Catalog) -> Driver {
    let kernel_version = kernel_version(capture);
    let nvml = capture.nvml.known();
    let version = match (&kernel_version, nvml.map(|nvml| nvml.driver_version.reading())) {
        (Reading::Known(version), _) => Reading::Known(version.clone()),
        (_, Some(reading)) => reading.and_then(|text| Reading::from(text.parse().ok())),
        (other, None) => other.clone(),
    };
    let row = version.clone().and_then(|version| Reading::from(catalog.cuda().branch(&version).cloned()));
    let end = row.clone().and_then(|row| Reading::from(row.end_of_life));
    let opened = |wanted: &str| {
        let refused = capture
            .devices
            .iter()
            .filter(|(_, node)| matches!(node.known().map(|node| &node.open), Some(Opened::Refused(error)) if error.starts_with(wanted)));
        Reading::Known(refused.map(|(path, _)| path.clone()).collect::<Vec<_>>())
    };
    let node = |path: &str| {
        capture.devices.get(path).map_or(Reading::Known(false), |node| match node {
            Reading::Known(_) => Reading::Known(true),
            Reading::Absent => Reading::Known(false),
            Reading::Unreadable(reason) => Reading::Unreadable(reason.clone()),
        })
    };
    Driver {
        user_version: user_version(capture),
        loaded: loaded(capture),
        open_module: file(capture, "/proc/driver/nvidia/version").map(|text| text.contains("Open Kernel Module")),
        nouveau: nouveau(capture),
        built_for_kernel: built(capture),
        dkms: capture
            .folders
            .get("/var/lib/dkms/nvidia")
            .map_or(Reading::Absent, |folder| folder.as_ref().map(|entries| !entries.is_empty())),
        uvm: module(capture, "nvidia_uvm"),
        peermem: module(capture, "nvidia_peermem"),
        persistenced: service(capture, "nvidia-persistenced"),
        fabric_manager: service(capture, "nvidia-fabricmanager"),
        cuda: match row.clone().map(|row| row.cuda) {
            Reading::Known(cuda) => Reading::Known(cuda),
            _ => nvml.map_or(Reading::Absent, |nvml| nvml.cuda_version.reading()).and_then(crate::facts::text::api_version),
        },
        branch: version.clone().map(|version| version.major()),
        past_end_of_life: match (&end, capture.taken_at.get(..7)) {
            (Reading::Known(end), Some(month)) => Reading::Known(month > end.as_str()),
            _ => Reading::Absent,
        },
        end_of_life: end,
        devices: Reading::Known(capture.devices.iter().filter(|(path, node)| is_card(path) && node.known().is_some()).count() as u64),
        forbidden_nodes: opened("EACCES"),
        blocked_nodes: opened("EPERM"),
        control_node: node("/dev/nvidiactl"),
        uvm_node: node("/dev/nvidia-uvm"),
        kernel_version,
        version,
    }
}

/// Whether a path is `/dev/nvidia` and a number.
fn is_card(path: &str) -> bool {
    path.strip_prefix("/dev/nvidia").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn kernel_version(capture: &Capture) -> Reading<Version> {
    let module = file(capture, "/sys/module/nvidia/version").and_then(|text| Reading::from(text.trim().parse().ok()));
    match module {
        Reading::Known(version) => Reading::Known(version),
        _ => file(capture, "/proc/driver/nvidia/version").and_then(|text| Reading::from(version_in(text, 2))),
    }
}

/// The number behind the libraries that come with the driver; not that of a compatibility package.
fn user_version(capture: &Capture) -> Reading<Version> {
    let taken = ["libnvidia-ml.so.1", "libcuda.so.1"].iter().filter_map(|name| capture.libraries.get(*name)?.first());
    let own = taken.filter(|library| !library.stub && !library.path.contains("/compat"));
    let versions = own.map(|library| match &library.version {
        Reading::Known(text) => Reading::from(text.parse().ok()),
        _ => library.real_path.as_ref().and_then(|path| Reading::from(library_version(path))),
    });
    versions.into_iter().find(|version| version.known().is_some()).unwrap_or(Reading::Absent)
}

fn loaded(capture: &Capture) -> Reading<bool> {
    let files = any_file(capture, &["/proc/driver/nvidia/version", "/sys/module/nvidia/version"]);
    if files == Reading::Known(true) {
        return files;
    }
    // A kernel without a list of modules has none to load.
    match module(capture, "nvidia") {
        Reading::Known(listed) => Reading::Known(listed),
        _ => files,
    }
}

fn nouveau(capture: &Capture) -> Reading<bool> {
    let holds =
        capture.pci.known().is_some_and(|devices| devices.iter().any(|device| device.driver.known().is_some_and(|name| name == "nouveau")));
    match module(capture, "nouveau") {
        Reading::Known(listed) => Reading::Known(listed || holds),
        _ if capture.pci.known().is_some() => Reading::Known(holds),
        other => other,
    }
}

/// Whether a folder of the running kernel's modules holds the driver's.
fn built(capture: &Capture) -> Reading<bool> {
    let kernel = file(capture, "/proc/version").and_then(|text| Reading::from(text.split_whitespace().nth(2)));
    kernel.and_then(|kernel| {
        let below = |path: &str| path.contains(&format!("/modules/{kernel}"));
        let folders: Vec<_> = capture.folders.iter().filter(|(path, _)| below(path)).map(|(_, entries)| entries).collect();
        let holds = folders.iter().filter_map(|entries| entries.known()).flatten().any(|entry| entry.name.starts_with("nvidia.ko"));
        if holds {
            Reading::Known(true)
        } else if folders.iter().any(|entries| entries.known().is_some()) {
            Reading::Known(false)
        } else {
            Reading::unreadable("the folder of the kernel's modules is not there")
        }
    })
}

/// Whether a service runs; unreadable where nothing is known of it.
fn service(capture: &Capture, name: &str) -> Reading<bool> {
    let Some(service) = capture.services.get(name) else { return Reading::unreadable("its process was not looked for") };
    match (&service.pid, &service.socket) {
        (Reading::Known(_), _) | (_, Reading::Known(_)) => Reading::Known(true),
        (Reading::Unreadable(reason), _) | (_, Reading::Unreadable(reason)) => Reading::Unreadable(reason.clone()),
        (Reading::Absent, Reading::Absent) => Reading::Known(false),
    }
}
