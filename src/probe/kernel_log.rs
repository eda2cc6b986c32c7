//! The lines of the kernel's log that speak of GPUs, of PCI errors, or of processes killed for memory.

use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;

use crate::capture::Capture;
use crate::probe::child::Emitter;
use crate::probe::root::{Root, not_read};
use crate::reading::Reading;

/// The kernel's own device; each read gives one record.
const DEVICE: &str = "/dev/kmsg";
/// Most records that are read, most lines that are kept, and the longest of them.
const MOST_RECORDS: usize = 200_000;
const MOST_LINES: usize = 400;
const LONGEST_LINE: usize = 400;

/// What a line of interest has in it.
const WORDS: [&str; 14] = [
    "NVRM",
    "Xid",
    "nvidia",
    "nvswitch",
    "nouveau",
    "Out of memory",
    "oom-kill",
    "oom_reaper",
    "AER:",
    "mlx5",
    "IOMMU",
    "DMAR",
    "AMD-Vi",
    "MCE",
];

/// Fills the section: the newest lines, in their order.
pub(super) fn read(emitter: &Emitter<Capture>) {
    let root = Root::new();
    emitter.at(DEVICE);
    let own = device(&root);
    let lines = match own {
        Reading::Known(lines) => Reading::Known(lines),
        // A staged tree has no journal of its own.
        Reading::Absent | Reading::Unreadable(_) if !root.is_own() => own,
        Reading::Absent | Reading::Unreadable(_) => {
            emitter.at("journalctl");
            journal().map_or(own, Reading::Known)
        }
    };
    emitter.state().kernel_log = lines.map(|lines| {
        let from = lines.len().saturating_sub(MOST_LINES);
        lines.into_iter().skip(from).collect()
    });
}

fn device(root: &Root) -> Reading<Vec<String>> {
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(root.at(DEVICE));
    let mut device = match opened {
        Ok(device) => device,
        Err(error) => return not_read(&error),
    };
    let mut lines = Vec::new();
    let mut buffer = [0_u8; 8192];
    for _ in 0..MOST_RECORDS {
        match device.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => lines.extend(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).lines().filter_map(record)),
            // Records were lost while reading; the next read goes on after them.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if lines.is_empty() => return not_read(&error),
            Err(_) => break,
        }
    }
    Reading::Known(lines)
}

/// `6,1234,5678901,-;text` as `[5.678901] text`, if it is of interest. Lines that begin with a space continue a record.
fn record(line: &str) -> Option<String> {
    let (head, text) = line.split_once(';')?;
    let microseconds: u64 = head.split(',').nth(2)?.parse().ok()?;
    is_wanted(text).then(|| cut(&format!("[{}.{:06}] {text}", microseconds / 1_000_000, microseconds % 1_000_000)))
}

/// The journal of this boot, where this user may read it.
fn journal() -> Option<Vec<String>> {
    let arguments = ["--dmesg", "--boot", "--no-pager", "--quiet", "--output=short-monotonic", "--no-hostname", "--lines=20000"];
    let output = Command::new("journalctl").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<String> = text.lines().filter(|line| is_wanted(line)).map(cut).collect();
    // Without the right to read it, the journal is empty: that is no answer.
    (output.status.success() && text.lines().count() > 1).then_some(lines)
}

fn is_wanted(line: &str) -> bool {
    WORDS.iter().any(|word| line.contains(word))
}

fn cut(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_dmesg_prints_it() {
        let line = "4,1021,88123456,-;NVRM: Xid (PCI:0000:18:00): 79, pid=1234, GPU has fallen off the bus.";
        let shown = "[88.123456] NVRM: Xid (PCI:0000:18:00): 79, pid=1234, GPU has fallen off the bus.";
        assert_eq!(record(line).as_deref(), Some(shown));
        assert_eq!((record("6,1,2,-;usb 1-1: new device"), record(" SUBSYSTEM=pci"), record("")), (None, None, None));
    }
}
