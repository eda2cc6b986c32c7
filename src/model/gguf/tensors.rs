//! Tensor descriptions: name, dimensions, type, offset.

use std::collections::HashSet;

use super::cursor::{Cursor, duplicate};
use super::types::{GgmlType, ggml_type};
use super::{GgufError, Metadata};
use crate::model::headers::{TensorHeader, quotable};
use crate::units::Bytes;

/// The most tensors that are read; the largest models have a few thousand.
pub(super) const COUNT_LIMIT: u64 = 1 << 20;

/// The most dimensions that a ggml tensor has.
const RANK_LIMIT: u32 = 4;

pub(super) fn read(
    cursor: &mut Cursor<'_>,
    count: u64,
    metadata: &Metadata,
    file_size: Option<u64>,
) -> Result<Vec<TensorHeader>, GgufError> {
    let alignment = metadata.unsigned("general.alignment").unwrap_or(32);
    if !alignment.is_power_of_two() {
        return Err(GgufError::ImpossibleAlignment { alignment });
    }
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    let (mut expected, mut data_end) = (0, 0);
    for _ in 0..count {
        let (tensor, offset) = read_one(cursor)?;
        if !names.insert(tensor.name.clone()) {
            return Err(duplicate("tensor", &tensor.name));
        }
        if offset != expected {
            return Err(GgufError::NoncontiguousOffset { name: quotable(&tensor.name), offset, expected });
        }
        data_end = offset.saturating_add(tensor.bytes.0);
        expected = data_end.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        tensors.push(tensor);
    }
    let data_start = cursor.at().checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
    let needed = data_start.saturating_add(data_end);
    match file_size {
        Some(size) if count > 0 && size < needed => Err(GgufError::TruncatedData { size, needed }),
        _ => Ok(tensors),
    }
}

fn read_one(cursor: &mut Cursor<'_>) -> Result<(TensorHeader, u64), GgufError> {
    const WHAT: &str = "tensor description";
    let name = cursor.name("tensor name")?;
    let at = cursor.at();
    let rank = cursor.u32(WHAT)?;
    if rank > RANK_LIMIT {
        return Err(GgufError::ExcessiveCount { at, what: "dimensions", count: rank.into(), limit: RANK_LIMIT.into() });
    }
    let mut dimensions = Vec::with_capacity(rank as usize);
    for _ in 0..rank {
        dimensions.push(cursor.u64(WHAT)?);
    }
    let kind = cursor.u32(WHAT)?;
    let offset = cursor.u64(WHAT)?;
    let Some(dtype) = ggml_type(kind) else {
        return Err(GgufError::UnknownTensorType { name: quotable(name), kind });
    };
    let Some(bytes) = size(dtype, &dimensions) else {
        return Err(GgufError::ImpossibleShape { name: quotable(name), dtype: dtype.name, dimensions });
    };
    dimensions.reverse();
    let tensor = TensorHeader { name: name.to_owned(), dtype: dtype.name.to_owned(), shape: dimensions, bytes: Bytes(bytes) };
    Ok((tensor, offset))
}

/// Rows are stored in whole blocks, so the first dimension must divide.
fn size(dtype: &GgmlType, dimensions: &[u64]) -> Option<u64> {
    let row = dimensions.first().copied().unwrap_or(1);
    let elements = dimensions.iter().try_fold(1_u64, |product, &dimension| product.checked_mul(dimension))?;
    let whole = row.is_multiple_of(dtype.block);
    whole.then_some(elements / dtype.block)?.checked_mul(dtype.bytes)
}
