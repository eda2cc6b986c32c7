//! What was read of the machine itself: its PCI devices, limits, processes and network.

use serde::{Deserialize, Serialize};

use crate::reading::Reading;
use crate::units::Bytes;

/// A PCI device, from `/sys/bus/pci/devices`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PciDevice {
    /// `0000:18:00.0`.
    pub address: String,
    /// Of the maker: 0x10de is NVIDIA.
    pub vendor: u32,
    /// Of the product.
    pub device: u32,
    /// `0xCCSSPP`: class, subclass, interface; 0x030200 is a 3D controller.
    pub class: u32,
    /// The kernel driver that holds it: `nvidia`, `nouveau`, `vfio-pci`.
    pub driver: Reading<String>,
    /// Its NUMA node; -1 where the firmware does not tell.
    pub numa_node: Reading<i32>,
    /// The processors next to it: `0-31,64-95`.
    pub local_cpus: Reading<String>,
    /// The link now: `32.0 GT/s PCIe`.
    pub link_speed: Reading<String>,
    /// The fastest link of the device.
    pub max_link_speed: Reading<String>,
    /// Lanes now.
    pub link_width: Reading<u32>,
    /// Most lanes of the device.
    pub max_link_width: Reading<u32>,
    /// Its IOMMU group.
    pub iommu_group: Reading<String>,
    /// The ACS control register of its PCI Express capability; readable by root alone.
    pub acs_control: Reading<u16>,
    /// The sizes of its memory windows, BAR 0 to 5; 0 for one that is not there.
    pub bars: Vec<Bytes>,
    /// The bridges above it, from the nearest to the root.
    pub bridges: Vec<String>,
}

/// What the process may take, and how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory that can be locked, in bytes.
    pub memlock: Reading<Limit>,
    /// Open files.
    pub nofile: Reading<Limit>,
    /// The stack, in bytes.
    pub stack: Reading<Limit>,
    /// Core files, in bytes.
    pub core: Reading<Limit>,
    /// Processes.
    pub nproc: Reading<Limit>,
}

/// A resource limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// What holds.
    pub soft: Bound,
    /// What it can be raised to.
    pub hard: Bound,
}

/// How much at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This much.
    Limited(u64),
    /// As much as there is.
    #[default]
    Unlimited,
}

/// Processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cpus {
    /// Those that are online: `0-127`.
    pub online: Reading<String>,
    /// How many this process may run on.
    pub allowed: Reading<u32>,
    /// Those that this process may run on: `0-15`.
    pub allowed_list: Reading<String>,
    /// The architecture: `x86_64`.
    pub architecture: String,
    /// The model name.
    pub model: Reading<String>,
}

/// Who the probe ran as, without names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// Whether its effective user is root.
    pub root: bool,
    /// Its effective capabilities, in hexadecimal.
    pub capabilities: Reading<String>,
    /// Those of the groups `video`, `render`, `docker` and `vglusers` that it is in.
    pub groups: Reading<Vec<String>>,
}

/// A process that holds GPU memory, from `/proc`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name: `python3`.
    pub name: Reading<String>,
    /// What was started; only the program, unless identifiers are included.
    pub command: Reading<String>,
    /// Whose it is; shortened to the first letter, unless identifiers are included.
    pub user: Reading<String>,
    /// Whether it belongs to the user who runs the probe.
    pub own: Reading<bool>,
    /// When it started, RFC 3339 in UTC.
    pub started: Reading<String>,
    /// Processor time that it has used, in ms.
    pub cpu_ms: Reading<u64>,
    /// The container that it runs in, shortened: `docker 3f2a91c0`.
    pub container: Reading<String>,
}

/// The network, as far as several GPUs or machines need it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Its interfaces, from `/sys/class/net`.
    pub interfaces: Vec<Interface>,
    /// Its RDMA ports, from `/sys/class/infiniband`.
    pub rdma: Vec<RdmaPort>,
    /// Whether the machine's own name resolves to a loopback address.
    pub host_is_loopback: Reading<bool>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// `up`, `down` or `unknown`.
    pub state: Reading<String>,
    /// In Mbit/s.
    pub speed_mbps: Reading<u32>,
    /// The largest packet, in bytes.
    pub mtu: Reading<u32>,
    /// The PCI address of its device; a virtual one has none.
    pub pci: Reading<String>,
    /// Its kernel driver.
    pub driver: Reading<String>,
}

/// A port of an RDMA device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RdmaPort {
    /// `mlx5_0`.
    pub device: String,
    /// From 1.
    pub port: u32,
    /// `4: ACTIVE`.
    pub state: Reading<String>,
    /// `5: LinkUp`.
    pub physical_state: Reading<String>,
    /// `InfiniBand` or `Ethernet`.
    pub link_layer: Reading<String>,
    /// `400 Gb/sec (4X NDR)`.
    pub rate: Reading<String>,
    /// The PCI address of its device.
    pub pci: Reading<String>,
    /// The types of its GIDs that are set, such as `RoCE v2`.
    pub gid_types: Vec<String>,
}
