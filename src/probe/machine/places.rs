//! Which files and folders are read.

use crate::capture::place::Entry;
use crate::probe::root::{MOST_ENTRIES, Root, not_read};
use crate::reading::Reading;

/// Files that are kept as they are. A `*` stands for any run of characters inside one name.
const FILES: [&str; 67] = [
    "/.dockerenv",
    "/etc/docker/daemon.json",
    "/etc/ld.so.conf.d/*",
    "/etc/modprobe.d/*nouveau*",
    "/etc/modprobe.d/*nvidia*",
    "/etc/nv_tegra_release",
    "/etc/nvidia-container-runtime/config.toml",
    "/etc/os-release",
    "/etc/systemd/logind.conf",
    "/proc/1/cgroup",
    "/proc/cmdline",
    "/proc/devices",
    "/proc/driver/nvidia/gpus/*/information",
    "/proc/driver/nvidia/gpus/*/numa_status",
    "/proc/driver/nvidia/params",
    "/proc/driver/nvidia/registry",
    "/proc/driver/nvidia/version",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/modules",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/sys/fs/file-max",
    "/proc/sys/kernel/dmesg_restrict",
    "/proc/sys/kernel/numa_balancing",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/shmmax",
    "/proc/sys/kernel/tainted",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/vm/max_map_count",
    "/proc/sys/vm/overcommit_memory",
    "/proc/uptime",
    "/proc/version",
    "/run/.containerenv",
    "/run/systemd/container",
    "/sys/class/dmi/id/product_name",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/devices/system/node/node*/cpulist",
    "/sys/devices/system/node/node*/distance",
    "/sys/devices/system/node/node*/meminfo",
    "/sys/devices/system/node/online",
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "/sys/fs/cgroup/cpuset.cpus.effective",
    "/sys/fs/cgroup/memory.current",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    "/sys/fs/cgroup/pids.max",
    "/sys/fs/cgroup/pids/pids.max",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/security/lockdown",
    "/sys/module/nouveau/initstate",
    "/sys/module/nvidia/initstate",
    "/sys/module/nvidia/version",
    "/sys/module/nvidia_drm/version",
    "/sys/module/nvidia_modeset/version",
    "/sys/module/nvidia_peermem/version",
    "/sys/module/nvidia_uvm/version",
    "/sys/module/nvidia_uvm/parameters/uvm_disable_hmm",
    "/usr/local/cuda/version.json",
    "/usr/lib/os-release",
];

/// Folders whose entries are listed, with where links point.
const FOLDERS: [&str; 21] = [
    "/dev/char",
    "/dev/dri",
    "/etc/alternatives",
    "/etc/cdi",
    "/lib/modules",
    "/proc/driver/nvidia/gpus",
    "/run/cdi",
    "/run/nvidia",
    "/run/nvidia-fabricmanager",
    "/run/nvidia-imex",
    "/run/nvidia-persistenced",
    "/sys/bus/pci/drivers/nouveau",
    "/sys/bus/pci/drivers/nvidia",
    "/sys/bus/pci/drivers/vfio-pci",
    "/sys/class/iommu",
    "/tmp/nvidia-mps",
    "/usr/lib/wsl/lib",
    "/usr/local",
    "/usr/local/cuda/compat",
    "/var/lib/dkms",
    "/var/lib/dkms/nvidia",
];

/// Folders of the running kernel.
const KERNEL_FOLDERS: [&str; 6] = ["", "/build", "/extra", "/kernel/drivers/video", "/updates", "/updates/dkms"];

/// The files that are read on this machine, also those of the cgroups above this process.
pub(super) fn files(root: &Root, release: &str) -> Vec<String> {
    let mut files: Vec<String> = FILES.iter().flat_map(|pattern| root.expand(pattern)).collect();
    if !release.is_empty() {
        files.push(format!("/boot/config-{release}"));
    }
    let cgroup = root.text("/proc/self/cgroup").into_known().unwrap_or_default();
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let mut folder = own.trim_end_matches('/');
    while !folder.is_empty() && !folder.starts_with("..") {
        let limits = ["memory.max", "cpu.max", "pids.max"].iter().map(|name| format!("/sys/fs/cgroup/{folder}/{name}"));
        files.extend(limits.filter(|path| root.exists(path)));
        folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
    }
    files
}

