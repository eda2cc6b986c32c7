//! Lines of a stream, one at a time, in a buffer that does not grow with the log.

use std::io::{self, Read};

use super::stream::{LogError, Stream};
use super::{Line, Source};
use super::{clean, escape, record};

/// How many bytes are asked of the stream at a time.
const BLOCK: usize = 256 * 1024;

/// The longest piece of a line that is looked at in one go. A longer line comes in several pieces with the same number.
const LONGEST: usize = 32 * 1024;

/// How much of a piece the next one repeats, so that no text is cut in two.
const OVERLAP: usize = 1024;

/// Reads a log line by line.
pub struct Reader<R> {
    stream: Stream<R>,
    buffer: Vec<u8>,
    /// Where the next line starts in the buffer.
    next: usize,
    /// How far the buffer was searched for the end of that line.
    searched: usize,
    ended: bool,
    number: u64,
    /// Whether the next piece goes on with the line before.
    within: bool,
    bytes: u64,
}

/// Room for the forms of a line, kept from line to line.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    plain: Vec<u8>,
    inner: Vec<u8>,
}

/// A line as the stream has it, or a piece of a very long one.
#[derive(Clone, Copy, Debug)]
pub struct RawLine<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes, without the line break.
    pub bytes: &'a [u8],
    gb18030: bool,
}

impl<R: Read> Reader<R> {
    /// Opens a log.
    ///
    /// # Errors
    /// When the stream cannot be read, is empty or is no text.
    pub fn open(stream: R) -> Result<Self, LogError> {
        let stream = Stream::open(stream)?;
        Ok(Self { stream, buffer: Vec::new(), next: 0, searched: 0, ended: false, number: 0, within: false, bytes: 0 })
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When the stream breaks, or its compressed data is damaged. The lines before were given.
    pub fn next_line(&mut self) -> Result<Option<RawLine<'_>>, LogError> {
        let (start, end) = loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
            let end = found.map_or(self.buffer.len(), |at| self.searched + at);
            if end - self.next > LONGEST {
                let piece = (self.next, self.next + LONGEST);
                self.number += u64::from(!self.within);
                self.within = true;
                self.next = piece.1 - OVERLAP;
                // The next piece begins with a whole character.
                self.next += self.buffer[self.next..].iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
                self.searched = self.searched.max(self.next).min(end);
                break piece;
            }
            self.searched = end;
            if found.is_some() || self.ended && self.next < end {
                let piece = (self.next, end);
                self.number += u64::from(!self.within);
                self.within = false;
                self.next = (end + 1).min(self.buffer.len());
                self.searched = self.next;
                break piece;
            }
            if self.ended {
                return Ok(None);
            }
            self.refill()?;
        };
        Ok(Some(RawLine { number: self.number, bytes: &self.buffer[start..end], gb18030: self.stream.gb18030 }))
    }

    /// Drops what was given and reads the next block.
    fn refill(&mut self) -> Result<(), LogError> {
        self.buffer.drain(..self.next);
        self.searched -= self.next;
        self.next = 0;
        let before = self.buffer.len();
        match self.stream.read_more(&mut self.buffer, BLOCK) {
            Ok(more) => {
                self.bytes += (self.buffer.len() - before) as u64;
                self.ended = !more;
                Ok(())
            }
            Err(source) if self.stream.packed && is_damage(&source) => Err(LogError::Damaged { line: self.number, source }),
            Err(source) => Err(LogError::Io { line: self.number, source }),
        }
    }

    /// How many lines were given.
    pub const fn lines(&self) -> u64 {
        self.number
    }

    /// How many bytes were read, after unpacking.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
}

impl RawLine<'_> {
    /// Whether `holds` is true of bytes that hold every text which a cleaned line of it would hold, so that it need not be cleaned
    /// only to be searched. `true` as well where nothing less than cleaning shows its texts.
    pub fn may_hold(&self, scratch: &mut Scratch, holds: impl Fn(&[u8]) -> bool) -> bool {
        // Backspaces take text away, and another encoding writes it otherwise.
        if memchr::memchr(0x08, self.bytes).is_some() || self.is_encoded() {
            return true;
        }
        let Scratch { plain, inner } = scratch;
        inner.clear();
        for depth in 0..=clean::DEPTH {
            let bytes = if depth == 0 { self.bytes } else { inner.as_slice() };
            let coloured = memchr::memchr(0x1b, bytes).is_some();
            plain.clear();
            if coloured && !escape::strip_colours(bytes, plain) {
                return true;
            }
            let bytes = if coloured { plain.as_slice() } else { bytes };
            if holds(bytes) {
                return true;
            }
            // A record of a carrier hides text behind the escapes of JSON, one record in another behind more of them.
            if memchr::memchr(b'\\', bytes).is_none() {
                return false;
            }
            *inner = record::unescaped(bytes);
        }
        false
    }

    /// Whether it is in another encoding than UTF-8, of which a character may be cut at its end.
    fn is_encoded(&self) -> bool {
        !self.bytes.is_ascii() && std::str::from_utf8(self.bytes).is_err_and(|error| error.error_len().is_some() || self.gb18030)
    }

    /// The cleaned lines in it: one, or several where it holds the states of progress bars or a record of more lines.
    pub fn lines(&self) -> Vec<Line> {
        clean::lines(self.number, &clean::decode(self.bytes, self.gb18030), Source::default())
    }
}
