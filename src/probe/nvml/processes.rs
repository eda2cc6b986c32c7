//! The processes that use a GPU.

use nvml_wrapper_sys::bindings as sys;

use super::Handle;
use super::answer::{call, outcome};
use super::device::Gpu;
use crate::capture::call::Call;
use crate::capture::nvml::GpuProcess;
use crate::reading::Reading;
use crate::units::Bytes;

/// Most processes that are listed of one GPU.
const MOST: usize = 1024;
/// How NVML says that a 32-bit or a 64-bit number is not known.
const NO_INSTANCE: u32 = u32::MAX;
const NO_SIZE: u64 = u64::MAX;

/// Asks for those with a compute and those with a graphics context.
pub(super) fn probe(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    // The second version of the call has the same structure; the first had no instances, and went out of use with driver 470.
    gpu.ask(
        "nvmlDeviceGetComputeRunningProcesses",
        |d, c| d.compute_processes = c,
        || {
            list(|count, infos| {
                call!(library.nvmlDeviceGetComputeRunningProcesses_v3(device, count, infos))
                    .or_else(|| call!(library.nvmlDeviceGetComputeRunningProcesses_v2(device, count, infos)))
            })
        },
    );
    gpu.ask(
        "nvmlDeviceGetGraphicsRunningProcesses",
        |d, c| d.graphics_processes = c,
        || {
            list(|count, infos| {
                call!(library.nvmlDeviceGetGraphicsRunningProcesses_v3(device, count, infos))
                    .or_else(|| call!(library.nvmlDeviceGetGraphicsRunningProcesses_v2(device, count, infos)))
            })
        },
    );
}

fn list(function: impl FnOnce(*mut u32, *mut sys::nvmlProcessInfo_t) -> Option<sys::nvmlReturn_t>) -> Option<Call<Vec<GpuProcess>>> {
    let mut infos = vec![sys::nvmlProcessInfo_t { pid: 0, usedGpuMemory: 0, gpuInstanceId: 0, computeInstanceId: 0 }; MOST];
    let mut count = MOST as u32;
    let code = function(&raw mut count, infos.as_mut_ptr())?;
    let known = infos.into_iter().take(count as usize);
    outcome(known.map(|info| process(&info)).collect(), code)
}

fn process(info: &sys::nvmlProcessInfo_t) -> GpuProcess {
    let used = match info.usedGpuMemory {
        NO_SIZE => Reading::unreadable("the driver does not tell"),
        bytes => Reading::Known(Bytes(bytes)),
    };
    let instance = |number| if number == NO_INSTANCE { Reading::Absent } else { Reading::Known(number) };
    GpuProcess { pid: info.pid, used, gpu_instance: instance(info.gpuInstanceId), compute_instance: instance(info.computeInstanceId) }
}
