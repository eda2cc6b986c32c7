//! Bytes of a stream: unpacked where they are compressed, UTF-16 turned into UTF-8, what is no text refused.

use std::io::{self, Read};

use encoding_rs::{Decoder, Encoding, GB18030, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;

use crate::hint::Hint;

/// How much of the start is looked at to tell what a stream is.
const SNIFFED: usize = 64 * 1024;

/// Why a stream cannot be read as a log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The stream ends before its first byte.
    #[error("it is empty")]
    Empty,
    /// The bytes are no text.
    #[error("it is {what}, not text")]
    Binary {
        /// What it looks like: `a zip archive`, `binary data`.
        what: &'static str,
        /// What to do about it.
        hint: &'static str,
    },
    /// The compressed data is damaged; what came before it was read.
    #[error("its gzip data is damaged after line {line}: {source}")]
    Damaged {
        /// The last whole line.
        line: u64,
        /// The decoder's own words.
        source: io::Error,
    },
    /// The stream broke.
    #[error("it cannot be read after line {line}: {source}")]
    Io {
        /// The last whole line.
        line: u64,
        /// The system's own words.
        source: io::Error,
    },
}

impl Hint for LogError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => Some("capture both streams of the program: `program 2>&1 | gpudoctor diagnose -`".to_owned()),
            Self::Binary { hint, .. } => Some((*hint).to_owned()),
            Self::Damaged { .. } => Some("check it with `gzip -t`, or unpack what is left with `gzip -dc`".to_owned()),
            Self::Io { .. } => None,
        }
    }
}

/// A stream of text bytes in an encoding that agrees with ASCII.
pub(super) struct Stream<R> {
    source: Source<R>,
    utf16: Option<Box<Utf16>>,
    start: Vec<u8>,
    served: usize,
    /// Whether bytes that are no UTF-8 are GB18030.
    pub(super) gb18030: bool,
    /// Whether the stream is unpacked on the way.
    pub(super) packed: bool,
}

enum Source<R> {
    Plain(R),
    Gzip(Box<MultiGzDecoder<io::Chain<io::Cursor<Vec<u8>>, R>>>),
}

struct Utf16 {
    decoder: Decoder,
    input: Vec<u8>,
    ended: bool,
}

impl<R: Read> Stream<R> {
    /// Looks at the start of `stream` and decides how to read it.
    pub(super) fn open(mut stream: R) -> Result<Self, LogError> {
        let mut start = vec![0; SNIFFED];
        let length = fill(&mut stream, &mut start).map_err(|source| LogError::Io { line: 0, source })?;
        start.truncate(length);
        let packed = start.starts_with(&[0x1f, 0x8b]);
        let mut source = Source::Plain(stream);
        if packed && let Source::Plain(stream) = source {
            let mut unpacked = MultiGzDecoder::new(io::Cursor::new(std::mem::take(&mut start)).chain(stream));
            start.resize(SNIFFED, 0);
            let length = fill(&mut unpacked, &mut start).map_err(|source| LogError::Damaged { line: 0, source })?;
            start.truncate(length);
            source = Source::Gzip(Box::new(unpacked));
        }
        if start.is_empty() {
            return Err(LogError::Empty);
        }
        let utf16 = utf16(&start);
        if utf16.is_none() {
            refuse_binary(&start)?;
        }
        let gb18030 = utf16.is_none() && reads_as_gb18030(&start);
        if start.starts_with(&[0xef, 0xbb, 0xbf]) {
            start.drain(..3);
        }
        let utf16 = utf16.map(|encoding| Box::new(Utf16 { decoder: encoding.new_decoder(), input: Vec::new(), ended: false }));
        Ok(Self { source, utf16, start, served: 0, gb18030, packed })
    }

    /// Appends more bytes to `buffer`; `false` at the end of the stream.
    pub(super) fn read_more(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        let Some(mut utf16) = self.utf16.take() else { return self.read_bytes(buffer, most) };
        let read = self.read_utf16(&mut utf16, buffer, most);
        self.utf16 = Some(utf16);
        read
    }

