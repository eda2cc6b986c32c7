//! GGUF headers, versions 2 and 3: typed metadata, then a description of each tensor.
//!
//! Nothing here does I/O. A header's length is not written in it, so [`parse`] may answer that it needs more bytes
//! ([`GgufError::Incomplete`]); the caller reads on and asks again.

mod architecture;
mod config;
mod cursor;
mod error;
mod metadata;
mod names;
mod tensors;
mod types;

pub use config::gguf_config;
pub use error::GgufError;
pub use metadata::{Metadata, Value};
pub use names::hf_name;

use cursor::Cursor;

use crate::model::headers::TensorHeader;

/// The longest header that is read, in bytes. Real ones are mostly tokenizer and stay below 32 MiB.
pub const HEADER_LIMIT: u64 = 256 << 20;

/// What a GGUF file says before its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Gguf {
    /// The format's version: 2 or 3.
    pub version: u32,
    /// Keys and values.
    pub metadata: Metadata,
    /// The tensors, in the order of their data.
    pub tensors: Vec<TensorHeader>,
}

/// Reads the header at the beginning of a file, of which `prefix` is known; `file_size` is the whole file's, where it
/// is known.
pub fn parse(prefix: &[u8], file_size: Option<u64>) -> Result<Gguf, GgufError> {
    let mut cursor = Cursor::new(prefix, file_size);
    let version = version(&mut cursor)?;
    let tensor_count = cursor.count("tensors", tensors::COUNT_LIMIT)?;
    let key_count = cursor.count("metadata keys", metadata::COUNT_LIMIT)?;
    let metadata = Metadata::read(&mut cursor, key_count)?;
    let tensors = tensors::read(&mut cursor, tensor_count, &metadata, file_size)?;
    Ok(Gguf { version, metadata, tensors })
}

fn version(cursor: &mut Cursor<'_>) -> Result<u32, GgufError> {
    let magic = cursor.array::<4>("magic")?;
    if &magic != b"GGUF" {
        let lfs_pointer = magic == *b"vers";
        return Err(GgufError::ForeignMagic { magic: magic.escape_ascii().to_string(), lfs_pointer });
    }
    let version = cursor.array::<4>("version")?;
    match (u32::from_le_bytes(version), u32::from_be_bytes(version)) {
        (version @ 2..=3, _) => Ok(version),
        (_, version @ 1..=0xffff) => Err(GgufError::BigEndian { version }),
        (version, _) => Err(GgufError::UnsupportedVersion { version }),
    }
}

#[cfg(test)]
mod tests;
