//! The devices that a target names.

use crate::catalog::{Catalog, Device, PeerAccess};
use crate::error::Error;
use crate::plan::outcome::{Devices, Interpretation};
use crate::plan::request::{GivenSize, Target};
use crate::units::Bytes;

/// Devices, and how the words that named them were understood.
#[derive(Clone, Debug)]
pub struct Named {
    /// The devices.
    pub devices: Devices,
    /// What each word means.
    pub interpretations: Vec<Interpretation>,
}

/// The devices of `target`.
///
/// # Errors
/// When no GPU is called so, or when the limit is larger than the device.
pub fn devices(target: &Target, catalog: &Catalog) -> Result<Named, Error> {
    let mut interpretations = Vec::new();
    let mut devices = match (&target.gpu, &target.vram) {
        (Some(name), _) => named(name, catalog, &mut interpretations)?,
        (None, Some(size)) => of_size(size, catalog)?,
        (None, None) => return Err(Error::usage("no device was named; `--vram` or `--gpu` is needed")),
    };
    devices.count = target.count;
    devices.driver.clone_from(&target.driver);
    if let Some(size) = &target.vram {
        if size.bytes > devices.memory {
            return Err(Error::usage(format!("`--vram {}` is more than the {} of {}", size.text, devices.memory, devices.name))
                .with_hint(format!("give at most `--vram {}m`, or leave it out", devices.memory.0 / Bytes::MIB.0)));
        }
        devices.limit = size.bytes;
        interpretations.push(limit(size, target));
    }
    Ok(Named { devices, interpretations })
}

/// What `--vram` means.
fn limit(size: &GivenSize, target: &Target) -> Interpretation {
    let each = if target.count > 1 { " on each GPU" } else { "" };
    Interpretation {
        given: size.text.clone(),
        meaning: format!("{} of device memory{each}, all that nvidia-smi may show for this server", size.bytes),
        instead: target.gpu.is_none().then(|| "--gpu to name the card".to_owned()),
    }
}

/// A card, a slice of one, or a size with a word such as `32 GB vGPU`.
fn named(name: &str, catalog: &Catalog, interpretations: &mut Vec<Interpretation>) -> Result<Devices, Error> {
    let profile = mig_profile(name);
    let wanted = profile.map_or_else(|| name.to_owned(), |memory| format!("{} MiB", memory.0 / Bytes::MIB.0));
    let device = catalog.device(&wanted).map_err(|unknown| {
        let error = Error::usage(unknown.to_string());
        match unknown.nearest.first() {
            Some(nearest) => error.with_hint(format!("name it with `--gpu {nearest}`, or give its memory with `--vram`")),
            None => error.with_hint("give its memory with `--vram`"),
        }
    })?;
    let mut devices = known(&device, catalog);
    if profile.is_some() {
        devices.name = format!("MIG {name}");
        devices.assumed.push(format!("the profile {name} has {}, by its name; nvidia-smi shows the exact size", devices.memory));
    }
    if crate::explain::same_word(name, &devices.name) {
        return Ok(devices);
    }
    interpretations.push(Interpretation {
        given: name.to_owned(),
        meaning: format!("{} with {}", devices.name, devices.memory),
        instead: None,
    });
    Ok(devices)
}

/// The memory that a MIG profile such as `1g.10gb` names. The name is in decimal gigabytes, and never more than there is.
fn mig_profile(name: &str) -> Option<Bytes> {
    let lower = name.to_ascii_lowercase();
    let (slices, memory) = lower.split('+').next()?.split_once("g.")?;
    let memory = memory.strip_suffix("gb")?;
    (slices.parse::<u64>().is_ok() && memory.parse::<u64>().is_ok()).then(|| format!("{memory}GB").parse().ok())?
}

/// A device of which only the memory is known: nothing is claimed of its kernels or rates.
fn of_size(size: &GivenSize, catalog: &Catalog) -> Result<Devices, Error> {
    let device = catalog.device(&format!("{} MiB", size.bytes.0 / Bytes::MIB.0)).map_err(|unknown| Error::usage(unknown.to_string()))?;
    let known = known(&device, catalog);
    Ok(Devices {
        name: format!("{} of device memory", size.bytes),
        compute_capability: None,
        memory_bandwidth: None,
        host_link: None,
        tflops_16bit: None,
        multiprocessors: None,
        nvlink: false,
        assumed: Vec::new(),
        ..known
    })
}

fn known(device: &Device, catalog: &Catalog) -> Devices {
    let gpu = &device.gpu;
    let [cuda_total, ..] = catalog.cuda_total(gpu);
    Devices {
        name: gpu.display_name(),
        count: 1,
        memory: gpu.memory(),
        cuda_total,
        limit: gpu.memory(),
        compute_capability: Some(u32::from(gpu.compute_capability.sm())),
        memory_bandwidth: Some(gpu.memory_bandwidth()),
        host_link: Some(gpu.pcie_bandwidth()),
        tflops_16bit: Some(gpu.throughput.bf16_tflops.max(gpu.throughput.fp16_tflops)),
        nvlink: gpu.links.nvlink_gb_s > 0.0 && gpu.links.peer_access == PeerAccess::Always,
        multiprocessors: gpu.multiprocessors,
        driver: None,
        assumed: device.assumptions.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(gpu: Option<&str>, vram: Option<&str>) -> Target {
        let vram = vram.map(|text| GivenSize { text: text.to_owned(), bytes: text.parse().unwrap() });
        Target { vram, gpu: gpu.map(str::to_owned), count: 1, driver: None }
    }

    #[test]
    fn a_size_alone_claims_nothing_of_the_card() {
        let named = devices(&target(None, Some("7g")), &Catalog::builtin()).unwrap();
        assert_eq!((named.devices.limit, named.devices.compute_capability), (Bytes(7 << 30), None));
        assert!(named.devices.cuda_total < Bytes(7 << 30));
        assert_eq!(named.interpretations[0].instead.as_deref(), Some("--gpu to name the card"));
    }

    #[test]
    fn a_card_may_have_a_limit() {
        let named = devices(&target(Some("l4"), Some("7g")), &Catalog::builtin()).unwrap();
        assert_eq!((named.devices.limit, named.devices.compute_capability), (Bytes(7 << 30), Some(89)));
        assert!(devices(&target(Some("l4"), Some("80g")), &Catalog::builtin()).is_err());
    }

    #[test]
    fn slices_and_bare_sizes_are_devices() {
        let mig = devices(&target(Some("1g.10gb"), None), &Catalog::builtin()).unwrap().devices;
        assert!(mig.memory > Bytes::from_gib(9.0) && mig.memory < Bytes::from_gib(9.5), "{}", mig.memory);
        let vgpu = devices(&target(Some("32 GB vGPU"), None), &Catalog::builtin()).unwrap().devices;
        assert_eq!(vgpu.memory, Bytes(32 << 30));
    }

    #[test]
    fn an_unknown_card_names_the_nearest() {
        let error = devices(&target(Some("rtx 3061"), None), &Catalog::builtin()).unwrap_err();
        assert!(error.kind.exit_code() == 2 && error.hints[0].contains("--gpu"), "{error}");
    }
}
