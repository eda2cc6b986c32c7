//! The GPUs of a machine: those that the driver lists, then those that are only on the bus.

use super::{Ecc, Fabric, Gpu, Memory, Mig, Nvlink, Pcie, Power};
use crate::capture::Capture;
use crate::capture::call::{Call, first_stuck};
use crate::capture::cuda::CudaDevice;
use crate::capture::host::PciDevice;
use crate::capture::nvml::NvmlDevice;
use crate::catalog::{Catalog, ComputeCapability, PeerAccess};
use crate::facts::gpu::holders;
use crate::facts::link::same_slot;
use crate::facts::nvml::{code, name};
use crate::facts::text::{file, meminfo, processors};
use crate::facts::xid;
use crate::reading::Reading;
use crate::units::Bytes;

/// NVIDIA's number on the PCI bus.
const NVIDIA: u32 = 0x10de;

/// The GPUs. Those that are only on the bus are left out in a container, which sees the bus of its host.
pub(in crate::facts) fn read(capture: &Capture, catalog: &Catalog, in_container: bool) -> Vec<Gpu> {
    let nvml = capture.nvml.known();
    let listed = nvml.into_iter().flat_map(|nvml| nvml.devices.iter().enumerate());
    let mut gpus: Vec<Gpu> = listed.map(|(index, device)| listed_gpu(index as u64, device, capture, catalog)).collect();
    if gpus.is_empty() {
        gpus.extend(seen_by_cuda(capture, catalog));
    }
    if !in_container && !gpus.iter().any(|gpu| gpu.address.known().is_none()) {
        let missing = on_bus(capture)
            .filter(|device| !gpus.iter().any(|gpu| gpu.address.known().is_some_and(|address| same_slot(address, &device.address))));
        let missing: Vec<Gpu> = missing.map(|device| bare_gpu(device, capture, catalog)).collect();
        gpus.extend(missing);
    }
    gpus
}

/// The NVIDIA display and 3D controllers on the bus.
pub(in crate::facts) fn on_bus(capture: &Capture) -> impl Iterator<Item = &PciDevice> {
    let devices = capture.pci.known().into_iter().flatten();
    devices.filter(|device| device.vendor == NVIDIA && matches!(device.class >> 8, 0x0300 | 0x0302))
}

