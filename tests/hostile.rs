//! Input that wants to do harm, through `check` and the commands beside it: one clear error or a reading with a reason, in
//! bounded time and memory, and never a panic.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "lays out files and measures")]

#[path = "common/library.rs"]
mod elf;
#[path = "common/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gpudoctor::capture::Capture;
use gpudoctor::catalog::Catalog;
use gpudoctor::check::{self, Question};
use gpudoctor::report;
use nix::sys::resource::{UsageWho, getrusage};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What any of it may take on a loaded machine.
const SOON: Duration = Duration::from_secs(30);
/// What the program may hold at its fullest: a capture of the longest length that is read is 64 MiB.
const MOST_MEMORY: i64 = 768 << 20;

/// A file with this text, in a folder of its own.
fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs_err::write(&path, bytes).expect("a file");
    path
}

/// The program refuses the capture in one sentence.
fn refuses(path: &Path, part: &str) {
    for command in ["check", "gpus", "pick"] {
        let outcome = program::run(&[command, "--from", &path.display().to_string()], &[], SOON);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{command} {}: {outcome:?}", path.display());
        assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains(part), "{command} {part}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked") && outcome.stderr.len() < 1000, "{}", outcome.stderr);
    }
}

// What is no capture is refused, whatever it is instead.
#[test]
fn foreign_captures_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/h100-healthy/host.json")).expect("a capture");
    let half = whole.get(..whole.len() / 2).expect("half of it");
    let deep = format!("{{\"schema\": \"gpudoctor.capture/1\", \"files\": {}", "[".repeat(200_000));
    let many = format!("{{\"schema\": \"gpudoctor.capture/1\", \"gpudoctor\": \"{}\"}}", "x".repeat(65 << 20));
    for (name, bytes, part) in [
        ("half.json", half, "is not JSON to its end"),
        ("empty.json", b"".as_slice(), "is empty"),
        ("list.json", b"[]", "does not begin with"),
        ("page.html", b"<html></html>", "does not begin with"),
        ("binary.json", &[0xff, 0xfe, 0x00, 0x7b], "not text"),
        ("other.json", br#"{"schema": "gpudoctor.plan/1"}"#, "gpudoctor.plan/1"),
        ("newer.json", br#"{"schema": "gpudoctor.capture/99"}"#, "gpudoctor.capture/99"),
        ("none.json", br#"{"hello": "world"}"#, "schema"),
        ("escape.json", b"{\"schema\": \"\\u001b[31m\\u0000x\"}", "schema"),
        ("type.json", br#"{"schema": "gpudoctor.capture/1", "nvml": 7}"#, "nvml"),
        ("deep.json", deep.as_bytes(), "deep.json"),
        ("many.json", many.as_bytes(), "larger than 64 MiB"),
    ] {
        refuses(&file(folder.path(), name, bytes), part);
    }
    refuses(&folder.path().join("absent.json"), "does not exist");
    refuses(folder.path(), "is a directory");
    // A file of ten gigabytes that is a hole: what is read of it is bounded.
    let hole = file(folder.path(), "hole.json", b"{");
    fs_err::OpenOptions::new().write(true).open(&hole).and_then(|file| file.set_len(10 << 30)).expect("a hole");
    refuses(&hole, "larger than 64 MiB");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system tells");
    assert!(usage.max_rss() * 1024 < MOST_MEMORY, "{} KiB", usage.max_rss());
}

// A machine of ten thousand cards with names that steer a terminal is shown without harm.
#[test]
fn odd_captures_are_shown_without_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/h100-healthy/host.json")).expect("a capture");
    let mut host: Value = serde_json::from_str(&text).expect("JSON");
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J::error::x\n<script>&]]>%0A{{ 7 * 7 }}";
    let device = host["nvml"]["known"]["devices"][0].clone();
    let mut named = device.clone();
    named["known"]["name"] = json!({ "value": evil });
    let devices: Vec<Value> = std::iter::once(named).chain(std::iter::repeat_n(device, 300)).collect();
    host["nvml"]["known"]["devices"] = Value::Array(devices);
    host["files"]["/etc/os-release"] = json!({ "known": evil.repeat(1000) });
    host["variables"]["CUDA_VISIBLE_DEVICES"] = json!(format!("{evil},{}", "9".repeat(5000)));
    let path = file(folder.path(), "evil.json", host.to_string().as_bytes()).display().to_string();
    let begun = Instant::now();
    for words in [
        vec!["check"],
        vec!["check", "--format", "json"],
        vec!["check", "--format", "markdown"],
        vec!["check", "--format", "junit"],
        vec!["check", "--format", "github"],
        vec!["gpus"],
    ] {
        let outcome = program::run(&[&words[..], &["--from", &path]].concat(), &[], SOON);
        assert!(outcome.code.is_some_and(|code| code <= 1), "{words:?}: {outcome:?}");
        assert!(!outcome.stdout.contains('\u{1b}') && !outcome.stdout.contains('\u{7}'), "{words:?} steers the terminal");
        assert!(!outcome.stdout.lines().skip(1).any(|line| line.starts_with("::error::x")), "{words:?} forges an annotation");
    }
    assert!(begun.elapsed() < SOON * 2, "{:?}", begun.elapsed());
}

