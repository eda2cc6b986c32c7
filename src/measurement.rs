//! What was measured on GPUs, and what that says of them.
//!
//! Nothing here measures: `bench` fills these types, in processes that can be lost, and [`judge`] compares them with the floors
//! of `rules/bench.toml`.

pub mod collective;
pub mod judge;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What can be measured, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Device memory: read, write, copy, latency, and what a launch costs.
    Hbm,
    /// Copies between pinned host memory and the device.
    Host,
    /// Copies between devices.
    Peer,
    /// All-reduces over the devices by NCCL, once for all of them.
    Nccl,
    /// The matrix product of a decode step with 4-bit weights.
    Int4,
    /// The same with 8-bit weights.
    Fp8,
    /// Paged attention of a decode step.
    Attention,
    /// Decode of multi-head latent attention.
    Mla,
}

impl Family {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [Self::Hbm, Self::Host, Self::Peer, Self::Nccl, Self::Int4, Self::Fp8, Self::Attention, Self::Mla];

    /// Those of a short measurement: each more would start processes, and compile kernels or join a communicator, which takes seconds.
    pub const QUICK: [Self; 5] = [Self::Hbm, Self::Host, Self::Peer, Self::Int4, Self::Attention];

    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hbm => "hbm",
            Self::Host => "host",
            Self::Peer => "peer",
            Self::Nccl => "nccl",
            Self::Int4 => "int4",
            Self::Fp8 => "fp8",
            Self::Attention => "attention",
            Self::Mla => "mla",
        }
    }

    /// The family of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}

/// A CUDA device, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// CUDA's number of it, after `CUDA_VISIBLE_DEVICES`.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its PCI address, `0000:1b:00.0`.
    pub pci: String,
    /// Compute capability: major, minor.
    pub capability: (u32, u32),
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Device memory that CUDA sees.
    pub memory: Bytes,
    /// Second-level cache.
    pub l2: Bytes,
    /// Bandwidth of the memory at its highest clock: clock × 2 × bus width; zero where the driver does not tell.
    pub peak_bytes_per_second: f64,
}

/// How the launches of a measurement follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Launch {
    /// Each starts when the one before has ended, as kernels of most engines do.
    Plain,
    /// The prologue of each overlaps the end of the one before (programmatic dependent launch).
    Overlapped,
    /// By the copy engines, without a kernel.
    CopyEngine,
}

/// The device while something was measured. What NVML did not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// Clock of the multiprocessors in MHz.
    pub sm_mhz: Option<u32>,
    /// Clock of the memory in MHz.
    pub memory_mhz: Option<u32>,
    /// Temperature of the GPU in °C.
    pub temperature_c: Option<u32>,
    /// Power draw in milliwatts.
    pub power_mw: Option<u32>,
    /// Power limit that is enforced, and that of the card as it comes, in milliwatts.
    pub power_limit_mw: Option<(u32, u32)>,
    /// Why clocks are lower than they could be, without idleness and settings of applications.
    pub throttling: Vec<String>,
    /// Generation and width of the PCI Express link as it runs now.
    pub pcie: Option<(u32, u32)>,
    /// The same at most, of this card in this slot.
    pub pcie_most: Option<(u32, u32)>,
    /// Whether the memory's error correction is on.
    pub ecc: Option<bool>,
}

/// Times of one launch, in seconds: of several groups of launches, each divided by its number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Of the middle group.
    pub median: f64,
    /// Of the fastest group.
    pub fastest: f64,
    /// Of the slowest group.
    pub slowest: f64,
}

/// One kernel with one shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its id: `hbm-read`, `int4-bf16`.
    pub kernel: String,
    /// What it worked on, for people: `57344×8192 M=16`.
    pub shape: String,
    /// How its launches followed each other.
    pub launch: Launch,
    /// Bytes that one launch has to move: data that is read and written once, at least. Zero where only time matters.
    pub bytes: Bytes,
    /// Floating-point operations that one launch has to do, a multiplication and an addition each; absent where it computes nothing.
    pub flops: Option<u64>,
    /// How long it took.
    pub time: Spread,
    /// The largest deviation from a reference in 64-bit floats, as a share of the reference's root mean square.
    pub error: Option<f64>,
    /// The largest that is right for the format.
    pub error_limit: Option<f64>,
    /// What else was wrong with the result.
    pub fault: Option<String>,
    /// The device meanwhile.
    pub conditions: Conditions,
    /// What to know of this measurement, such as that it had to be smaller.
    pub note: Option<String>,
    /// Whether it was too small to reach what a full one does: no floor holds then.
    pub reduced: bool,
}

impl Sample {
    /// Whether the result was what the reference says. A figure that is not a number is not.
    pub fn is_right(&self) -> bool {
        let within = match (self.error, self.error_limit) {
            (Some(error), Some(limit)) => error <= limit,
            _ => true,
        };
        within && self.fault.is_none()
    }

    /// Bytes a second, where bytes were moved.
    pub fn rate(&self) -> Option<f64> {
        (self.bytes.0 > 0).then(|| self.bytes.0 as f64 / self.time.median)
    }

