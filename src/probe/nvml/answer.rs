//! From what a C function returned to an outcome.

use std::ffi::c_char;

use nvml_wrapper_sys::bindings as sys;

use crate::capture::call::{Call, Failure};

/// Calls a function of the library; none when the library has no such function.
macro_rules! call {
    ($library:ident . $function:ident ( $($argument:expr),* $(,)? )) => {
        // SAFETY: the signature is that of NVML's header, and every pointer outlives the call.
        $library.$function.as_ref().ok().map(|function| unsafe { function($($argument),*) })
    };
}
macro_rules! names {
    ($code:expr, $($name:ident)*) => {
        match $code {
            $(sys::$name => stringify!($name).trim_start_matches("nvmlReturn_enum_"),)*
            _ => "unknown",
        }
    };
}
pub(super) use call;

/// The name of an error.
pub(crate) fn name(code: sys::nvmlReturn_t) -> &'static str {
    names!(code,
        nvmlReturn_enum_NVML_ERROR_UNINITIALIZED nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED
        nvmlReturn_enum_NVML_ERROR_NO_PERMISSION nvmlReturn_enum_NVML_ERROR_ALREADY_INITIALIZED nvmlReturn_enum_NVML_ERROR_NOT_FOUND
        nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_POWER
        nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED nvmlReturn_enum_NVML_ERROR_TIMEOUT nvmlReturn_enum_NVML_ERROR_IRQ_ISSUE
        nvmlReturn_enum_NVML_ERROR_LIBRARY_NOT_FOUND nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND
        nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED
        nvmlReturn_enum_NVML_ERROR_OPERATING_SYSTEM nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH nvmlReturn_enum_NVML_ERROR_IN_USE
        nvmlReturn_enum_NVML_ERROR_MEMORY nvmlReturn_enum_NVML_ERROR_NO_DATA nvmlReturn_enum_NVML_ERROR_VGPU_ECC_NOT_SUPPORTED
        nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_RESOURCES nvmlReturn_enum_NVML_ERROR_FREQ_NOT_SUPPORTED
        nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH nvmlReturn_enum_NVML_ERROR_DEPRECATED nvmlReturn_enum_NVML_ERROR_NOT_READY
        nvmlReturn_enum_NVML_ERROR_GPU_NOT_FOUND nvmlReturn_enum_NVML_ERROR_INVALID_STATE
        nvmlReturn_enum_NVML_ERROR_RESET_TYPE_NOT_SUPPORTED nvmlReturn_enum_NVML_ERROR_UNKNOWN
    )
}

/// `value`, if `code` is success.
pub(super) fn outcome<T>(value: T, code: sys::nvmlReturn_t) -> Option<Call<T>> {
    Some(match code {
        sys::nvmlReturn_enum_NVML_SUCCESS => Call::Value(value),
        code => Call::Failed(Failure { code: code.into(), name: name(code).to_owned() }),
    })
}

/// A function that writes one number, or one structure of numbers.
pub(super) fn number<T: Default>(function: impl FnOnce(*mut T) -> Option<sys::nvmlReturn_t>) -> Option<Call<T>> {
    let mut value = T::default();
    let code = function(&raw mut value)?;
    outcome(value, code)
}

/// A function that writes two numbers.
pub(super) fn two<A: Default, B: Default>(function: impl FnOnce(*mut A, *mut B) -> Option<sys::nvmlReturn_t>) -> Option<Call<(A, B)>> {
    let (mut first, mut second) = (A::default(), B::default());
    let code = function(&raw mut first, &raw mut second)?;
    outcome((first, second), code)
}

/// A function that writes a text, terminated or not, valid or not.
pub(super) fn text(function: impl FnOnce(*mut c_char, u32) -> Option<sys::nvmlReturn_t>) -> Option<Call<String>> {
    const LENGTH: usize = 256;
    let mut buffer: [c_char; LENGTH] = [0; LENGTH];
    // One byte is kept from the library, so that a text that fills the buffer still ends.
    let code = function(buffer.as_mut_ptr(), LENGTH as u32 - 1)?;
    outcome(string(&buffer), code)
}

/// The text of a fixed array; what is not printable is shown as such.
pub(super) fn string(characters: &[c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
    String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
