//! What the loader reads of a library: `DT_NEEDED`, search paths, and versions of symbols.

use std::io::{Read, Seek};

use object::LittleEndian as LE;
use object::elf::{self, Dyn64, Verdaux, Verdef, Vernaux, Verneed};

use super::error::ElfError;
use super::input::{Input, text};
use super::layout::Layout;

/// Most entries of the dynamic table; real libraries have about fifty.
const MOST_ENTRIES: u64 = 4096;
/// Longest table of strings; that of libtorch_cpu has 40 MiB.
const LONGEST_STRINGS: u64 = 56 << 20;
/// Longest of these strings: a path list.
const LONGEST_STRING: u64 = 16 << 10;
/// Most files or versions in a table of versions.
const MOST_VERSIONS: usize = 4096;

/// What the loader reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// The machine, as ELF numbers it: 62 is x86-64, 183 is AArch64.
    pub machine: u16,
    /// The name that others need it by.
    pub soname: Option<String>,
    /// The names of the libraries that it needs, in the order in which they are loaded.
    pub needed: Vec<String>,
    /// Where it and what it loads looks first, with `$ORIGIN`; without effect beside a `runpath`.
    pub rpath: Vec<String>,
    /// Where it looks after `LD_LIBRARY_PATH`.
    pub runpath: Vec<String>,
    /// The versions of symbols that it needs, by the library that must define them.
    pub needs: Vec<VersionNeed>,
    /// The versions of symbols that it defines.
    pub defines: Vec<String>,
}

/// Versions that a library needs of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionNeed {
    /// The other library: `libc.so.6`.
    pub library: String,
    /// The versions: `GLIBC_2.28`.
    pub versions: Vec<String>,
}

/// Strings by their offset, each read when it is asked for.
struct Strings {
    offset: u64,
    size: u64,
}

impl Strings {
    fn get<R: Read + Seek>(&self, input: &mut Input<R>, place: u64) -> Result<String, ElfError> {
        let part = "the table of strings";
        let left = self.size.checked_sub(place).ok_or(ElfError::Damaged { part })?;
        // Names are short, search paths are not.
        for most in [128, LONGEST_STRING] {
            let bytes = input.up_to(self.offset.saturating_add(place), most.min(left), part)?;
            if let Some(text) = text(&bytes, 0) {
                return Ok(text.to_owned());
            }
        }
        Err(ElfError::Damaged { part })
    }
}

pub(super) fn read<R: Read + Seek>(input: &mut Input<R>, layout: &Layout) -> Result<Dynamic, ElfError> {
    let mut read = Dynamic { machine: layout.machine, ..Dynamic::default() };
    let Some((offset, size)) = layout.dynamic else { return Ok(read) };
    let part = "the dynamic table";
    let count = size / size_of::<Dyn64<LE>>() as u64;
    if count > MOST_ENTRIES {
        return Err(ElfError::TooLarge { part });
    }
    let entries: Vec<Dyn64<LE>> = input.several(offset, count, part)?;
    let entries = || entries.iter().take_while(|entry| entry.d_tag.get(LE) != elf::DT_NULL);
    let all = |tag| entries().filter(move |entry| entry.d_tag.get(LE) == tag).map(|entry| entry.d_val.get(LE));
    let strings = match (all(elf::DT_STRTAB).next(), all(elf::DT_STRSZ).next()) {
        (Some(address), Some(size)) if size <= LONGEST_STRINGS => {
            Strings { offset: layout.offset_of(address).ok_or(ElfError::Damaged { part })?, size }
        }
        (Some(_), Some(_)) => return Err(ElfError::TooLarge { part: "the table of strings" }),
        _ => return Ok(read),
    };
    for place in all(elf::DT_NEEDED) {
        read.needed.push(strings.get(input, place)?);
    }
    if let Some(place) = all(elf::DT_SONAME).next() {
        read.soname = Some(strings.get(input, place)?);
    }
    for (tag, paths) in [(elf::DT_RPATH, &mut read.rpath), (elf::DT_RUNPATH, &mut read.runpath)] {
        if let Some(place) = all(tag).next() {
            let list = strings.get(input, place)?;
            paths.extend(list.split(':').filter(|path| !path.is_empty()).map(str::to_owned));
        }
    }
    if let Some(address) = all(elf::DT_VERNEED).next() {
        read.needs = needs(input, layout, address, &strings)?;
    }
    if let Some(address) = all(elf::DT_VERDEF).next() {
        read.defines = defines(input, layout, address, &strings)?;
    }
    Ok(read)
}

fn needs<R: Read + Seek>(input: &mut Input<R>, layout: &Layout, address: u64, strings: &Strings) -> Result<Vec<VersionNeed>, ElfError> {
    let part = "the table of needed versions";
    let mut place = layout.offset_of(address).ok_or(ElfError::Damaged { part })?;
    let (mut needs, mut read) = (Vec::new(), 0);
    loop {
        let need: Verneed<LE> = input.one(place, part)?;
        let mut versions = Vec::new();
        let mut next = place.saturating_add(u64::from(need.vn_aux.get(LE)));
        for _ in 0..need.vn_cnt.get(LE) {
            read += 1;
            if read > MOST_VERSIONS {
                return Err(ElfError::TooLarge { part });
            }
            let version: Vernaux<LE> = input.one(next, part)?;
            if version.vna_flags.get(LE).0 & elf::VER_FLG_WEAK.0 == 0 {
                versions.push(strings.get(input, u64::from(version.vna_name.get(LE)))?);
            }
            match version.vna_next.get(LE) {
                0 => break,
                step => next = next.saturating_add(u64::from(step)),
            }
        }
        needs.push(VersionNeed { library: strings.get(input, u64::from(need.vn_file.get(LE)))?, versions });
        read += 1;
        match need.vn_next.get(LE) {
            0 => return Ok(needs),
            _ if read > MOST_VERSIONS => return Err(ElfError::TooLarge { part }),
            step => place = place.saturating_add(u64::from(step)),
        }
    }
}

fn defines<R: Read + Seek>(input: &mut Input<R>, layout: &Layout, address: u64, strings: &Strings) -> Result<Vec<String>, ElfError> {
    let part = "the table of defined versions";
    let mut place = layout.offset_of(address).ok_or(ElfError::Damaged { part })?;
    let mut versions = Vec::new();
    loop {
        let definition: Verdef<LE> = input.one(place, part)?;
        let name: Verdaux<LE> = input.one(place.saturating_add(u64::from(definition.vd_aux.get(LE))), part)?;
        versions.push(strings.get(input, u64::from(name.vda_name.get(LE)))?);
        match definition.vd_next.get(LE) {
            0 => return Ok(versions),
            _ if versions.len() > MOST_VERSIONS => return Err(ElfError::TooLarge { part }),
            step => place = place.saturating_add(u64::from(step)),
        }
    }
}
