//! Where each fact is read.

/// Where the facts below a path are read, the longest path first that fits.
const SOURCES: [(&str, &str); 64] = [
    ("os.kernel", "/proc/version"),
    ("os.wsl", "/proc/version"),
    ("os.tegra", "/etc/nv_tegra_release"),
    ("os.secure_boot", "/sys/kernel/security/lockdown"),
    ("os", "/etc/os-release"),
    ("driver.version", "/sys/module/nvidia/version, /proc/driver/nvidia/version"),
    ("driver.kernel_version", "/sys/module/nvidia/version"),
    ("driver.user_version", "the name of libnvidia-ml.so or libcuda.so"),
    ("driver.loaded", "/proc/modules, /proc/driver/nvidia"),
    ("driver.open_module", "/proc/driver/nvidia/version"),
    ("driver.nouveau", "/proc/modules"),
    ("driver.uvm", "/proc/modules"),
    ("driver.peermem", "/proc/modules"),
    ("driver.built_for_kernel", "/lib/modules"),
    ("driver.dkms", "/var/lib/dkms/nvidia"),
    ("driver.end_of_life", "rules/cuda.toml"),
    ("driver.past_end_of_life", "rules/cuda.toml"),
    ("driver.cuda", "rules/cuda.toml"),
    ("driver.devices", "/dev"),
    ("driver.forbidden_nodes", "open(2)"),
    ("driver.blocked_nodes", "open(2)"),
    ("driver.control_node", "/dev"),
    ("driver.uvm_node", "/dev"),
    ("driver", "the system's services"),
    ("nvml.devices", "nvmlDeviceGetCount_v2"),
    ("nvml", "nvmlInit_v2"),
    ("cuda.devices", "cuDeviceGetCount"),
    ("cuda.library", "the dynamic loader"),
    ("cuda.version", "cuDriverGetVersion"),
    ("cuda.min_driver", "rules/cuda.toml"),
    ("cuda", "cuInit"),
    ("gpu.memory", "nvmlDeviceGetMemoryInfo"),
    ("gpu.usual_memory", "rules/gpus"),
    ("gpu.utilisation", "nvmlDeviceGetUtilizationRates"),
    ("gpu.throttle", "nvmlDeviceGetCurrentClocksEventReasons"),
    ("gpu.ecc.remap_pending", "nvmlDeviceGetRemappedRows"),
    ("gpu.ecc.remap_failed", "nvmlDeviceGetRemappedRows"),
    ("gpu.ecc", "nvmlDeviceGetTotalEccErrors"),
    ("gpu.pcie.slot_width", "/sys/bus/pci/devices, the bridge above"),
    ("gpu.pcie.slot_generation", "/sys/bus/pci/devices, the bridge above"),
    ("gpu.pcie", "nvmlDeviceGetCurrPcieLinkWidth, …Generation"),
    ("gpu.holder", "nvmlDeviceGetComputeRunningProcesses, /proc"),
    ("gpu.processes", "nvmlDeviceGetComputeRunningProcesses, /proc"),
    ("gpu.xids", "the kernel log"),
    ("gpu.capability", "nvmlDeviceGetCudaComputeCapability"),
    ("gpu.launch_code", "cuLaunchKernel"),
    ("gpu.launch_correct", "cuLaunchKernel"),
    ("gpu.context_code", "cuDevicePrimaryCtxRetain"),
    ("gpu.numa_node", "/sys/bus/pci/devices"),
    ("gpu.first_branch", "rules/cuda.toml"),
    ("gpu.last_branch", "rules/cuda.toml"),
    ("gpu.modules", "rules/cuda.toml"),
    ("gpu", "NVML"),
    ("link.can_access", "cuDeviceCanAccessPeer"),
    ("link.p2p_status", "nvmlDeviceGetP2PStatus"),
    ("link.enable_code", "cuCtxEnablePeerAccess"),
    ("link.copy_code", "cuMemcpyPeerAsync"),
    ("link.no_answer", "the driver's calls about two cards"),
    ("link", "nvmlDeviceGetTopologyCommonAncestor"),
    ("cards", "NVML"),
    ("visible", "CUDA_VISIBLE_DEVICES"),
    ("engine", "the Python environment"),
    ("torch", "the Python environment"),
    ("target", "the command line"),
];

/// Further places, by path.
const MORE: [(&str, &str); 23] = [
    ("host.memory_limit", "/sys/fs/cgroup/memory.max"),
    ("host.memory", "/proc/meminfo"),
    ("host.usable_memory", "/proc/meminfo, /sys/fs/cgroup/memory.max"),
    ("host.available", "/proc/meminfo"),
    ("host.cpus", "sched_getaffinity(2)"),
    ("host.shm", "statvfs(/dev/shm)"),
    ("host.cache", "statvfs(2)"),
    ("host.tmp", "statvfs(/tmp)"),
    ("host.memlock", "getrlimit(RLIMIT_MEMLOCK)"),
    ("host.nofile", "getrlimit(RLIMIT_NOFILE)"),
    ("host.stack_unlimited", "getrlimit(RLIMIT_STACK)"),
    ("host.iommu", "/sys/class/iommu, /proc/cmdline"),
    ("host.gpus_on_bus", "/sys/bus/pci/devices"),
    ("host.nvswitches", "/sys/bus/pci/devices"),
    ("host.strict_overcommit", "/proc/sys/vm/overcommit_memory"),
    ("container.cdi", "/etc/cdi, /var/run/cdi"),
    ("container", "the process's environment and control group"),
    ("network.hub", "the environment and the hub's cache"),
    ("network.proxy", "the environment"),
    ("network.missing", "the environment, /sys/class/net"),
    ("network", "/sys/class/infiniband, /sys/class/net"),
    ("tools", "PATH"),
    ("python", "the Python environment"),
];

/// Where the fact at `path` is read, as far as its path tells.
pub fn source(path: &str) -> String {
    if let Some(name) = path.strip_prefix("env.") {
        return format!("the environment variable {name}");
    }
    let fits = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_']));
    let known = SOURCES.iter().chain(&MORE).filter(|(prefix, _)| fits(prefix));
    known.max_by_key(|(prefix, _)| prefix.len()).map_or_else(|| "the kernel".to_owned(), |(_, place)| (*place).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_place_counts() {
        assert_eq!(source("gpu.memory.free"), "nvmlDeviceGetMemoryInfo");
        assert_eq!(source("gpu.power.draw"), "NVML");
        assert_eq!(source("env.NCCL_P2P_DISABLE"), "the environment variable NCCL_P2P_DISABLE");
        assert_eq!(source("host.swap"), "the kernel");
    }
}
