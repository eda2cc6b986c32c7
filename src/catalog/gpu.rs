//! GPUs: memory, speed, links and names of each card (`rules/gpus/<id>.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use super::origin::Origin;
use crate::units::{Bytes, BytesPerSecond};

/// One GPU model, or one memory variant of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// The file's name without its ending, `rtx-4090`; unique.
    pub id: String,
    /// What `nvidia-smi` and NVML print. Variants that differ in memory alone share it.
    pub name: String,
    /// What tells this variant from the card of the same name: `12 GB`. Without it the card is the one meant by the bare name.
    pub variant: Option<String>,
    /// Other names people type. Case and separators do not matter.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The architecture's code name, `ada`.
    pub architecture: Architecture,
    /// What machine code it runs.
    pub compute_capability: ComputeCapability,
    /// Streaming multiprocessors, where known.
    pub multiprocessors: Option<u32>,
    /// How many MIG instances it can be cut into at most; absent without MIG.
    pub mig_instances: Option<u32>,
    /// Board power limit in watts.
    pub board_power_w: u32,
    /// PCI device ids, four hexadecimal digits each.
    #[serde(default)]
    pub pci_ids: Vec<String>,
    /// What else to know, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where the figures come from.
    pub sources: Vec<String>,
    /// Device memory.
    pub memory: GpuMemory,
    /// Arithmetic rates.
    pub throughput: Throughput,
    /// Links to the host and to other GPUs.
    pub links: Links,
    /// What cloud providers asked for it, where a dated source was found.
    pub price_usd_per_hour: Option<PriceRange>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// Code names of the architectures, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Architecture {
    Kepler,
    Maxwell,
    Pascal,
    Volta,
    Turing,
    Ampere,
    Ada,
    Hopper,
    Blackwell,
}

/// Device memory of a GPU.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuMemory {
    /// The chips: `GDDR6X`, `HBM3`.
    pub kind: Option<String>,
    /// MiB that `nvidia-smi` prints as total on a current driver.
    pub mib: u64,
    /// MiB that `cudaMemGetInfo` gives as total, where somebody measured it. It is what engines take their share of.
    pub cuda_total_mib: Option<u64>,
    /// MiB that `cudaMemGetInfo` gives as free once a context exists on the idle card, where measured.
    pub cuda_free_mib: Option<u64>,
    /// Bandwidth of the data sheet in GB/s (10^9).
    pub bandwidth_gb_s: f64,
    /// Whether host and device share one memory, so that NVML reports no device memory at all.
    #[serde(default)]
    pub unified: bool,
    /// How the total is known.
    pub confidence: MemoryConfidence,
}

/// How well a memory total is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryConfidence {
    /// Seen in the output of `nvidia-smi` on such a card.
    Seen,
    /// The usual figure of cards of this size; ECC and drivers change it a little.
    Nominal,
    /// Written down without a source at hand.
    Memory,
}

/// Dense arithmetic rates; zero where the tensor cores do not support the type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// TFLOPS with bfloat16 inputs and 32-bit accumulation.
    pub bf16_tflops: f64,
    /// TFLOPS with float16 inputs and 32-bit accumulation.
    pub fp16_tflops: f64,
    /// TFLOPS with 8-bit floating-point inputs.
    pub fp8_tflops: f64,
    /// Tera-operations with 8-bit integers.
    pub int8_tops: f64,
    /// TFLOPS with 4-bit floating-point inputs.
    pub fp4_tflops: f64,
    /// How the rates are known.
    pub confidence: ThroughputConfidence,
}

impl Throughput {
    /// TFLOPS of 16-bit products: of bfloat16, or of float16 on cards that have no other.
    pub fn of_16_bits(&self) -> f64 {
        if self.bf16_tflops > 0.0 { self.bf16_tflops } else { self.fp16_tflops }
    }
}

/// How well arithmetic rates are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThroughputConfidence {
    /// NVIDIA's data sheet or white paper.
    DataSheet,
    /// Computed from another rate of the same card, as the notes say.
    Derived,
    /// Written down without a source at hand.
    Memory,
}

/// How a GPU reaches the host and other GPUs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// PCI Express generation.
    pub pcie_generation: u8,
    /// PCI Express lanes.
    pub pcie_lanes: u8,
    /// NVLink GB/s (10^9) of all links and both directions together; zero without NVLink.
    pub nvlink_gb_s: f64,
    /// Whether the stock driver lets GPUs of this kind read each other's memory.
    pub peer_access: PeerAccess,
}

/// Peer-to-peer access between GPUs of one kind, with the stock driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerAccess {
    /// Over NVLink or PCI Express.
    Always,
    /// Only over an NVLink bridge.
    NvlinkBridge,
    /// Not at all.
    Never,
}

/// A range of prices in US dollars for an hour of one GPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRange {
    /// The lowest found.
    pub low: f64,
    /// The highest found.
    pub high: f64,
}

impl Gpu {
    /// The name with its variant: `NVIDIA GeForce RTX 3080 (20 GB)`.
    pub fn display_name(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} ({variant})", self.name),
            None => self.name.clone(),
        }
    }

    /// Device memory as `nvidia-smi` prints it.
    pub fn memory(&self) -> Bytes {
        Bytes::from_mib(self.memory.mib)
    }

    /// Memory bandwidth of the data sheet.
    pub fn memory_bandwidth(&self) -> BytesPerSecond {
        BytesPerSecond::from_gb(self.memory.bandwidth_gb_s)
    }

    /// PCI Express bandwidth in one direction after line coding, without protocol overhead.
    pub fn pcie_bandwidth(&self) -> BytesPerSecond {
        BytesPerSecond::from_gb(Links::pcie_lane_gb_s(self.links.pcie_generation) * f64::from(self.links.pcie_lanes))
    }
}

impl Links {
    /// GB/s (10^9) of one lane in one direction after line coding: PCI Express base specifications 1.0 to 6.0.
    pub fn pcie_lane_gb_s(generation: u8) -> f64 {
        match generation {
            0 | 1 => 0.25,
            2 => 0.5,
            3 => 8.0 * 128.0 / 130.0 / 8.0,
            4 => 16.0 * 128.0 / 130.0 / 8.0,
            5 => 32.0 * 128.0 / 130.0 / 8.0,
            _ => 8.0,
        }
    }
}
