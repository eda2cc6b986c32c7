//! One GPU: what it is, what it does, how healthy it is, and who holds its memory.

pub mod holders;
mod read;

use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::ComputeCapability;
use crate::reading::Reading;
use crate::units::Bytes;

pub(in crate::facts) use read::{on_bus, read};

/// One GPU, as the driver lists it, or as the PCI bus does where the driver does not.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Gpu {
    /// Its number in `nvidia-smi`.
    pub index: u64,
    /// Its name.
    pub name: Reading<String>,
    /// Its UUID.
    pub uuid: Reading<String>,
    /// Its id in the catalogue of cards.
    pub id: Reading<String>,
    /// Its PCI address.
    pub address: Reading<String>,
    /// Whether the driver lists it; a card that is only on the bus does not work.
    pub listed: bool,
    /// Its compute capability.
    pub capability: Reading<ComputeCapability>,
    /// Its architecture's name.
    pub architecture: Reading<String>,
    /// Whether it is a GeForce or TITAN card.
    pub geforce: Reading<bool>,
    /// Whether host and device share one memory.
    pub unified: Reading<bool>,
    /// Its memory.
    pub memory: Memory,
    /// The share of time in which it computed, in percent.
    pub utilisation: Reading<u64>,
    /// Its temperature in degrees Celsius.
    pub temperature: Reading<u64>,
    /// The temperature at which it slows down, in degrees Celsius.
    pub slowdown_temperature: Reading<u64>,
    /// Its power in watts.
    pub power: Power,
    /// Why its clocks are held down: `gpu-idle`, `hw-thermal-slowdown` and so on.
    pub throttle: Reading<Vec<String>>,
    /// Whether it is idle: nothing computes, so that clocks and links may rest.
    pub idle: Reading<bool>,
    /// Whether it rests while its memory is held.
    pub asleep: Reading<bool>,
    /// Errors of its memory.
    pub ecc: Ecc,
    /// Its PCI Express link.
    pub pcie: Pcie,
    /// Whether the driver stays initialised while nobody uses it.
    pub persistence: Reading<bool>,
    /// Who may use it: `default`, `exclusive-process`, `prohibited`.
    pub compute_mode: Reading<String>,
    /// Its slices.
    pub mig: Mig,
    /// Its place in an NVSwitch fabric.
    pub fabric: Fabric,
    /// Its NVLinks.
    pub nvlink: Nvlink,
    /// The NUMA node of its slot.
    pub numa_node: Reading<u64>,
    /// Whether this process may run on a processor near it.
    pub near_cpus: Reading<bool>,
    /// Whether it is a virtual GPU.
    pub vgpu: Reading<bool>,
    /// Whether its vGPU licence is granted.
    pub licensed: Reading<bool>,
    /// What the driver asks for: `none`, `gpu-reset`, `node-reboot`, `drain-p2p`, `drain-and-reset`.
    pub recovery: Reading<String>,
    /// The NVML code of the first call that says that the card is lost or needs a reset; 0 where none does.
    pub lost_code: Reading<i64>,
    /// What creating a CUDA context returned; 0 is success.
    pub context_code: Reading<i64>,
    /// The name of that code.
    pub context_name: Reading<String>,
    /// What launching a kernel returned; 0 is success.
    pub launch_code: Reading<i64>,
    /// The name of that code.
    pub launch_name: Reading<String>,
    /// Whether that kernel wrote what it should; absent where it did not run.
    pub launch_correct: Reading<bool>,
    /// Why it gave no answer: a call did not return in time; absent where it answered.
    pub no_answer: Reading<String>,
    /// Who holds its memory.
    pub processes: Reading<Vec<Process>>,
    /// Memory held by processes that are seen.
    pub held: Reading<Bytes>,
    /// Who holds most, in words.
    pub holder: Reading<String>,
    /// Faults that the kernel log has of it, the newest of each kind.
    pub xids: Reading<Vec<Xid>>,
    /// Whether `CUDA_VISIBLE_DEVICES` leaves it visible.
    pub visible: Reading<bool>,
    /// The architecture's first driver branch.
    pub first_branch: Reading<u64>,
    /// The architecture's last driver branch.
    pub last_branch: Reading<u64>,
    /// The kernel modules that it needs: `open`, `proprietary` or `any`.
    pub modules: Reading<String>,
    /// The memory that cards of this name have.
    pub usual_memory: Reading<Bytes>,
    /// Whether the stock driver lets cards of this kind read each other's memory: `always`, `nvlink-bridge`, `never`.
    pub peer_access: Reading<String>,
}

/// Device memory.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Memory {
    /// All of it, in bytes.
    pub total: Reading<Bytes>,
    /// Used, in bytes.
    pub used: Reading<Bytes>,
    /// Free, in bytes.
    pub free: Reading<Bytes>,
}

/// Power, in watts.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Power {
    /// What it draws.
    pub draw: Reading<u64>,
    /// The limit in force.
    pub limit: Reading<u64>,
    /// The limit as delivered.
    pub default_limit: Reading<u64>,
}

