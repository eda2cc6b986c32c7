//! What the CUDA driver API and the CUDA runtimes answer: every call with its own outcome.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::capture::call::Call;
use crate::reading::Reading;
use crate::units::Bytes;

/// The CUDA driver API, as a program started here and now finds it: with `CUDA_VISIBLE_DEVICES` as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cuda {
    /// The file that the loader took for `libcuda.so.1`.
    pub library: Reading<String>,
    /// `cuInit`.
    pub init: Call<()>,
    /// `cuDriverGetVersion`, as 1000 × major + 10 × minor; it works without a GPU.
    pub driver_version: Call<i32>,
    /// `cuDeviceGetCount`.
    pub device_count: Call<i32>,
    /// One for each device, in CUDA's order.
    pub devices: Vec<Reading<CudaDevice>>,
    /// One for each ordered pair of devices.
    pub peers: Vec<PeerAccess>,
    /// The copies between devices that were tried; empty unless they were asked for.
    pub transfers: Vec<Transfer>,
}

/// One CUDA device: a GPU or a MIG instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CudaDevice {
    /// `cuDeviceGetName`.
    pub name: Call<String>,
    /// `cuDeviceGetUuid`, written as NVML writes that of a GPU: `GPU-…`; of a MIG instance, its own digits.
    pub uuid: Call<String>,
    /// `cuDeviceGetPCIBusId`, as in `/sys/bus/pci/devices`: `0000:18:00.0`.
    pub pci: Call<String>,
    /// `cuDeviceTotalMem`.
    pub total_memory: Call<Bytes>,
    /// `cuDeviceGetAttribute`, by the attribute's name in lower case without its prefix: `compute_capability_major`.
    pub attributes: BTreeMap<String, Call<i32>>,
    /// Making a context: `cuDevicePrimaryCtxRetain` and `cuCtxSetCurrent`.
    pub context: Call<()>,
    /// `cuMemGetInfo` inside the context.
    pub memory: Call<ContextMemory>,
    /// Loading a kernel from PTX, which the driver has to compile.
    pub module: Call<()>,
    /// Allocating eight bytes, launching the kernel that writes them, and waiting for it.
    pub launch: Call<()>,
    /// Whether the kernel wrote what it should.
    pub correct: Call<bool>,
}

/// Device memory, as a program sees it that has just made its context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContextMemory {
    /// What it could take.
    pub free: Bytes,
    /// All of it.
    pub total: Bytes,
}

/// What one device may do with the memory of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerAccess {
    /// The ordinal of the device that reads and writes.
    pub from: u32,
    /// The ordinal of the device whose memory it is.
    pub to: u32,
    /// `cuDeviceCanAccessPeer`.
    pub can_access: Call<bool>,
    /// `CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK`: lower is faster.
    pub performance_rank: Call<i32>,
    /// `CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED`.
    pub native_atomics: Call<bool>,
}

/// A copy from one device's memory to another's, and what arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transfer {
    /// The ordinal of the source.
    pub from: u32,
    /// The ordinal of the destination.
    pub to: u32,
    /// Whether peer access was enabled for it; without, the driver copies through host memory.
    pub peer_access: Call<()>,
    /// How much was copied.
    pub bytes: Bytes,
    /// The copy.
    pub copy: Call<()>,
    /// Whether every byte arrived as it was.
    pub verified: Call<bool>,
    /// How long the copy took on the device, in µs.
    pub duration_us: Reading<f64>,
}

/// One CUDA runtime library and whether it finds a device: what a program linked with it would find.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Runtime {
    /// The file.
    pub path: String,
    /// `cudaRuntimeGetVersion`, as 1000 × major + 10 × minor.
    pub version: Call<i32>,
    /// `cudaDriverGetVersion`; 0 when there is no driver.
    pub driver_version: Call<i32>,
    /// `cudaGetDeviceCount`.
    pub device_count: Call<i32>,
}
