//! Who holds GPU memory: what `/proc` says of each process. Its files can hang with the process they are of.

use std::os::unix::fs::MetadataExt;

use nix::unistd::{Uid, User, geteuid};

use crate::capture::host::Process;
use crate::probe::child::{Emitter, PENDING};
use crate::probe::root::Root;
use crate::reading::Reading;

/// Ticks of the processor times in `/proc/PID/stat`, a second. Linux shows 100 of them, whatever it counts itself.
const TICKS: u64 = 100;
/// Longest command line that is kept, in characters.
const LONGEST: usize = 300;

/// Fills the section with one process for each id.
pub(super) fn read(emitter: &Emitter<Vec<Process>>, pids: &[u32]) {
    let root = Root::new();
    let started_at = boot(&root);
    *emitter.state() = pids.iter().map(|pid| unseen(*pid)).collect();
    for (index, pid) in pids.iter().enumerate() {
        emitter.at(&format!("/proc/{pid}"));
        let found = process(&root, *pid, &started_at);
        if let Some(place) = emitter.state().get_mut(index) {
            *place = found;
        }
    }
}

/// One that has not been looked at yet.
fn unseen(pid: u32) -> Process {
    let pending = || Reading::unreadable(PENDING);
    Process {
        pid,
        name: pending(),
        command: pending(),
        user: pending(),
        own: Reading::unreadable(PENDING),
        started: pending(),
        cpu_ms: Reading::unreadable(PENDING),
        container: pending(),
    }
}

fn process(root: &Root, pid: u32, boot: &Reading<i64>) -> Process {
    let folder = format!("/proc/{pid}");
    let owner = match fs_err::metadata(root.at(&folder)) {
        Ok(found) => Reading::Known(Uid::from_raw(found.uid())),
        // A process of another container, or of the host, that cannot be seen from here.
        Err(_) => Reading::Absent,
    };
    let times = root.text(&format!("{folder}/stat")).and_then(|text| Reading::from(times(&text)));
    Process {
        pid,
        name: root.line(&format!("{folder}/comm")),
        command: root.text(&format!("{folder}/cmdline")).map(|text| command(&text)),
        user: owner.as_ref().and_then(|owner| name(*owner)),
        own: owner.map(|owner| owner == geteuid()),
        started: times.as_ref().and_then(|times| boot.as_ref().and_then(|boot| time(*boot, times.started))),
        cpu_ms: times.map(|times| times.used.saturating_mul(1000 / TICKS)),
        container: root.text(&format!("{folder}/cgroup")).and_then(|text| Reading::from(container(&text))),
    }
}

/// The name of a user, also of one that a directory service knows.
fn name(owner: Uid) -> Reading<String> {
    match User::from_uid(owner) {
        Ok(Some(user)) => Reading::Known(user.name),
        Ok(None) => Reading::Known(owner.to_string()),
        Err(error) => Reading::Unreadable(error.desc().to_owned()),
    }
}

/// The arguments, which the kernel ends with a zero each.
fn command(text: &str) -> String {
    let arguments = text.split('\0').filter(|argument| !argument.is_empty()).collect::<Vec<_>>().join(" ");
    arguments.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

/// When the machine started, in seconds since 1970.
fn boot(root: &Root) -> Reading<i64> {
    root.text("/proc/stat").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("btime "));
        Reading::from(line.and_then(|seconds| seconds.trim().parse().ok()))
    })
}

/// What a process used and when it started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    used: u64,
    started: u64,
}

/// The name in parentheses may itself have spaces and parentheses; the numbers come after the last one.
fn times(stat: &str) -> Option<Times> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Times { used: number(11)?.saturating_add(number(12)?), started: number(19)? })
}

fn time(boot: i64, started: u64) -> Reading<String> {
    let seconds = boot.saturating_add(i64::try_from(started / TICKS).unwrap_or(i64::MAX));
    Reading::from(jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string()))
}

/// The container that a control group belongs to: its runtime and the first digits of its id.
fn container(cgroup: &str) -> Option<String> {
    let runtimes = [("docker", "docker"), ("kubepods", "kubernetes"), ("libpod", "podman"), ("lxc", "lxc"), ("containerd", "containerd")];
    cgroup.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let (_, runtime) = runtimes.iter().find(|(mark, _)| path.contains(mark))?;
        let ids = path.split(['/', '-', '.', ':']).filter(|part| part.len() == 64 && part.chars().all(|c| c.is_ascii_hexdigit()));
        let id = ids.last().and_then(|id| id.get(..8));
        Some(id.map_or_else(|| (*runtime).to_owned(), |id| format!("{runtime} {id}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_after_the_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 123400 1000 10";
        assert_eq!(times(stat), Some(Times { used: 300, started: 123_400 }));
        assert_eq!(times("42 (python"), None);
        assert_eq!(time(1_700_000_000, 100), Reading::Known("2023-11-14T22:13:21Z".to_owned()));
    }

    #[test]
    fn a_container_is_named_by_its_group() {
        let id = "3f2a91c0".repeat(8);
        assert_eq!(container(&format!("0::/system.slice/docker-{id}.scope\n")).as_deref(), Some("docker 3f2a91c0"));
        assert_eq!(
            container(&format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope\n")).as_deref(),
            Some("kubernetes 3f2a91c0")
        );
        assert_eq!(container("0::/user.slice/user-1000.slice\n"), None);
    }

    #[test]
    fn arguments_are_parted_by_spaces() {
        assert_eq!(command("python3\0-m\0vllm\0"), "python3 -m vllm");
    }
}