    /// Floating-point operations for each byte that has to move.
    pub fn intensity(&self) -> Option<f64> {
        Some(self.flops? as f64 / self.bytes.0 as f64).filter(|intensity| intensity.is_finite())
    }
}

/// Why something was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why", content = "reason")]
pub enum Stop {
    /// This device cannot do it, or there is nothing to do it with.
    Unsupported(String),
    /// There was not enough free memory.
    OutOfMemory(String),
    /// The driver did not compile the kernels.
    NotCompiled(Refused),
    /// A call failed.
    Failed(String),
    /// The process crashed or hung.
    Lost(String),
    /// The device itself is gone: NVML says so.
    DeviceLost(String),
}

/// Why a driver does not compile PTX.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What kind of refusal it is.
    pub kind: RefusedKind,
    /// The call, its code and what the compiler said.
    pub reason: String,
}

/// Kinds of refusal, by the code of `cuModuleLoadDataEx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedKind {
    /// 209: the module has nothing for this device.
    NoBinary,
    /// 221: the compiler's library is not there.
    NoCompiler,
    /// 222: the PTX is newer than the driver.
    DriverTooOld,
    /// 223: compiling is switched off.
    SwitchedOff,
    /// 200, 218: the compiler takes the PTX for wrong.
    Invalid,
}

impl Stop {
    /// What happened.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unsupported(reason)
            | Self::OutOfMemory(reason)
            | Self::Failed(reason)
            | Self::Lost(reason)
            | Self::DeviceLost(reason) => reason,
            Self::NotCompiled(refused) => &refused.reason,
        }
    }
}

/// A link from one device to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// The device that is copied from.
    pub from: u32,
    /// The device that is copied to.
    pub to: u32,
    /// Whether each reaches the other's memory; else the driver stages copies through the host.
    pub direct: bool,
    /// Time of a large copy.
    pub time: Spread,
    /// Its size.
    pub bytes: Bytes,
    /// Seconds of a copy of 16 bytes.
    pub latency: f64,
    /// Whether every word arrived.
    pub verified: bool,
    /// Loads of a kernel from the other device's memory, where it is reached and kernels run.
    pub loads: Option<PeerLoads>,
}

/// Loads of a kernel on [`Peer::from`] from the memory of [`Peer::to`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerLoads {
    /// Time of one pass over as many bytes as are copied.
    pub time: Spread,
    /// Whether every word was what it should be.
    pub verified: bool,
}

/// What a measuring process says, a line each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is", content = "of")]
pub enum Report {
    /// The driver: CUDA's version of it.
    Driver(u32),
    /// The driver's own version.
    Version(String),
    /// A device.
    Device(Device),
    /// It is set up and waits for its turn.
    Ready,
    /// Device memory that nobody holds, when its turn came.
    Free(Bytes),
    /// What it works on now.
    At(String),
    /// The read rate of the same process at its start, in bytes a second: what shares are shares of.
    Read(f64),
    /// A measurement.
    Sample(Box<Sample>),
    /// A link to another device.
    Peer(Peer),
    /// One rank of several that reduce together.
    Rank(collective::Said),
    /// Something that was not measured, by name.
    Stopped(String, Stop),
    /// The read rate at the end, in bytes a second.
    ReadAgain(f64),
    /// Seconds of the device in launches that were timed.
    Timed(f64),
    /// Everything was said.
    Done,
}

/// What one family gave on one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The family.
    pub family: Family,
    /// Device memory that nobody held at the start.
    pub free: Option<Bytes>,
    /// The read rate at the start, in bytes a second.
    pub read: Option<f64>,
    /// And at the end.
    pub read_again: Option<f64>,
    /// Measurements.
    pub samples: Vec<Sample>,
    /// Links.
    pub peers: Vec<Peer>,
    /// What was not measured.
    pub stopped: Vec<(String, Stop)>,
    /// Seconds from its turn to what it said last.
    pub turn: f64,
    /// Seconds of the device in launches that were timed.
    pub timed: f64,
}

impl Measured {
    /// Nothing yet.
    pub const fn nothing(family: Family) -> Self {
        Self {
            family,
            free: None,
            read: None,
            read_again: None,
            samples: Vec::new(),
            peers: Vec::new(),
            stopped: Vec::new(),
            turn: 0.0,
            timed: 0.0,
        }
    }

    /// By how much the read rate changed while this family was measured: 0.03 is 3 %.
    pub fn drift(&self) -> Option<f64> {
        Some(self.read_again? / self.read? - 1.0)
    }
}

/// A device and what was measured on it.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuMeasured {
    /// The device.
    pub device: Device,
    /// By family, in order.
    pub families: Vec<Measured>,
    /// How long that took; a saved report may not tell.
    pub took: Option<Took>,
}

/// How long one device took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Took {
    /// Seconds from the start of the first process to the end of the last.
    pub seconds: f64,
    /// Seconds of it in which a family had its turn; the rest went into starting, compiling and ending.
    pub measuring_seconds: f64,
    /// Seconds of those that launches took which were timed; the rest went into filling memory, warming up and checking results.
    pub timed_seconds: f64,
}