/// Values that break careless readers.
fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(-1)),
        Just(json!(0)),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(1e308)),
        Just(json!("")),
        Just(json!([])),
        Just(json!({})),
        Just(json!({ "known": "\u{0}\u{1b}[m" })),
        Just(json!({ "unreadable": "x" })),
        Just(json!("absent")),
        Just(json!({ "stuck": "timed out" })),
        Just(json!({ "failed": { "code": i64::MIN, "name": "" } })),
        Just(json!({ "value": u64::MAX })),
        Just(json!({ "value": "-" })),
        any::<u64>().prop_map(|number| json!({ "value": number })),
    ]
}

/// The number of places in a tree.
fn places(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(fields) => fields.values().map(places).sum(),
        _ => 0,
    }
}

/// Puts `new` at the place with this number, counted in the order of the text.
fn put(value: &mut Value, place: &mut usize, new: &Value) {
    if *place == 0 {
        *value = new.clone();
    }
    let Some(rest) = place.checked_sub(1) else {
        *place = usize::MAX;
        return;
    };
    *place = rest;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| {
            if *place != usize::MAX {
                put(item, place, new)
            }
        }),
        Value::Object(fields) => fields.values_mut().for_each(|item| {
            if *place != usize::MAX {
                put(item, place, new)
            }
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    // Whatever still is a capture after some of its values were replaced is judged and shown.
    #[test]
    fn changed_captures_are_judged(
        situation in prop::sample::select(vec!["h200x2-container-healthy", "h100x8-no-fabric-manager", "a100-mig-without-instances", "two-torches", "driver-hangs"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), odd()), 1..6),
    ) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(situation).join("host.json");
        let mut host: Value = serde_json::from_str(&fs_err::read_to_string(path).expect("a capture")).expect("JSON");
        for (index, new) in &changes {
            let mut place = 1 + index.index(places(&host) - 1);
            put(&mut host, &mut place, new);
        }
        let begun = Instant::now();
        match Capture::parse(&host.to_string()) {
            Ok(capture) => {
                let catalog = Catalog::builtin();
                let diagnosis = check::diagnose(&capture, &Question::default(), &catalog);
                prop_assert!(!report::check::render(&diagnosis, 80, true).is_empty());
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n')),
        }
        prop_assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
}

// A package directory with loops of links and a library of ten gigabytes, without a list of its files.
#[test]
fn odd_package_directories_are_read_in_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let site = folder.path().join("lib/python3.12/site-packages");
    let write = |path: &str, bytes: &[u8]| {
        let place = site.join(path);
        fs_err::create_dir_all(place.parent().expect("a folder")).expect("a folder");
        fs_err::write(place, bytes).expect("a file");
    };
    fs_err::create_dir_all(&site).expect("a folder");
    fs_err::write(folder.path().join("pyvenv.cfg"), "home = /usr/bin\n").expect("a file");
    write("torch-2.11.0.dist-info/METADATA", b"Name: torch\nVersion: 2.11.0\n");
    write("torch/version.py", b"__version__ = '2.11.0+cu130'\ncuda = '13.0'\n");
    write("flash_attn-2.8.0.dist-info/METADATA", b"Name: flash-attn\nVersion: 2.8.0\nRequires-Dist: torch\n");
    let library = elf::Library::new("flash_attn_2_cuda.so").needed(&["libc10.so"]).kernels(&[vec![(2, 90, 0)]]).build();
    write("flash_attn/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so", &library);
    write("flash_attn/huge.cpython-312-x86_64-linux-gnu.so", &library);
    let huge = site.join("flash_attn/huge.cpython-312-x86_64-linux-gnu.so");
    fs_err::OpenOptions::new().write(true).open(huge).and_then(|file| file.set_len(10 << 30)).expect("a hole");
    write("torch/lib/libtorch_cuda.so", &[0; 64]);
    for (target, name) in [("..", "flash_attn/up"), ("loop", "flash_attn/loop"), (".", "torch/lib/here"), ("../../../..", "torch/out")] {
        std::os::unix::fs::symlink(target, site.join(name)).expect("a link");
    }
    std::os::unix::fs::symlink("/dev/zero", site.join("flash_attn/zero.so")).expect("a link");
    let root = folder.path().display().to_string();
    let begun = Instant::now();
    let outcome = program::run(&["check", "--image", "--format", "json", "--python", &root], &[], SOON);
    assert!(outcome.code.is_some_and(|code| code <= 1), "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let unreadable = report["findings"].as_array().expect("a list").iter().filter(|finding| finding["id"] == "library-unreadable");
    assert!(unreadable.count() > 0, "{report:#}");
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the system tells");
    assert!(usage.max_rss() * 1024 < MOST_MEMORY, "{} KiB", usage.max_rss());
}
