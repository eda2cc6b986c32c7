//! The kernels inside a library: `.nv_fatbin`, a row of containers with one entry for each GPU architecture.
//!
//! NVIDIA does not publish the format. A container is a header of 16 bytes (magic, version, header size, size of what
//! follows) and entries; an entry is a header (kind, header size, payload size, architecture, flags) and a payload, which
//! is skipped. Read from the libraries of torch 1.13 to 2.15, vLLM 0.6 to 0.33 and CUDA 11.7 to 13.2.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};

use super::error::ElfError;
use super::input::Input;
use super::layout::{Layout, Section};

/// Sections that hold containers: linked kernels, and kernels that the library links when it is loaded.
const SECTIONS: [&str; 2] = [".nv_fatbin", "__nv_relfatbin"];
/// First word of a container.
const MAGIC: u32 = 0xBA55_ED50;
/// Size of a container's header.
const CONTAINER: u64 = 16;
/// What is read of an entry: everything up to its flags.
const ENTRY: u64 = 48;
/// Longest header of an entry; 112 bytes were seen.
const LONGEST_ENTRY: u64 = 4096;
/// Longest gap between containers: they are aligned.
const LONGEST_GAP: u64 = 4096;
/// The flag of code that runs on exactly one architecture: `sm_90a`.
const ARCHITECTURE_SPECIFIC: u64 = 0x10_0000;
/// The flag of code that runs on one family of architectures: `sm_100f`.
const FAMILY_SPECIFIC: u64 = 0x20_0000;

/// An architecture that a library has kernels for, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The number in `sm_90`.
    pub sm: u16,
    /// Machine code or PTX.
    pub kind: CodeKind,
    /// Which GPUs it runs on.
    pub scope: Scope,
    /// How many entries there are: few beside many are single kernels, and no build for this architecture.
    pub entries: u32,
}

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeKind {
    /// Machine code.
    Cubin,
    /// Code that the driver compiles for any newer GPU.
    Ptx,
}

/// Which GPUs an entry runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Machine code: this one and later minor numbers of its major. PTX: this one and everything newer.
    Compatible,
    /// This one and later minor numbers of its family: `sm_100f`.
    Family,
    /// This one alone: `sm_90a`.
    Exact,
}

/// The architectures of a library, sorted; none where it has no kernels.
pub(super) fn read<R: Read + Seek>(input: &mut Input<R>, layout: &Layout) -> Result<Vec<Target>, ElfError> {
    let mut found = BTreeMap::new();
    for section in layout.sections.iter().filter(|section| SECTIONS.contains(&section.name.as_str())) {
        containers(input, section, &mut found)?;
    }
    Ok(found.into_iter().map(|((sm, kind, scope), entries)| Target { sm, kind, scope, entries }).collect())
}

type Found = BTreeMap<(u16, CodeKind, Scope), u32>;

fn containers<R: Read + Seek>(input: &mut Input<R>, section: &Section, found: &mut Found) -> Result<(), ElfError> {
    let part = "`.nv_fatbin`";
    let end = section.offset.checked_add(section.size).filter(|end| *end <= input.length()).ok_or(ElfError::Truncated { part })?;
    let mut place = section.offset;
    while place.saturating_add(CONTAINER) <= end {
        let header = input.range(place, CONTAINER, part)?;
        if u32_at(&header, 0) != MAGIC {
            let Some(gap) = gap(input, place, end)? else { return Ok(()) };
            place += gap;
            continue;
        }
        let first = u64::from(u16_at(&header, 6));
        let size = u64_at(&header, 8);
        let start = place.checked_add(first).filter(|_| first >= CONTAINER).ok_or(ElfError::Damaged { part })?;
        let stop = start.checked_add(size).ok_or(ElfError::Damaged { part })?;
        if stop > end {
            return Err(ElfError::Truncated { part });
        }
        entries(input, start, stop, found)?;
        place = stop;
    }
    Ok(())
}

/// How far the next container is, over the zeros that align it; nothing at the end of the section.
fn gap<R: Read + Seek>(input: &mut Input<R>, place: u64, end: u64) -> Result<Option<u64>, ElfError> {
    let part = "`.nv_fatbin`";
    let bytes = input.range(place, LONGEST_GAP.min(end - place), part)?;
    match bytes.iter().position(|byte| *byte != 0) {
        Some(0) => Err(ElfError::Damaged { part }),
        Some(zeros) => Ok(Some(zeros as u64)),
        None if bytes.len() as u64 == end - place => Ok(None),
        None => Err(ElfError::Damaged { part }),
    }
}

fn entries<R: Read + Seek>(input: &mut Input<R>, start: u64, stop: u64, found: &mut Found) -> Result<(), ElfError> {
    let part = "`.nv_fatbin`";
    let mut place = start;
    while place.saturating_add(ENTRY) <= stop {
        let header = input.range(place, ENTRY, part)?;
        let (size, payload) = (u64::from(u32_at(&header, 4)), u64_at(&header, 8));
        if !(ENTRY..=LONGEST_ENTRY).contains(&size) {
            return Err(ElfError::Damaged { part });
        }
        let next = place.checked_add(size).and_then(|end| end.checked_add(payload)).filter(|next| *next <= stop);
        let kind = match u16_at(&header, 0) {
            1 => Some(CodeKind::Ptx),
            2 => Some(CodeKind::Cubin),
            _ => None,
        };
        let flags = u64_at(&header, 40);
        let scope = match flags {
            _ if flags & ARCHITECTURE_SPECIFIC != 0 => Scope::Exact,
            _ if flags & FAMILY_SPECIFIC != 0 => Scope::Family,
            _ => Scope::Compatible,
        };
        if let (Some(kind), Ok(sm)) = (kind, u16::try_from(u32_at(&header, 28))) {
            let entries = found.entry((sm, kind, scope)).or_insert(0);
            *entries = entries.saturating_add(1);
        }
        place = next.ok_or(ElfError::Damaged { part })?;
    }
    Ok(())
}

fn bytes_at<const N: usize>(bytes: &[u8], place: usize) -> [u8; N] {
    bytes.get(place..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, place))
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, place))
}

fn u64_at(bytes: &[u8], place: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, place))
}
