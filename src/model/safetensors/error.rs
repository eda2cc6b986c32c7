//! What can be wrong with a safetensors header or index.

use crate::hint::Hint;

/// A safetensors file or index that cannot be one. The file is named by whoever read it; the place in it, here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetensorsError {
    /// A Git LFS pointer stands where the file should be.
    #[error("it is a Git LFS pointer, not the file itself")]
    LfsPointer,
    /// Fewer than eight bytes.
    #[error("it has {found} bytes, but bytes 0 to 7 must hold the header's length")]
    MissingLength {
        /// Bytes there are.
        found: u64,
    },
    /// A length beyond what the format allows.
    #[error("bytes 0 to 7 claim a header of {claimed} bytes; the format allows {limit}")]
    OversizeHeader {
        /// The length that the file claims.
        claimed: u64,
        /// The longest that the format allows.
        limit: u64,
    },
    /// The file ends inside the header.
    #[error("bytes 0 to 7 claim a header of {claimed} bytes, but the file ends {found} bytes into it")]
    TruncatedHeader {
        /// The length that the file claims.
        claimed: u64,
        /// Bytes of the header there are.
        found: u64,
    },
    /// A header that is not the JSON object that it should be.
    #[error("the header (from byte 8) is not valid: {problem}")]
    InvalidHeader {
        /// What is wrong, with line and column of the header.
        problem: String,
    },
    /// A name that stands twice.
    #[error("tensor `{name}` is described twice")]
    DuplicateTensor {
        /// The tensor.
        name: String,
    },
    /// A dtype that the format does not have.
    #[error("tensor `{name}` has the unknown dtype `{dtype}`")]
    UnknownDtype {
        /// The tensor.
        name: String,
        /// Its dtype.
        dtype: String,
    },
    /// Data that ends before it begins.
    #[error("tensor `{name}` has data_offsets [{begin}, {end}], which end before they begin")]
    ReversedOffsets {
        /// The tensor.
        name: String,
        /// Its first byte.
        begin: u64,
        /// The byte after its last.
        end: u64,
    },
    /// Data that overlaps the tensor before it or leaves a gap.
    #[error("tensor `{name}` begins at data offset {begin}, but the tensor before it ends at {expected}")]
    NoncontiguousOffsets {
        /// The tensor.
        name: String,
        /// Its first byte.
        begin: u64,
        /// Where it should begin.
        expected: u64,
    },
    /// Offsets that disagree with dtype and shape.
    #[error("tensor `{name}` of dtype {dtype} and shape {shape:?} cannot occupy {offered} bytes, as its data_offsets say")]
    SizeMismatch {
        /// The tensor.
        name: String,
        /// Its dtype.
        dtype: String,
        /// Its shape.
        shape: Vec<u64>,
        /// Bytes between its offsets.
        offered: u64,
    },
    /// A file that ends before its tensors do.
    #[error("its tensors end at byte {needed}, but the file ends at byte {size}")]
    TruncatedData {
        /// The file's size.
        size: u64,
        /// The size that the header describes.
        needed: u64,
    },
    /// A file that goes on after its tensors.
    #[error("its tensors end at byte {needed}, but the file goes on to byte {size}")]
    SurplusData {
        /// The file's size.
        size: u64,
        /// The size that the header describes.
        needed: u64,
    },
    /// An index that is not the JSON object that it should be.
    #[error("the index is not valid: {problem}")]
    InvalidIndex {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A shard outside the index's own directory.
    #[error("the index names the shard `{name}`, which is not a plain file name")]
    ForeignShard {
        /// The name in the index.
        name: String,
    },
}

impl Hint for SafetensorsError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::LfsPointer => "run `git lfs pull` in the repository, or download the file again",
            Self::MissingLength { .. } | Self::TruncatedHeader { .. } | Self::TruncatedData { .. } => {
                "the download is incomplete: download the file again, or plan from its `config.json` alone"
            }
            Self::InvalidIndex { .. } => "download the index again, or plan from `config.json` alone",
            _ => "download the file again, or plan from its `config.json` alone",
        };
        Some(text.to_owned())
    }
}