fn listed_gpu(index: u64, reading: &Reading<NvmlDevice>, capture: &Capture, catalog: &Catalog) -> Gpu {
    let Reading::Known(device) = reading else {
        let reason = reading.reason().unwrap_or("NVML did not describe it").to_owned();
        return Gpu { index, listed: true, ..Gpu::unreadable(&reason) };
    };
    if let Some(reason) = device.handle.reading().reason().filter(|_| device.handle != Call::NotCalled) {
        let lost = device.handle.code().map_or_else(|| Reading::Unreadable(reason.to_owned()), Reading::Known);
        let no_answer = Reading::from(first_stuck(&device.handle));
        return Gpu { index, listed: true, lost_code: lost, no_answer, ..Gpu::unreadable(reason) };
    }
    let address = device.pci.reading().map(|pci| pci.address);
    let bus = address.known().and_then(|address| capture.pci.known()?.iter().find(|device| same_slot(&device.address, address)));
    let cuda = cuda_device(capture, device);
    let memory = memory(device, cuda, capture);
    let throttle = device.clocks.reasons.reading().map(throttle_names);
    let utilisation = device.utilization.reading().map(|rates| u64::from(rates.gpu));
    let processes = holders::read(device, capture);
    let held = processes.clone().map(|processes| processes.iter().filter_map(|process| process.used.known()).copied().sum::<Bytes>());
    let idle = match (utilisation.known(), throttle.known()) {
        (Some(0), _) => Reading::Known(true),
        (Some(_), _) => Reading::Known(false),
        (None, Some(names)) => Reading::Known(names.iter().any(|name| name == "gpu-idle")),
        (None, None) => utilisation.clone().map(|_| false),
    };
    let full =
        memory.used.clone().and_then(|used| memory.total.clone().map(|total| used.0.saturating_mul(10) >= total.0.saturating_mul(3)));
    let capability = device.capability.reading().and_then(|(major, minor)| capability(major, minor));
    let mut gpu = Gpu {
        index,
        name: device.name.reading(),
        uuid: device.uuid.reading(),
        listed: true,
        capability,
        unified: Reading::Known(matches!(&device.memory.failure(), Some(failure) if failure.code == 3) && memory.total.known().is_some()),
        asleep: utilisation.clone().and_then(|percent| full.map(|full| percent == 0 && full)),
        utilisation,
        temperature: device.temperature.reading().map(u64::from),
        slowdown_temperature: device.slowdown_temperature.reading().map(u64::from),
        power: Power {
            draw: watts(&device.power.usage_mw),
            limit: watts(&device.power.enforced_limit_mw),
            default_limit: watts(&device.power.default_limit_mw),
        },
        throttle,
        idle,
        ecc: ecc(device),
        pcie: pcie(device, bus, capture),
        persistence: flag(&device.modes.persistence),
        compute_mode: device.modes.compute.reading().map(|mode| compute_mode(mode).to_owned()),
        mig: mig(device),
        fabric: fabric(device),
        nvlink: nvlink(device),
        vgpu: device.modes.virtualization.reading().map(|mode| mode == 2),
        licensed: device.modes.licences.reading().and_then(|features| {
            if features.is_empty() { Reading::Absent } else { Reading::Known(features.iter().any(|(_, licensed)| *licensed)) }
        }),
        recovery: device.recovery_action.reading().map(|action| recovery(action).to_owned()),
        lost_code: lost_code(device),
        context_code: cuda.map_or_else(cuda_unseen, |cuda| code(&cuda.context)),
        context_name: cuda.map_or_else(cuda_unseen, |cuda| name(&cuda.context, "CUDA_SUCCESS")),
        launch_code: cuda.map_or_else(cuda_unseen, launch_code),
        launch_name: cuda.map_or_else(cuda_unseen, |cuda| name(&cuda.launch, "CUDA_SUCCESS")),
        launch_correct: cuda.map_or(Reading::Absent, |cuda| Reading::from(cuda.correct.value().copied())),
        no_answer: Reading::Absent,
        holder: holders::described(&processes),
        held,
        processes,
        memory,
        address,
        ..Gpu::default()
    };
    gpu.no_answer = Reading::from(first_stuck(device).or_else(|| cuda.and_then(first_stuck)));
    let brand = device.brand.value().copied();
    finish(&mut gpu, bus, brand, capture, catalog);
    gpu
}

/// A card that the driver does not list: only what the bus tells.
fn bare_gpu(device: &PciDevice, capture: &Capture, catalog: &Catalog) -> Gpu {
    let id = format!("{:04x}", device.device);
    let card = catalog.gpus().iter().find(|gpu| gpu.pci_ids.iter().any(|known| known.eq_ignore_ascii_case(&id)));
    let reason = "the driver does not list the card";
    let mut gpu = Gpu {
        name: card.map_or_else(|| Reading::unreadable(reason), |card| Reading::Known(card.name.clone())),
        capability: card.map_or_else(|| Reading::unreadable(reason), |card| Reading::Known(card.compute_capability)),
        address: Reading::Known(device.address.clone()),
        ..Gpu::unreadable(reason)
    };
    finish(&mut gpu, Some(device), None, capture, catalog);
    gpu
}

