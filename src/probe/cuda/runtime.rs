//! Asks one CUDA runtime library whether it finds a device. Runs in a child process.

#![expect(unsafe_code, reason = "libcudart is a C library")]

use std::ffi::{CStr, OsStr, c_char, c_int};

use libloading::{Library, Symbol};

use crate::capture::call::{Call, Failure};
use crate::capture::cuda::Runtime;
use crate::probe::child::{Emitter, PENDING};
use crate::reading::Reading;

/// Fills the section from the library at `path`.
pub(crate) fn probe(emitter: &Emitter<Reading<Runtime>>, path: &OsStr) {
    emitter.at("dlopen");
    // SAFETY: loading runs the library's own initialisers. If they misbehave, only this process does.
    let library = match unsafe { Library::new(path) } {
        Ok(library) => library,
        Err(error) => {
            let said = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            *emitter.state() = Reading::Unreadable(said.chars().take(300).collect());
            return;
        }
    };
    *emitter.state() = Reading::Known(Runtime { path: path.to_string_lossy().into_owned(), ..Runtime::default() });
    ask(emitter, &library, "cudaRuntimeGetVersion", |runtime, call| runtime.version = call);
    ask(emitter, &library, "cudaDriverGetVersion", |runtime, call| runtime.driver_version = call);
    ask(emitter, &library, "cudaGetDeviceCount", |runtime, call| runtime.device_count = call);
}

/// Calls a function that writes one number.
fn ask(emitter: &Emitter<Reading<Runtime>>, library: &Library, name: &str, keep: fn(&mut Runtime, Call<c_int>)) {
    emitter.at(name);
    let put = |call| {
        if let Reading::Known(runtime) = &mut *emitter.state() {
            keep(runtime, call);
        }
    };
    put(Call::Stuck(format!("{PENDING} in `{name}`")));
    // SAFETY: each of these functions has this signature in cuda_runtime_api.h.
    let function: Result<Symbol<'_, unsafe extern "C" fn(*mut c_int) -> c_int>, _> = unsafe { library.get(name.as_bytes()) };
    let call = function.map_or(Call::Missing, |function| {
        let mut value = 0;
        // SAFETY: as above; the number outlives the call.
        match unsafe { function(&raw mut value) } {
            0 => Call::Value(value),
            code => Call::Failed(Failure { code: code.into(), name: error_name(library, code) }),
        }
    });
    put(call);
}

fn error_name(library: &Library, code: c_int) -> String {
    // SAFETY: the signature of cuda_runtime_api.h.
    let function: Result<Symbol<'_, unsafe extern "C" fn(c_int) -> *const c_char>, _> = unsafe { library.get(b"cudaGetErrorName\0") };
    // SAFETY: it returns a text that the library never frees, or nothing.
    let name = function.map_or(std::ptr::null(), |function| unsafe { function(code) });
    if name.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().chars().take(80).collect()
}
