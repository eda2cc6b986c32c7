//! The operating system: distribution, kernel, and whether Windows runs below.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::facts::text::{any_file, assignment, file};
use crate::reading::Reading;

/// The operating system.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Os {
    /// The distribution's id: `ubuntu`, `rhel`.
    pub id: Reading<String>,
    /// The distribution's name and version, as it writes them.
    pub name: Reading<String>,
    /// What installs packages: `apt`, `dnf`, `zypper`, `pacman` or `apk`.
    pub package_manager: Reading<String>,
    /// The release of the running kernel.
    pub kernel: Reading<String>,
    /// Whether it runs in the Windows Subsystem for Linux.
    pub wsl: Reading<bool>,
    /// Whether it is an NVIDIA Jetson or DRIVE board.
    pub tegra: Reading<bool>,
    /// Whether UEFI Secure Boot is on.
    pub secure_boot: Reading<bool>,
}

/// Reads the operating system.
pub(super) fn read(capture: &Capture) -> Os {
    let release = file(capture, "/etc/os-release");
    let setting = |key: &str| release.clone().and_then(|text| Reading::from(assignment(text, key)));
    let version = file(capture, "/proc/version");
    let ids = format!("{} {}", setting("ID").known().map_or("", String::as_str), setting("ID_LIKE").known().map_or("", String::as_str));
    Os {
        id: setting("ID"),
        name: setting("PRETTY_NAME"),
        package_manager: release.and_then(|_| Reading::from(package_manager(&ids).map(str::to_owned))),
        kernel: version.clone().and_then(|text| Reading::from(text.split_whitespace().nth(2).map(str::to_owned))),
        wsl: match version {
            Reading::Known(text) => Reading::Known(text.to_ascii_lowercase().contains("microsoft")),
            Reading::Absent => Reading::unreadable("/proc/version is not there"),
            Reading::Unreadable(reason) => Reading::Unreadable(reason),
        },
        tegra: any_file(capture, &["/etc/nv_tegra_release"]),
        secure_boot: secure_boot(capture),
    }
}

/// What installs packages on a distribution, by its id or one that it is like.
fn package_manager(ids: &str) -> Option<&'static str> {
    ids.split_whitespace().find_map(|id| match id {
        "debian" | "ubuntu" | "linuxmint" | "pop" => Some("apt"),
        "rhel" | "fedora" | "centos" | "rocky" | "almalinux" | "ol" | "amzn" => Some("dnf"),
        "suse" | "sles" | "opensuse-leap" | "opensuse-tumbleweed" => Some("zypper"),
        "arch" | "manjaro" => Some("pacman"),
        "alpine" => Some("apk"),
        _ => None,
    })
}

/// Secure Boot, from the firmware's variable, or from the lockdown that it brings: unsigned modules are then refused.
fn secure_boot(capture: &Capture) -> Reading<bool> {
    // Four bytes of attributes, then 1 where it is on.
    let firmware = file(capture, "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    if let Some(last) = firmware.known().and_then(|text| text.trim_end_matches('\n').chars().last()) {
        return Reading::Known(matches!(last, '\u{1}' | '1'));
    }
    match file(capture, "/sys/kernel/security/lockdown") {
        Reading::Known(text) => Reading::Known(!text.contains("[none]")),
        Reading::Absent => Reading::unreadable("the kernel does not tell whether it refuses unsigned modules"),
        Reading::Unreadable(reason) => Reading::Unreadable(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_known_by_what_it_is_like() {
        assert_eq!(package_manager("neon ubuntu debian"), Some("apt"));
        assert_eq!(package_manager("rocky rhel centos fedora"), Some("dnf"));
        assert_eq!(package_manager("nixos"), None);
    }
}
