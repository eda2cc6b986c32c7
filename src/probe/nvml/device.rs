//! One GPU, from its handle to its processes.

use std::ptr;

use nvml_wrapper_sys::bindings as sys;

use super::answer::{call, number, outcome, string, text, two};
use super::{Handle, Session, instances, links, processes};
use crate::capture::call::Call;
use crate::capture::nvml::{Fabric, Memory, Nvml, NvmlDevice, PciAddress, RemappedRows, Utilization};
use crate::reading::Reading;
use crate::units::Bytes;

/// A GPU that is being asked.
#[derive(Clone, Copy)]
pub(super) struct Gpu<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) index: u32,
}

impl Gpu<'_> {
    /// Makes one call about this GPU and keeps its outcome. Returns the code that it returned.
    pub(super) fn ask<T>(
        &self,
        name: &str,
        keep: impl Fn(&mut NvmlDevice, Call<T>),
        make: impl FnOnce() -> Option<Call<T>>,
    ) -> Option<i64> {
        self.session.ask(&format!("{name} of GPU {}", self.index), |nvml, call| self.with(nvml, |device| keep(device, call)), make)
    }

    /// Changes what is kept of this GPU.
    pub(super) fn keep(&self, change: impl FnOnce(&mut NvmlDevice)) {
        self.session.with(|nvml| self.with(nvml, change));
    }

    fn with(&self, nvml: &mut Nvml, change: impl FnOnce(&mut NvmlDevice)) {
        if let Some(Reading::Known(device)) = nvml.devices.get_mut(self.index as usize) {
            change(device);
        }
    }
}

/// Asks everything of GPU `index`; returns its handle if it has one.
pub(super) fn probe(session: &Session<'_>, index: u32) -> Option<Handle> {
    let gpu = Gpu { session, index };
    let library = session.library;
    let mut handle = Handle(ptr::null_mut());
    gpu.ask(
        "nvmlDeviceGetHandleByIndex_v2",
        |d, c| d.handle = c,
        || outcome((), call!(library.nvmlDeviceGetHandleByIndex_v2(index, &raw mut handle.0))?),
    );
    if handle.0.is_null() {
        return None;
    }
    identity(gpu, handle);
    memory(gpu, handle);
    state(gpu, handle);
    pcie(gpu, handle);
    modes(gpu, handle);
    health(gpu, handle);
    links::probe(gpu, handle);
    instances::probe(gpu, handle);
    processes::probe(gpu, handle);
    session.emitter.part();
    Some(handle)
}

