//! Reads of small ranges, with a budget.

use std::io::{Read, Seek, SeekFrom};

use object::pod::{self, Pod};

use super::error::ElfError;

/// Most bytes that are read of one library. The largest real sum, symbols and strings of an extension, is a tenth of it.
const MOST_BYTES: u64 = 64 << 20;
/// Most ranges that are read of one library: libcublasLt has about six thousand kernels, a look-up of a symbol takes six.
const MOST_READS: u32 = 400_000;

/// A file of known length that is read in ranges.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    length: u64,
    bytes_left: u64,
    reads_left: u32,
}

impl<R: Read + Seek> Input<R> {
    pub(super) fn new(mut reader: R) -> Result<Self, ElfError> {
        let length = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, length, bytes_left: MOST_BYTES, reads_left: MOST_READS })
    }

    /// The length of the file.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of a range; an error that names `part` where it is not wholly inside the file.
    pub(super) fn range(&mut self, offset: u64, size: u64, part: &'static str) -> Result<Vec<u8>, ElfError> {
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(ElfError::Truncated { part });
        }
        if size > self.bytes_left || self.reads_left == 0 {
            return Err(ElfError::TooLarge { part });
        }
        self.bytes_left -= size;
        self.reads_left -= 1;
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| ElfError::TooLarge { part })?];
        self.reader.seek(SeekFrom::Start(offset))?;
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// One structure.
    pub(super) fn one<T: Pod>(&mut self, offset: u64, part: &'static str) -> Result<T, ElfError> {
        let bytes = self.range(offset, size_of::<T>() as u64, part)?;
        at(&bytes, 0).ok_or(ElfError::Damaged { part })
    }

    /// Structures in a row.
    pub(super) fn several<T: Pod>(&mut self, offset: u64, count: u64, part: &'static str) -> Result<Vec<T>, ElfError> {
        let size = count.checked_mul(size_of::<T>() as u64).ok_or(ElfError::TooLarge { part })?;
        let bytes = self.range(offset, size, part)?;
        pod::slice_from_all_bytes(&bytes).map(<[T]>::to_vec).map_err(|()| ElfError::Damaged { part })
    }

    /// At most `most` bytes, fewer at the end of the file.
    pub(super) fn up_to(&mut self, offset: u64, most: u64, part: &'static str) -> Result<Vec<u8>, ElfError> {
        let size = most.min(self.length.saturating_sub(offset));
        self.range(offset.min(self.length), size, part)
    }
}

/// The structure at `offset` of `bytes`.
pub(super) fn at<T: Pod>(bytes: &[u8], offset: usize) -> Option<T> {
    pod::from_bytes::<T>(bytes.get(offset..)?).ok().map(|(value, _)| *value)
}

/// The text at `offset` of a string table, as far as its zero byte.
pub(super) fn text(table: &[u8], offset: usize) -> Option<&str> {
    let rest = table.get(offset..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(rest.get(..end)?).ok()
}