/// The folders that are listed on this machine.
pub(super) fn folders(release: &str) -> Vec<String> {
    let kernel = KERNEL_FOLDERS.iter().map(|folder| format!("/lib/modules/{release}{folder}"));
    FOLDERS.iter().map(|folder| (*folder).to_owned()).chain(kernel.filter(|_| !release.is_empty())).collect()
}

/// A file as it is kept: whole, but for those of which only some lines matter.
pub(super) fn file(root: &Root, path: &str) -> Reading<String> {
    if path == "/etc/docker/daemon.json" {
        return root.text(path).and_then(|text| docker(&text));
    }
    let wanted: &[&str] = match path {
        _ if path.starts_with("/boot/config-") => {
            &["CONFIG_DRM_NOUVEAU=", "CONFIG_MODULE_SIG_FORCE=", "CONFIG_PCI_P2PDMA=", "CONFIG_HSA_AMD="]
        }
        "/etc/systemd/logind.conf" => &["RemoveIPC"],
        // The kernel's whole list is long and says much of the machine; only these are asked about.
        "/proc/modules" => &["nvidia", "nouveau", "ib_", "mlx", "rdma", "gdrdrv", "vfio", "amdgpu", "efa", "nova"],
        _ => return root.text(path),
    };
    let lines = |text: String| {
        let kept = text.lines().filter(|line| wanted.iter().any(|start| line.trim_start_matches('#').starts_with(start)));
        kept.map(|line| format!("{line}\n")).collect()
    };
    root.bytes(path, 1 << 20).map(|bytes| lines(String::from_utf8_lossy(&bytes).into_owned()))
}

/// What Docker's configuration says of GPUs and limits; its registries and proxies are nobody's business.
fn docker(text: &str) -> Reading<String> {
    const KEPT: [&str; 10] = [
        "cdi-spec-dirs",
        "data-root",
        "default-ipc-mode",
        "default-runtime",
        "default-shm-size",
        "default-ulimits",
        "exec-opts",
        "features",
        "runtimes",
        "storage-driver",
    ];
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(mut settings) => {
            settings.retain(|name, _| KEPT.contains(&name.as_str()));
            Reading::Known(serde_json::Value::Object(settings).to_string())
        }
        Err(error) => Reading::Unreadable(format!("no valid JSON: {error}")),
    }
}

/// A folder as it is kept: whole, but for large ones of which only some entries matter.
pub(super) fn folder(root: &Root, path: &str) -> Reading<Vec<Entry>> {
    let wanted: fn(&Entry) -> bool = match path {
        "/dev/char" => |entry| entry.target.as_ref().is_some_and(|target| target.contains("nvidia")),
        "/etc/alternatives" => |entry| entry.name.contains("cuda") || entry.name.contains("nvidia") || entry.name == "cc",
        "/usr/local" => |entry| entry.name.starts_with("cuda"),
        "/usr/lib/wsl/lib" => |entry| entry.name.starts_with("lib") || entry.name == "nvidia-smi",
        _ if path.contains("/kernel/drivers/video") || path.ends_with("/extra") || path.contains("/updates") => {
            |entry| entry.name.contains("nvidia") || entry.name == "dkms"
        }
        // Whether the headers are there is what matters of them, and not their list.
        _ if path.ends_with("/build") => |entry| entry.name == "Makefile" || entry.name == ".config",
        _ => |_| true,
    };
    let entries = match fs_err::read_dir(root.at(path)) {
        Ok(entries) => entries,
        Err(error) => return not_read(&error),
    };
    let entries = entries.take(MOST_ENTRIES).flatten().map(|entry| {
        let target = fs_err::read_link(entry.path()).ok().map(|target| target.display().to_string());
        Entry { name: entry.file_name().to_string_lossy().into_owned(), target }
    });
    let mut entries: Vec<Entry> = entries.filter(wanted).collect();
    entries.sort_unstable();
    entries.truncate(MOST_KEPT);
    Reading::Known(entries)
}

/// Most entries that are kept of one folder.
const MOST_KEPT: usize = 512;