/// The cards as CUDA shows them, where there is no NVML.
fn seen_by_cuda(capture: &Capture, catalog: &Catalog) -> Vec<Gpu> {
    let devices = capture.cuda.known().into_iter().flat_map(|cuda| &cuda.devices).filter_map(Reading::known);
    let gpu = |(index, device): (usize, &CudaDevice)| {
        let attribute = |name: &str| device.attributes.get(name).and_then(|call| call.value()).copied();
        let total = device.total_memory.reading();
        let inside = device.memory.reading();
        let mut gpu = Gpu {
            index: index as u64,
            name: device.name.reading(),
            uuid: device.uuid.reading(),
            address: device.pci.reading(),
            listed: true,
            capability: match (attribute("compute_capability_major"), attribute("compute_capability_minor")) {
                (Some(major), Some(minor)) => capability(major, minor),
                _ => Reading::unreadable("CUDA did not tell"),
            },
            memory: Memory { free: inside.clone().map(|memory| memory.free), used: inside.map(|memory| memory.total - memory.free), total },
            unified: Reading::Known(attribute("integrated") == Some(1)),
            context_code: code(&device.context),
            context_name: name(&device.context, "CUDA_SUCCESS"),
            launch_code: launch_code(device),
            launch_name: name(&device.launch, "CUDA_SUCCESS"),
            launch_correct: Reading::from(device.correct.value().copied()),
            no_answer: Reading::from(first_stuck(device)),
            ..Gpu::unreadable("NVML is not there")
        };
        finish(&mut gpu, None, None, capture, catalog);
        gpu
    };
    devices.enumerate().map(gpu).collect()
}

/// What the catalogue, the bus and the kernel log know of a card.
fn finish(gpu: &mut Gpu, bus: Option<&PciDevice>, brand: Option<u32>, capture: &Capture, catalog: &Catalog) {
    let total = gpu.memory.total.known().copied().unwrap_or(Bytes::ZERO);
    let card = gpu.name.known().and_then(|name| catalog.gpu_on_machine(name, total));
    gpu.id = Reading::from(card.map(|card| card.id.clone()));
    gpu.usual_memory = Reading::from(card.filter(|card| !card.memory.unified).map(crate::catalog::Gpu::memory));
    gpu.peer_access = Reading::from(card.map(|card| {
        let word = match card.links.peer_access {
            PeerAccess::Always => "always",
            PeerAccess::NvlinkBridge => "nvlink-bridge",
            PeerAccess::Never => "never",
        };
        word.to_owned()
    }));
    // `nvmlBrandType_t`: 5 GeForce, 6 Titan, 13 GeForce RTX, 16 Titan RTX.
    gpu.geforce = match (brand, gpu.name.known()) {
        (Some(5 | 6 | 13 | 16), _) => Reading::Known(true),
        (_, Some(name)) => Reading::Known(name.contains("GeForce") || name.contains("TITAN")),
        (Some(_), None) => Reading::Known(false),
        (None, None) => Reading::unreadable("the card's name is not known"),
    };
    let generation = gpu.capability.known().and_then(|capability| catalog.cuda().generation(*capability));
    gpu.architecture = Reading::from(generation.map(|generation| generation.name.clone()));
    gpu.first_branch = Reading::from(generation.and_then(|generation| generation.min_driver_branch));
    gpu.last_branch = Reading::from(generation.and_then(|generation| generation.last_driver_branch));
    gpu.modules = Reading::from(generation.map(|generation| {
        let word = match (generation.needs_open_modules, generation.needs_proprietary_modules) {
            (true, _) => "open",
            (_, true) => "proprietary",
            _ => "any",
        };
        word.to_owned()
    }));
    gpu.numa_node = bus.map_or_else(
        || Reading::unreadable("the bus does not show the card"),
        |device| device.numa_node.clone().and_then(|node| Reading::from(u64::try_from(node).ok())),
    );
    gpu.near_cpus = near(bus, capture);
    gpu.xids = xid::of_card(capture, catalog, gpu.address.known().map(String::as_str));
}

fn near(bus: Option<&PciDevice>, capture: &Capture) -> Reading<bool> {
    let local = bus.map_or(Reading::Absent, |device| device.local_cpus.as_ref().map(|list| processors(list)));
    let allowed = capture.cpus.allowed_list.as_ref().map(|list| processors(list));
    local.and_then(|local| allowed.map(|allowed| local.is_empty() || local.iter().any(|cpu| allowed.contains(cpu))))
}

fn capability(major: i32, minor: i32) -> Reading<ComputeCapability> {
    match (u8::try_from(major), u8::try_from(minor)) {
        (Ok(major), Ok(minor)) => Reading::Known(ComputeCapability::new(major, minor)),
        _ => Reading::Unreadable(format!("{major}.{minor} is no compute capability")),
    }
}

fn cuda_unseen<T>() -> Reading<T> {
    Reading::unreadable("CUDA does not show the card")
}

