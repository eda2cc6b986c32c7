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

use std::ffi::OsString;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::capture::Capture;
use crate::probe::child::{Emitter, Lane, PENDING};
use crate::probe::root::Root;
use crate::probe::{kernel_log, tools};
use crate::reading::Reading;

pub(super) use identity::{cpus, identity, limits};

/// The lanes that read what the GPUs are connected to.
pub(super) const NEAR: [&str; 2] = ["files", "nodes"];
/// The lanes that read the system around them.
pub(super) const SYSTEM: [&str; 4] = ["log", "resolve", "space", "tools"];

/// A capture in which nothing is read yet.
pub(super) fn pending() -> Capture {
    let pending = || Reading::unreadable(PENDING);
    let mut capture = Capture { pci: pending(), kernel_log: Reading::unreadable(PENDING), ..Capture::default() };
    capture.network.host_is_loopback = Reading::unreadable(PENDING);
    capture
}

/// The lanes that are named.
pub(super) fn lanes(names: &[OsString]) -> Vec<Lane<Capture>> {
    let lane = |name: &OsString| -> Option<Lane<Capture>> {
        Some(match name.to_str()? {
            "files" => ("files", Box::new(files)),
            "log" => ("log", Box::new(kernel_log::read)),
            "nodes" => ("nodes", Box::new(nodes)),
            "resolve" => ("resolve", Box::new(resolve)),
            "space" => ("space", Box::new(space)),
            "tools" => ("tools", Box::new(tools::read)),
            _ => return None,
        })
    };
    names.iter().filter_map(lane).collect()
}

/// Reads files, folders, PCI devices, services, container specifications and network interfaces.
fn files(emitter: &Emitter<Capture>) {
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
    let (interfaces, rdma) = network::read(&root);
    let mut state = emitter.state();
    (state.network.interfaces, state.network.rdma) = (interfaces, rdma);
}

/// Reads the device nodes and tries to open them, which wakes a GPU that sleeps.
fn nodes(emitter: &Emitter<Capture>) {
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
fn space(emitter: &Emitter<Capture>) {
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

/// How long the resolver may take, which may ask a network.
const RESOLVER: Duration = Duration::from_secs(2);

/// Whether the machine's own name means a loopback address.
fn resolve(emitter: &Emitter<Capture>) {
    emitter.at("getaddrinfo");
    let (done, waiting) = channel();
    std::thread::spawn(move || {
        let _ = done.send(network::host_is_loopback());
    });
    let late = || Reading::Unreadable(format!("the resolver did not answer within {} s", RESOLVER.as_secs()));
    let answer = waiting.recv_timeout(RESOLVER).unwrap_or_else(|_| late());
    emitter.state().network.host_is_loopback = answer;
}

/// Puts into `capture` what the lanes found.
pub(super) fn merge(capture: &mut Capture, part: Capture) {
    capture.files = part.files;
    capture.folders = part.folders;
    capture.devices = part.devices;
    capture.space = part.space;
    capture.services = part.services;
    capture.cdi = part.cdi;
    capture.pci = part.pci;
    capture.network = part.network;
    capture.tools = part.tools;
    capture.kernel_log = part.kernel_log;
}

/// Says of everything that the lanes should have read why it was not.
pub(super) fn unread(capture: &mut Capture, reason: &str) {
    let root = Root::new();
    capture.files = places::files(&root, "").into_iter().map(|path| (path, Reading::unreadable(reason))).collect();
    capture.folders = places::folders("").into_iter().map(|path| (path, Reading::unreadable(reason))).collect();
    capture.pci = Reading::unreadable(reason);
    capture.kernel_log = Reading::unreadable(reason);
    capture.network.host_is_loopback = Reading::unreadable(reason);
}
