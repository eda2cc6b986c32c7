//! The MIG instances of a GPU.

use std::ptr;

use super::Handle;
use super::answer::{call, number, text};
use super::device::{Gpu, memory_of};
use crate::capture::call::Call;
use crate::capture::nvml::{MigInstance, NvmlDevice};

/// More instances than any GPU can be cut into.
const MOST: u32 = 64;

/// Asks for each instance; NVML has them at any of the indices below its maximum.
pub(super) fn probe(gpu: Gpu<'_>, handle: Handle) {
    let library = gpu.session.library;
    let mut most = 0;
    gpu.ask(
        "nvmlDeviceGetMaxMigDeviceCount",
        |d, c| d.instances.most = c,
        || {
            let call = number(|value| call!(library.nvmlDeviceGetMaxMigDeviceCount(handle.0, value)));
            most = call.as_ref().and_then(Call::value).copied().unwrap_or(0);
            call
        },
    );
    for index in 0..most.min(MOST) {
        let mut instance = Handle(ptr::null_mut());
        gpu.session.emitter.at("nvmlDeviceGetMigDeviceHandleByIndex");
        let code = call!(library.nvmlDeviceGetMigDeviceHandleByIndex(handle.0, index, &raw mut instance.0));
        if code == Some(0) && !instance.0.is_null() {
            gpu.keep(|d| d.instances.seen.push(MigInstance::default()));
            ask(gpu, instance);
        }
    }
}

fn ask(gpu: Gpu<'_>, Handle(device): Handle) {
    let library = gpu.session.library;
    gpu.ask("nvmlDeviceGetName", on(|i, c| i.name = c), || text(|buffer, length| call!(library.nvmlDeviceGetName(device, buffer, length))));
    gpu.ask("nvmlDeviceGetUUID", on(|i, c| i.uuid = c), || text(|buffer, length| call!(library.nvmlDeviceGetUUID(device, buffer, length))));
    gpu.ask("nvmlDeviceGetGpuInstanceId", on(|i, c| i.gpu_instance = c), || {
        number(|value| call!(library.nvmlDeviceGetGpuInstanceId(device, value)))
    });
    gpu.ask("nvmlDeviceGetComputeInstanceId", on(|i, c| i.compute_instance = c), || {
        number(|value| call!(library.nvmlDeviceGetComputeInstanceId(device, value)))
    });
    gpu.ask("nvmlDeviceGetMemoryInfo", on(|i, c| i.memory = c), || memory_of(gpu.session, Handle(device)));
}

/// Keeps a call's outcome in the last instance.
fn on<T>(keep: impl Fn(&mut MigInstance, Call<T>)) -> impl Fn(&mut NvmlDevice, Call<T>) {
    move |device, call| {
        if let Some(instance) = device.instances.seen.last_mut() {
            keep(instance, call);
        }
    }
}
