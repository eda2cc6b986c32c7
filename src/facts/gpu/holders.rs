//! Who holds a card's memory.

use jiff::Timestamp;

use crate::capture::Capture;
use crate::capture::nvml::{GpuProcess, NvmlDevice};
use crate::facts::gpu::Process;
use crate::reading::Reading;

/// The processes on a card, the largest first.
pub(super) fn read(device: &NvmlDevice, capture: &Capture) -> Reading<Vec<Process>> {
    device.compute_processes.reading().map(|compute| {
        let graphics = device.graphics_processes.value().into_iter().flatten();
        let also = graphics.filter(|process| !compute.iter().any(|other| other.pid == process.pid));
        let mut processes: Vec<Process> = compute.iter().map(|process| described_process(process, false, capture)).collect();
        processes.extend(also.map(|process| described_process(process, true, capture)));
        processes.sort_by_key(|process| (std::cmp::Reverse(process.used.known().copied()), process.pid));
        processes
    })
}

fn described_process(process: &GpuProcess, graphics: bool, capture: &Capture) -> Process {
    let seen = capture.processes.iter().find(|other| other.pid == process.pid);
    let unseen = "the process is not seen from here";
    Process {
        pid: u64::from(process.pid),
        name: seen.map_or_else(|| Reading::unreadable(unseen), |seen| seen.name.clone()),
        user: seen.map_or_else(|| Reading::unreadable(unseen), |seen| seen.user.clone()),
        own: seen.map_or_else(|| Reading::unreadable(unseen), |seen| seen.own.clone()),
        used: process.used.clone(),
        running: seen.map_or_else(
            || Reading::unreadable(unseen),
            |seen| seen.started.as_ref().and_then(|started| seconds(started, &capture.taken_at)),
        ),
        graphics,
    }
}

/// The seconds between two times as RFC 3339 writes them.
fn seconds(from: &str, to: &str) -> Reading<u64> {
    match (from.parse::<Timestamp>(), to.parse::<Timestamp>()) {
        (Ok(from), Ok(to)) => Reading::Known(u64::try_from(to.as_second() - from.as_second()).unwrap_or(0)),
        _ => Reading::Unreadable(format!("`{from}` is no time")),
    }
}

/// The largest holder in words: `pid 8123 (VLLM::EngineCore, user b***, 6 days)`, and how many others there are.
pub(super) fn described(processes: &Reading<Vec<Process>>) -> Reading<String> {
    processes.as_ref().and_then(|processes| {
        let Some(first) = processes.first() else { return Reading::Absent };
        let mut notes: Vec<String> = first.name.known().cloned().into_iter().collect();
        notes.extend(first.user.known().map(|user| format!("user {user}")));
        notes.extend(first.running.known().map(|seconds| duration(*seconds)));
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        let others = match processes.len() {
            1 => String::new(),
            2 => " and one more".to_owned(),
            number => format!(" and {} more", number - 1),
        };
        Reading::Known(format!("pid {}{notes}{others}", first.pid))
    })
}

/// A length of time as people say it: `6 days`, `3 h`, `12 min`, `40 s`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!([40, 720, 10_800, 518_400].map(duration), ["40 s", "12 min", "3 h", "6 days"]);
        assert_eq!(seconds("2026-11-16T05:00:00Z", "2026-11-22T05:00:00Z"), Reading::Known(518_400));
        assert!(seconds("yesterday", "2026-11-22T05:00:00Z").reason().is_some());
    }
}
