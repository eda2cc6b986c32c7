//! `gpudoctor.gpus/1`: what `gpus --format json` prints. Fields may be added; none is renamed or removed under `/1`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::facts::{Facts, gpu};
use crate::pick;
use crate::reading::Reading;
use crate::units::Bytes;

/// The contract's name and version.
pub const SCHEMA: &str = "gpudoctor.gpus/1";

/// The report of `gpudoctor gpus`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GpusReport {
    /// `gpudoctor.gpus/1`.
    pub schema: &'static str,
    /// The driver's version; `null` where it is not known, here as everywhere.
    pub driver: Option<String>,
    /// The cards, in the order of `nvidia-smi`.
    pub gpus: Vec<Gpu>,
    /// The numbers of those that nobody uses.
    pub free: Vec<u64>,
}

/// One card.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Gpu {
    /// Its number in `nvidia-smi`.
    pub index: u64,
    /// Its name.
    pub name: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// All of its memory.
    pub memory_total_bytes: Option<u64>,
    /// Memory that is used.
    pub memory_used_bytes: Option<u64>,
    /// Memory that is free.
    pub memory_free_bytes: Option<u64>,
    /// The share of time in which it computed.
    pub utilisation_percent: Option<u64>,
    /// Its temperature.
    pub temperature_celsius: Option<u64>,
    /// What it draws.
    pub power_watts: Option<u64>,
    /// The NUMA node of its slot.
    pub numa_node: Option<u64>,
    /// Whether `CUDA_VISIBLE_DEVICES` leaves it visible.
    pub visible: Option<bool>,
    /// Whether it rests while its memory is held.
    pub asleep: Option<bool>,
    /// Who uses it, the largest first; `null` where that is not seen.
    pub processes: Option<Vec<Process>>,
}

/// A process that uses a card.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Process {
    /// Its number.
    pub pid: u64,
    /// Its program.
    pub name: Option<String>,
    /// Whose it is, shortened.
    pub user: Option<String>,
    /// What it holds.
    pub memory_bytes: Option<u64>,
    /// For how long it has run.
    pub running_seconds: Option<u64>,
    /// Whether it draws rather than computes.
    pub graphics: bool,
}

fn number<T: Copy>(reading: &Reading<T>) -> Option<T> {
    reading.known().copied()
}

fn bytes(reading: &Reading<Bytes>) -> Option<u64> {
    reading.known().map(|bytes| bytes.0)
}

impl From<&gpu::Process> for Process {
    fn from(process: &gpu::Process) -> Self {
        Self {
            pid: process.pid,
            name: process.name.known().cloned(),
            user: process.user.known().cloned(),
            memory_bytes: bytes(&process.used),
            running_seconds: number(&process.running),
            graphics: process.graphics,
        }
    }
}

impl From<&gpu::Gpu> for Gpu {
    fn from(gpu: &gpu::Gpu) -> Self {
        Self {
            index: gpu.index,
            name: gpu.name.known().cloned(),
            uuid: gpu.uuid.known().cloned(),
            memory_total_bytes: bytes(&gpu.memory.total),
            memory_used_bytes: bytes(&gpu.memory.used),
            memory_free_bytes: bytes(&gpu.memory.free),
            utilisation_percent: number(&gpu.utilisation),
            temperature_celsius: number(&gpu.temperature),
            power_watts: number(&gpu.power.draw),
            numa_node: number(&gpu.numa_node),
            visible: number(&gpu.visible),
            asleep: number(&gpu.asleep),
            processes: gpu.processes.known().map(|processes| processes.iter().map(Process::from).collect()),
        }
    }
}

/// The JSON of the cards. Ends with a line break.
///
/// # Errors
/// When the report has no JSON form.
pub fn render(facts: &Facts) -> Result<String, serde_json::Error> {
    let report = GpusReport {
        schema: SCHEMA,
        driver: facts.driver.version.known().map(ToString::to_string),
        gpus: facts.gpus.iter().map(Gpu::from).collect(),
        free: pick::free(facts).iter().map(|gpu| gpu.index).collect(),
    };
    serde_json::to_string_pretty(&report).map(|text| text + "\n")
}

/// The JSON Schema of the contract.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(GpusReport);
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}
