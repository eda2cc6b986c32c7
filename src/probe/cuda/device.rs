//! One CUDA device: what it says of itself, a context on it, and a kernel in that.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::Session;
use super::api::{Api, Handle, call};
use crate::capture::call::Call;
use crate::capture::cuda::{ContextMemory, Cuda, CudaDevice};
use crate::reading::Reading;
use crate::units::Bytes;

/// The kernel of the launch test.
const PTX: &CStr = {
    match CStr::from_bytes_with_nul(concat!(include_str!("answer.ptx"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
};
/// What it writes.
const ANSWER: u64 = 0x6770_7564_6173_6b73;

/// The attributes that are read, with their numbers in cuda.h of CUDA 13.5.
const ATTRIBUTES: [(&str, c_int); 28] = [
    ("multiprocessor_count", 16),
    ("kernel_exec_timeout", 17),
    ("integrated", 18),
    ("compute_mode", 20),
    ("ecc_enabled", 32),
    ("memory_clock_rate", 36),
    ("global_memory_bus_width", 37),
    ("l2_cache_size", 38),
    ("async_engine_count", 40),
    ("unified_addressing", 41),
    ("compute_capability_major", 75),
    ("compute_capability_minor", 76),
    ("max_shared_memory_per_multiprocessor", 81),
    ("managed_memory", 83),
    ("multi_gpu_board", 84),
    ("pageable_memory_access", 88),
    ("concurrent_managed_access", 89),
    ("max_shared_memory_per_block_optin", 97),
    ("pageable_memory_access_uses_host_page_tables", 100),
    ("virtual_memory_management_supported", 102),
    ("handle_type_posix_file_descriptor_supported", 103),
    ("memory_pools_supported", 115),
    ("gpu_direct_rdma_supported", 116),
    ("dma_buf_supported", 124),
    ("handle_type_fabric_supported", 128),
    ("multicast_supported", 132),
    ("mps_enabled", 133),
    ("host_numa_id", 134),
];

/// Asks everything of device `ordinal`; returns its context if it has one.
pub(super) fn probe(session: Session<'_>, ordinal: c_int) -> Option<Handle> {
    let one = One { session, ordinal };
    let api = session.api;
    let mut device = ordinal;
    if let Some(code) = call!(api.cuDeviceGet(&raw mut device, ordinal)).filter(|code| *code != 0) {
        one.keep(|d| d.name = api.outcome(Some(code), String::new()));
        return None;
    }
    identity(one, device);
    let mut attributes = BTreeMap::new();
    session.emitter.at(&format!("cuDeviceGetAttribute of device {ordinal}"));
    for (name, number) in ATTRIBUTES {
        let mut value = 0;
        let code = call!(api.cuDeviceGetAttribute(&raw mut value, number, device));
        attributes.insert(name.to_owned(), api.outcome(code, value));
    }
    one.keep(|d| d.attributes = attributes);
    let context = context(one, device);
    session.emitter.part();
    context
}

/// A device that is being asked.
#[derive(Clone, Copy)]
struct One<'a> {
    session: Session<'a>,
    ordinal: c_int,
}

impl One<'_> {
    fn ask<T>(&self, name: &str, keep: impl Fn(&mut CudaDevice, Call<T>), make: impl FnOnce(&Api) -> Call<T>) -> bool {
        let at = format!("{name} of device {}", self.ordinal);
        let code = self.session.ask(&at, |cuda, call| self.change(cuda, |device| keep(device, call)), || make(self.session.api));
        code == Some(0)
    }

    fn keep(&self, change: impl FnOnce(&mut CudaDevice)) {
        self.session.with(|cuda| self.change(cuda, change));
    }

    fn change(&self, cuda: &mut Cuda, change: impl FnOnce(&mut CudaDevice)) {
        let index = usize::try_from(self.ordinal).unwrap_or(usize::MAX);
        if let Some(Reading::Known(device)) = cuda.devices.get_mut(index) {
            change(device);
        }
    }
}

fn identity(one: One<'_>, device: c_int) {
    one.ask("cuDeviceGetName", |d, c| d.name = c, |api| text(api, |buffer, length| call!(api.cuDeviceGetName(buffer, length, device))));
    one.ask(
        "cuDeviceGetPCIBusId",
        |d, c| d.pci = c,
        |api| {
            let call = text(api, |buffer, length| call!(api.cuDeviceGetPCIBusId(buffer, length, device)));
            call.map(|address| address.to_ascii_lowercase())
        },
    );
    one.ask(
        "cuDeviceGetUuid",
        |d, c| d.uuid = c,
        |api| {
            let mut bytes = [0_u8; 16];
            let place = bytes.as_mut_ptr();
            // The second version tells a MIG instance from its GPU.
            let code = call!(api.cuDeviceGetUuid_v2(place, device)).or_else(|| call!(api.cuDeviceGetUuid(place, device)));
            api.outcome(code, uuid(bytes))
        },
    );
    one.ask(
        "cuDeviceTotalMem_v2",
        |d, c| d.total_memory = c,
        |api| {
            let mut bytes = 0;
            let code = call!(api.cuDeviceTotalMem_v2(&raw mut bytes, device));
            api.outcome(code, Bytes(bytes as u64))
        },
    );
}

/// A context, what is free in it, and the kernel.
fn context(one: One<'_>, device: c_int) -> Option<Handle> {
    let mut context = Handle::NULL;
    let made = one.ask(
        "cuDevicePrimaryCtxRetain",
        |d, c| d.context = c,
        |api| match api.outcome(call!(api.cuDevicePrimaryCtxRetain(&raw mut context, device)), ()) {
            Call::Value(()) => api.outcome(call!(api.cuCtxSetCurrent(context)), ()),
            failed => failed,
        },
    );
    if !made {
        return None;
    }
    one.ask(
        "cuMemGetInfo_v2",
        |d, c| d.memory = c,
        |api| {
            let (mut free, mut total) = (0, 0);
            let code = call!(api.cuMemGetInfo_v2(&raw mut free, &raw mut total));
            api.outcome(code, ContextMemory { free: Bytes(free as u64), total: Bytes(total as u64) })
        },
    );
    let mut module = Handle::NULL;
    let load = |api: &Api| api.outcome(call!(api.cuModuleLoadData(&raw mut module, PTX.as_ptr().cast())), ());
    if one.ask("cuModuleLoadData", |d, c| d.module = c, load) {
        let mut answer = 0;
        if one.ask("cuLaunchKernel", |d, c| d.launch = c, |api| launch(api, module, &mut answer)) {
            one.keep(|d| d.correct = Call::Value(answer == ANSWER));
        }
    }
    Some(context)
}

/// Runs the kernel and reads what it wrote: the first call that fails is the outcome.
fn launch(api: &Api, module: Handle, answer: &mut u64) -> Call<()> {
    let (mut function, mut place) = (Handle::NULL, 0);
    let mut argument: *mut c_void = (&raw mut place).cast();
    let out: *mut u64 = answer;
    let done = |code: Option<c_int>| api.outcome(code, ());
    let first = done(call!(api.cuModuleGetFunction(&raw mut function, module, c"answer".as_ptr())));
    let then = |call: Call<()>, next: &mut dyn FnMut() -> Option<c_int>| if call == Call::Value(()) { done(next()) } else { call };
    let call = then(first, &mut || call!(api.cuMemAlloc_v2(&raw mut place, size_of::<u64>())));
    let none = ptr::null_mut();
    let call = then(call, &mut || call!(api.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, Handle::NULL, &raw mut argument, none)));
    let call = then(call, &mut || call!(api.cuCtxSynchronize()));
    let call = then(call, &mut || call!(api.cuMemcpyDtoH_v2(out.cast(), place, size_of::<u64>())));
    then(call, &mut || call!(api.cuMemFree_v2(place)))
}

/// A function that writes a text, terminated or not, valid or not.
fn text(api: &Api, function: impl FnOnce(*mut c_char, c_int) -> Option<c_int>) -> Call<String> {
    const LENGTH: usize = 256;
    let mut buffer: [c_char; LENGTH] = [0; LENGTH];
    // One byte is kept from the library, so that a text that fills the buffer still ends.
    let code = function(buffer.as_mut_ptr(), LENGTH as c_int - 1);
    let bytes: Vec<u8> = buffer.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
    let text = String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    api.outcome(code, text)
}

/// As NVML writes it.
fn uuid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("GPU-{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_writes_the_answer() {
        assert!(PTX.to_str().expect("text").contains(&format!("0x{ANSWER:x}")));
    }

    #[test]
    fn a_uuid_reads_as_nvml_writes_it() {
        let bytes = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(uuid(bytes), "GPU-12345678-9abc-def0-0102-030405060708");
    }
}
