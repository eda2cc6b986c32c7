//! What a forward-compatibility `libcuda` says about itself: `.note.cuda.fwd_compatibility`.

use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};

use super::error::ElfError;
use super::input::Input;
use super::layout::Layout;

/// The section.
const SECTION: &str = ".note.cuda.fwd_compatibility";
/// Longest note; real ones have some hundred bytes.
const LONGEST: u64 = 64 << 10;

/// The note, in the words of the library. Fields that a later format adds are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForwardCompatibility {
    /// The CUDA that it brings, `13.0`.
    #[serde(alias = "CUDA Version")]
    pub cuda: String,
    /// The driver branches that it works on.
    #[serde(alias = "Driver")]
    pub drivers: Vec<u32>,
    /// The brands of devices that it works on, as NVIDIA numbers them.
    #[serde(alias = "Device")]
    pub devices: Vec<u32>,
}

pub(super) fn read<R: Read + Seek>(input: &mut Input<R>, layout: &Layout) -> Result<Option<ForwardCompatibility>, ElfError> {
    let part = "the note on forward compatibility";
    let Some(section) = layout.section(SECTION) else { return Ok(None) };
    if section.size > LONGEST {
        return Err(ElfError::TooLarge { part });
    }
    // The text may stand alone, or behind the header and the name of an ELF note.
    let bytes = input.range(section.offset, section.size, part)?;
    let start = bytes.iter().position(|byte| *byte == b'{').ok_or(ElfError::Damaged { part })?;
    let text = bytes.get(start..).unwrap_or_default();
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    serde_json::from_slice(text.get(..end).unwrap_or_default()).map(Some).map_err(|_| ElfError::Damaged { part })
}
