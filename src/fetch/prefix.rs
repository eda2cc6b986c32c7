//! The beginning of a file, read only as far as its header reaches.

use std::io::{self, Read};
use std::path::Path;

use fs_err as fs;

use super::FetchError;

/// A file of which a growing prefix is known.
pub(super) trait Prefix {
    /// Reads on until `length` bytes are known or the file ends.
    fn grow(&mut self, length: u64) -> Result<(), FetchError>;
    /// What is known so far.
    fn bytes(&self) -> &[u8];
    /// The whole file's size, where it is known.
    fn size(&self) -> Option<u64>;
    /// The file's path or address, for messages.
    fn place(&self) -> &str;
}

/// A file on disk.
pub(super) struct LocalFile {
    place: String,
    file: fs::File,
    size: u64,
    bytes: Vec<u8>,
}

impl LocalFile {
    /// Opens a regular file; anything else could block or never end.
    pub(super) fn open(path: &Path) -> Result<Self, FetchError> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(FetchError::SpecialFile { path: path.display().to_string() });
        }
        let file = fs::File::open(path)?;
        Ok(Self { place: path.display().to_string(), file, size: metadata.len(), bytes: Vec::new() })
    }
}

impl Prefix for LocalFile {
    fn grow(&mut self, length: u64) -> Result<(), FetchError> {
        let more = length.min(self.size).saturating_sub(self.bytes.len() as u64);
        self.bytes.reserve_exact(more as usize);
        io::copy(&mut Read::by_ref(&mut self.file).take(more), &mut self.bytes)?;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// A whole small text file on disk.
pub(super) fn read_text(path: &Path, limit: u64) -> Result<String, FetchError> {
    let bytes = read_small(path, limit)?;
    utf8(&path.display().to_string(), bytes)
}

/// A whole small file on disk.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>, FetchError> {
    let mut file = LocalFile::open(path)?;
    file.grow(limit.saturating_add(1))?;
    if file.bytes.len() as u64 > limit {
        return Err(FetchError::OversizeFile { place: file.place, limit });
    }
    Ok(file.bytes)
}

/// Bytes as text, or where they stop being text.
pub(super) fn utf8(place: &str, bytes: Vec<u8>) -> Result<String, FetchError> {
    String::from_utf8(bytes).map_err(|problem| FetchError::InvalidText { place: place.to_owned(), at: problem.utf8_error().valid_up_to() })
}