/// The code of the kernel's launch, or of loading it where that failed.
fn launch_code(device: &CudaDevice) -> Reading<i64> {
    match device.module.code() {
        Some(failed) if failed != 0 => Reading::Known(failed),
        _ => code(&device.launch),
    }
}

fn cuda_device<'a>(capture: &'a Capture, device: &NvmlDevice) -> Option<&'a CudaDevice> {
    let mut devices = capture.cuda.known()?.devices.iter().filter_map(Reading::known);
    let address = &device.pci.value()?.address;
    devices.find(|cuda| cuda.pci.value().is_some_and(|pci| same_slot(pci, address)))
}

/// Device memory; where host and device share one, NVML has no figure and the host's counts.
fn memory(device: &NvmlDevice, cuda: Option<&CudaDevice>, capture: &Capture) -> Memory {
    if let Some(memory) = device.memory.value().or(device.memory_v2.value()) {
        let [total, used, free] = [memory.total, memory.used, memory.free].map(Reading::Known);
        return Memory { total, used, free };
    }
    let shared = device.memory.failure().is_some_and(|failure| failure.code == 3);
    let text = file(capture, "/proc/meminfo").known().copied().filter(|_| shared);
    match (text.and_then(|text| meminfo(text, "MemTotal")), text.and_then(|text| meminfo(text, "MemAvailable"))) {
        (Some(total), Some(free)) => {
            Memory { total: Reading::Known(total), used: Reading::Known(total - free), free: Reading::Known(free) }
        }
        _ => {
            let total = cuda.map_or_else(|| device.memory.reading().map(|memory| memory.total), |cuda| cuda.total_memory.reading());
            let rest = || device.memory.reading().map(|memory| memory.used);
            Memory { total, used: rest(), free: rest() }
        }
    }
}

fn watts(call: &Call<u32>) -> Reading<u64> {
    call.reading().map(|milliwatts| u64::from(milliwatts) / 1000)
}

fn flag(call: &Call<u32>) -> Reading<bool> {
    call.reading().map(|value| value != 0)
}

fn ecc(device: &NvmlDevice) -> Ecc {
    let rows = device.remapped_rows.reading();
    let pages = &device.retired_pages;
    Ecc {
        enabled: device.modes.ecc.reading().map(|(now, _)| now == 1),
        uncorrected: device.ecc.volatile_uncorrected.reading(),
        uncorrected_ever: device.ecc.aggregate_uncorrected.reading(),
        retired_pages: pages
            .single_bit
            .reading()
            .and_then(|single| pages.double_bit.reading().map(|double| u64::from(single) + u64::from(double))),
        retirement_pending: flag(&pages.pending),
        remapped_rows: rows.clone().map(|rows| u64::from(rows.uncorrected)),
        remap_pending: rows.clone().map(|rows| rows.pending),
        remap_failed: rows.map(|rows| rows.failed),
    }
}

fn pcie(device: &NvmlDevice, bus: Option<&PciDevice>, capture: &Capture) -> Pcie {
    let number = |call: &Call<u32>| call.reading().map(u64::from);
    let bridges: Vec<&PciDevice> = bus
        .into_iter()
        .flat_map(|device| &device.bridges)
        .filter_map(|address| capture.pci.known()?.iter().find(|other| other.address == *address))
        .collect();
    let slot = bridges.first();
    let unseen = || "the bridge above the card is not seen";
    Pcie {
        generation: number(&device.pcie.generation),
        width: number(&device.pcie.width),
        max_generation: number(&device.pcie.max_generation),
        max_width: number(&device.pcie.max_width),
        slot_generation: slot.map_or_else(
            || Reading::unreadable(unseen()),
            |slot| slot.max_link_speed.as_ref().and_then(|speed| Reading::from(generation(speed))),
        ),
        slot_width: slot.map_or_else(|| Reading::unreadable(unseen()), |slot| slot.max_link_width.clone().map(u64::from)),
        acs: acs(&bridges),
    }
}

