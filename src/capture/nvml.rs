//! What the driver's management library, NVML, answers: every call with its own outcome.

mod device;

pub use device::{
    Clocks, EccCounts, Fabric, GpuProcess, Instances, Link, Memory, MigInstance, Modes, NvmlDevice, PageCounts, PciAddress, Pcie, Power,
    RemappedRows, Utilization,
};

use serde::{Deserialize, Serialize};

use crate::capture::call::Call;
use crate::reading::Reading;

/// NVML as a whole. Nothing below `init` is called when that fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nvml {
    /// The file that the loader took for `libnvidia-ml.so.1`.
    pub library: Reading<String>,
    /// `nvmlInit_v2`.
    pub init: Call<()>,
    /// The driver's version: `580.95.05`.
    pub driver_version: Call<String>,
    /// NVML's own version: `13.580.95.05`.
    pub nvml_version: Call<String>,
    /// The newest CUDA that the driver's libcuda knows, as 1000 × major + 10 × minor: 13000.
    pub cuda_version: Call<i32>,
    /// How many GPUs there are.
    pub device_count: Call<u32>,
    /// One for each of them, in NVML's order: the order of their PCI addresses.
    pub devices: Vec<Reading<NvmlDevice>>,
    /// One for each pair of them, `first < second`.
    pub pairs: Vec<NvmlPair>,
}

/// What connects two GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NvmlPair {
    /// The index of one.
    pub first: u32,
    /// The index of the other.
    pub second: u32,
    /// `nvmlDeviceGetTopologyCommonAncestor`: 0 same board, 10 one PCIe switch, 20 several, 30 one host bridge, 40 one NUMA node, 50 none.
    pub level: Call<u32>,
    /// `nvmlDeviceGetP2PStatus` for reads: 0 can, 1 chipset, 2 GPU, 3 topology, 4 disabled by registry key, 5 not supported, 6 unknown.
    pub read: Call<u32>,
    /// The same for writes.
    pub write: Call<u32>,
    /// The same for NVLink.
    pub nvlink: Call<u32>,
    /// The same for PCIe.
    pub pcie: Call<u32>,
    /// The same for atomic operations.
    pub atomics: Call<u32>,
}
