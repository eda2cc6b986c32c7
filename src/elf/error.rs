//! Why a library could not be read.

/// Why a library, or a part of it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The file does not start as ELF files do.
    #[error("it is no ELF file")]
    NotElf,
    /// An ELF file of a kind that no CUDA library is.
    #[error("it is an ELF file of another kind, {0}; 64-bit little-endian is needed")]
    Unsupported(&'static str),
    /// A part lies beyond the end of the file.
    #[error("{part} lies beyond the end of the file, which is cut off or damaged")]
    Truncated {
        /// The part: `the section table`.
        part: &'static str,
    },
    /// A part contradicts itself.
    #[error("{part} is damaged")]
    Damaged {
        /// The part.
        part: &'static str,
    },
    /// A part is larger than any real library's.
    #[error("{part} is larger than any library's is")]
    TooLarge {
        /// The part.
        part: &'static str,
    },
    /// The system could not read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
