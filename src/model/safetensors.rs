//! Safetensors headers: eight bytes of length, then a JSON object that describes each tensor.
//!
//! Nothing here does I/O: the caller brings the bytes, and the size of the file where it knows it.

mod error;
mod index;
mod json;

pub use error::SafetensorsError;
pub use index::{Index, parse_index};

use std::collections::HashSet;

use json::RawTensor;

use crate::model::headers::{TensorHeader, quotable};
use crate::units::Bytes;

/// Bytes before the header: its length, little-endian.
pub const LENGTH_BYTES: u64 = 8;

/// The longest header that the format allows, in bytes.
pub const HEADER_LIMIT: u64 = 100_000_000;

/// The header's length in bytes, from the first bytes of a file.
pub fn header_length(prefix: &[u8]) -> Result<u64, SafetensorsError> {
    if prefix.starts_with(b"version https://git-lfs") {
        return Err(SafetensorsError::LfsPointer);
    }
    let Some(first) = prefix.first_chunk::<8>() else {
        return Err(SafetensorsError::MissingLength { found: prefix.len() as u64 });
    };
    match u64::from_le_bytes(*first) {
        claimed if claimed > HEADER_LIMIT => Err(SafetensorsError::OversizeHeader { claimed, limit: HEADER_LIMIT }),
        length => Ok(length),
    }
}

/// The tensors of a file, in the order of their data.
///
/// `prefix` holds at least the length and the header; `file_size` is the whole file's, where it is known.
pub fn parse(prefix: &[u8], file_size: Option<u64>) -> Result<Vec<TensorHeader>, SafetensorsError> {
    let length = header_length(prefix)?;
    let end = (LENGTH_BYTES + length) as usize;
    let Some(header) = prefix.get(LENGTH_BYTES as usize..end) else {
        let found = prefix.len() as u64 - LENGTH_BYTES;
        return Err(SafetensorsError::TruncatedHeader { claimed: length, found });
    };
    let mut raw = json::parse(header)?;
    refuse_duplicates(&raw)?;
    raw.sort_by_key(|(_, tensor)| tensor.data_offsets);

    let mut data_end = 0;
    let mut tensors = Vec::with_capacity(raw.len());
    for (name, tensor) in raw {
        let bytes = checked_size(&name, &tensor, data_end)?;
        data_end = tensor.data_offsets.1;
        tensors.push(TensorHeader {
            name: name.into_owned(),
            dtype: tensor.dtype.into_owned(),
            shape: tensor.shape.0,
            bytes: Bytes(bytes),
        });
    }
    let needed = data_end.saturating_add(LENGTH_BYTES + length);
    match file_size {
        Some(size) if size < needed => Err(SafetensorsError::TruncatedData { size, needed }),
        Some(size) if size > needed => Err(SafetensorsError::SurplusData { size, needed }),
        _ => Ok(tensors),
    }
}

fn refuse_duplicates(raw: &[(std::borrow::Cow<'_, str>, RawTensor<'_>)]) -> Result<(), SafetensorsError> {
    let mut seen = HashSet::with_capacity(raw.len());
    match raw.iter().find(|(name, _)| !seen.insert(name.as_ref())) {
        Some((name, _)) => Err(SafetensorsError::DuplicateTensor { name: quotable(name) }),
        None => Ok(()),
    }
}

/// The tensor's bytes, once its offsets continue at `expected_begin` and agree with its type and shape.
fn checked_size(name: &str, tensor: &RawTensor<'_>, expected_begin: u64) -> Result<u64, SafetensorsError> {
    let (begin, end) = tensor.data_offsets;
    let name = || quotable(name);
    if end < begin {
        return Err(SafetensorsError::ReversedOffsets { name: name(), begin, end });
    }
    if begin != expected_begin {
        return Err(SafetensorsError::NoncontiguousOffsets { name: name(), begin, expected: expected_begin });
    }
    let Some(bits) = bits_per_element(&tensor.dtype) else {
        return Err(SafetensorsError::UnknownDtype { name: name(), dtype: quotable(&tensor.dtype) });
    };
    let size = tensor.shape.0.iter().try_fold(bits, |product, &dimension| product.checked_mul(dimension));
    match size {
        Some(size) if size % 8 == 0 && size / 8 == end - begin => Ok(end - begin),
        _ => Err(SafetensorsError::SizeMismatch {
            name: name(),
            dtype: quotable(&tensor.dtype),
            shape: tensor.shape.0.clone(),
            offered: end - begin,
        }),
    }
}

fn bits_per_element(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "U16" | "I16" | "F16" | "BF16" => 16,
        "U32" | "I32" | "F32" => 32,
        "U64" | "I64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
