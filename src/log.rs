//! Logs as they really are: encodings, compression, colours, progress bars and the prefixes of whatever carried the lines.
//!
//! A [`Reader`] takes lines from a stream in constant memory; a [`RawLine`] of it is cleaned only when somebody wants it.

mod clean;
mod escape;
mod prefix;
mod reader;
mod record;
mod stream;

pub use reader::{RawLine, Reader, Scratch};
pub use stream::LogError;

/// A line of a log without what its carriers added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its number in the stream, from 1. States of a progress bar and records that a carrier packed into one line share it.
    pub number: u64,
    /// The text that the program printed: UTF-8, without escapes, carriers' prefixes and trailing space.
    pub text: String,
    /// Who printed it.
    pub source: Source,
}

/// Who printed a line, as far as its prefixes say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// The container, pod, unit or host.
    pub container: Option<String>,
    /// The process by name: `EngineCore_DP0`, `VllmWorker`, `kernel`.
    pub process: Option<String>,
    /// The process id.
    pub pid: Option<u32>,
    /// The rank in a group of processes.
    pub rank: Option<u32>,
}

impl Source {
    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
