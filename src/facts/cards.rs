//! All GPUs together.

use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::gpu::Gpu;
use crate::facts::nvml::Nvml;
use crate::reading::Reading;
use crate::units::Bytes;

/// All GPUs together.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Cards {
    /// How many the driver lists.
    pub count: Reading<u64>,
    /// How many of them a process may use.
    pub visible: Reading<u64>,
    /// How many different names they have.
    pub models: Reading<u64>,
    /// Their names.
    pub names: Reading<String>,
    /// The memory of those that are visible, in bytes.
    pub memory: Reading<Bytes>,
    /// The largest memory of one of them, in bytes.
    pub largest: Reading<Bytes>,
    /// How many are GeForce or TITAN cards.
    pub geforce: Reading<u64>,
    /// How many have at least one NVLink up.
    pub with_nvlink: Reading<u64>,
    /// How many hold less than a tenth of their memory.
    pub free: Reading<u64>,
    /// How many share their memory with the host.
    pub unified: Reading<u64>,
    /// How many have slices.
    pub mig: Reading<u64>,
    /// How many are above the slots' bridges that redirect traffic (Access Control Services).
    pub behind_acs: Reading<u64>,
    /// The oldest compute capability.
    pub least_capability: Reading<String>,
}

/// Adds up the GPUs. Without an answer of the driver nothing is known of their number.
pub(super) fn read(gpus: &[Gpu], nvml: &Nvml) -> Cards {
    let listed: Vec<&Gpu> = gpus.iter().filter(|gpu| gpu.listed).collect();
    if listed.is_empty() && nvml.devices.known().is_none() {
        return Cards { count: nvml.devices.clone(), ..Cards::default() };
    }
    let visible: Vec<&Gpu> = listed.iter().copied().filter(|gpu| gpu.visible.known() != Some(&false)).collect();
    let count = |matching: &dyn Fn(&Gpu) -> bool| Reading::Known(listed.iter().filter(|gpu| matching(gpu)).count() as u64);
    let mut names: Vec<&str> = visible.iter().filter_map(|gpu| gpu.name.known()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let totals: Vec<Bytes> = visible.iter().filter_map(|gpu| gpu.memory.total.known()).copied().collect();
    let least = visible.iter().filter_map(|gpu| gpu.capability.known()).min();
    let emptier = |gpu: &Gpu| match (gpu.memory.used.known(), gpu.memory.total.known()) {
        (Some(used), Some(total)) => used.0.saturating_mul(10) < total.0,
        _ => false,
    };
    Cards {
        count: Reading::Known(listed.len() as u64),
        visible: Reading::Known(visible.len() as u64),
        models: Reading::Known(names.len() as u64),
        names: if names.is_empty() { Reading::Absent } else { Reading::Known(names.join(", ")) },
        memory: if totals.is_empty() { Reading::Absent } else { Reading::Known(totals.iter().copied().sum()) },
        largest: Reading::from(totals.iter().max().copied()),
        geforce: count(&|gpu| gpu.geforce.known() == Some(&true)),
        with_nvlink: count(&|gpu| gpu.nvlink.active.known().is_some_and(|links| *links > 0)),
        free: count(&emptier),
        unified: count(&|gpu| gpu.unified.known() == Some(&true)),
        mig: count(&|gpu| gpu.mig.enabled.known() == Some(&true)),
        behind_acs: count(&|gpu| gpu.pcie.acs.known() == Some(&true)),
        least_capability: Reading::from(least.map(ToString::to_string)),
    }
}
