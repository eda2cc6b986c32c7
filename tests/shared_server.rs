//! `gpus` and `pick` on a driver that answers now: who sleeps on what, which cards go together, and a table that stands still.

#![expect(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking, and builds a driver")]

#[expect(dead_code, reason = "the driver lacks nothing here")]
#[path = "fakes/library.rs"]
mod library;
#[path = "common/program.rs"]
mod program;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::Outcome;
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(60);
/// The first card's UUID; those of the others end in their numbers.
const UUID: &str = "GPU-8932f937-d72c-4106-c12f-";

/// A machine whose cards are in slots on these NUMA nodes.
fn machine(nodes: &[u32]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for (index, node) in nodes.iter().enumerate() {
        let slot = root.path().join(format!("sys/bus/pci/devices/0000:{:02x}:00.0", 0x18 + index));
        fs_err::create_dir_all(&slot).expect("a folder");
        for (name, text) in [("vendor", "0x10de"), ("device", "0x2330"), ("class", "0x030200"), ("numa_node", &node.to_string())] {
            fs_err::write(slot.join(name), text).expect("a file");
        }
    }
    root
}

fn on(root: &Path, told: &str, words: &[&str]) -> Outcome {
    let (root, libraries) = (root.display().to_string(), library::folder().display().to_string());
    program::run(words, &[("GPUDOCTOR_ROOT", &root), ("LD_LIBRARY_PATH", &libraries), ("FAKE_DRIVER", told)], DEADLINE)
}

// A card that rests while a process holds its memory is said to be asleep, with the process and how long it has run.
#[test]
fn a_card_that_sleeps_on_memory_is_told() {
    let root = machine(&[0, 0]);
    let pid = 4_000_001;
    let folder = root.path().join(format!("proc/{pid}"));
    fs_err::create_dir_all(&folder).expect("a folder");
    let stat = format!("{pid} (VLLM::EngineCor) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 123400 1000 10\n");
    for (name, text) in [("comm", "VLLM::EngineCor\n"), ("cmdline", "vllm\0serve\0x\0"), ("stat", &stat)] {
        fs_err::write(folder.join(name), text).expect("a file");
    }
    fs_err::write(root.path().join("proc/stat"), "btime 1700000000\n").expect("a file");
    let told = format!("gpus=2 pid={pid} used_mib=70000");
    let table = on(root.path(), &told, &["gpus"]);
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let line = table.stdout.lines().nth(1).expect("a line");
    assert!(line.contains("VLLM::EngineCor") && line.contains(&pid.to_string()) && line.ends_with("asleep, held"), "{}", table.stdout);
    assert!(table.stdout.contains("Free: none"), "{}", table.stdout);
    let report: Value = serde_json::from_str(&on(root.path(), &told, &["gpus", "--format", "json"]).stdout).expect("JSON");
    let (first, free) = (&report["gpus"][0], &report["free"]);
    assert_eq!((&first["asleep"], &first["processes"][0]["pid"], free), (&Value::from(true), &Value::from(pid), &serde_json::json!([])));
    assert!(first["processes"][0]["running_seconds"].as_u64().is_some_and(|seconds| seconds > 0), "{report:#}");
    let busy = on(root.path(), &format!("{told} utilization=80"), &["gpus"]);
    assert!(!busy.stdout.contains("asleep"), "{}", busy.stdout);
}

// A refusal leaves nothing for the shell to evaluate, and names who is in the way.
#[test]
fn pick_refuses_politely() {
    let root = machine(&[0, 0]);
    let full = on(root.path(), "gpus=2 pid=4000001 used_mib=70000", &["pick", "--count", "1", "--free", "20g"]);
    assert_eq!((full.code, full.stdout.as_str()), (Some(1), ""));
    assert!(full.stderr.starts_with("1 card with 20.0 GiB free is wanted; none has that\n"), "{}", full.stderr);
    assert!(full.stderr.contains("GPU 1: 11.3 GiB of 79.6 GiB free, held by pid 4000001"), "{}", full.stderr);
    for (told, reason) in [
        ("gpus=2 mig=3", "MIG instances"),
        ("gpus=2 compute_mode=2", "`prohibited`"),
        ("nvmlInit_v2=18", "the card at 0000:18:00.0: the driver does not list it"),
    ] {
        let refused = on(root.path(), told, &["pick"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{told}");
        assert!(refused.stderr.contains(reason), "{told}: {}", refused.stderr);
    }
    let lost = on(root.path(), "gpus=2 nvmlDeviceGetHandleByIndex_v2@0=15", &["pick", "--bare"]);
    assert_eq!((lost.code, lost.stdout.as_str()), (Some(0), "1\n"), "{}", lost.stderr);
}

// Cards that a bridge joins come first, then those on one NUMA node; on request by UUID.
#[test]
fn cards_that_go_together_are_picked() {
    let root = machine(&[0, 1, 0, 1]);
    let picked = |told: &str, words: &[&str]| on(root.path(), told, words).stdout;
    assert_eq!(picked("gpus=4", &["pick", "-n", "2"]), "CUDA_VISIBLE_DEVICES=0,2; export CUDA_VISIBLE_DEVICES\n");
    assert_eq!(picked("gpus=4 links=4 bridges=1", &["pick", "-n", "2", "--bare"]), "1,2\n");
    assert_eq!(picked("gpus=4", &["pick", "-n", "4", "--bare"]), "0,1,2,3\n");
    assert_eq!(
        picked("gpus=4", &["pick", "-n", "2", "--uuid"]),
        format!("CUDA_VISIBLE_DEVICES={UUID}000000000001,{UUID}000000000003; export CUDA_VISIBLE_DEVICES\n")
    );
    assert!(picked("gpus=4 links=4 bridges=1", &["gpus"]).contains("NVLink between 2 of 6 pairs"));
}

// The table is drawn over itself: nothing is wiped, so nothing flickers, and each line ends clean.
#[test]
fn a_watched_table_stands_still() {
    let root = machine(&[0, 0]);
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpudoctor"));
    command.args(["gpus", "--watch", "1"]).stdin(Stdio::null()).stdout(Stdio::from(terminal.slave)).stderr(Stdio::null());
    command.env("GPUDOCTOR_ROOT", root.path()).env("LD_LIBRARY_PATH", library::folder()).env("FAKE_DRIVER", "gpus=2").env("NO_COLOR", "1");
    let mut child = command.spawn().expect("the program starts");
    // The terminal ends when the program, its last holder, does.
    drop(command);
    let (say, hear) = std::sync::mpsc::channel();
    let mut screen = std::fs::File::from(terminal.master);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count) = screen.read(&mut bytes) {
            if count == 0 || say.send(bytes[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let (mut seen, end) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    while String::from_utf8_lossy(&seen).matches("\u{1b}[J").count() < 3 {
        let Ok(more) = hear.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
        seen.extend(more);
    }
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    let seen = String::from_utf8_lossy(&seen).replace("\r\n", "\n");
    let pictures: Vec<&str> = seen.split_inclusive("\u{1b}[J").collect();
    assert!(pictures.len() >= 3, "{seen:?}");
    assert!(!seen.contains("\u{1b}[2J") && !seen.contains("\u{1b}[H"), "{seen:?}");
    let lines = pictures[0].matches("\u{1b}[K").count();
    assert!(lines >= 4 && pictures[0].contains("H100"), "{seen:?}");
    for picture in pictures.get(1..3).expect("two more") {
        assert!(picture.starts_with(&format!("\u{1b}[{lines}A\r")), "{picture:?}");
        assert_eq!(picture.matches("\u{1b}[K").count(), lines, "{picture:?}");
    }
}
