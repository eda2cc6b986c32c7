//! The names that identify this machine and its users, so that they can be taken out of what is sent elsewhere.

use nix::unistd::{geteuid, gethostname};

use crate::capture::redact::Identifiers;
use crate::probe::root::Root;

/// Users below are of the system; those above are of namespaces.
const FIRST_USER: u32 = 1000;
const LAST_USER: u32 = 60_000;
/// Most users that are looked for.
const MOST: usize = 4096;

/// Those that can be known without asking a network.
pub fn identifiers() -> Identifiers {
    let root = Root::new();
    let variable = |name: &str| std::env::var(name).ok();
    let own = gethostname().ok().map(|name| name.to_string_lossy().into_owned());
    let hosts = [own, root.line("/etc/hostname").into_known(), variable("HOSTNAME")].into_iter().flatten();
    // `gpunode17.corp.example`, the machine in it, and the network that it is in.
    let parts = |name: String| {
        let (own, domain) = name.split_once('.').unwrap_or((name.as_str(), ""));
        [own.to_owned(), if domain.contains('.') { domain.to_owned() } else { String::new() }, name.clone()]
    };
    let hosts: Vec<String> = hosts.flat_map(parts).filter(|name| !name.is_empty()).collect();
    let text = root.text("/etc/passwd").into_known().unwrap_or_default();
    let listed = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
        // Asking the resolver of names for this user could wait for a directory service that is down.
        (id == geteuid().as_raw() || (FIRST_USER..LAST_USER).contains(&id)).then(|| name.to_owned())
    });
    let named = ["USER", "LOGNAME", "SUDO_USER", "SLURM_JOB_USER"].iter().filter_map(|name| variable(name));
    let home = variable("HOME").and_then(|home| home.rsplit('/').next().map(str::to_owned));
    let mut users: Vec<String> = listed.take(MOST).chain(named).chain(home).collect();
    users.sort_unstable();
    users.dedup();
    Identifiers { hosts, users }
}
