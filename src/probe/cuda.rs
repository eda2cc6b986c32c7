//! Asks the CUDA driver API what a program started here and now would be told. Runs in a child process.

mod api;
mod device;
mod peer;
pub(super) mod runtime;

use std::ffi::c_int;

use crate::capture::call::Call;
use crate::capture::cuda::{Cuda, CudaDevice};
use crate::probe::child::{self, Emitter, Ending, PENDING};
use crate::probe::mapped;
use crate::reading::Reading;
use api::{Api, Handle, call};

/// The name under which every program loads it.
pub(super) const LIBRARY: &str = "libcuda.so.1";

/// More devices than CUDA ever shows.
const MOST_DEVICES: i32 = 256;

/// Fills the section; leaves it `Absent` when the loader finds no library. `copy` also copies between each two devices.
pub(super) fn probe(emitter: &Emitter<Reading<Cuda>>, copy: bool) {
    emitter.at("dlopen");
    let api = match Api::load() {
        Ok(api) => api,
        Err(error) => {
            *emitter.state() = mapped::not_loaded(&error);
            return;
        }
    };
    let session = Session { api: &api, emitter };
    *emitter.state() = Reading::Known(Cuda { library: mapped::library("libcuda.so"), ..Cuda::default() });
    emitter.part();
    session.ask(
        "cuDriverGetVersion",
        |cuda, c| cuda.driver_version = c,
        || {
            let mut version = 0;
            api.outcome(call!(api.cuDriverGetVersion(&raw mut version)), version)
        },
    );
    if session.ask("cuInit", |cuda, c| cuda.init = c, || api.outcome(call!(api.cuInit(0)), ())) != Some(0) {
        return;
    }
    emitter.part();
    session.ask(
        "cuDeviceGetCount",
        |cuda, c| cuda.device_count = c,
        || {
            let mut count = 0;
            api.outcome(call!(api.cuDeviceGetCount(&raw mut count)), count)
        },
    );
    let mut count: c_int = 0;
    session.with(|cuda| {
        count = cuda.device_count.value().copied().unwrap_or(0).clamp(0, MOST_DEVICES);
        cuda.devices = (0..count).map(|_| Reading::Known(CudaDevice::default())).collect();
    });
    emitter.part();
    // Making a context takes long; on all devices at once it takes about as long as on one.
    let contexts: Vec<Option<Handle>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|ordinal| scope.spawn(move || device::probe(session, ordinal))).collect();
        threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    emitter.part();
    peer::access(session, count);
    if copy {
        peer::transfers(session, &contexts);
    }
    // The process ends now, and its contexts with it.
}

/// Marks what a lost child had not finished. Without a driver that started, there is nothing to keep.
pub(super) fn lost(section: &mut Reading<Cuda>, ending: &Ending) {
    let Reading::Known(cuda) = section else { return };
    if matches!(cuda.init, Call::NotCalled | Call::Stuck(_)) {
        *section = Reading::Unreadable(ending.reason.clone());
        return;
    }
    for device in &mut cuda.devices {
        // A device that made its context tried the kernel; one that did not is complete once that failed.
        let cut_off = |device: &CudaDevice| match &device.context {
            Call::Value(()) => matches!(device.module, Call::NotCalled | Call::Stuck(_)) || matches!(device.launch, Call::Stuck(_)),
            Call::NotCalled => device.name.failure().is_none(),
            context => matches!(context, Call::Stuck(_)),
        };
        if let Reading::Known(device) = device
            && cut_off(device)
        {
            child::cut(device, &ending.reason);
        }
    }
    for transfer in &mut cuda.transfers {
        if matches!(transfer.copy, Call::NotCalled | Call::Stuck(_)) {
            child::cut(transfer, &ending.reason);
        }
    }
    if cuda.devices.is_empty() {
        child::cut(cuda, &ending.reason);
    }
}

/// A loaded library and the section that its answers go to.
#[derive(Clone, Copy)]
struct Session<'a> {
    api: &'a Api,
    emitter: &'a Emitter<Reading<Cuda>>,
}

impl Session<'_> {
    /// Changes what is kept.
    fn with(&self, change: impl FnOnce(&mut Cuda)) {
        if let Reading::Known(cuda) = &mut *self.emitter.state() {
            change(cuda);
        }
    }

    /// Makes one call and keeps its outcome; while it has not returned, that says so. Returns the code that it returned.
    fn ask<T>(&self, name: &str, keep: impl Fn(&mut Cuda, Call<T>), make: impl FnOnce() -> Call<T>) -> Option<i64> {
        self.emitter.at(name);
        self.with(|cuda| keep(cuda, Call::Stuck(format!("{PENDING} in `{name}`"))));
        let answer = make();
        let code = answer.code();
        self.with(|cuda| keep(cuda, answer));
        code
    }
}
