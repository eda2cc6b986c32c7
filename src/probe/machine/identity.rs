//! Who this process is and what it may take: from the kernel, without a file that could hang.

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::unistd::{Pid, geteuid, getgroups};

use crate::capture::host::{Bound, Cpus, Identity, Limit, Limits};
use crate::probe::root::Root;
use crate::reading::Reading;

/// The groups that matter to whoever uses a GPU.
const GROUPS: [&str; 4] = ["docker", "render", "vglusers", "video"];

/// Resource limits.
pub(crate) fn limits() -> Limits {
    let limit = |resource| match getrlimit(resource) {
        Ok((soft, hard)) => Reading::Known(Limit { soft: bound(soft), hard: bound(hard) }),
        Err(error) => Reading::Unreadable(error.desc().to_owned()),
    };
    Limits {
        memlock: limit(Resource::RLIMIT_MEMLOCK),
        nofile: limit(Resource::RLIMIT_NOFILE),
        stack: limit(Resource::RLIMIT_STACK),
        core: limit(Resource::RLIMIT_CORE),
        nproc: limit(Resource::RLIMIT_NPROC),
    }
}

const fn bound(value: u64) -> Bound {
    if value == RLIM_INFINITY { Bound::Unlimited } else { Bound::Limited(value) }
}

/// Processors, and those that this process may use.
pub(crate) fn cpus(root: &Root) -> Cpus {
    let allowed = match sched_getaffinity(Pid::from_raw(0)) {
        Ok(set) => {
            let count = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count();
            Reading::Known(u32::try_from(count).unwrap_or(u32::MAX))
        }
        Err(error) => Reading::Unreadable(error.desc().to_owned()),
    };
    let model = root.text("/proc/cpuinfo").and_then(|text| Reading::from(field(&text, "model name")));
    Cpus {
        online: root.line("/sys/devices/system/cpu/online"),
        allowed,
        allowed_list: status(root, "Cpus_allowed_list"),
        architecture: std::env::consts::ARCH.to_owned(),
        model,
    }
}

/// Whether this is root, with which capabilities, in which groups.
pub(crate) fn identity(root: &Root) -> Identity {
    let groups = match getgroups() {
        Ok(own) => root.text("/etc/group").map(|text| {
            let named = text.lines().filter_map(|line| {
                let mut fields = line.split(':');
                Some((fields.next()?, fields.nth(1)?.parse::<u32>().ok()?))
            });
            let mut groups: Vec<String> = named
                .filter(|(name, id)| GROUPS.contains(name) && own.iter().any(|group| group.as_raw() == *id))
                .map(|(name, _)| name.to_owned())
                .collect();
            groups.sort_unstable();
            groups
        }),
        Err(error) => Reading::Unreadable(error.desc().to_owned()),
    };
    Identity { root: geteuid().is_root(), capabilities: status(root, "CapEff"), groups }
}

fn status(root: &Root, name: &str) -> Reading<String> {
    root.text("/proc/self/status").and_then(|text| Reading::from(field(&text, name)))
}

/// The value of `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}
