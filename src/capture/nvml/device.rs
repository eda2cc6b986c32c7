//! What NVML says of one GPU.

use serde::{Deserialize, Serialize};

use crate::capture::call::Call;
use crate::reading::Reading;
use crate::units::Bytes;

/// One GPU. Each field is one call, named after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NvmlDevice {
    /// `nvmlDeviceGetHandleByIndex_v2`; when it fails, nothing else is called.
    pub handle: Call<()>,
    /// The product: `NVIDIA H100 80GB HBM3`.
    pub name: Call<String>,
    /// `GPU-…`.
    pub uuid: Call<String>,
    /// The board's serial number.
    pub serial: Call<String>,
    /// Where it is.
    pub pci: Call<PciAddress>,
    /// The N of `/dev/nvidiaN`.
    pub minor: Call<u32>,
    /// `nvmlBrandType_t`: 1 Quadro, 2 Tesla, 5 GeForce, 6 Titan, 11 NVIDIA (data centre), 13 GeForce RTX, 16 Titan RTX.
    pub brand: Call<u32>,
    /// `nvmlDeviceArchitecture_t`: 5 Volta, 6 Turing, 7 Ampere, 8 Ada, 9 Hopper, 10 Blackwell.
    pub architecture: Call<u32>,
    /// The compute capability, such as (9, 0).
    pub capability: Call<(i32, i32)>,
    /// `nvmlDeviceGetMemoryInfo`, in which what the driver reserves counts as used.
    pub memory: Call<Memory>,
    /// `nvmlDeviceGetMemoryInfo_v2`, which tells reserved from used.
    pub memory_v2: Call<Memory>,
    /// The window through which the processor reaches device memory.
    pub bar1: Call<Memory>,
    /// Of the last sampling period.
    pub utilization: Call<Utilization>,
    /// In °C.
    pub temperature: Call<u32>,
    /// In °C, from which the GPU slows down.
    pub slowdown_temperature: Call<u32>,
    /// Its power and power limits.
    pub power: Power,
    /// Its clocks.
    pub clocks: Clocks,
    /// `nvmlDeviceGetPerformanceState`: 0 fastest, 15 slowest, 32 unknown.
    pub performance_state: Call<u32>,
    /// Its connection to the host.
    pub pcie: Pcie,
    /// How it is set.
    pub modes: Modes,
    /// Memory errors.
    pub ecc: EccCounts,
    /// Memory pages taken out of use (before Ampere).
    pub retired_pages: PageCounts,
    /// Memory rows replaced (Ampere and newer).
    pub remapped_rows: Call<RemappedRows>,
    /// `nvmlDeviceGetGpuFabricInfoV`: its part in an NVSwitch fabric.
    pub fabric: Call<Fabric>,
    /// `NVML_FI_DEV_GET_GPU_RECOVERY_ACTION`: 0 none, 1 GPU reset, 2 node reboot, 3 drain P2P, 4 drain and reset.
    pub recovery_action: Call<u64>,
    /// Its NVLinks, from link 0; the list ends where NVML knows no further one.
    pub links: Vec<Link>,
    /// Its MIG instances.
    pub instances: Instances,
    /// Processes with a CUDA context on it.
    pub compute_processes: Call<Vec<GpuProcess>>,
    /// Processes with a graphics context on it.
    pub graphics_processes: Call<Vec<GpuProcess>>,
}

/// Where a GPU is on the PCI bus, and what it says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PciAddress {
    /// As in `/sys/bus/pci/devices`: `0000:18:00.0`.
    pub address: String,
    /// Device and vendor, as 0xDDDDVVVV with vendor 0x10de.
    pub device: u32,
    /// The board maker's device and vendor, in the same form.
    pub subsystem: u32,
}

/// An amount of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// All of it.
    pub total: Bytes,
    /// What the driver keeps for itself, where the call tells it.
    pub reserved: Reading<Bytes>,
    /// What is free.
    pub free: Bytes,
    /// What is used.
    pub used: Bytes,
}

/// How busy it was, in percent of the last sampling period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Utilization {
    /// Time with a kernel running.
    pub gpu: u32,
    /// Time with memory being read or written.
    pub memory: u32,
}

/// Power, in milliwatts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Power {
    /// What it draws.
    pub usage_mw: Call<u32>,
    /// The limit that holds.
    pub enforced_limit_mw: Call<u32>,
    /// The limit that was set.
    pub limit_mw: Call<u32>,
    /// The limit of the product.
    pub default_limit_mw: Call<u32>,
    /// The lowest and the highest limit that can be set.
    pub limit_range_mw: Call<(u32, u32)>,
}

