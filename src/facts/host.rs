//! The machine around the GPUs: memory, processors, limits, disks, buses.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::host::{Bound, Limit};
use crate::facts::gpu::on_bus;
use crate::facts::text::{file, meminfo, processors};
use crate::reading::Reading;
use crate::units::Bytes;

/// The machine.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Host {
    /// Main memory, in bytes.
    pub memory: Reading<Bytes>,
    /// Main memory that can be had, in bytes.
    pub available: Reading<Bytes>,
    /// Swap, in bytes.
    pub swap: Reading<Bytes>,
    /// The memory limit of the control group, in bytes.
    pub memory_limit: Reading<Bytes>,
    /// What this process may take of main memory: the limit, or all of it.
    pub usable_memory: Reading<Bytes>,
    /// Processors that this process may use.
    pub cpus: Reading<u64>,
    /// Processors that the control group's quota is worth.
    pub cpu_quota: Reading<f64>,
    /// Processors that this process can keep busy: those that it may use, or fewer by its quota.
    pub usable_cpus: Reading<f64>,
    /// NUMA nodes with processors.
    pub numa_nodes: Reading<u64>,
    /// `/dev/shm`.
    pub shm: Space,
    /// The disk of the model cache.
    pub cache: Space,
    /// Where the model cache is.
    pub cache_path: Reading<String>,
    /// The disk of temporary files.
    pub tmp: Space,
    /// The most memory that may be locked, in bytes; absent where there is no limit.
    pub memlock: Reading<Bytes>,
    /// The most files that may be open.
    pub nofile: Reading<u64>,
    /// Whether the stack is unlimited.
    pub stack_unlimited: Reading<bool>,
    /// Whether the kernel refuses to promise more memory than there is (`vm.overcommit_memory = 2`).
    pub strict_overcommit: Reading<bool>,
    /// How many memory maps a process may have.
    pub max_map_count: Reading<u64>,
    /// How the IOMMU stands between devices: `off`, `passthrough` or `translated`.
    pub iommu: Reading<String>,
    /// Whether the machine is virtual.
    pub virtual_machine: Reading<bool>,
    /// NVIDIA GPUs on the PCI bus.
    pub gpus_on_bus: Reading<u64>,
    /// NVSwitches on the PCI bus.
    pub nvswitches: Reading<u64>,
    /// Lines of the kernel log that say that a card fell off the bus.
    pub fallen_off_bus: Reading<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: Reading<u64>,
    /// Lines of the kernel log in which the driver refused a card.
    pub refused_cards: Reading<u64>,
    /// Whether this process is root.
    pub root: Reading<bool>,
}

/// A file system.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Space {
    /// Its size, in bytes.
    pub total: Reading<Bytes>,
    /// What is free, in bytes.
    pub available: Reading<Bytes>,
}

/// Reads the machine.
pub(super) fn read(capture: &Capture) -> Host {
    let memory = file(capture, "/proc/meminfo");
    let size = |key: &str| memory.clone().and_then(|text| Reading::from(meminfo(text, key)));
    let total = size("MemTotal");
    let memory_limit = memory_limit(capture);
    let usable_memory = match (&total, &memory_limit) {
        (Reading::Known(total), Reading::Known(limit)) => Reading::Known(*total.min(limit)),
        _ => total.clone(),
    };
    let cache = capture.space.iter().find(|(path, _)| {
        path.contains("huggingface")
            || Some(*path) == capture.variables.get("HF_HOME")
            || Some(*path) == capture.variables.get("HF_HUB_CACHE")
    });
    let cpu_quota = cpu_quota(capture);
    let nvidia = capture.pci.as_ref();
    let log = |words: &[&str]| {
        capture.kernel_log.as_ref().map(|lines| lines.iter().filter(|line| words.iter().any(|word| line.contains(word))).count() as u64)
    };
    Host {
        available: size("MemAvailable"),
        swap: size("SwapTotal"),
        memory: total,
        usable_memory,
        memory_limit,
        cpus: capture.cpus.allowed.clone().map(u64::from),
        usable_cpus: capture.cpus.allowed.clone().map(|cpus| cpu_quota.known().map_or(f64::from(cpus), |quota| quota.min(f64::from(cpus)))),
        cpu_quota,
        numa_nodes: numa_nodes(capture),
        shm: space(capture, "/dev/shm"),
        cache: cache.map_or_else(Space::default, |(path, _)| space(capture, path)),
        cache_path: Reading::from(cache.map(|(path, _)| path.clone())),
        tmp: space(capture, "/tmp"),
        memlock: bound(&capture.limits.memlock).map(Bytes),
        nofile: bound(&capture.limits.nofile),
        stack_unlimited: capture.limits.stack.clone().map(|limit| limit.soft == Bound::Unlimited),
        strict_overcommit: file(capture, "/proc/sys/vm/overcommit_memory").map(|text| text.trim() == "2"),
        max_map_count: file(capture, "/proc/sys/vm/max_map_count").and_then(|text| Reading::from(text.trim().parse().ok())),
        iommu: iommu(capture),
        virtual_machine: virtual_machine(capture),
        gpus_on_bus: nvidia.clone().map(|_| on_bus(capture).count() as u64),
        nvswitches: nvidia
            .map(|devices| devices.iter().filter(|device| device.vendor == 0x10de && device.class >> 8 == 0x0680).count() as u64),
        fallen_off_bus: log(&["fallen off the bus"]),
        oom_kills: log(&["oom-kill", "Out of memory: Killed", "Memory cgroup out of memory"]),
        refused_cards: log(&["requires use of the NVIDIA open kernel modules", "RmInitAdapter failed"]),
        root: Reading::Known(capture.identity.root),
    }
}

