//! The functions of NVML. A handle is the GPU's index plus one; that of a MIG instance, its index plus [`INSTANCES`].

use super::*;

/// Where handles of MIG instances begin; the instances of a GPU are sixteen handles apart from those of the next.
const INSTANCES: usize = 0x1000;

fn index(handle: *mut c_void) -> usize {
    let handle = handle as usize;
    if handle >= INSTANCES { (handle - INSTANCES) / 16 } else { handle.wrapping_sub(1) }
}

fn is_instance(handle: *mut c_void) -> bool {
    handle as usize >= INSTANCES
}

fn uuid(handle: *mut c_void) -> String {
    let kind = if is_instance(handle) { "MIG" } else { "GPU" };
    format!("{kind}-8932f937-d72c-4106-c12f-{:012x}", handle as usize)
}

fn total() -> u64 {
    setting("memory_mib", 81_559) << 20
}

fn used() -> u64 {
    setting("used_mib", 4) << 20
}

/// `nvmlPciInfo_t`.
#[repr(C)]
pub struct Pci {
    legacy: [c_char; 16],
    domain: c_uint,
    bus: c_uint,
    device: c_uint,
    id: c_uint,
    subsystem: c_uint,
    address: [c_char; 32],
}

unsafe fn pci(bus: usize, id: c_uint, place: *mut Pci) {
    let pci = unsafe { &mut *place };
    (pci.domain, pci.bus, pci.device, pci.id, pci.subsystem) = (0, bus as c_uint, 0, id, 0x16c1_10de);
    unsafe { write("", &format!("00000000:{bus:02X}:00.0"), pci.address.as_mut_ptr(), 32) };
}

