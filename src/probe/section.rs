//! What a child process does: one family of probes, by its name.

use std::ffi::OsString;
use std::path::Path;

use crate::catalog::Catalog;
use crate::probe::child::{PENDING, prepare, side_by_side, watched};
use crate::probe::{self, cuda, machine, nvml, online, processes};
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
        "machine" => side_by_side(machine::pending(), machine::lanes(&rest)),
        "online" => watched(pending(), online::read),
        "processes" => watched(Vec::new(), move |emitter| {
            let pids: Vec<u32> = rest.iter().filter_map(|pid| pid.to_str()?.parse().ok()).collect();
            processes::read(emitter, &pids);
        }),
        "image" => watched(pending(), move |emitter| {
            let image = probe::image(rest.first().map(Path::new), Catalog::builtin().libraries());
            *emitter.state() = image.map_or_else(|error| Reading::Unreadable(error.to_string()), Reading::Known);
        }),
        _ => return false,
    }
    true
}

/// A section that has not been read yet.
fn pending<T>() -> Reading<T> {
    Reading::Unreadable(PENDING.to_owned())
}
