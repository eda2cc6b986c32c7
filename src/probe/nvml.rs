//! Asks NVML everything that matters, each call on its own. Runs in a child process.

#![expect(unsafe_code, reason = "NVML is a C library")]

mod answer;
mod device;
mod instances;
mod links;
mod pair;
mod processes;

use nvml_wrapper_sys::bindings::{NvmlLib, nvmlDevice_t};

use crate::capture::call::Call;
use crate::capture::nvml::{Nvml, NvmlDevice};
use crate::probe::child::{self, Emitter, Ending, PENDING};
use crate::probe::mapped;
use crate::reading::Reading;
use answer::{call, number, outcome, text};

/// The name under which every program loads it.
pub(super) const LIBRARY: &str = "libnvidia-ml.so.1";

/// More GPUs than any machine has; a number above it is garbage.
const MOST_GPUS: u32 = 256;

/// Fills the section; leaves it `Absent` when the loader finds no library.
pub(super) fn probe(emitter: &Emitter<Reading<Nvml>>) {
    emitter.at("dlopen");
    // SAFETY: loading runs the library's own initialisers. If they misbehave, only this process does.
    let library = match unsafe { NvmlLib::new(LIBRARY) } {
        Ok(library) => library,
        Err(error) => {
            *emitter.state() = mapped::not_loaded(&error);
            return;
        }
    };
    let (session, library) = (Session { library: &library, emitter }, &library);
    session.start();
    if session.ask("nvmlInit_v2", |nvml, c| nvml.init = c, || outcome((), call!(library.nvmlInit_v2())?)) != Some(0) {
        return;
    }
    emitter.part();
    session.ask(
        "nvmlSystemGetDriverVersion",
        |nvml, c| nvml.driver_version = c,
        || text(|buffer, length| call!(library.nvmlSystemGetDriverVersion(buffer, length))),
    );
    session.ask(
        "nvmlSystemGetNVMLVersion",
        |nvml, c| nvml.nvml_version = c,
        || text(|buffer, length| call!(library.nvmlSystemGetNVMLVersion(buffer, length))),
    );
    session.ask(
        "nvmlSystemGetCudaDriverVersion_v2",
        |nvml, c| nvml.cuda_version = c,
        || number(|value| call!(library.nvmlSystemGetCudaDriverVersion_v2(value))),
    );
    session.ask("nvmlDeviceGetCount_v2", |nvml, c| nvml.device_count = c, || number(|value| call!(library.nvmlDeviceGetCount_v2(value))));
    session.devices();
    // The process ends now; `nvmlShutdown` would only be one more call that can hang.
}

/// Marks what a lost child had not finished. Without a driver that started, there is nothing to keep.
pub(super) fn lost(section: &mut Reading<Nvml>, ending: &Ending) {
    let Reading::Known(nvml) = section else { return };
    if matches!(nvml.init, Call::NotCalled | Call::Stuck(_)) {
        *section = Reading::Unreadable(ending.reason.clone());
        return;
    }
    for device in &mut nvml.devices {
        // The last call about a device is that for its graphics processes.
        let cut_off = |device: &NvmlDevice| match &device.handle {
            Call::Value(()) => matches!(device.graphics_processes, Call::NotCalled | Call::Stuck(_)),
            handle => matches!(handle, Call::NotCalled | Call::Stuck(_)),
        };
        if let Reading::Known(device) = device
            && cut_off(device)
        {
            child::cut(device, &ending.reason);
        }
    }
    if nvml.devices.is_empty() {
        child::cut(nvml, &ending.reason);
    }
}

/// A loaded library and the section that its answers go to.
#[derive(Clone, Copy)]
struct Session<'a> {
    library: &'a NvmlLib,
    emitter: &'a Emitter<Reading<Nvml>>,
}

/// A GPU's handle, which NVML allows to be used from any thread.
#[derive(Clone, Copy)]
struct Handle(nvmlDevice_t);
// SAFETY: NVML documents its calls as safe from several threads, and a handle as valid in all of them.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Session<'_> {
    fn start(&self) {
        *self.emitter.state() = Reading::Known(Nvml { library: mapped::library("libnvidia-ml.so"), ..Nvml::default() });
        self.emitter.part();
    }

    /// Changes what is kept.
    fn with(&self, change: impl FnOnce(&mut Nvml)) {
        if let Reading::Known(nvml) = &mut *self.emitter.state() {
            change(nvml);
        }
    }

    /// Makes one call and keeps its outcome; while it has not returned, that says so. Returns the code that it returned.
    fn ask<T>(&self, name: &str, keep: impl Fn(&mut Nvml, Call<T>), make: impl FnOnce() -> Option<Call<T>>) -> Option<i64> {
        self.emitter.at(name);
        self.with(|nvml| keep(nvml, Call::Stuck(format!("{PENDING} in `{name}`"))));
        let answer = make().unwrap_or(Call::Missing);
        let code = answer.code();
        self.with(|nvml| keep(nvml, answer));
        code
    }

    /// All devices at once, then what connects them.
    fn devices(&self) {
        let count = match &*self.emitter.state() {
            Reading::Known(nvml) => nvml.device_count.value().copied().unwrap_or(0).min(MOST_GPUS),
            Reading::Absent | Reading::Unreadable(_) => 0,
        };
        self.with(|nvml| nvml.devices = (0..count).map(|_| Reading::Known(NvmlDevice::default())).collect());
        self.emitter.part();
        let handles: Vec<Option<Handle>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || device::probe(self, index))).collect();
            threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        self.emitter.part();
        pair::probe(self, &handles);
    }
}