fn space(capture: &Capture, path: &str) -> Space {
    let reading = capture.space.get(path).map_or(Reading::Absent, Reading::as_ref);
    Space { total: reading.clone().map(|space| space.total), available: reading.map(|space| space.available) }
}

/// The soft limit; absent where there is none.
fn bound(limit: &Reading<Limit>) -> Reading<u64> {
    limit.as_ref().and_then(|limit| match limit.soft {
        Bound::Limited(most) => Reading::Known(most),
        Bound::Unlimited => Reading::Absent,
    })
}

/// The memory limit of the control group; a limit beyond an exbibyte is none.
fn memory_limit(capture: &Capture) -> Reading<Bytes> {
    const NONE: u64 = 1 << 60;
    let limits = capture.files.iter().filter(|(path, _)| {
        path.starts_with("/sys/fs/cgroup/") && (path.ends_with("/memory.max") || path.ends_with("/memory.limit_in_bytes"))
    });
    let numbers = limits.filter_map(|(_, text)| text.known()?.trim().parse::<u64>().ok());
    Reading::from(numbers.filter(|limit| *limit < NONE).min().map(Bytes))
}

/// The processors that a quota is worth: `cpu.max` holds quota and period, or `max`.
fn cpu_quota(capture: &Capture) -> Reading<f64> {
    let quotas = capture.files.iter().filter(|(path, _)| path.starts_with("/sys/fs/cgroup/") && path.ends_with("/cpu.max"));
    let worth = |(_, text): (&String, &Reading<String>)| {
        let mut numbers = text.known()?.split_whitespace().map(str::parse::<f64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(quota)), Some(Ok(period))) if period > 0.0 => Some((quota / period * 10.0).round() / 10.0),
            _ => None,
        }
    };
    Reading::from(quotas.filter_map(worth).min_by(f64::total_cmp))
}

fn numa_nodes(capture: &Capture) -> Reading<u64> {
    let online = file(capture, "/sys/devices/system/node/online").map(|text| processors(text).len() as u64);
    match (online, capture.folders.get("/sys/devices/system/node")) {
        (Reading::Absent, Some(folder)) => folder.as_ref().map(|entries| {
            let node = |name: &str| name.strip_prefix("node").is_some_and(|number| number.parse::<u32>().is_ok());
            entries.iter().filter(|entry| node(&entry.name)).count() as u64
        }),
        (online, _) => online,
    }
}

/// The IOMMU: off without entries in its class; passed through where the kernel was told so; else it translates.
fn iommu(capture: &Capture) -> Reading<String> {
    let Some(class) = capture.folders.get("/sys/class/iommu") else { return Reading::unreadable("/sys/class/iommu was not listed") };
    let told = file(capture, "/proc/cmdline")
        .known()
        .is_some_and(|line| line.split_whitespace().any(|word| matches!(word, "iommu=pt" | "iommu.passthrough=1")));
    let word = match class {
        Reading::Unreadable(reason) => return Reading::Unreadable(reason.clone()),
        Reading::Absent => "off",
        Reading::Known(entries) if entries.is_empty() => "off",
        Reading::Known(_) if told => "passthrough",
        Reading::Known(_) => "translated",
    };
    Reading::Known(word.to_owned())
}

fn virtual_machine(capture: &Capture) -> Reading<bool> {
    const MAKERS: [&str; 10] =
        ["QEMU", "KVM", "VMware", "Xen", "innotek", "Virtual Machine", "Amazon EC2", "Google Compute Engine", "OpenStack", "Alibaba Cloud"];
    let names = ["/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/product_name"].map(|path| file(capture, path));
    if names.iter().filter_map(Reading::known).any(|name| MAKERS.iter().any(|maker| name.contains(maker))) {
        return Reading::Known(true);
    }
    if let Reading::Known(text) = file(capture, "/proc/cpuinfo") {
        return Reading::Known(
            text.lines().any(|line| line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor")),
        );
    }
    if names.iter().any(|name| name.known().is_some()) {
        Reading::Known(false)
    } else {
        Reading::unreadable("neither the firmware nor the processor tells")
    }
}
