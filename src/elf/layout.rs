//! Where the parts of a library are: its sections by name, and the file offset of an address.

use std::io::{Read, Seek};

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};

use super::error::ElfError;
use super::input::{Input, text};

/// Most sections; real libraries have about forty.
const MOST_SECTIONS: u64 = 8192;
/// Most segments; real libraries have about ten.
const MOST_SEGMENTS: u16 = 256;
/// Longest table of section names.
const LONGEST_NAMES: u64 = 1 << 20;

/// A section: its name and where it is in the file.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: elf::SectionType,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: usize,
}

/// A loaded segment: addresses and where they are in the file.
#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    offset: u64,
    size: u64,
}

/// Where the parts are.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) machine: u16,
    pub(super) sections: Vec<Section>,
    segments: Vec<Segment>,
    /// Offset and size of what the loader reads.
    pub(super) dynamic: Option<(u64, u64)>,
}

impl Layout {
    pub(super) fn read<R: Read + Seek>(input: &mut Input<R>) -> Result<Self, ElfError> {
        if input.length() < 4 || input.range(0, 4, "the header")? != elf::ELFMAG {
            return Err(ElfError::NotElf);
        }
        let ident = input.range(0, 16.min(input.length()), "the header")?;
        match (ident.get(4), ident.get(5)) {
            (Some(2), Some(1)) => {}
            (Some(1), _) => return Err(ElfError::Unsupported("32-bit")),
            (Some(2), _) => return Err(ElfError::Unsupported("big-endian")),
            _ => return Err(ElfError::Damaged { part: "the header" }),
        }
        let header: FileHeader64<LE> = input.one(0, "the header")?;
        let (segments, dynamic) = segments(input, &header)?;
        let sections = sections(input, &header)?;
        Ok(Self { machine: header.e_machine.get(LE).0, sections, segments, dynamic })
    }

    /// The first section of a name.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The offset of an address in the file.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        let segment = self.segments.iter().find(|it| address.checked_sub(it.address).is_some_and(|distance| distance < it.size))?;
        (address - segment.address).checked_add(segment.offset)
    }
}

type Segments = (Vec<Segment>, Option<(u64, u64)>);

fn segments<R: Read + Seek>(input: &mut Input<R>, header: &FileHeader64<LE>) -> Result<Segments, ElfError> {
    let (part, count) = ("the segment table", header.e_phnum.get(LE));
    if count == 0 {
        return Ok((Vec::new(), None));
    }
    if count > MOST_SEGMENTS {
        return Err(ElfError::TooLarge { part });
    }
    if usize::from(header.e_phentsize.get(LE)) != size_of::<ProgramHeader64<LE>>() {
        return Err(ElfError::Damaged { part });
    }
    let all: Vec<ProgramHeader64<LE>> = input.several(header.e_phoff.get(LE), u64::from(count), part)?;
    let of = |kind| all.iter().filter(move |segment| segment.p_type.get(LE) == kind);
    let loaded = of(elf::PT_LOAD).map(|segment| Segment {
        address: segment.p_vaddr.get(LE),
        offset: segment.p_offset.get(LE),
        size: segment.p_filesz.get(LE),
    });
    let dynamic = of(elf::PT_DYNAMIC).next().map(|segment| (segment.p_offset.get(LE), segment.p_filesz.get(LE)));
    Ok((loaded.collect(), dynamic))
}

fn sections<R: Read + Seek>(input: &mut Input<R>, header: &FileHeader64<LE>) -> Result<Vec<Section>, ElfError> {
    let (part, start) = ("the section table", header.e_shoff.get(LE));
    if start == 0 {
        return Ok(Vec::new());
    }
    if usize::from(header.e_shentsize.get(LE)) != size_of::<SectionHeader64<LE>>() {
        return Err(ElfError::Damaged { part });
    }
    // Counts that do not fit into the header stand in the first section.
    let first: SectionHeader64<LE> = input.one(start, part)?;
    let count = match header.e_shnum.get(LE) {
        0 => first.sh_size.get(LE),
        count => u64::from(count),
    };
    if count > MOST_SECTIONS {
        return Err(ElfError::TooLarge { part });
    }
    let names = match header.e_shstrndx.get(LE) {
        elf::SHN_XINDEX => first.sh_link.get(LE) as usize,
        index => usize::from(index.0),
    };
    let all: Vec<SectionHeader64<LE>> = input.several(start, count, part)?;
    let Some(names) = all.get(names) else { return Err(ElfError::Damaged { part }) };
    let part = "the table of section names";
    if names.sh_size.get(LE) > LONGEST_NAMES {
        return Err(ElfError::TooLarge { part });
    }
    let names = input.range(names.sh_offset.get(LE), names.sh_size.get(LE), part)?;
    let section = |section: &SectionHeader64<LE>| Section {
        name: text(&names, section.sh_name.get(LE) as usize).unwrap_or_default().to_owned(),
        kind: section.sh_type.get(LE),
        offset: section.sh_offset.get(LE),
        size: section.sh_size.get(LE),
        link: section.sh_link.get(LE) as usize,
    };
    Ok(all.iter().map(section).collect())
}