/// Errors of the memory.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Ecc {
    /// Whether error correction is on.
    pub enabled: Reading<bool>,
    /// Errors that could not be corrected, since the driver was loaded.
    pub uncorrected: Reading<u64>,
    /// Errors that could not be corrected, since the card was made.
    pub uncorrected_ever: Reading<u64>,
    /// Pages that are no longer used.
    pub retired_pages: Reading<u64>,
    /// Whether pages wait for a reboot to be retired.
    pub retirement_pending: Reading<bool>,
    /// Rows that were remapped after uncorrectable errors.
    pub remapped_rows: Reading<u64>,
    /// Whether rows wait for a reset to be remapped.
    pub remap_pending: Reading<bool>,
    /// Whether remapping a row failed.
    pub remap_failed: Reading<bool>,
}

/// The PCI Express link.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Pcie {
    /// The generation that it runs at.
    pub generation: Reading<u64>,
    /// The lanes that it runs with.
    pub width: Reading<u64>,
    /// The generation that the card and this machine can do.
    pub max_generation: Reading<u64>,
    /// The lanes that the card and this machine can do.
    pub max_width: Reading<u64>,
    /// The generation of the slot.
    pub slot_generation: Reading<u64>,
    /// The lanes of the slot.
    pub slot_width: Reading<u64>,
    /// Whether a bridge above it redirects traffic between cards (Access Control Services).
    pub acs: Reading<bool>,
}

/// Slices of a card.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Mig {
    /// Whether it is cut into slices.
    pub enabled: Reading<bool>,
    /// Whether the mode changes at the next reset.
    pub pending_change: Reading<bool>,
    /// How many instances there are.
    pub instances: Reading<u64>,
}

/// The place in an NVSwitch fabric.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Fabric {
    /// `not-supported`, `not-started`, `in-progress`, `completed`.
    pub state: Reading<String>,
    /// What registering with it returned; 0 is success.
    pub status: Reading<i64>,
    /// `healthy`, `unhealthy`, `limited-capacity` or `not-supported`.
    pub health: Reading<String>,
}

/// NVLinks.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Nvlink {
    /// Links that are up.
    pub active: Reading<u64>,
    /// Links that are down.
    pub inactive: Reading<u64>,
}

/// A process that holds device memory.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Process {
    /// Its number.
    pub pid: u64,
    /// Its program.
    pub name: Reading<String>,
    /// Whose it is, shortened.
    pub user: Reading<String>,
    /// Whether it belongs to the user who asks.
    pub own: Reading<bool>,
    /// What it holds, in bytes.
    pub used: Reading<Bytes>,
    /// For how long it has run, in seconds.
    pub running: Reading<u64>,
    /// Whether it draws rather than computes.
    pub graphics: bool,
}

/// Faults of one kind in the kernel log.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Xid {
    /// Its number.
    pub code: u64,
    /// Its name.
    pub name: String,
    /// `hardware`, `application`, `follow-up` or `notice`.
    pub class: String,
    /// What to do.
    pub action: String,
    /// How often.
    pub times: u64,
    /// The newest line of it.
    pub line: String,
}

impl Gpu {
    /// A card of which nothing could be read, and why.
    fn unreadable(reason: &str) -> Self {
        fn no<T>(reason: &str) -> Reading<T> {
            Reading::unreadable(reason)
        }
        let memory = Memory { total: no(reason), used: no(reason), free: no(reason) };
        let power = Power { draw: no(reason), limit: no(reason), default_limit: no(reason) };
        let ecc = Ecc {
            enabled: no(reason),
            uncorrected: no(reason),
            uncorrected_ever: no(reason),
            retired_pages: no(reason),
            retirement_pending: no(reason),
            remapped_rows: no(reason),
            remap_pending: no(reason),
            remap_failed: no(reason),
        };
        let pcie = Pcie {
            generation: no(reason),
            width: no(reason),
            max_generation: no(reason),
            max_width: no(reason),
            slot_generation: no(reason),
            slot_width: no(reason),
            acs: no(reason),
        };
        Self {
            name: no(reason),
            uuid: no(reason),
            address: no(reason),
            capability: no(reason),
            unified: no(reason),
            memory,
            utilisation: no(reason),
            temperature: no(reason),
            slowdown_temperature: no(reason),
            power,
            throttle: no(reason),
            idle: no(reason),
            asleep: no(reason),
            ecc,
            pcie,
            persistence: no(reason),
            compute_mode: no(reason),
            mig: Mig { enabled: no(reason), pending_change: no(reason), instances: no(reason) },
            fabric: Fabric { state: no(reason), status: no(reason), health: no(reason) },
            nvlink: Nvlink { active: no(reason), inactive: no(reason) },
            vgpu: no(reason),
            licensed: no(reason),
            recovery: no(reason),
            lost_code: no(reason),
            context_code: no(reason),
            context_name: no(reason),
            launch_code: no(reason),
            launch_name: no(reason),
            launch_correct: Reading::Absent,
            no_answer: if reason.contains("timed out") { Reading::Known(reason.to_owned()) } else { Reading::Absent },
            processes: no(reason),
            held: no(reason),
            holder: no(reason),
            ..Self::default()
        }
    }
}