/// `nvmlProcessInfo_t`.
#[repr(C)]
pub struct Process {
    pid: c_uint,
    used: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

unsafe fn processes(count: *mut c_uint, list: *mut Process) {
    let pid = setting("pid", 0) as c_uint;
    unsafe { count.write(u32::from(pid != 0)) };
    if pid != 0 {
        unsafe { list.write(Process { pid, used: used(), gpu_instance: u32::MAX, compute_instance: u32::MAX }) };
    }
}

/// The part of every version of `nvmlGpuFabricInfo` that a driver of today fills.
#[repr(C)]
pub struct Fabric {
    version: c_uint,
    cluster: [u8; 16],
    status: c_uint,
    clique: c_uint,
    state: u8,
    health: c_uint,
    summary: u8,
}

/// `nvmlFieldValue_t`.
#[repr(C)]
pub struct Field {
    id: c_uint,
    scope: c_uint,
    timestamp: i64,
    latency: i64,
    kind: c_uint,
    code: c_uint,
    value: u64,
}

fake! {
    nvmlInit_v2() => {}
    nvmlSystemGetDriverVersion(place: *mut c_char, length: c_uint) => { write("nvmlSystemGetDriverVersion", "580.95.05", place, length as usize) }
    nvmlSystemGetNVMLVersion(place: *mut c_char, length: c_uint) => { write("nvmlSystemGetNVMLVersion", "13.580.95.05", place, length as usize) }
    nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) => { version.write(13000) }
    nvmlDeviceGetCount_v2(count: *mut c_uint) => { count.write(setting("gpus", 1) as c_uint) }
    nvmlDeviceGetHandleByIndex_v2(number: c_uint, handle: *mut *mut c_void) of number as usize => { handle.write((number as usize + 1) as *mut c_void) }
    nvmlDeviceGetPciInfo_v3(handle: *mut c_void, info: *mut Pci) of index(handle) => { pci(0x18 + index(handle), 0x2330_10de, info) }
    nvmlDeviceGetName(handle: *mut c_void, place: *mut c_char, length: c_uint) of index(handle) => {
        let name = if is_instance(handle) { "NVIDIA H100 80GB HBM3 MIG 1g.10gb" } else { "NVIDIA H100 80GB HBM3" };
        write("nvmlDeviceGetName", name, place, length as usize)
    }
    nvmlDeviceGetUUID(handle: *mut c_void, place: *mut c_char, length: c_uint) of index(handle) => { write("nvmlDeviceGetUUID", &uuid(handle), place, length as usize) }
    nvmlDeviceGetSerial(handle: *mut c_void, place: *mut c_char, length: c_uint) of index(handle) => {
        write("nvmlDeviceGetSerial", &format!("16505220{:05}", handle as usize), place, length as usize)
    }
    nvmlDeviceGetMinorNumber(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(index(handle) as c_uint) }
    nvmlDeviceGetBrand(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(11) }
    nvmlDeviceGetArchitecture(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(9) }
    nvmlDeviceGetCudaComputeCapability(handle: *mut c_void, major: *mut c_int, minor: *mut c_int) of index(handle) => {
        major.write(9);
        minor.write(0)
    }
    nvmlDeviceGetMemoryInfo(handle: *mut c_void, info: *mut [c_ulonglong; 3]) of index(handle) => { info.write([total(), total() - used(), used()]) }
    nvmlDeviceGetMemoryInfo_v2(handle: *mut c_void, info: *mut [c_ulonglong; 5]) of index(handle) => {
        let version = (*info)[0];
        info.write([version, total(), 0, total() - used(), used()])
    }
    nvmlDeviceGetBAR1MemoryInfo(handle: *mut c_void, info: *mut [c_ulonglong; 3]) of index(handle) => { info.write([128 << 30, 127 << 30, 1 << 30]) }
    nvmlDeviceGetUtilizationRates(handle: *mut c_void, rates: *mut [c_uint; 2]) of index(handle) => { rates.write([setting("utilization", 0) as c_uint, 0]) }
    nvmlDeviceGetTemperature(handle: *mut c_void, _sensor: c_uint, value: *mut c_uint) of index(handle) => { value.write(34) }
    nvmlDeviceGetTemperatureThreshold(handle: *mut c_void, _kind: c_uint, value: *mut c_uint) of index(handle) => { value.write(89) }
    nvmlDeviceGetPowerUsage(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(71_000) }
    nvmlDeviceGetEnforcedPowerLimit(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(setting("power_w", 700) as c_uint * 1000) }
    nvmlDeviceGetPowerManagementLimit(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(setting("power_w", 700) as c_uint * 1000) }
    nvmlDeviceGetPowerManagementDefaultLimit(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(700_000) }
    nvmlDeviceGetPowerManagementLimitConstraints(handle: *mut c_void, low: *mut c_uint, high: *mut c_uint) of index(handle) => {
        low.write(200_000);
        high.write(700_000)
    }
    nvmlDeviceGetClockInfo(handle: *mut c_void, kind: c_uint, value: *mut c_uint) of index(handle) => { value.write(if kind == 2 { 2619 } else { 345 }) }
    nvmlDeviceGetMaxClockInfo(handle: *mut c_void, kind: c_uint, value: *mut c_uint) of index(handle) => { value.write(if kind == 2 { 2619 } else { 1980 }) }
    nvmlDeviceGetCurrentClocksEventReasons(handle: *mut c_void, value: *mut c_ulonglong) of index(handle) => { value.write(setting("reasons", 1)) }
    nvmlDeviceGetPerformanceState(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(0) }
    nvmlDeviceGetCurrPcieLinkGeneration(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(5) }
    nvmlDeviceGetMaxPcieLinkGeneration(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(5) }
    nvmlDeviceGetGpuMaxPcieLinkGeneration(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(5) }
    nvmlDeviceGetCurrPcieLinkWidth(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(setting("lanes", 16) as c_uint) }
    nvmlDeviceGetMaxPcieLinkWidth(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(16) }
    nvmlDeviceGetPcieReplayCounter(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(0) }
    nvmlDeviceGetPersistenceMode(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(setting("persistence", 1) as c_uint) }
    nvmlDeviceGetComputeMode(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(setting("compute_mode", 0) as c_uint) }
    nvmlDeviceGetEccMode(handle: *mut c_void, now: *mut c_uint, next: *mut c_uint) of index(handle) => {
        now.write(1);
        next.write(1)
    }
    nvmlDeviceGetMigMode(handle: *mut c_void, now: *mut c_uint, next: *mut c_uint) of index(handle) => {
        now.write(setting("mig_mode", u64::from(setting("mig", 0) > 0)) as c_uint);
        next.write(now.read())
    }
    nvmlDeviceGetVirtualizationMode(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(0) }
    nvmlDeviceGetDisplayActive(handle: *mut c_void, value: *mut c_uint) of index(handle) => { value.write(0) }
    nvmlDeviceGetTotalEccErrors(handle: *mut c_void, kind: c_uint, _counter: c_uint, value: *mut c_ulonglong) of index(handle) => {
        value.write(if kind == 1 { setting("ecc", 0) } else { 0 })
    }
    nvmlDeviceGetRemappedRows(handle: *mut c_void, a: *mut c_uint, b: *mut c_uint, pending: *mut c_uint, failed: *mut c_uint) of index(handle) => {
        a.write(0);
        b.write(setting("remap_pending", 0) as c_uint);
        pending.write(setting("remap_pending", 0) as c_uint);
        failed.write(setting("remap_failed", 0) as c_uint)
    }
    nvmlDeviceGetGpuFabricInfoV(handle: *mut c_void, info: *mut Fabric) of index(handle) => {
        let info = &mut *info;
        (info.status, info.clique, info.state, info.health, info.summary) = (0, 0, setting("fabric", 3) as u8, 0, 1)
    }
    nvmlDeviceGetFieldValues(handle: *mut c_void, _count: c_int, field: *mut Field) of index(handle) => {
        let field = &mut *field;
        (field.kind, field.code, field.value) = (1, 0, setting("recovery", 0))
    }
    nvmlDeviceGetMaxMigDeviceCount(handle: *mut c_void, count: *mut c_uint) of index(handle) => { count.write(7) }
    nvmlDeviceGetGpuInstanceId(handle: *mut c_void, id: *mut c_uint) of index(handle) => { id.write(7 + handle as c_uint % 16) }
    nvmlDeviceGetComputeInstanceId(handle: *mut c_void, id: *mut c_uint) of index(handle) => { id.write(0) }
    nvmlDeviceGetComputeRunningProcesses_v3(handle: *mut c_void, count: *mut c_uint, list: *mut Process) of index(handle) => { processes(count, list) }
    nvmlDeviceGetGraphicsRunningProcesses_v3(handle: *mut c_void, count: *mut c_uint, _list: *mut Process) of index(handle) => { count.write(0) }
    nvmlDeviceGetNvLinkVersion(handle: *mut c_void, _link: c_uint, value: *mut c_uint) of index(handle) => { value.write(6) }
    nvmlDeviceGetNvLinkRemoteDeviceType(handle: *mut c_void, _link: c_uint, value: *mut c_uint) of index(handle) => { value.write(if setting("bridges", 0) == 1 { 0 } else { 2 }) }
    nvmlDeviceGetNvLinkRemotePciInfo_v2(handle: *mut c_void, _link: c_uint, info: *mut Pci) of index(handle) => {
        // With bridges, the first GPU is joined to the last, the second to the last but one.
        if setting("bridges", 0) == 1 {
            pci(0x18 + (setting("gpus", 1) as usize).wrapping_sub(1).wrapping_sub(index(handle)), 0x2330_10de, info)
        } else {
            pci(0x07, 0x22a3_10de, info)
        }
    }
    nvmlDeviceGetNvLinkErrorCounter(handle: *mut c_void, _link: c_uint, _counter: c_uint, value: *mut c_ulonglong) of index(handle) => { value.write(0) }
    nvmlDeviceGetTopologyCommonAncestor(one: *mut c_void, _other: *mut c_void, level: *mut c_uint) of index(one) => { level.write(setting("level", 50) as c_uint) }
    nvmlDeviceGetP2PStatus(one: *mut c_void, _other: *mut c_void, _kind: c_uint, status: *mut c_uint) of index(one) => { status.write(setting("p2p", 0) as c_uint) }
}

/// There are as many links as there are told; those from `links_down` on are down.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetNvLinkState(handle: *mut c_void, link: c_uint, state: *mut c_uint) -> c_int {
    if let Some(code) = act("nvmlDeviceGetNvLinkState", Some(index(handle))) {
        return code;
    }
    if u64::from(link) >= setting("links", 0) {
        return if setting("links", 0) == 0 { 3 } else { 2 };
    }
    unsafe { state.write(u32::from(u64::from(link) < setting("links_up", 64))) };
    0
}

/// There are as many instances as are told; NVML finds nothing behind them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(handle: *mut c_void, number: c_uint, instance: *mut *mut c_void) -> c_int {
    if let Some(code) = act("nvmlDeviceGetMigDeviceHandleByIndex", Some(index(handle))) {
        return code;
    }
    if u64::from(number) >= setting("mig", 0) {
        return 6;
    }
    unsafe { instance.write((INSTANCES + index(handle) * 16 + number as usize) as *mut c_void) };
    0
}
