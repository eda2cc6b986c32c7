//! What a child process does: one family of probes, by its name.

use std::ffi::OsString;

use crate::probe::child::{PENDING, prepare, watched};
use crate::probe::{cuda, nvml};
use crate::reading::Reading;

/// Runs the probe that `arguments` name and prints its section; whether there is such a probe.
pub fn run(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter();
    let Some(name) = words.next().and_then(|name| name.to_str()) else { return false };
    prepare();
    let rest: Vec<OsString> = words.cloned().collect();
    match name {
        "nvml" => watched(pending(), nvml::probe),
        "cuda" => watched(pending(), move |emitter| cuda::probe(emitter, rest.iter().any(|word| word == "copy"))),
        "runtime" => watched(pending(), move |emitter| {
            if let Some(path) = rest.first() {
                cuda::runtime::probe(emitter, path);
            }
        }),
        _ => return false,
    }
    true
}

/// A section that has not been read yet.
fn pending<T>() -> Reading<T> {
    Reading::Unreadable(PENDING.to_owned())
}