/// The PCI Express generation of a link speed as sysfs writes it.
fn generation(speed: &str) -> Option<u64> {
    let rate: f64 = speed.split_whitespace().next()?.parse().ok()?;
    [2.5, 5.0, 8.0, 16.0, 32.0, 64.0].iter().position(|known| (rate - known).abs() < 0.01).map(|place| place as u64 + 1)
}

/// Whether a bridge redirects requests or completions between its ports: bits 2 and 3 of the ACS control register.
fn acs(bridges: &[&PciDevice]) -> Reading<bool> {
    const REDIRECTS: u16 = 0b1100;
    let controls: Vec<&Reading<u16>> = bridges.iter().map(|bridge| &bridge.acs_control).collect();
    if controls.iter().any(|control| control.known().is_some_and(|bits| bits & REDIRECTS != 0)) {
        return Reading::Known(true);
    }
    match controls.iter().find_map(|control| control.reason()) {
        Some(reason) => Reading::unreadable(reason),
        None if controls.is_empty() => Reading::unreadable("the bridges above the card are not seen"),
        None => Reading::Known(false),
    }
}

fn mig(device: &NvmlDevice) -> Mig {
    let mode = device.modes.mig.reading();
    Mig {
        enabled: mode.clone().map(|(now, _)| now == 1),
        pending_change: mode.map(|(now, next)| now != next),
        instances: Reading::Known(device.instances.seen.len() as u64),
    }
}

fn fabric(device: &NvmlDevice) -> Fabric {
    let fabric = device.fabric.reading();
    let health = fabric.clone().and_then(|fabric| fabric.health_summary);
    Fabric {
        state: fabric.clone().map(|fabric| {
            ["not-supported", "not-started", "in-progress", "completed"].get(fabric.state as usize).unwrap_or(&"unknown").to_string()
        }),
        status: fabric.map(|fabric| i64::from(fabric.status)),
        health: health.map(|health| {
            ["not-supported", "healthy", "unhealthy", "limited-capacity"].get(health as usize).unwrap_or(&"unknown").to_string()
        }),
    }
}

fn nvlink(device: &NvmlDevice) -> Nvlink {
    let states: Vec<Reading<u32>> = device.links.iter().map(|link| link.state.reading()).collect();
    let answered = states.iter().filter_map(Reading::known);
    let (up, down): (Vec<&u32>, Vec<&u32>) = answered.partition(|state| **state == 1);
    let known = |number: usize| Reading::Known(number as u64);
    Nvlink { active: known(up.len()), inactive: known(down.len()) }
}

/// The first answer that says that the card is lost (15) or needs a reset (16).
fn lost_code(device: &NvmlDevice) -> Reading<i64> {
    let codes =
        [device.name.code(), device.memory.code(), device.temperature.code(), device.utilization.code(), device.power.usage_mw.code()];
    let lost = codes.iter().flatten().find(|code| matches!(code, 15 | 16)).copied();
    if codes.iter().all(Option::is_none) { Reading::unreadable("NVML was not asked") } else { Reading::Known(lost.unwrap_or(0)) }
}

/// The bits of `nvmlDeviceGetCurrentClocksEventReasons`, lowest first.
const THROTTLE: [&str; 11] = [
    "gpu-idle",
    "applications-clocks",
    "software-power-cap",
    "hardware-slowdown",
    "sync-boost",
    "software-thermal-slowdown",
    "hardware-thermal-slowdown",
    "hardware-power-brake",
    "display-clock",
    "board-limit",
    "reliability",
];

fn throttle_names(bits: u64) -> Vec<String> {
    THROTTLE.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| (*name).to_owned()).collect()
}

/// `nvmlComputeMode_t`.
const fn compute_mode(mode: u32) -> &'static str {
    match mode {
        0 => "default",
        1 => "exclusive-thread",
        2 => "prohibited",
        3 => "exclusive-process",
        _ => "unknown",
    }
}

/// `nvmlDeviceGpuRecoveryAction_t`.
const fn recovery(action: u64) -> &'static str {
    match action {
        0 => "none",
        1 => "gpu-reset",
        2 => "node-reboot",
        3 => "drain-p2p",
        4 => "drain-and-reset",
        5 => "recover-imex-domain",
        6 => "bus-reset",
        7 => "system-reboot",
        _ => "unknown",
    }
}