fn identity(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    gpu.ask("nvmlDeviceGetPciInfo_v3", |d, c| d.pci = c, || pci(|info| call!(library.nvmlDeviceGetPciInfo_v3(device, info))));
    gpu.ask("nvmlDeviceGetName", |d, c| d.name = c, || text(|buffer, length| call!(library.nvmlDeviceGetName(device, buffer, length))));
    gpu.ask("nvmlDeviceGetUUID", |d, c| d.uuid = c, || text(|buffer, length| call!(library.nvmlDeviceGetUUID(device, buffer, length))));
    gpu.ask(
        "nvmlDeviceGetSerial",
        |d, c| d.serial = c,
        || text(|buffer, length| call!(library.nvmlDeviceGetSerial(device, buffer, length))),
    );
    gpu.ask("nvmlDeviceGetMinorNumber", |d, c| d.minor = c, || number(|value| call!(library.nvmlDeviceGetMinorNumber(device, value))));
    gpu.ask("nvmlDeviceGetBrand", |d, c| d.brand = c, || number(|value| call!(library.nvmlDeviceGetBrand(device, value))));
    gpu.ask(
        "nvmlDeviceGetArchitecture",
        |d, c| d.architecture = c,
        || number(|value| call!(library.nvmlDeviceGetArchitecture(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetCudaComputeCapability",
        |d, c| d.capability = c,
        || two(|major, minor| call!(library.nvmlDeviceGetCudaComputeCapability(device, major, minor))),
    );
}

/// A function that writes where a device is.
pub(super) fn pci(function: impl FnOnce(*mut sys::nvmlPciInfo_t) -> Option<sys::nvmlReturn_t>) -> Option<Call<PciAddress>> {
    let mut info =
        sys::nvmlPciInfo_t { busIdLegacy: [0; 16], domain: 0, bus: 0, device: 0, pciDeviceId: 0, pciSubSystemId: 0, busId: [0; 32] };
    let code = function(&raw mut info)?;
    // NVML writes the domain with eight digits, the kernel with four; its text also has the function.
    let function = string(&info.busId).rsplit_once('.').and_then(|(_, digit)| digit.parse::<u32>().ok()).unwrap_or(0);
    let address = format!("{:04x}:{:02x}:{:02x}.{function}", info.domain, info.bus, info.device);
    outcome(PciAddress { address, device: info.pciDeviceId, subsystem: info.pciSubSystemId }, code)
}

fn memory(gpu: Gpu<'_>, handle: Handle) {
    gpu.ask("nvmlDeviceGetMemoryInfo", |d, c| d.memory = c, || memory_of(gpu.session, handle));
    let (library, device) = (gpu.session.library, handle.0);
    gpu.ask(
        "nvmlDeviceGetMemoryInfo_v2",
        |d, c| d.memory_v2 = c,
        || {
            let mut info = sys::nvmlMemory_v2_t { version: version::<sys::nvmlMemory_v2_t>(2), total: 0, reserved: 0, free: 0, used: 0 };
            let code = call!(library.nvmlDeviceGetMemoryInfo_v2(device, &raw mut info))?;
            let reserved = Reading::Known(Bytes(info.reserved));
            outcome(Memory { total: Bytes(info.total), reserved, free: Bytes(info.free), used: Bytes(info.used) }, code)
        },
    );
    gpu.ask(
        "nvmlDeviceGetBAR1MemoryInfo",
        |d, c| d.bar1 = c,
        || {
            let mut info = sys::nvmlBAR1Memory_t { bar1Total: 0, bar1Free: 0, bar1Used: 0 };
            let code = call!(library.nvmlDeviceGetBAR1MemoryInfo(device, &raw mut info))?;
            let (total, free, used) = (Bytes(info.bar1Total), Bytes(info.bar1Free), Bytes(info.bar1Used));
            outcome(Memory { total, reserved: Reading::Absent, free, used }, code)
        },
    );
}

/// `nvmlDeviceGetMemoryInfo` of a GPU or a MIG instance.
pub(super) fn memory_of(session: &Session<'_>, handle: Handle) -> Option<Call<Memory>> {
    let library = session.library;
    let mut info = sys::nvmlMemory_t { total: 0, free: 0, used: 0 };
    let code = call!(library.nvmlDeviceGetMemoryInfo(handle.0, &raw mut info))?;
    outcome(Memory { total: Bytes(info.total), reserved: Reading::Absent, free: Bytes(info.free), used: Bytes(info.used) }, code)
}

fn state(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    gpu.ask(
        "nvmlDeviceGetUtilizationRates",
        |d, c| d.utilization = c,
        || {
            let mut rates = sys::nvmlUtilization_t { gpu: 0, memory: 0 };
            let code = call!(library.nvmlDeviceGetUtilizationRates(device, &raw mut rates))?;
            outcome(Utilization { gpu: rates.gpu, memory: rates.memory }, code)
        },
    );
    gpu.ask(
        "nvmlDeviceGetTemperature",
        |d, c| d.temperature = c,
        || number(|value| call!(library.nvmlDeviceGetTemperature(device, sys::nvmlTemperatureSensors_enum_NVML_TEMPERATURE_GPU, value))),
    );
    gpu.ask(
        "nvmlDeviceGetTemperatureThreshold",
        |d, c| d.slowdown_temperature = c,
        || {
            let threshold = sys::nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SLOWDOWN;
            number(|value| call!(library.nvmlDeviceGetTemperatureThreshold(device, threshold, value)))
        },
    );
    gpu.ask(
        "nvmlDeviceGetPowerUsage",
        |d, c| d.power.usage_mw = c,
        || number(|value| call!(library.nvmlDeviceGetPowerUsage(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetEnforcedPowerLimit",
        |d, c| d.power.enforced_limit_mw = c,
        || number(|value| call!(library.nvmlDeviceGetEnforcedPowerLimit(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetPowerManagementLimit",
        |d, c| d.power.limit_mw = c,
        || number(|value| call!(library.nvmlDeviceGetPowerManagementLimit(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetPowerManagementDefaultLimit",
        |d, c| d.power.default_limit_mw = c,
        || number(|value| call!(library.nvmlDeviceGetPowerManagementDefaultLimit(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetPowerManagementLimitConstraints",
        |d, c| d.power.limit_range_mw = c,
        || two(|low, high| call!(library.nvmlDeviceGetPowerManagementLimitConstraints(device, low, high))),
    );
    let (sm, memory) = (sys::nvmlClockType_enum_NVML_CLOCK_SM, sys::nvmlClockType_enum_NVML_CLOCK_MEM);
    gpu.ask(
        "nvmlDeviceGetClockInfo",
        |d, c| d.clocks.sm_mhz = c,
        || number(|value| call!(library.nvmlDeviceGetClockInfo(device, sm, value))),
    );
    gpu.ask(
        "nvmlDeviceGetClockInfo",
        |d, c| d.clocks.memory_mhz = c,
        || number(|value| call!(library.nvmlDeviceGetClockInfo(device, memory, value))),
    );
    gpu.ask(
        "nvmlDeviceGetMaxClockInfo",
        |d, c| d.clocks.max_sm_mhz = c,
        || number(|value| call!(library.nvmlDeviceGetMaxClockInfo(device, sm, value))),
    );
    gpu.ask(
        "nvmlDeviceGetMaxClockInfo",
        |d, c| d.clocks.max_memory_mhz = c,
        || number(|value| call!(library.nvmlDeviceGetMaxClockInfo(device, memory, value))),
    );
    // The older name is the only one before driver 535.
    gpu.ask(
        "nvmlDeviceGetCurrentClocksEventReasons",
        |d, c| d.clocks.reasons = c,
        || {
            number(|value| {
                call!(library.nvmlDeviceGetCurrentClocksEventReasons(device, value))
                    .or_else(|| call!(library.nvmlDeviceGetCurrentClocksThrottleReasons(device, value)))
            })
        },
    );
    gpu.ask(
        "nvmlDeviceGetPerformanceState",
        |d, c| d.performance_state = c,
        || number(|value| call!(library.nvmlDeviceGetPerformanceState(device, value))),
    );
}

fn pcie(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    gpu.ask(
        "nvmlDeviceGetCurrPcieLinkGeneration",
        |d, c| d.pcie.generation = c,
        || number(|value| call!(library.nvmlDeviceGetCurrPcieLinkGeneration(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetMaxPcieLinkGeneration",
        |d, c| d.pcie.max_generation = c,
        || number(|value| call!(library.nvmlDeviceGetMaxPcieLinkGeneration(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetGpuMaxPcieLinkGeneration",
        |d, c| d.pcie.gpu_max_generation = c,
        || number(|value| call!(library.nvmlDeviceGetGpuMaxPcieLinkGeneration(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetCurrPcieLinkWidth",
        |d, c| d.pcie.width = c,
        || number(|value| call!(library.nvmlDeviceGetCurrPcieLinkWidth(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetMaxPcieLinkWidth",
        |d, c| d.pcie.max_width = c,
        || number(|value| call!(library.nvmlDeviceGetMaxPcieLinkWidth(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetPcieReplayCounter",
        |d, c| d.pcie.replays = c,
        || number(|value| call!(library.nvmlDeviceGetPcieReplayCounter(device, value))),
    );
}

fn modes(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    gpu.ask(
        "nvmlDeviceGetPersistenceMode",
        |d, c| d.modes.persistence = c,
        || number(|value| call!(library.nvmlDeviceGetPersistenceMode(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetComputeMode",
        |d, c| d.modes.compute = c,
        || number(|value| call!(library.nvmlDeviceGetComputeMode(device, value))),
    );
    gpu.ask("nvmlDeviceGetEccMode", |d, c| d.modes.ecc = c, || two(|now, next| call!(library.nvmlDeviceGetEccMode(device, now, next))));
    gpu.ask("nvmlDeviceGetMigMode", |d, c| d.modes.mig = c, || two(|now, next| call!(library.nvmlDeviceGetMigMode(device, now, next))));
    gpu.ask(
        "nvmlDeviceGetVirtualizationMode",
        |d, c| d.modes.virtualization = c,
        || number(|value| call!(library.nvmlDeviceGetVirtualizationMode(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetDisplayActive",
        |d, c| d.modes.display_active = c,
        || number(|value| call!(library.nvmlDeviceGetDisplayActive(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetAddressingMode",
        |d, c| d.modes.addressing = c,
        || {
            let mut mode = sys::nvmlDeviceAddressingMode_t { version: version::<sys::nvmlDeviceAddressingMode_t>(1), value: 0 };
            let code = call!(library.nvmlDeviceGetAddressingMode(device, &raw mut mode))?;
            outcome(mode.value, code)
        },
    );
    gpu.ask(
        "nvmlDeviceGetGridLicensableFeatures_v4",
        |d, c| d.modes.licences = c,
        || {
            // SAFETY: the structure holds only numbers and arrays of them, for which zero is a value.
            let mut features: sys::nvmlGridLicensableFeatures_t = unsafe { std::mem::zeroed() };
            let code = call!(library.nvmlDeviceGetGridLicensableFeatures_v4(device, &raw mut features))?;
            let count = features.licensableFeaturesCount as usize;
            let each = features.gridLicensableFeatures.iter().take(count);
            outcome(each.map(|feature| (feature.featureCode, feature.featureState != 0)).collect(), code)
        },
    );
}

fn health(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    let (corrected, uncorrected) =
        (sys::nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_CORRECTED, sys::nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_UNCORRECTED);
    let (volatile, aggregate) = (sys::nvmlEccCounterType_enum_NVML_VOLATILE_ECC, sys::nvmlEccCounterType_enum_NVML_AGGREGATE_ECC);
    let errors = |kind, counter| number(|value| call!(library.nvmlDeviceGetTotalEccErrors(device, kind, counter, value)));
    let name = "nvmlDeviceGetTotalEccErrors";
    gpu.ask(name, |d, c| d.ecc.volatile_corrected = c, || errors(corrected, volatile));
    gpu.ask(name, |d, c| d.ecc.volatile_uncorrected = c, || errors(uncorrected, volatile));
    gpu.ask(name, |d, c| d.ecc.aggregate_corrected = c, || errors(corrected, aggregate));
    gpu.ask(name, |d, c| d.ecc.aggregate_uncorrected = c, || errors(uncorrected, aggregate));
    let retired = |cause| {
        let mut count = 0;
        let code = call!(library.nvmlDeviceGetRetiredPages(device, cause, &raw mut count, ptr::null_mut()))?;
        // Without room for the addresses, it says how many there are and that they do not fit.
        outcome(count, if code == sys::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE { 0 } else { code })
    };
    let name = "nvmlDeviceGetRetiredPages";
    gpu.ask(
        name,
        |d, c| d.retired_pages.single_bit = c,
        || retired(sys::nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS),
    );
    gpu.ask(
        name,
        |d, c| d.retired_pages.double_bit = c,
        || retired(sys::nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR),
    );
    gpu.ask(
        "nvmlDeviceGetRetiredPagesPendingStatus",
        |d, c| d.retired_pages.pending = c,
        || number(|value| call!(library.nvmlDeviceGetRetiredPagesPendingStatus(device, value))),
    );
    gpu.ask(
        "nvmlDeviceGetRemappedRows",
        |d, c| d.remapped_rows = c,
        || {
            let (mut corrected, mut uncorrected, mut pending, mut failed) = (0, 0, 0, 0);
            let (a, b, c, d) = (&raw mut corrected, &raw mut uncorrected, &raw mut pending, &raw mut failed);
            let code = call!(library.nvmlDeviceGetRemappedRows(device, a, b, c, d))?;
            outcome(RemappedRows { corrected, uncorrected, pending: pending != 0, failed: failed != 0 }, code)
        },
    );
    gpu.ask("nvmlDeviceGetGpuFabricInfoV", |d, c| d.fabric = c, || fabric(gpu.session, handle));
    gpu.ask(
        "nvmlDeviceGetFieldValues",
        |d, c| d.recovery_action = c,
        || field(gpu.session, handle, sys::field_id::NVML_FI_DEV_GET_GPU_RECOVERY_ACTION),
    );
}

/// The newest form that the library knows; before driver 550 there is only the first.
fn fabric(session: &Session<'_>, handle: Handle) -> Option<Call<Fabric>> {
    let (library, device) = (session.library, handle.0);
    // SAFETY: the structure holds only numbers, for which zero is a value.
    let mut info: sys::nvmlGpuFabricInfo_v3_t = unsafe { std::mem::zeroed() };
    for (number, version) in [(3, version::<sys::nvmlGpuFabricInfo_v3_t>(3)), (2, version::<sys::nvmlGpuFabricInfo_v2_t>(2))] {
        info.version = version;
        let Some(code) = call!(library.nvmlDeviceGetGpuFabricInfoV(device, &raw mut info)) else { break };
        if code == sys::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH {
            continue;
        }
        let summary = if number == 3 { Reading::Known(u32::from(info.healthSummary)) } else { Reading::Absent };
        let (state, status, clique) = (info.state.into(), info.status, info.cliqueId);
        return outcome(Fabric { state, status, clique, health: Reading::Known(info.healthMask), health_summary: summary }, code);
    }
    let mut info = sys::nvmlGpuFabricInfo_t { clusterUuid: [0; 16], status: 0, cliqueId: 0, state: 0 };
    let code = call!(library.nvmlDeviceGetGpuFabricInfo(device, &raw mut info))?;
    let (state, status, clique) = (info.state.into(), info.status, info.cliqueId);
    outcome(Fabric { state, status, clique, health: Reading::Absent, health_summary: Reading::Absent }, code)
}

/// One value of `nvmlDeviceGetFieldValues`, which has a code of its own.
fn field(session: &Session<'_>, handle: Handle, id: u32) -> Option<Call<u64>> {
    let library = session.library;
    // SAFETY: the structure holds only numbers, for which zero is a value.
    let mut field: sys::nvmlFieldValue_t = unsafe { std::mem::zeroed() };
    field.fieldId = id;
    let code = call!(library.nvmlDeviceGetFieldValues(handle.0, 1, &raw mut field))?;
    let code = if code == sys::nvmlReturn_enum_NVML_SUCCESS { field.nvmlReturn } else { code };
    // SAFETY: every member of the union is a number; the library wrote a 32-bit or a 64-bit one into zeroes.
    outcome(unsafe { field.value.ullVal }, code)
}

/// How NVML marks the version of a structure: its size, and the version in the highest byte.
const fn version<T>(number: u32) -> u32 {
    size_of::<T>() as u32 | (number << 24)
}
