//! GPUs, NVSwitches and network adapters on the PCI bus, and the bridges above them, from sysfs.

use std::collections::BTreeSet;
use std::path::Path;

use super::bridges;
use crate::capture::host::PciDevice;
use crate::probe::root::{Root, file_name};
use crate::reading::Reading;
use crate::units::Bytes;

/// Where the kernel lists them.
const DEVICES: &str = "/sys/bus/pci/devices";
/// The vendors of GPUs and of their network adapters.
const NVIDIA: u32 = 0x10de;
const MELLANOX: u32 = 0x15b3;
/// The extended capability that says how a bridge routes between its ports: ACS, and its control register.
const ACS: u16 = 0x000d;
const ACS_CONTROL: usize = 6;
/// The first 256 bytes of the configuration space are the old one; everybody may read 64 of them.
const EXTENDED: usize = 0x100;

/// Every device of interest, by address, its bridges after all of them.
pub(super) fn read(root: &Root) -> Reading<Vec<PciDevice>> {
    root.names(DEVICES).map(|addresses| {
        let wanted: Vec<PciDevice> = addresses.iter().filter_map(|address| device(root, address)).filter(|d| is_wanted(root, d)).collect();
        let above: BTreeSet<&String> = wanted.iter().flat_map(|device| &device.bridges).collect();
        let listed: BTreeSet<&String> = wanted.iter().map(|device| &device.address).collect();
        let bridges: Vec<PciDevice> = above.difference(&listed).filter_map(|address| device(root, address)).collect();
        wanted.iter().cloned().chain(bridges).map(|device| complete(root, device)).collect()
    })
}

/// What identifies a device.
fn device(root: &Root, address: &str) -> Option<PciDevice> {
    let number = |name: &str| root.line(&format!("{DEVICES}/{address}/{name}")).into_known().and_then(|text| hexadecimal(&text));
    Some(PciDevice {
        address: address.to_owned(),
        vendor: number("vendor")?,
        device: number("device")?,
        class: number("class")?,
        bridges: bridges::above(root, &format!("{DEVICES}/{address}")),
        ..PciDevice::default()
    })
}

/// Display controllers and bridges of NVIDIA, and adapters that speak RDMA.
fn is_wanted(root: &Root, device: &PciDevice) -> bool {
    match (device.vendor, device.class >> 16) {
        (NVIDIA, 0x03 | 0x06 | 0x12) | (MELLANOX, 0x02) => true,
        (_, 0x02) => root.exists(&format!("{DEVICES}/{}/infiniband", device.address)),
        // An accelerator card of somebody else may be what the machine has instead.
        (_, 0x12) => true,
        (_, 0x03) => device.class >> 8 == 0x0302,
        _ => false,
    }
}

/// What a device of interest says of itself beyond that.
fn complete(root: &Root, device: PciDevice) -> PciDevice {
    let folder = format!("{DEVICES}/{}", device.address);
    let line = |name: &str| root.line(&format!("{folder}/{name}"));
    let number = |name: &str| line(name).and_then(|text| parsed(&text));
    let link = |name: &str| root.link(&format!("{folder}/{name}")).map(|target| file_name(&target));
    PciDevice {
        driver: link("driver"),
        numa_node: line("numa_node").and_then(|text| parsed(&text)),
        local_cpus: line("local_cpulist"),
        link_speed: line("current_link_speed"),
        max_link_speed: line("max_link_speed"),
        link_width: number("current_link_width"),
        max_link_width: number("max_link_width"),
        iommu_group: link("iommu_group"),
        acs_control: acs(root, &folder),
        bars: bars(&root.text(&format!("{folder}/resource")).into_known().unwrap_or_default()),
        ..device
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Reading<T> {
    text.parse().map_or_else(|_| Reading::Unreadable(format!("`{text}` is no number")), Reading::Known)
}

fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The ACS control register, by walking the list of extended capabilities.
fn acs(root: &Root, folder: &str) -> Reading<u16> {
    root.bytes(&format!("{folder}/config"), 4096).and_then(|space| {
        if space.len() <= EXTENDED {
            return Reading::unreadable("root alone can read the whole configuration space");
        }
        Reading::from(find_acs(&space))
    })
}

fn find_acs(space: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_le_bytes([*space.get(at)?, *space.get(at + 1)?]));
    let mut at = EXTENDED;
    // A list has at most one entry for every four bytes; a longer one turns in circles.
    for _ in 0..(4096 - EXTENDED) / 4 {
        let (id, next) = (word(at)?, usize::from(word(at + 2)? >> 4));
        if id == ACS {
            return word(at + ACS_CONTROL);
        }
        if next < EXTENDED {
            return None;
        }
        at = next;
    }
    None
}

/// The sizes of the first six windows: each line has start, end and flags.
fn bars(resource: &str) -> Vec<Bytes> {
    let size = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap_or(0));
        let (start, end) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Bytes(if end == 0 { 0 } else { end.saturating_sub(start).saturating_add(1) })
    };
    resource.lines().take(6).map(size).collect()
}

/// Whether a name is a PCI address: `0000:18:00.0`.
pub(super) fn is_address(name: &Path) -> bool {
    let Some(name) = name.to_str() else { return false };
    let parts: Vec<&str> = name.split([':', '.']).collect();
    parts.len() == 4 && parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_sizes() {
        let text = "0x00000000c1000000 0x00000000c1ffffff 0x0000000000040200\n0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
        assert_eq!(bars(text), [Bytes::from_mib(16), Bytes::ZERO]);
    }

    #[test]
    fn the_control_register_is_found_behind_other_capabilities() {
        let mut space = vec![0_u8; 4096];
        // Advanced error reporting at 0x100, then ACS at 0x148 with source validation on.
        space[0x100..0x104].copy_from_slice(&[0x01, 0x00, 0x82, 0x14]);
        space[0x148..0x150].copy_from_slice(&[0x0d, 0x00, 0x01, 0x00, 0x1f, 0x00, 0x1d, 0x00]);
        assert_eq!(find_acs(&space), Some(0x1d));
        // A list that turns in circles ends too.
        space[0x100..0x104].copy_from_slice(&[0x01, 0x00, 0x02, 0x10]);
        assert_eq!(find_acs(&space), None);
        assert_eq!(find_acs(&[]), None);
    }

    #[test]
    fn addresses_are_told_from_other_names() {
        assert!(is_address(Path::new("0000:18:00.0")) && is_address(Path::new("10000:e1:00.0")));
        assert!(!is_address(Path::new("pci0000:00")) && !is_address(Path::new("virtio0")));
    }
}
