//! NVML, the library behind `nvidia-smi`: whether it answers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::call::Call;
use crate::reading::Reading;

/// NVML, the library behind `nvidia-smi`.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Nvml {
    /// Whether its library was found.
    pub found: Reading<bool>,
    /// What its initialisation returned; 0 is success.
    pub code: Reading<i64>,
    /// The name of that code.
    pub name: Reading<String>,
    /// The library file.
    pub library: Reading<String>,
    /// Why it gave no answer: it did not return in time, or ended the process; absent where it answered.
    pub no_answer: Reading<String>,
    /// How many GPUs it lists.
    pub devices: Reading<u64>,
}

/// Reads how NVML answers.
pub(super) fn read(capture: &Capture) -> Nvml {
    match &capture.nvml {
        Reading::Known(nvml) => Nvml {
            found: Reading::Known(true),
            code: code(&nvml.init),
            name: name(&nvml.init, "NVML_SUCCESS"),
            library: nvml.library.clone(),
            no_answer: silent(&nvml.init, "nvmlInit_v2").or_else(|| stuck(&nvml.device_count)).map_or(Reading::Absent, Reading::Known),
            devices: nvml.device_count.reading().map(u64::from),
        },
        Reading::Absent => Nvml { found: Reading::Known(false), ..Nvml::default() },
        Reading::Unreadable(reason) => Nvml {
            found: Reading::Unreadable(reason.clone()),
            code: Reading::Unreadable(reason.clone()),
            name: Reading::Unreadable(reason.clone()),
            library: Reading::Unreadable(reason.clone()),
            no_answer: Reading::Known(reason.clone()),
            devices: Reading::Unreadable(reason.clone()),
        },
    }
}

/// The code of a call; a call that gave none is not readable.
pub(super) fn code<T: Clone>(call: &Call<T>) -> Reading<i64> {
    match call {
        Call::Value(_) => Reading::Known(0),
        Call::Failed(failure) => Reading::Known(failure.code),
        other => other.reading().map(|_| 0),
    }
}

/// The name of a call's code.
pub(super) fn name<T: Clone>(call: &Call<T>, success: &str) -> Reading<String> {
    match call {
        Call::Value(_) => Reading::Known(success.to_owned()),
        Call::Failed(failure) => Reading::Known(failure.name.clone()),
        other => other.reading().map(|_| String::new()),
    }
}

/// Why a library did not start: it hangs, or does not even have the function.
pub(super) fn silent<T>(call: &Call<T>, function: &str) -> Option<String> {
    match call {
        Call::Missing => Some(format!("the library has no function `{function}`")),
        other => stuck(other),
    }
}

/// Why a call never returned.
pub(super) fn stuck<T>(call: &Call<T>) -> Option<String> {
    match call {
        Call::Stuck(reason) => Some(reason.clone()),
        _ => None,
    }
}