    fn read_utf16(&mut self, utf16: &mut Utf16, buffer: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        if utf16.ended {
            return Ok(false);
        }
        utf16.input.clear();
        utf16.ended = !self.read_bytes(&mut utf16.input, most)?;
        let room = utf16.decoder.max_utf8_buffer_length(utf16.input.len()).unwrap_or(3 * utf16.input.len() + 16);
        let before = buffer.len();
        buffer.resize(before + room, 0);
        let (_, _, written, _) = utf16.decoder.decode_to_utf8(&utf16.input, &mut buffer[before..], utf16.ended);
        buffer.truncate(before + written);
        Ok(true)
    }

    fn read_bytes(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        if self.served < self.start.len() {
            let end = (self.served + most).min(self.start.len());
            buffer.extend_from_slice(&self.start[self.served..end]);
            self.served = end;
            return Ok(true);
        }
        if !self.start.is_empty() {
            self.start = Vec::new();
            self.served = 0;
        }
        let before = buffer.len();
        buffer.resize(before + most, 0);
        let read = loop {
            let read = match &mut self.source {
                Source::Plain(stream) => stream.read(&mut buffer[before..]),
                Source::Gzip(stream) => stream.read(&mut buffer[before..]),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        buffer.truncate(before + read.as_ref().map_or(0, |read| *read));
        read.map(|read| read > 0)
    }
}

/// Reads until `buffer` is full or the stream ends.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match stream.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What came before an error is still worth reading: the error comes again.
            Err(error) if length == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(length)
}

/// Whether the start is UTF-16, by its mark or because every other byte is 0, as in ASCII text.
fn utf16(start: &[u8]) -> Option<&'static Encoding> {
    match start {
        [0xff, 0xfe, ..] => return Some(UTF_16LE),
        [0xfe, 0xff, ..] => return Some(UTF_16BE),
        _ => {}
    }
    let looked = &start[..start.len().min(4096) & !1];
    let pairs = looked.len() / 2;
    let zeros = |odd: usize| looked.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if pairs >= 4 && odd * 10 >= pairs * 6 && even * 20 <= pairs {
        Some(UTF_16LE)
    } else if pairs >= 4 && even * 10 >= pairs * 6 && odd * 20 <= pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Files that people hand over by mistake, by their first bytes.
const MAGIC: [(&[u8], &str, &str); 8] = [
    (b"PK\x03\x04", "a zip archive", "unpack it, then name the log in it"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it: `zstdcat FILE | gpudoctor diagnose -`"),
    (b"\xfd7zXZ\x00", "xz data", "unpack it: `xzcat FILE | gpudoctor diagnose -`"),
    (b"BZh", "bzip2 data", "unpack it: `bzcat FILE | gpudoctor diagnose -`"),
    (b"\x7fELF", "a program", "name the log that the program printed"),
    (b"\x89PNG", "a picture", "copy the text out of the terminal instead"),
    (b"\xff\xd8\xff", "a picture", "copy the text out of the terminal instead"),
    (b"%PDF", "a PDF", "copy the text out of it instead"),
];

fn refuse_binary(start: &[u8]) -> Result<(), LogError> {
    if let Some((_, what, hint)) = MAGIC.iter().find(|(magic, _, _)| start.starts_with(magic)) {
        return Err(LogError::Binary { what, hint });
    }
    if start.get(257..262).is_some_and(|magic| magic == b"ustar") {
        return Err(LogError::Binary { what: "a tar archive", hint: "unpack it, then name the log in it" });
    }
    let control = start.iter().filter(|byte| matches!(byte, 0..=6 | 14..=26 | 28..=31 | 127)).count();
    let text = std::str::from_utf8(start).map_or_else(|error| error.error_len().is_none(), |_| true);
    let many = if text { start.len() / 3 } else { start.len() / 50 };
    if control > many {
        return Err(LogError::Binary { what: "binary data", hint: "name the text that the program printed" });
    }
    Ok(())
}

/// Whether the start is no UTF-8 and all of it decodes as GB18030.
fn reads_as_gb18030(start: &[u8]) -> bool {
    let Err(error) = std::str::from_utf8(start) else { return false };
    if error.error_len().is_none() {
        return false;
    }
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(decoder.max_utf8_buffer_length_without_replacement(start.len()).unwrap_or(0));
    let (result, _) = decoder.decode_to_string_without_replacement(start, &mut text, false);
    !matches!(result, encoding_rs::DecoderResult::Malformed(..))
}
