//! The NVLinks of a GPU.

use nvml_wrapper_sys::bindings as sys;

use super::Handle;
use super::answer::{call, number};
use super::device::{Gpu, pci};
use crate::capture::call::Call;
use crate::capture::nvml::{Link, NvmlDevice};

/// More links than any GPU has.
const MOST: u32 = 64;

/// Asks each link, until NVML knows no further one.
pub(super) fn probe(gpu: Gpu<'_>, handle: Handle) {
    let (library, device) = (gpu.session.library, handle.0);
    for link in 0..MOST {
        gpu.keep(|d| d.links.push(Link { number: link, ..Link::default() }));
        let mut state = Call::NotCalled;
        gpu.ask("nvmlDeviceGetNvLinkState", on(link, |l, c| l.state = c), || {
            let call = number(|value| call!(library.nvmlDeviceGetNvLinkState(device, link, value)));
            state = call.clone().unwrap_or(Call::Missing);
            call
        });
        match state {
            Call::Value(1) => {}
            // A link that is down is a finding; what else it says is not worth a call.
            Call::Value(_) => continue,
            // There is no such link, no NVLink at all, or no way to ask.
            Call::Failed(_) | Call::Missing | Call::NotCalled | Call::Stuck(_) => {
                let known = link == 0 && !matches!(state.code(), Some(2 | 3));
                gpu.keep(|d| d.links.truncate(if known { 1 } else { link as usize }));
                return;
            }
        }
        gpu.ask("nvmlDeviceGetNvLinkVersion", on(link, |l, c| l.version = c), || {
            number(|value| call!(library.nvmlDeviceGetNvLinkVersion(device, link, value)))
        });
        gpu.ask("nvmlDeviceGetNvLinkRemoteDeviceType", on(link, |l, c| l.remote_kind = c), || {
            number(|value| call!(library.nvmlDeviceGetNvLinkRemoteDeviceType(device, link, value)))
        });
        gpu.ask("nvmlDeviceGetNvLinkRemotePciInfo_v2", on(link, |l, c| l.remote = c), || {
            let info = pci(|info| call!(library.nvmlDeviceGetNvLinkRemotePciInfo_v2(device, link, info)));
            info.map(|call| call.map(|info| info.address))
        });
        let errors = |counter| number(|value| call!(library.nvmlDeviceGetNvLinkErrorCounter(device, link, counter, value)));
        let name = "nvmlDeviceGetNvLinkErrorCounter";
        gpu.ask(name, on(link, |l, c| l.replay_errors = c), || errors(sys::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_REPLAY));
        gpu.ask(name, on(link, |l, c| l.recovery_errors = c), || errors(sys::nvmlNvLinkErrorCounter_enum_NVML_NVLINK_ERROR_DL_RECOVERY));
    }
}

/// Keeps a call's outcome in link `number`.
fn on<T>(number: u32, keep: impl Fn(&mut Link, Call<T>)) -> impl Fn(&mut NvmlDevice, Call<T>) {
    move |device, call| {
        if let Some(link) = device.links.get_mut(number as usize) {
            keep(link, call);
        }
    }
}
