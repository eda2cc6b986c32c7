//! Symbols: those that a library needs, and whether another one defines them.

use std::io::{Read, Seek};

use object::LittleEndian as LE;
use object::elf::{self, Dyn64, GnuHashHeader, Sym64};

use super::error::ElfError;
use super::input::{Input, at, text};
use super::layout::Layout;

/// Longest table of symbols that is read, in bytes: ten times that of any extension. Torch's own are not read but looked up.
const LONGEST_SYMBOLS: u64 = 16 << 20;
/// Longest table of their names.
const LONGEST_NAMES: u64 = 32 << 20;
/// Longest chain of one bucket, in symbols; real ones have a handful.
const LONGEST_CHAIN: u32 = 1024;
/// Longest name of a symbol that is compared.
const LONGEST_NAME: u64 = 8 << 10;

/// The names of undefined symbols that `wanted` accepts.
pub(super) fn undefined<R: Read + Seek>(
    input: &mut Input<R>,
    layout: &Layout,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<String>, ElfError> {
    let part = "the table of symbols";
    let Some(section) = layout.sections.iter().find(|section| section.kind == elf::SHT_DYNSYM) else { return Ok(Vec::new()) };
    let names = layout.sections.get(section.link).ok_or(ElfError::Damaged { part })?;
    if section.size > LONGEST_SYMBOLS || names.size > LONGEST_NAMES {
        return Err(ElfError::TooLarge { part });
    }
    let symbols: Vec<Sym64<LE>> = input.several(section.offset, section.size / size_of::<Sym64<LE>>() as u64, part)?;
    let names = input.range(names.offset, names.size, part)?;
    let needed = symbols.iter().filter(|symbol| symbol.st_shndx.get(LE) == elf::SHN_UNDEF && symbol.st_bind() == elf::STB_GLOBAL);
    let named = needed.filter_map(|symbol| text(&names, symbol.st_name.get(LE) as usize));
    Ok(named.filter(|name| wanted(name)).map(str::to_owned).collect())
}

/// The table by which the loader finds a symbol: `DT_GNU_HASH`.
#[derive(Debug)]
pub(super) struct HashTable {
    buckets: u64,
    first: u64,
    filters: u64,
    shift: u32,
    /// Offsets in the file: filter, buckets, chains, symbols, names.
    filter_at: u64,
    buckets_at: u64,
    chains_at: u64,
    symbols_at: u64,
    names_at: u64,
}

impl HashTable {
    pub(super) fn read<R: Read + Seek>(input: &mut Input<R>, layout: &Layout) -> Result<Self, ElfError> {
        let part = "the hash table of symbols";
        let damaged = || ElfError::Damaged { part };
        let (offset, size) = layout.dynamic.ok_or_else(damaged)?;
        let bytes = input.up_to(offset, size.min(1 << 16), part)?;
        let entries = (0..bytes.len() / size_of::<Dyn64<LE>>()).filter_map(|index| at::<Dyn64<LE>>(&bytes, index * size_of::<Dyn64<LE>>()));
        let entries: Vec<_> = entries.map(|entry| (entry.d_tag.get(LE), entry.d_val.get(LE))).collect();
        let place = |tag| {
            let entry = entries.iter().take_while(|entry| entry.0 != elf::DT_NULL).find(|entry| entry.0 == tag);
            entry.and_then(|(_, address)| layout.offset_of(*address)).ok_or_else(damaged)
        };
        let table = place(elf::DT_GNU_HASH)?;
        let (symbols_at, names_at) = (place(elf::DT_SYMTAB)?, place(elf::DT_STRTAB)?);
        let header: GnuHashHeader<LE> = input.one(table, part)?;
        let (buckets, filters) = (u64::from(header.bucket_count.get(LE)), u64::from(header.bloom_count.get(LE)));
        let shift = header.bloom_shift.get(LE);
        if buckets == 0 || !filters.is_power_of_two() || shift > 31 {
            return Err(damaged());
        }
        let filter_at = table.saturating_add(size_of::<GnuHashHeader<LE>>() as u64);
        let buckets_at = filter_at.saturating_add(filters * 8);
        let chains_at = buckets_at.saturating_add(buckets * 4);
        let first = u64::from(header.symbol_base.get(LE));
        Ok(Self { buckets, first, filters, shift, filter_at, buckets_at, chains_at, symbols_at, names_at })
    }

    /// Whether the library defines `name`.
    pub(super) fn has<R: Read + Seek>(&self, input: &mut Input<R>, name: &str) -> Result<bool, ElfError> {
        let part = "the hash table of symbols";
        let hash = hash(name);
        let word = word(input, self.filter_at, u64::from(hash) / 64 & (self.filters - 1), 8, part)?;
        let bits = 1_u64 << (hash % 64) | 1_u64 << ((hash >> self.shift) % 64);
        if word & bits != bits {
            return Ok(false);
        }
        let mut symbol = self::word(input, self.buckets_at, u64::from(hash) % self.buckets, 4, part)?;
        if symbol < self.first {
            return Ok(false);
        }
        for _ in 0..LONGEST_CHAIN {
            let chained = self::word(input, self.chains_at, symbol - self.first, 4, part)?;
            if chained | 1 == u64::from(hash) | 1 && self.is_named(input, symbol, name)? {
                return Ok(true);
            }
            if chained & 1 == 1 {
                return Ok(false);
            }
            symbol += 1;
        }
        Err(ElfError::Damaged { part })
    }

    /// Whether a symbol is defined here and has this name.
    fn is_named<R: Read + Seek>(&self, input: &mut Input<R>, index: u64, name: &str) -> Result<bool, ElfError> {
        let part = "the table of symbols";
        let place = self.symbols_at.saturating_add(index.saturating_mul(size_of::<Sym64<LE>>() as u64));
        let symbol: Sym64<LE> = input.one(place, part)?;
        let wanted = name.len() as u64 + 1;
        if symbol.st_shndx.get(LE) == elf::SHN_UNDEF || wanted > LONGEST_NAME {
            return Ok(false);
        }
        let bytes = input.up_to(self.names_at.saturating_add(u64::from(symbol.st_name.get(LE))), wanted, part)?;
        Ok(text(&bytes, 0) == Some(name))
    }
}

/// A little-endian word of `size` bytes in a table.
fn word<R: Read + Seek>(input: &mut Input<R>, table: u64, index: u64, size: u64, part: &'static str) -> Result<u64, ElfError> {
    let place = index.checked_mul(size).and_then(|distance| table.checked_add(distance)).ok_or(ElfError::Damaged { part })?;
    let bytes = input.range(place, size, part)?;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// The hash of `DT_GNU_HASH`.
fn hash(name: &str) -> u32 {
    name.bytes().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)))
}
