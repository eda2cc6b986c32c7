//! A driver that does what it is told: `libnvidia-ml.so.1`, `libcuda.so.1` and `libcudart.so.12` in one library, without a GPU.
//!
//! `FAKE_DRIVER` tells it, in words parted by spaces. `gpus=2` and the like set what it has; `nvmlInit_v2=18` makes a call
//! return a code; instead of a code, `hang` never returns, `segv` and `abort` end the process, and `garbage` writes a text
//! without an end. `nvmlDeviceGetName@1=hang` does so for GPU 1 alone.

#![allow(non_snake_case, clippy::missing_safety_doc, reason = "the functions are NVIDIA's; only a test calls them")]

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::{Mutex, OnceLock};

mod cuda;
mod nvml;

/// What the words say.
fn told() -> &'static HashMap<String, String> {
    static TOLD: OnceLock<HashMap<String, String>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let words = std::env::var("FAKE_DRIVER").unwrap_or_default();
        words.split_whitespace().filter_map(|word| word.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    })
}

/// A setting, or what it is otherwise.
fn setting(name: &str, otherwise: u64) -> u64 {
    told().get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Does what is told of a call: the code to return at once, or none to go on.
fn act(name: &str, device: Option<usize>) -> Option<c_int> {
    let told = told();
    let value = device.and_then(|device| told.get(&format!("{name}@{device}"))).or_else(|| told.get(name))?;
    match value.as_str() {
        "hang" => loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        },
        "segv" => unsafe {
            std::ptr::null_mut::<u8>().write_volatile(1);
            None
        },
        "abort" => std::process::abort(),
        "garbage" => None,
        code => code.parse().ok(),
    }
}

/// Whether a call shall write a text without an end.
fn is_garbage(name: &str) -> bool {
    told().get(name).is_some_and(|value| value == "garbage")
}

/// Writes a text, or fills all of the place with bytes that are no text.
unsafe fn write(name: &str, text: &str, place: *mut c_char, length: usize) {
    let garbage = is_garbage(name);
    let bytes = text.as_bytes();
    for at in 0..length {
        let byte = if garbage { 0xfe } else { bytes.get(at).copied().unwrap_or(0) };
        unsafe { place.add(at).write(byte.cast_signed() as c_char) };
        if !garbage && at >= bytes.len() {
            break;
        }
    }
}

/// Declares a function: what it is told first, then what it does, then success.
macro_rules! fake {
    ($($name:ident ( $($argument:ident : $kind:ty),* ) $(of $device:expr)? => $body:block)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $kind),*) -> c_int {
            #[allow(unused_mut, unused_assignments, reason = "only some functions are about a device")]
            let mut device: Option<usize> = None;
            $(device = Some($device);)?
            if let Some(code) = act(stringify!($name), device) {
                return code;
            }
            #[allow(unused_unsafe, reason = "some bodies write nothing")]
            unsafe { $body }
            0
        }
    )*};
}
use fake;
