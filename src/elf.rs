//! Shared libraries as they lie on disk: what they need, where they look for it, and which GPUs their kernels are for.
//!
//! A file is read in small ranges from any [`Read`] + [`Seek`], under a budget of bytes and reads, so a library of any size
//! and any damage takes bounded time and memory. Payloads, which are nearly all of a CUDA library, are never read. The
//! structures of ELF come from the `object` crate; that of `.nv_fatbin`, which NVIDIA does not publish, is in [`fatbin`].

mod dynamic;
mod error;
pub mod fatbin;
mod input;
mod layout;
pub mod note;
mod symbols;

use std::io::{Read, Seek};

pub use dynamic::{Dynamic, VersionNeed};
pub use error::ElfError;
pub use fatbin::{CodeKind, Scope, Target};

use input::Input;
use layout::Layout;

/// A shared library that can be asked.
#[derive(Debug)]
pub struct Elf<R> {
    input: Input<R>,
    layout: Layout,
}

impl<R: Read + Seek> Elf<R> {
    /// Reads the headers.
    ///
    /// # Errors
    /// When it is no 64-bit little-endian ELF file, or when its headers do not lie inside it.
    pub fn open(reader: R) -> Result<Self, ElfError> {
        let mut input = Input::new(reader)?;
        let layout = Layout::read(&mut input)?;
        Ok(Self { input, layout })
    }

    /// What the loader reads: needs, search paths, versions.
    ///
    /// # Errors
    /// When a table does not lie inside the file or is absurdly large.
    pub fn dynamic(&mut self) -> Result<Dynamic, ElfError> {
        dynamic::read(&mut self.input, &self.layout)
    }

    /// The GPUs that it has kernels for; empty for a library without kernels.
    ///
    /// # Errors
    /// When `.nv_fatbin` is damaged. What came before the damage is lost: half a list would be a wrong answer.
    pub fn targets(&mut self) -> Result<Vec<Target>, ElfError> {
        fatbin::read(&mut self.input, &self.layout)
    }

    /// The symbols that it needs from other libraries and `wanted` accepts. Weak ones, which may stay absent, are left out.
    ///
    /// # Errors
    /// When the symbol table is damaged or absurdly large.
    pub fn undefined(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, ElfError> {
        symbols::undefined(&mut self.input, &self.layout, wanted)
    }

    /// Looks up symbols as the loader does, by the hash table, without reading the symbol table.
    ///
    /// # Errors
    /// When it has no hash table, or a damaged one.
    pub fn exports(&mut self) -> Result<Exports<'_, R>, ElfError> {
        let table = symbols::HashTable::read(&mut self.input, &self.layout)?;
        Ok(Exports { input: &mut self.input, table })
    }

    /// What a forward-compatibility `libcuda` says about the drivers and devices that it works on.
    ///
    /// # Errors
    /// When there is such a note and it cannot be read.
    pub fn forward_compatibility(&mut self) -> Result<Option<note::ForwardCompatibility>, ElfError> {
        note::read(&mut self.input, &self.layout)
    }
}

/// The symbols that a library defines.
#[derive(Debug)]
pub struct Exports<'a, R> {
    input: &'a mut Input<R>,
    table: symbols::HashTable,
}

impl<R: Read + Seek> Exports<'_, R> {
    /// Whether it defines `name`.
    ///
    /// # Errors
    /// When the tables point outside the file.
    pub fn has(&mut self, name: &str) -> Result<bool, ElfError> {
        self.table.has(self.input, name)
    }
}
