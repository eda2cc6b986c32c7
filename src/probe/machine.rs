//! What the machine's files say, without its driver. Runs in a child process: a file of a dead server or of a sick
//! driver may never answer.

mod bridges;
mod cdi;
mod identity;
mod network;
mod nodes;
mod pci;
mod places;
mod services;
mod space;

use crate::capture::Capture;
use crate::probe::child::{Emitter, PENDING};
use crate::probe::root::Root;
use crate::reading::Reading;

pub(super) use identity::{cpus, identity, limits};

/// A capture in which what [`files`] reads is not read yet.
pub(super) fn pending() -> Capture {
    Capture { pci: Reading::unreadable(PENDING), ..Capture::default() }
}

/// Reads files, folders, PCI devices, services, container specifications and network interfaces.
pub(super) fn files(emitter: &Emitter<Capture>) {
    let root = Root::new();
    let release = root.line("/proc/sys/kernel/osrelease").into_known().unwrap_or_default();
    let files = places::files(&root, &release);
    let folders = places::folders(&release);
    {
        let mut state = emitter.state();
        state.files = files.iter().map(|path| (path.clone(), Reading::unreadable(PENDING))).collect();
        state.folders = folders.iter().map(|path| (path.clone(), Reading::unreadable(PENDING))).collect();
    }
    for path in files {
        emitter.at(&path);
        let text = places::file(&root, &path);
        emitter.state().files.insert(path, text);
    }
    for path in folders {
        emitter.at(&path);
        let entries = places::folder(&root, &path);
        emitter.state().folders.insert(path, entries);
    }
    emitter.at("/sys/bus/pci/devices");
    let devices = pci::read(&root);
    emitter.state().pci = devices;
    emitter.at("/proc");
    let services = services::read(&root);
    emitter.state().services = services;
    emitter.at("/etc/cdi");
    let cdi = cdi::read(&root);
    emitter.state().cdi = cdi;
    emitter.at("/sys/class/net");
    let network = network::read(&root);
    emitter.state().network = network;
}

/// Reads the device nodes and tries to open them, which wakes a GPU that sleeps.
pub(super) fn nodes(emitter: &Emitter<Capture>) {
    let root = Root::new();
    let paths = nodes::paths(&root);
    emitter.state().devices = paths.iter().map(|path| (path.clone(), Reading::unreadable(PENDING))).collect();
    for path in paths {
        emitter.at(&path);
        let node = nodes::read(&root, &path);
        emitter.state().devices.insert(path, node);
    }
}

/// Asks how much room there is, also on file systems of other machines.
pub(super) fn space(emitter: &Emitter<Capture>) {
    let root = Root::new();
    let paths = space::paths();
    emitter.state().space = paths.iter().map(|path| (path.clone(), Reading::unreadable(PENDING))).collect();
    let mounts = root.text("/proc/self/mountinfo").into_known().unwrap_or_default();
    for path in paths {
        emitter.at(&path);
        let found = space::read(&root, &path, &mounts);
        emitter.state().space.insert(path, found);
    }
}

/// Whether the machine's own name means a loopback address: the resolver may ask a network.
pub(super) fn resolve(emitter: &Emitter<Reading<bool>>) {
    emitter.at("getaddrinfo");
    let answer = network::host_is_loopback();
    *emitter.state() = answer;
}

/// Puts into `capture` what one of the children above found; only the first of them looks for devices.
pub(super) fn merge(capture: &mut Capture, part: Capture) {
    capture.files.extend(part.files);
    capture.folders.extend(part.folders);
    capture.devices.extend(part.devices);
    capture.space.extend(part.space);
    capture.services.extend(part.services);
    capture.cdi.extend(part.cdi);
}

/// Says of everything that [`files`] should have read why it was not.
pub(super) fn unread(capture: &mut Capture, reason: &str) {
    let root = Root::new();
    capture.files = places::files(&root, "").into_iter().map(|path| (path, Reading::unreadable(reason))).collect();
    capture.folders = places::folders("").into_iter().map(|path| (path, Reading::unreadable(reason))).collect();
    capture.pci = Reading::unreadable(reason);
}
