//! What can be wrong with a GGUF header.

use crate::hint::Hint;

/// A GGUF file that cannot be one. The file is named by whoever read it; the place in it, here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The header goes on beyond the bytes that were given; not an error of the file.
    #[error("the header goes on to byte {needed} at least")]
    Incomplete {
        /// The least length of the prefix that would help.
        needed: u64,
    },
    /// A file of another kind.
    #[error("it starts with `{magic}`, not with `GGUF`")]
    ForeignMagic {
        /// The first four bytes, escaped.
        magic: String,
        /// Whether it is a Git LFS pointer.
        lfs_pointer: bool,
    },
    /// A big-endian file.
    #[error("it is a big-endian GGUF file of version {version}; only little-endian files are read")]
    BigEndian {
        /// The format's version.
        version: u32,
    },
    /// A version other than 2 and 3.
    #[error("it is GGUF version {version}; versions 2 and 3 are read")]
    UnsupportedVersion {
        /// The format's version.
        version: u32,
    },
    /// The file ends inside the header.
    #[error("at byte {at}: {what} would end at byte {needed}, but the file ends at byte {size}")]
    TruncatedHeader {
        /// Where the item begins.
        at: u64,
        /// The item.
        what: &'static str,
        /// Where the item would end.
        needed: u64,
        /// The file's size.
        size: u64,
    },
    /// An item longer than any header.
    #[error("at byte {at}: {what} of {length} bytes; headers beyond {limit} bytes are not read")]
    OversizeItem {
        /// Where the item begins.
        at: u64,
        /// The item.
        what: &'static str,
        /// Its claimed length.
        length: u64,
        /// The longest header that is read.
        limit: u64,
    },
    /// More items than any file has.
    #[error("at byte {at}: {count} {what}; at most {limit} are read")]
    ExcessiveCount {
        /// Where the count stands.
        at: u64,
        /// What is counted.
        what: &'static str,
        /// The claimed count.
        count: u64,
        /// The largest count that is read.
        limit: u64,
    },
    /// A metadata value of no known type.
    #[error("at byte {at}: metadata key `{key}` has the unknown value type {kind}")]
    UnknownValueType {
        /// Where the type stands.
        at: u64,
        /// The key.
        key: String,
        /// The type's number.
        kind: u32,
    },
    /// Arrays within arrays within arrays.
    #[error("at byte {at}: metadata key `{key}` nests arrays deeper than {limit}")]
    DeepArray {
        /// Where the array begins.
        at: u64,
        /// The key.
        key: String,
        /// The deepest nesting that is read.
        limit: u32,
    },
    /// A name that stands twice.
    #[error("{what} `{name}` stands twice")]
    DuplicateName {
        /// `metadata key` or `tensor`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that is not UTF-8.
    #[error("at byte {at}: {what} is not UTF-8")]
    InvalidText {
        /// Where the text begins.
        at: u64,
        /// The item.
        what: &'static str,
    },
    /// A tensor of no known type.
    #[error("tensor `{name}` has the unknown ggml type {kind}")]
    UnknownTensorType {
        /// The tensor.
        name: String,
        /// The type's number.
        kind: u32,
    },
    /// A shape that the type cannot have.
    #[error("tensor `{name}` of type {dtype} cannot have the dimensions {dimensions:?}")]
    ImpossibleShape {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: &'static str,
        /// Its dimensions as stored.
        dimensions: Vec<u64>,
    },
    /// Data that overlaps the tensor before it or leaves a gap.
    #[error("tensor `{name}` begins at data offset {offset}, but the tensor before it ends at {expected}")]
    NoncontiguousOffset {
        /// The tensor.
        name: String,
        /// Its first byte.
        offset: u64,
        /// Where it should begin.
        expected: u64,
    },
    /// An alignment that is not a power of two.
    #[error("`general.alignment` is {alignment}, which is not a power of two")]
    ImpossibleAlignment {
        /// The alignment.
        alignment: u64,
    },
    /// A file that ends before its tensors do.
    #[error("its tensors end at byte {needed}, but the file ends at byte {size}")]
    TruncatedData {
        /// The file's size.
        size: u64,
        /// The size that the header describes.
        needed: u64,
    },
    /// Metadata that a model needs.
    #[error("metadata key `{key}` is missing or not {expected}")]
    MissingKey {
        /// The key.
        key: String,
        /// What its value should be.
        expected: &'static str,
    },
}

impl Hint for GgufError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Incomplete { .. } => return None,
            Self::ForeignMagic { lfs_pointer: true, .. } => "it is a Git LFS pointer: run `git lfs pull`, or download the file again",
            Self::BigEndian { .. } => "convert it with llama.cpp's `gguf_convert_endian.py`, or download the little-endian file",
            Self::UnsupportedVersion { .. } => "download a file converted by a current llama.cpp",
            Self::UnknownTensorType { .. } => "the engine loads the types of upstream ggml only: choose another quantisation",
            Self::MissingKey { .. } => "name a GGUF file of a language model, or plan from its `config.json`",
            _ => "download the file again, or plan from the `config.json` of the original model",
        };
        Some(text.to_owned())
    }
}
