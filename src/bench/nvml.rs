//! Clocks, power and the reasons for throttling, while something runs. NVML that is missing or silent costs the readings, nothing else.

#![expect(unsafe_code, reason = "NVML is a C library")]

use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong, c_void};

use libloading::Library;

use crate::measurement::Conditions;

/// `NVML_CLOCK_SM`, `NVML_CLOCK_MEM`.
const CLOCKS: [c_uint; 2] = [1, 2];
/// `NVML_TEMPERATURE_GPU`.
const TEMPERATURE_OF_GPU: c_uint = 0;
/// `NVML_ERROR_GPU_IS_LOST`, `NVML_ERROR_RESET_REQUIRED`.
const LOST: c_int = 15;
const RESET_REQUIRED: c_int = 16;

/// Bits of `nvmlDeviceGetCurrentClocksThrottleReasons` that slow a kernel down, from nvml.h. Idleness (1), clocks that an
/// application asked for (2) and those of a display (256) are no reasons.
const REASONS: [(u64, &str); 6] = [
    (1 << 2, "software power cap"),
    (1 << 3, "hardware slowdown"),
    (1 << 4, "synchronised boost with other GPUs"),
    (1 << 5, "software thermal slowdown"),
    (1 << 6, "hardware thermal slowdown"),
    (1 << 7, "hardware power brake"),
];

/// `NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE`.
const LONGEST_VERSION: usize = 80;

/// The library, initialised.
fn load() -> Option<Library> {
    // SAFETY: loading runs the library's own initialisers. If they misbehave, only this process does.
    let library = unsafe { Library::new("libnvidia-ml.so.1") }.ok()?;
    // SAFETY: the signature is that of nvml.h.
    let started = unsafe { library.get::<unsafe extern "C" fn() -> c_int>(b"nvmlInit_v2\0").ok()?() };
    (started == 0).then_some(library)
}

/// One device of NVML.
#[derive(Debug)]
pub(super) struct Nvml {
    library: Library,
    device: *mut c_void,
}

impl Nvml {
    /// The device at a PCI address.
    pub(super) fn open(pci: &str) -> Option<Self> {
        let library = load()?;
        let (address, mut device) = (CString::new(pci).ok()?, std::ptr::null_mut());
        // SAFETY: the signature is that of nvml.h.
        let found = unsafe {
            let function = library
                .get::<unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> c_int>(b"nvmlDeviceGetHandleByPciBusId_v2\0")
                .ok()?;
            function(address.as_ptr(), &raw mut device)
        };
        (found == 0).then_some(Self { library, device })
    }

    /// The driver's version.
    pub(super) fn driver_version() -> Option<String> {
        let library = load()?;
        let mut text: [c_char; LONGEST_VERSION] = [0; LONGEST_VERSION];
        // SAFETY: the signature is that of nvml.h; one byte is kept from the library, so that the text ends.
        let code = unsafe {
            let function = library.get::<unsafe extern "C" fn(*mut c_char, c_uint) -> c_int>(b"nvmlSystemGetDriverVersion\0").ok()?;
            function(text.as_mut_ptr(), LONGEST_VERSION as c_uint - 1)
        };
        let bytes: Vec<u8> = text.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
        String::from_utf8(bytes).ok().filter(|_| code == 0)
    }

    /// Whether the device has fallen off its bus or needs a reset.
    pub(super) fn is_lost(&self) -> bool {
        let mut value = 0;
        // SAFETY: the signature is that of nvml.h, and the pointer outlives the call.
        let code = unsafe {
            self.library
                .get::<unsafe extern "C" fn(*mut c_void, c_uint, *mut c_uint) -> c_int>(b"nvmlDeviceGetTemperature\0")
                .map(|function| function(self.device, TEMPERATURE_OF_GPU, &raw mut value))
        };
        matches!(code, Ok(LOST | RESET_REQUIRED))
    }

    /// The device now.
    pub(super) fn conditions(&self) -> Conditions {
        let clock = |index: usize| self.of_kind(b"nvmlDeviceGetClockInfo\0", CLOCKS.get(index).copied().unwrap_or(0));
        let pair = |generation: &[u8], width: &[u8]| Some((self.number(generation)?, self.number(width)?));
        Conditions {
            sm_mhz: clock(0),
            memory_mhz: clock(1),
            temperature_c: self.of_kind(b"nvmlDeviceGetTemperature\0", TEMPERATURE_OF_GPU),
            power_mw: self.number(b"nvmlDeviceGetPowerUsage\0"),
            power_limit_mw: pair(b"nvmlDeviceGetEnforcedPowerLimit\0", b"nvmlDeviceGetPowerManagementDefaultLimit\0"),
            throttling: self.throttling(),
            pcie: pair(b"nvmlDeviceGetCurrPcieLinkGeneration\0", b"nvmlDeviceGetCurrPcieLinkWidth\0"),
            pcie_most: pair(b"nvmlDeviceGetMaxPcieLinkGeneration\0", b"nvmlDeviceGetMaxPcieLinkWidth\0"),
            ecc: self.ecc(),
        }
    }

    fn throttling(&self) -> Vec<String> {
        let mut bits: c_ulonglong = 0;
        // SAFETY: the signature is that of nvml.h, and the pointer outlives the call.
        let code = unsafe {
            self.library
                .get::<unsafe extern "C" fn(*mut c_void, *mut c_ulonglong) -> c_int>(b"nvmlDeviceGetCurrentClocksThrottleReasons\0")
                .map(|function| function(self.device, &raw mut bits))
        };
        if !matches!(code, Ok(0)) {
            return Vec::new();
        }
        REASONS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| (*name).to_owned()).collect()
    }

    /// Whether error correction is on now, where the device has it.
    fn ecc(&self) -> Option<bool> {
        let (mut now, mut pending) = (0, 0);
        // SAFETY: the signature is that of nvml.h, and the pointers outlive the call.
        let code = unsafe {
            self.library
                .get::<unsafe extern "C" fn(*mut c_void, *mut c_uint, *mut c_uint) -> c_int>(b"nvmlDeviceGetEccMode\0")
                .ok()
                .map(|function| function(self.device, &raw mut now, &raw mut pending))
        };
        (code == Some(0)).then_some(now == 1)
    }

    fn number(&self, name: &[u8]) -> Option<u32> {
        let mut value = 0;
        // SAFETY: the signature is that of nvml.h, and the pointer outlives the call.
        let code = unsafe {
            self.library
                .get::<unsafe extern "C" fn(*mut c_void, *mut c_uint) -> c_int>(name)
                .ok()
                .map(|function| function(self.device, &raw mut value))
        };
        (code == Some(0)).then_some(value)
    }

    fn of_kind(&self, name: &[u8], kind: c_uint) -> Option<u32> {
        let mut value = 0;
        // SAFETY: the signature is that of nvml.h, and the pointer outlives the call.
        let code = unsafe {
            self.library
                .get::<unsafe extern "C" fn(*mut c_void, c_uint, *mut c_uint) -> c_int>(name)
                .ok()
                .map(|function| function(self.device, kind, &raw mut value))
        };
        (code == Some(0)).then_some(value)
    }
}
