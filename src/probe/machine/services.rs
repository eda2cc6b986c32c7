//! Services that GPUs need, from their files: installed, enabled, running. Nothing is asked of them.

use std::collections::BTreeMap;

use crate::capture::tool::Service;
use crate::probe::root::Root;
use crate::reading::Reading;

/// A service: its name, its program's file name, and its socket.
const SERVICES: [(&str, &str, Option<&str>); 6] = [
    ("docker", "dockerd", Some("/run/docker.sock")),
    ("nvidia-dcgm", "nv-hostengine", None),
    ("nvidia-fabricmanager", "nv-fabricmanager", Some("/run/nvidia-fabricmanager/socket")),
    ("nvidia-imex", "nvidia-imex", None),
    ("nvidia-mps", "nvidia-cuda-mps-control", Some("/tmp/nvidia-mps/control")),
    ("nvidia-persistenced", "nvidia-persistenced", Some("/run/nvidia-persistenced/socket")),
];

/// Where distributions put programs that no user starts.
const PROGRAMS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/nvidia/bin"];
/// Where systemd's units are, the one that counts first.
const UNITS: [&str; 4] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// What the kernel keeps of a process's name, in bytes.
const NAME_LENGTH: usize = 15;
/// Most processes that are looked at.
const MOST: usize = 32_768;

/// All of them, by name.
pub(super) fn read(root: &Root) -> BTreeMap<String, Service> {
    let running = running(root);
    SERVICES.iter().map(|service| (service.0.to_owned(), one(root, *service, &running))).collect()
}

fn one(root: &Root, (name, program, socket): (&str, &str, Option<&str>), running: &Reading<BTreeMap<String, u32>>) -> Service {
    let first = |folders: &[&str], file: &str| {
        let mut paths = folders.iter().map(|folder| format!("{folder}/{file}"));
        Reading::from(paths.find(|path| root.exists(path)))
    };
    let unit = format!("{name}.service");
    let short = program.get(..NAME_LENGTH).unwrap_or(program);
    let wanted = root.expand(&format!("/etc/systemd/system/*.wants/{unit}"));
    let unit = first(&UNITS, &unit);
    Service {
        program: first(&PROGRAMS, program),
        enabled: if unit.known().is_some() { Reading::Known(!wanted.is_empty()) } else { Reading::Absent },
        unit,
        pid: running.as_ref().and_then(|running| Reading::from(running.get(short).copied())),
        socket: Reading::from(socket.filter(|path| root.exists(path)).map(str::to_owned)),
    }
}

/// The processes among [`SERVICES`], by their name as the kernel cuts it. Those of other containers cannot be seen.
fn running(root: &Root) -> Reading<BTreeMap<String, u32>> {
    root.names("/proc").map(|names| {
        let pids = names.iter().filter_map(|name| name.parse::<u32>().ok()).take(MOST);
        let named = pids.filter_map(|pid| Some((root.line(&format!("/proc/{pid}/comm")).into_known()?, pid)));
        let ours = |name: &str| SERVICES.iter().any(|service| service.1.get(..NAME_LENGTH).unwrap_or(service.1) == name);
        named.filter(|(name, _)| ours(name)).collect()
    })
}
