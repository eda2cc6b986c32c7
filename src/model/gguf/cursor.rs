//! A reader that knows the difference between "not yet read", "not in the file" and "absurd".

use super::{GgufError, HEADER_LIMIT};
use crate::model::headers::quotable;

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    file_size: Option<u64>,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8], file_size: Option<u64>) -> Self {
        Self { bytes, at: 0, file_size }
    }

    pub(super) const fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn take(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        let at = self.at();
        let needed = at.saturating_add(length);
        match self.file_size {
            Some(size) if needed > size => return Err(GgufError::TruncatedHeader { at, what, needed, size }),
            _ if needed > HEADER_LIMIT => return Err(GgufError::OversizeItem { at, what, length, limit: HEADER_LIMIT }),
            _ => {}
        }
        match self.bytes.get(self.at..needed as usize) {
            Some(taken) => {
                self.at = needed as usize;
                Ok(taken)
            }
            None => Err(GgufError::Incomplete { needed }),
        }
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(super) fn count(&mut self, what: &'static str, limit: u64) -> Result<u64, GgufError> {
        let at = self.at();
        match self.u64(what)? {
            count if count > limit => Err(GgufError::ExcessiveCount { at, what, count, limit }),
            count => Ok(count),
        }
    }

    /// A string's bytes: its length comes first.
    pub(super) fn string(&mut self, what: &'static str) -> Result<&'a [u8], GgufError> {
        let length = self.u64(what)?;
        self.take(length, what)
    }

    /// A name: a string that must be UTF-8 and no longer than the format allows.
    pub(super) fn name(&mut self, what: &'static str) -> Result<&'a str, GgufError> {
        const LIMIT: usize = 65_535;
        let at = self.at();
        let bytes = self.string(what)?;
        if bytes.len() > LIMIT {
            return Err(GgufError::OversizeItem { at, what, length: bytes.len() as u64, limit: LIMIT as u64 });
        }
        std::str::from_utf8(bytes).map_err(|_| GgufError::InvalidText { at, what })
    }
}

/// The error for a name that was seen before.
pub(super) fn duplicate(what: &'static str, name: &str) -> GgufError {
    GgufError::DuplicateName { what, name: quotable(name) }
}
