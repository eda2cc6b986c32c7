//! The devices of a request: a card by name, a slice of one, or only a size.

use crate::catalog::{Catalog, Gpu, PeerAccess, Unknown};
use crate::plan::outcome::{Devices, Interpretation};
use crate::plan::request::Target;
use crate::units::{Bytes, BytesPerSecond};

/// A target that no plan can be made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither a card nor a size was given.
    #[error("no device is named")]
    NoDevice,
    /// The card is not in the catalogue.
    #[error(transparent)]
    UnknownGpu(#[from] Unknown),
    /// More memory was allowed than the card has.
    #[error("`--vram {given}` is more than the {memory} of one {name}")]
    MoreThanDevice {
        /// The size as given.
        given: String,
        /// The card.
        name: String,
        /// What it has.
        memory: Bytes,
    },
    /// So little memory that not even a CUDA context fits.
    #[error("`--vram {given}` is less than a CUDA context takes (about 0.5 GiB)")]
    TooSmall {
        /// The size as given.
        given: String,
    },
}

impl crate::hint::Hint for TargetError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoDevice => {
                Some("name a card with `--gpu`, such as `--gpu l4`, or a size with `--vram`, such as `--vram 24g`".to_owned())
            }
            // The message names the nearest known ones.
            Self::UnknownGpu(_) => None,
            Self::MoreThanDevice { .. } => Some("leave out `--vram` to use the whole card".to_owned()),
            Self::TooSmall { .. } => Some("write for example `--vram 7g` for 7 GiB".to_owned()),
        }
    }
}

/// The least memory in which anything runs.
const LEAST: Bytes = Bytes::from_mib(1024);

/// The devices that `target` means, and how its words were understood.
///
/// # Errors
/// When nothing or something unknown is named.
pub fn devices(target: &Target, catalog: &Catalog) -> Result<(Devices, Vec<Interpretation>), TargetError> {
    if let Some(size) = target.vram.as_ref().filter(|size| size.bytes < LEAST) {
        return Err(TargetError::TooSmall { given: size.text.clone() });
    }
    let count = target.count.max(1);
    let mut said = Vec::new();
    let (gpu, mut assumed, only_size) = match (&target.gpu, &target.vram) {
        (Some(name), _) => {
            let device = catalog.device(&mig_memory(name).unwrap_or_else(|| name.clone()))?;
            let times = if count > 1 { format!("{count} × ") } else { String::new() };
            said.push(Interpretation {
                given: name.clone(),
                meaning: format!("{times}{}, {} of device memory each", device.gpu.display_name(), device.gpu.memory()),
                instead: None,
            });
            (device.gpu, device.assumptions, device.only_memory)
        }
        (None, Some(size)) => {
            let device = catalog.device(&format!("{} MiB", size.bytes.0 / Bytes::MIB.0))?;
            (device.gpu, device.assumptions, true)
        }
        (None, None) => return Err(TargetError::NoDevice),
    };
    let memory = gpu.memory();
    let limit = target.vram.as_ref().map_or(memory, |size| size.bytes);
    if let Some(size) = target.vram.as_ref().filter(|size| size.bytes > memory) {
        return Err(TargetError::MoreThanDevice { given: size.text.clone(), name: gpu.display_name(), memory });
    }
    if let Some(size) = &target.vram {
        said.push(Interpretation {
            given: size.text.clone(),
            meaning: format!("{} of device memory, all that nvidia-smi may show for this server", size.bytes),
            instead: target.gpu.is_none().then(|| "--gpu to name the card".to_owned()),
        });
    }
    let [cuda_total, _, cuda_total_high] = catalog.cuda_total(&gpu);
    if gpu.memory.cuda_total_mib.is_none() {
        assumed.push(format!("CUDA sees {cuda_total} of the {memory} that nvidia-smi shows, as on similar cards"));
    }
    let name = if target.gpu.is_none() { format!("a card with {memory}") } else { gpu.display_name() };
    Ok((description(&gpu, name, count, limit, (cuda_total, cuda_total_high), only_size, target, assumed), said))
}

#[expect(clippy::too_many_arguments, reason = "one value for each thing that was resolved apart")]
fn description(
    gpu: &Gpu,
    name: String,
    count: u64,
    limit: Bytes,
    cuda_total: (Bytes, Bytes),
    only_size: bool,
    target: &Target,
    assumed: Vec<String>,
) -> Devices {
    let sixteen_bit = gpu.throughput.of_16_bits();
    Devices {
        name,
        count,
        memory: gpu.memory(),
        cuda_total: cuda_total.0,
        cuda_total_high: cuda_total.1,
        limit,
        compute_capability: Some(u32::from(gpu.compute_capability.sm())),
        memory_bandwidth: (!only_size).then(|| gpu.memory_bandwidth()),
        host_link: (!only_size).then(|| pcie(gpu)),
        pcie_generation: (!only_size).then_some(gpu.links.pcie_generation),
        tflops_16bit: (!only_size && sixteen_bit > 0.0).then_some(sixteen_bit),
        nvlink: gpu.links.nvlink_gb_s > 0.0 && gpu.links.peer_access == PeerAccess::Always,
        multiprocessors: gpu.multiprocessors.filter(|_| !only_size),
        driver: target.driver.clone(),
        rates: None,
        interconnect: None,
        assumed,
    }
}

/// What pinned copies reach of the link's rate after line coding: packet headers and credits take the rest.
/// Measured: 55.1 of 63.0 GB/s on an H100 at PCIe 5.0 x16.
const PINNED_COPY_SHARE: f64 = 0.87;

fn pcie(gpu: &Gpu) -> BytesPerSecond {
    BytesPerSecond(gpu.pcie_bandwidth().0 * PINNED_COPY_SHARE)
}

/// The rate that pinned copies reach on 16 lanes of a PCIe generation.
pub fn pinned_rate(generation: u8) -> BytesPerSecond {
    BytesPerSecond::from_gb(crate::catalog::Links::pcie_lane_gb_s(generation) * 16.0 * PINNED_COPY_SHARE)
}

/// `1g.10gb` is a MIG slice with 10 GiB.
fn mig_memory(name: &str) -> Option<String> {
    let (slices, memory) = name.trim().split_once("g.")?;
    let gib = memory.strip_suffix("gb")?;
    (slices.parse::<u32>().is_ok() && gib.parse::<u32>().is_ok()).then(|| format!("{gib} GiB"))
}
