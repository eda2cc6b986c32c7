//! The same failure through everything that carries logs: the text is found, its number and its process are right.

use std::io::Write;

use encoding_rs::{GB18030, UTF_8};
use flate2::{Compression, write::GzEncoder};
use gpudoctor::diagnose::{Named, Patterns, Verdict};

use crate::{diagnosed, made_up};

const TEXT: &str = "ERROR 显存 the disk of the test is full";

const RULE: (&str, &str) = ("t-disk", "[[pattern]]\nprogram = \"x\"\nregex = '^ERROR 显存 the disk of the test is full$'\n");

/// The cause that `log` must show.
fn shown(log: &[u8], what: &str) -> Named {
    let rules = made_up(&[RULE]);
    let diagnosis = diagnosed(log, &Patterns::new(&rules));
    assert_eq!(diagnosis.verdict, Verdict::Found, "{what}");
    diagnosis.causes.into_iter().find(|named| named.id == "t-disk").unwrap_or_else(|| panic!("{what}: another cause"))
}

fn utf16(text: &str, little: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Whatever the encoding, the third line is the third line.
#[test]
fn encodings() {
    let log = format!("INFO one\r\nINFO two\r\n{TEXT}\r\nINFO four\r\n");
    let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
    let logs = [
        ("UTF-8", log.clone().into_bytes()),
        ("UTF-8 with a mark", marked(b"\xef\xbb\xbf", log.clone().into_bytes())),
        ("UTF-16 LE with a mark", marked(b"\xff\xfe", utf16(&log, true))),
        ("UTF-16 BE with a mark", marked(b"\xfe\xff", utf16(&log, false))),
        ("UTF-16 LE", utf16(&log, true)),
        ("UTF-16 BE", utf16(&log, false)),
        ("GB18030", GB18030.encode(&log).0.into_owned()),
        ("UTF-8 with a line that is GB18030", [b"INFO one\nINFO two \xd6\xd0\xce\xc4\n", UTF_8.encode(TEXT).0.as_ref()].concat()),
        ("gzip", gzipped(log.as_bytes())),
        ("gzip of two members", [gzipped(b"INFO one\nINFO two\n"), gzipped(TEXT.as_bytes())].concat()),
        ("gzip of UTF-16", gzipped(&utf16(&log, true))),
        ("no line break at the end", format!("one\ntwo\n{TEXT}").into_bytes()),
    ];
    for (what, bytes) in logs {
        assert_eq!(shown(&bytes, what).first, 3, "{what}");
    }
}

/// What a terminal or a carrier adds is taken away.
#[test]
fn prefixes_and_escapes() {
    let record = serde_json::json!({ "log": format!("{TEXT}\n"), "stream": "stderr", "time": "2025-05-16T23:06:14Z" });
    let nested = serde_json::json!({ "log": format!("\u{1b}[31m{TEXT}\u{1b}[0m\r\n"), "stream": "stderr" });
    let journal = serde_json::json!({ "MESSAGE": TEXT, "SYSLOG_IDENTIFIER": "vllm", "_PID": "7" });
    for line in [
        format!("\u{1b}[31m{TEXT}\u{1b}[0m"),
        "ERROR 显存 the \u{1b}[1mdisk\u{1b}[0m of the test is full".to_owned(),
        format!("Loading:  10%|█   | 1/9 [00:01<00:09]\rLoading:  20%|██  | 2/9 [00:02<00:07]\r{TEXT}"),
        format!("vllm-1  | {TEXT}"),
        format!("vllm-1  | \u{1b}[36m(EngineCore_DP0 pid=68)\u{1b}[0m {TEXT}"),
        format!("2025-05-16T23:06:14.123456789Z {TEXT}"),
        format!("2025-05-16T23:06:14.123456789+02:00 stderr F {TEXT}"),
        format!("[pod/vllm-6f7/server] {TEXT}"),
        format!("May 16 23:06:14 gpu-1 vllm[123]: {TEXT}"),
        format!("(RayWorkerWrapper pid=7, ip=10.0.0.2) {TEXT}"),
        format!("(APIServer pid=1) (EngineCore_0 pid=123) {TEXT}"),
        format!("[rank3]: {TEXT}"),
        record.to_string(),
        nested.to_string(),
        journal.to_string(),
        format!("2025-05-16T23:06:14.1Z stdout F {record}"),
    ] {
        assert_eq!(shown(format!("one\n{line}\nthree\n").as_bytes(), &line).first, 2, "{line}");
    }
}

/// Lines of several processes in one log each keep their own.
#[test]
fn interleaved_ranks() {
    let log = format!("(Worker_TP0 pid=10) INFO loading\n(Worker_TP1 pid=11) {TEXT}\n(Worker_TP0 pid=10) INFO loaded\n");
    let source = &shown(log.as_bytes(), "ranks").lines[0].source;
    assert_eq!((source.process.as_deref(), source.pid, source.rank), (Some("Worker_TP1"), Some(11), Some(1)));
}

/// A line of many kilobytes is searched to its end, and the lines behind it keep their numbers.
#[test]
fn a_line_without_end_is_searched() {
    let rules = made_up(&[("t-disk", "[[pattern]]\nprogram = \"x\"\nregex = 'the disk of the test is full'\n")]);
    let rules = Patterns::new(&rules);
    for length in [1 << 10, 32 * 1024 - 20, 32 * 1024, 400_000] {
        let log = format!(
            "one\n{}the disk of the test is full{}\nthree\nthe disk of the test is full\n",
            "x ".repeat(length),
            " y".repeat(length)
        );
        let named = diagnosed(&log, &rules).causes.remove(0);
        assert_eq!((named.first, named.last), (2, 4), "{length}");
        assert!(named.lines[0].text.len() < 1000, "{length}: {} bytes are quoted", named.lines[0].text.len());
    }
}

/// A line of many kilobytes outside ASCII is cut between characters, not inside of one.
#[test]
fn a_long_line_outside_ascii_is_searched() {
    let rules = made_up(&[("t-disk", "[[pattern]]\nprogram = \"x\"\nregex = '显存 the disk of the test is full'\n")]);
    let rules = Patterns::new(&rules);
    for ahead in 0..3 {
        let log = format!("{}{}显存 the disk of the test is full\n", "x".repeat(ahead), "显".repeat(30_000));
        let named = diagnosed(&log, &rules).causes.remove(0);
        assert!(named.lines[0].text.contains("显显存 the disk of the test is full"), "{ahead}: {}", named.lines[0].text);
    }
}

/// Escapes of JSON hide texts, also where the record stands in another or behind a prefix.
#[test]
fn texts_behind_escapes_are_found() {
    let rules = made_up(&[("t-disk", "[[pattern]]\nprogram = \"x\"\nregex = 'the \"disk\" of the test'\n")]);
    let rules = Patterns::new(&rules);
    let inner = serde_json::json!({ "log": "the \"disk\" of the test\n", "stream": "stderr" }).to_string();
    let outer = serde_json::json!({ "log": format!("{inner}\n"), "stream": "stdout" }).to_string();
    for line in [inner.clone(), outer, format!("2025-05-16T23:06:14.1Z stdout F {inner}")] {
        assert_eq!(diagnosed(format!("one\n{line}\n"), &rules).causes.first().map(|named| named.first), Some(2), "{line}");
    }
}
