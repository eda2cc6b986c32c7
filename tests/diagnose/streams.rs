//! Whatever bytes come, reading ends, does not panic, and holds only so much.

use std::io::{self, Read};

use gpudoctor::diagnose::{Examiner, Verdict};
use gpudoctor::log::{LogError, Reader};
use proptest::prelude::*;

use crate::diagnosed;

/// A stream that hands out its bytes in pieces of a given size, and then ends or breaks.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
    breaks: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() && self.breaks {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone"));
        }
        let size = self.size.min(buffer.len()).min(self.bytes.len());
        buffer[..size].copy_from_slice(&self.bytes[..size]);
        self.bytes = &self.bytes[size..];
        Ok(size)
    }
}

/// All cleaned lines of a stream, with their numbers.
fn lines(stream: impl Read) -> Result<Vec<(u64, String)>, LogError> {
    let mut reader = Reader::open(stream)?;
    let mut all = Vec::new();
    while let Some(raw) = reader.next_line()? {
        all.extend(raw.lines().into_iter().map(|line| (line.number, line.text)));
    }
    Ok(all)
}

/// Lines are the same however the stream is cut.
#[test]
fn pieces_do_not_matter() {
    let log = "one\ntwo\r\n\n(Worker pid=7) four\nfünf".repeat(2000);
    let whole = lines(log.as_bytes()).expect("a log");
    assert_eq!(whole[2], (4, "four".to_owned()));
    for size in [1, 7, 4096, 65_537] {
        assert_eq!(lines(Pieces { bytes: log.as_bytes(), size, breaks: false }).expect("a log"), whole, "{size}");
    }
}

/// What came before a stream broke is diagnosed.
#[test]
fn a_broken_stream_keeps_its_lines() {
    let mut examiner = Examiner::new(crate::builtin());
    let error = examiner.read(Pieces { bytes: b"one\ntwo\n", size: 4, breaks: true }).expect_err("it breaks");
    assert_eq!(error.to_string(), "it cannot be read after line 2: gone");
    assert_eq!(examiner.lines(), 2);
}

/// What is no text is refused with what it is.
#[test]
fn what_is_no_text_is_refused() {
    let refusal = |bytes: &[u8]| lines(bytes).expect_err("no text").to_string();
    assert_eq!(refusal(b""), "it is empty");
    assert_eq!(refusal(b"\x7fELF\x02\x01\x01"), "it is a program, not text");
    assert_eq!(refusal(b"PK\x03\x04rest"), "it is a zip archive, not text");
    assert_eq!(refusal(b"\x1f\x8b\x08\0damaged"), "its gzip data is damaged after line 0: incomplete deflate stream");
    let noise: Vec<u8> = (0..4096_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(refusal(&noise), "it is binary data, not text");
}

/// A crash leaves runs of zeros in logs; they are no reason to refuse the rest.
#[test]
fn zeros_of_a_crash_are_no_binary() {
    let log = [&b"one\n".repeat(3000)[..], &[0; 600], b"\ntwo\n"].concat();
    assert_eq!(lines(&log[..]).expect("a log").last(), Some(&(3002, "two".to_owned())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bytes end in lines or in an error; lines are bounded, numbered in order, and free of control characters.
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..4096), size in 1_usize..512) {
        if let Ok(lines) = lines(Pieces { bytes: &bytes, size, breaks: false }) {
            prop_assert!(lines.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            let clean = lines.iter().all(|(_, text)| !text.contains(['\u{1b}', '\n', '\u{0}']));
            prop_assert!(clean);
        }
    }

    /// So do texts full of what carriers, terminals and programs put into logs.
    #[test]
    fn any_carriers_are_read_to_their_end(parts in proptest::collection::vec(prop_oneof![
        Just("\u{1b}["), Just("31m"), Just("\r"), Just("\n"), Just("\u{8}"), Just("{\"log\":\""), Just("\",\"stream\":\"stderr\"}"), Just("(Worker pid=7"),
        Just(") "), Just("[rank3]"), Just(":"), Just("2025-05-16T23:06:14.1Z "), Just("stdout F "), Just("vllm-1  | "), Just("May 16 23:06:14 host "),
        Just("unit[7]: "), Just("[   1.000001] "), Just("é"), Just("CUDA out of memory"), Just("No available memory for the cache blocks"), Just("Xid"),
        Just("hf_abcdefghijklmnopqrstuvwx"), Just("\\n"), Just("\\u001b"),
    ], 0..60)) {
        let log = parts.concat();
        if !log.is_empty() {
            let catalog = crate::builtin();
            let diagnosis = diagnosed(log.as_bytes(), catalog);
            prop_assert!(diagnosis.causes.iter().all(|named| (0.0..=1.0).contains(&named.confidence) && named.first <= named.last && named.last <= diagnosis.lines));
            prop_assert_eq!(diagnosis.verdict == Verdict::NotInThisLog, diagnosis.causes.is_empty());
            prop_assert!(diagnosis.causes.iter().flat_map(|named| &named.lines).all(|line| !line.text.contains("hf_abc")));
        }
    }
}
