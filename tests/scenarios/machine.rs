//! A machine around a driver, as files, and an environment without packages that matter.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The files of a machine whose driver is loaded.
const FILES: [(&str, &str); 12] = [
    ("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n"),
    ("proc/version", "Linux version 6.8.0-60-generic (build@host) #1 SMP\n"),
    ("proc/modules", "nvidia_uvm 4063232 0 - Live 0x0 (O)\nnvidia 14381056 1 nvidia_uvm, Live 0x0 (O)\n"),
    ("proc/meminfo", "MemTotal:       1056784428 kB\nMemAvailable:   1024000000 kB\n"),
    ("sys/module/nvidia/version", "580.95.05\n"),
    ("etc/os-release", "ID=ubuntu\nVERSION_ID=\"24.04\"\n"),
    ("etc/nsswitch.conf", "hosts: files\n"),
    ("dev/nvidiactl", ""),
    ("dev/nvidia-uvm", ""),
    ("dev/nvidia-uvm-tools", ""),
    ("dev/nvidia0", ""),
    ("dev/nvidia1", ""),
];

/// The root of the machine.
pub(crate) fn whole() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = folder("machine");
        for (path, text) in FILES {
            let place = root.join(path);
            fs_err::create_dir_all(place.parent().expect("a folder")).expect("a folder");
            fs_err::write(place, text).expect("a file");
        }
        root
    })
}

/// A Python environment with one package that nobody asks about.
pub(crate) fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let root = folder("environment");
        let info = root.join("lib/python3.12/site-packages/six-1.17.0.dist-info");
        fs_err::create_dir_all(&info).expect("a folder");
        fs_err::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n").expect("a file");
        fs_err::write(root.join("pyvenv.cfg"), "home = /usr/bin\n").expect("a file");
        root
    })
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    fs_err::create_dir_all(&folder).expect("a folder");
    folder
}