/// Clocks, in MHz.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clocks {
    /// Of the multiprocessors, now.
    pub sm_mhz: Call<u32>,
    /// The highest.
    pub max_sm_mhz: Call<u32>,
    /// Of the memory, now.
    pub memory_mhz: Call<u32>,
    /// The highest.
    pub max_memory_mhz: Call<u32>,
    /// Why they are not higher: the bits of `nvmlDeviceGetCurrentClocksEventReasons`.
    pub reasons: Call<u64>,
}

/// The PCIe link. It runs at its highest generation only under load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pcie {
    /// The generation now.
    pub generation: Call<u32>,
    /// The highest that GPU and slot both can.
    pub max_generation: Call<u32>,
    /// The highest that the GPU can.
    pub gpu_max_generation: Call<u32>,
    /// Lanes now.
    pub width: Call<u32>,
    /// Most lanes that GPU and slot both have.
    pub max_width: Call<u32>,
    /// Packets sent again since the driver was loaded.
    pub replays: Call<u32>,
}

/// How the GPU is set, as NVML's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Modes {
    /// 0 off, 1 on.
    pub persistence: Call<u32>,
    /// 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process.
    pub compute: Call<u32>,
    /// ECC now and after the next reset: 0 off, 1 on.
    pub ecc: Call<(u32, u32)>,
    /// MIG now and after the next reset: 0 off, 1 on.
    pub mig: Call<(u32, u32)>,
    /// 0 none, 1 passthrough, 2 vGPU guest, 3 vGPU host, 4 vSGA host.
    pub virtualization: Call<u32>,
    /// Whether each licensable feature is licensed: (feature code, licensed).
    pub licences: Call<Vec<(u32, bool)>>,
    /// 0 none, 1 HMM, 2 ATS.
    pub addressing: Call<u32>,
    /// Whether a display is attached and active.
    pub display_active: Call<u32>,
}

/// Counts of memory errors: volatile since the last reset, aggregate since the board was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EccCounts {
    /// Corrected, volatile.
    pub volatile_corrected: Call<u64>,
    /// Uncorrected, volatile.
    pub volatile_uncorrected: Call<u64>,
    /// Corrected, aggregate.
    pub aggregate_corrected: Call<u64>,
    /// Uncorrected, aggregate.
    pub aggregate_uncorrected: Call<u64>,
}

/// Memory pages taken out of use, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageCounts {
    /// For several single-bit errors.
    pub single_bit: Call<u32>,
    /// For a double-bit error.
    pub double_bit: Call<u32>,
    /// Whether more wait for a reset: 0 no, 1 yes.
    pub pending: Call<u32>,
}

/// Memory rows replaced by spare ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RemappedRows {
    /// After corrected errors.
    pub corrected: u32,
    /// After uncorrected errors.
    pub uncorrected: u32,
    /// Whether one waits for a reset.
    pub pending: bool,
    /// Whether one failed: there was no spare row left.
    pub failed: bool,
}

/// The part of a GPU in an NVSwitch fabric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fabric {
    /// 0 not supported, 1 not started, 2 in progress, 3 completed.
    pub state: u32,
    /// The code with which it completed, an `nvmlReturn_t`.
    pub status: u32,
    /// The clique; GPUs of one can reach each other.
    pub clique: u32,
    /// The health mask, where the driver has one.
    pub health: Reading<u32>,
    /// 0 not supported, 1 healthy, 2 unhealthy, 3 limited capacity, where the driver tells.
    pub health_summary: Reading<u32>,
}

/// One NVLink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// Its number.
    pub number: u32,
    /// 0 down, 1 up.
    pub state: Call<u32>,
    /// Its NVLink version code.
    pub version: Call<u32>,
    /// What is at its other end: 0 GPU, 1 IBM NPU, 2 NVSwitch, 255 unknown.
    pub remote_kind: Call<u32>,
    /// The PCI address of what is at its other end.
    pub remote: Call<String>,
    /// Packets sent again.
    pub replay_errors: Call<u64>,
    /// Times that it was trained again.
    pub recovery_errors: Call<u64>,
}

/// The MIG instances of a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Instances {
    /// The most that the GPU can be cut into.
    pub most: Call<u32>,
    /// Those that can be seen.
    pub seen: Vec<MigInstance>,
}

/// One MIG instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MigInstance {
    /// `NVIDIA H100 80GB HBM3 MIG 1g.10gb`.
    pub name: Call<String>,
    /// `MIG-…`.
    pub uuid: Call<String>,
    /// The GPU instance.
    pub gpu_instance: Call<u32>,
    /// The compute instance.
    pub compute_instance: Call<u32>,
    /// Its memory.
    pub memory: Call<Memory>,
}

/// A process that uses the GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GpuProcess {
    /// Its id, as seen from where the probe ran.
    pub pid: u32,
    /// The device memory that it holds.
    pub used: Reading<Bytes>,
    /// The MIG GPU instance that it runs in.
    pub gpu_instance: Reading<u32>,
    /// The MIG compute instance that it runs in.
    pub compute_instance: Reading<u32>,
}
