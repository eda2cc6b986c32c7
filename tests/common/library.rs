//! Shared libraries made for a test: real ELF files, as small as they can be, that `readelf` reads without complaint.

/// What a library says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Library {
    soname: Option<&'static str>,
    needed: Vec<&'static str>,
    rpath: Option<&'static str>,
    runpath: Option<&'static str>,
    needs: Vec<(&'static str, Vec<&'static str>)>,
    defines: Vec<&'static str>,
    undefined: Vec<&'static str>,
    exported: Vec<&'static str>,
    sections: Vec<(&'static str, Vec<u8>)>,
}

impl Library {
    pub(crate) fn new(soname: &'static str) -> Self {
        Self { soname: Some(soname), ..Self::default() }
    }

    pub(crate) fn needed(mut self, names: &[&'static str]) -> Self {
        self.needed.extend(names);
        self
    }

    pub(crate) fn rpath(mut self, path: &'static str) -> Self {
        self.rpath = Some(path);
        self
    }

    pub(crate) fn runpath(mut self, path: &'static str) -> Self {
        self.runpath = Some(path);
        self
    }

    pub(crate) fn needs(mut self, library: &'static str, versions: &[&'static str]) -> Self {
        self.needs.push((library, versions.to_vec()));
        self
    }

    pub(crate) fn defines(mut self, versions: &[&'static str]) -> Self {
        self.defines.extend(versions);
        self
    }

    pub(crate) fn undefined(mut self, symbols: &[&'static str]) -> Self {
        self.undefined.extend(symbols);
        self
    }

    pub(crate) fn exported(mut self, symbols: &[&'static str]) -> Self {
        self.exported.extend(symbols);
        self
    }

    pub(crate) fn section(mut self, name: &'static str, bytes: Vec<u8>) -> Self {
        self.sections.push((name, bytes));
        self
    }

    /// Kernels: one container for each of `containers`.
    pub(crate) fn kernels(self, containers: &[Vec<Entry>]) -> Self {
        let bytes = containers.iter().flat_map(|entries| container(entries)).collect();
        self.section(".nv_fatbin", bytes)
    }

    /// The file.
    pub(crate) fn build(&self) -> Vec<u8> {
        Writer::default().write(self)
    }
}

/// An entry of a container: kind (1 is PTX, 2 is machine code), architecture, flags.
pub(crate) type Entry = (u16, u32, u64);

/// Flags of every entry seen: 64-bit, Linux, compressed.
pub(crate) const PLAIN: u64 = 0x8011;

/// A container of `.nv_fatbin`, with a payload of 24 bytes for each entry.
pub(crate) fn container(entries: &[Entry]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, sm, flags) in entries {
        let mut header = vec![0_u8; 64];
        header[0..2].copy_from_slice(&kind.to_le_bytes());
        header[2..4].copy_from_slice(&0x101_u16.to_le_bytes());
        header[4..8].copy_from_slice(&64_u32.to_le_bytes());
        header[8..16].copy_from_slice(&24_u64.to_le_bytes());
        header[28..32].copy_from_slice(&sm.to_le_bytes());
        header[40..48].copy_from_slice(&flags.to_le_bytes());
        body.extend(header);
        body.extend([0xAB; 24]);
    }
    let mut bytes = 0xBA55_ED50_u32.to_le_bytes().to_vec();
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(16_u16.to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Lays the parts out one after another; addresses are offsets in the file.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    strings: Vec<u8>,
    /// Name, type, offset, size, link, info, entry size.
    sections: Vec<(String, u32, u64, u64, u32, u32, u64)>,
}

impl Writer {
    fn string(&mut self, text: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        let place = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        place
    }

    /// Appends a part at a multiple of eight and returns where it is.
    fn part(&mut self, name: &str, kind: u32, bytes: &[u8], link: u32, info: u32, entry: u64) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let offset = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        self.sections.push((name.to_owned(), kind, offset, bytes.len() as u64, link, info, entry));
        offset
    }

    fn write(mut self, library: &Library) -> Vec<u8> {
        // The ELF header and two program headers.
        self.bytes.resize(64 + 2 * 56, 0);
        self.sections.push((String::new(), 0, 0, 0, 0, 0, 0));
        let (symbols, hash) = self.symbols(library);
        let needs = self.needs(library);
        let defines = self.defines(library);
        let mut dynamic: Vec<(u64, u64)> = Vec::new();
        let named = [(14, library.soname), (15, library.rpath), (29, library.runpath)];
        for name in &library.needed {
            dynamic.push((1, u64::from(self.string(name))));
        }
        for (tag, text) in named {
            if let Some(text) = text {
                dynamic.push((tag, u64::from(self.string(text))));
            }
        }
        // Section 1 holds the strings; everything that links to them says so.
        let strings = self.strings.clone();
        let strings_at = self.part(".dynstr", 3, &strings, 0, 0, 0);
        dynamic.extend([(5, strings_at), (10, strings.len() as u64)]);
        let link = self.sections.len() as u32 - 1;
        let symbols_at = self.part(".dynsym", 11, &symbols, link, 1, 24);
        dynamic.extend([(6, symbols_at), (11, 24)]);
        let hash_at = self.part(".gnu.hash", 0x6fff_fff6, &hash, link + 1, 0, 0);
        dynamic.push((0x6fff_fef5, hash_at));
        if !needs.is_empty() {
            let number = library.needs.len() as u32;
            let at = self.part(".gnu.version_r", 0x6fff_fffe, &needs, link, number, 0);
            dynamic.extend([(0x6fff_fffe, at), (0x6fff_ffff, u64::from(number))]);
        }
        if !defines.is_empty() {
            let number = library.defines.len() as u32;
            let at = self.part(".gnu.version_d", 0x6fff_fffd, &defines, link, number, 0);
            dynamic.extend([(0x6fff_fffc, at), (0x6fff_fffd, u64::from(number))]);
        }
        dynamic.push((0, 0));
        let table: Vec<u8> = dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten().collect();
        let dynamic_at = self.part(".dynamic", 6, &table, link, 0, 16);
        for (name, bytes) in &library.sections {
            let kind = if name.starts_with(".note") { 7 } else { 1 };
            self.part(name, kind, bytes, 0, 0, 0);
        }
        self.finish(dynamic_at, table.len() as u64)
    }

    /// The symbols, undefined ones first, and their hash table of one bucket and an open filter.
    fn symbols(&mut self, library: &Library) -> (Vec<u8>, Vec<u8>) {
        let mut symbols = vec![0_u8; 24];
        for (names, section) in [(&library.undefined, 0_u16), (&library.exported, 1)] {
            for name in names {
                symbols.extend(self.string(name).to_le_bytes());
                symbols.extend([0x12, 0]);
                symbols.extend(section.to_le_bytes());
                symbols.extend([0; 16]);
            }
        }
        let first = 1 + library.undefined.len() as u32;
        let bucket = if library.exported.is_empty() { 0 } else { first };
        let mut hash: Vec<u8> = [1, first, 1, 0].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        hash.extend([0xff; 8]);
        hash.extend(bucket.to_le_bytes());
        for (index, name) in library.exported.iter().enumerate() {
            let value = name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
            let last = u32::from(index + 1 == library.exported.len());
            hash.extend((value & !1 | last).to_le_bytes());
        }
        (symbols, hash)
    }

    fn needs(&mut self, library: &Library) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, (file, versions)) in library.needs.iter().enumerate() {
            let last = index + 1 == library.needs.len();
            let step = if last { 0 } else { 16 + 16 * versions.len() as u32 };
            bytes.extend(1_u16.to_le_bytes());
            bytes.extend((versions.len() as u16).to_le_bytes());
            bytes.extend(self.string(file).to_le_bytes());
            bytes.extend(16_u32.to_le_bytes());
            bytes.extend(step.to_le_bytes());
            for (number, version) in versions.iter().enumerate() {
                bytes.extend([0; 8]);
                bytes.extend(self.string(version).to_le_bytes());
                bytes.extend(if number + 1 == versions.len() { 0_u32 } else { 16 }.to_le_bytes());
            }
        }
        bytes
    }

    fn defines(&mut self, library: &Library) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, version) in library.defines.iter().enumerate() {
            let step = if index + 1 == library.defines.len() { 0_u32 } else { 28 };
            for half in [1_u16, 0, index as u16 + 1, 1] {
                bytes.extend(half.to_le_bytes());
            }
            for word in [0_u32, 20, step, self.string(version), 0] {
                bytes.extend(word.to_le_bytes());
            }
        }
        bytes
    }

    /// Adds the section names and table, and writes the headers.
    fn finish(mut self, dynamic_at: u64, dynamic_size: u64) -> Vec<u8> {
        self.part(".shstrtab", 3, &[], 0, 0, 0);
        let mut names = Vec::new();
        let places: Vec<u32> = self
            .sections
            .iter()
            .map(|section| {
                let place = names.len() as u32;
                names.extend(section.0.bytes().chain([0]));
                place
            })
            .collect();
        let names_at = self.bytes.len() as u64;
        self.bytes.extend(&names);
        if let Some(last) = self.sections.last_mut() {
            (last.2, last.3) = (names_at, names.len() as u64);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let sections_at = self.bytes.len() as u64;
        for (section, name) in self.sections.iter().zip(&places) {
            let (_, kind, offset, size, link, info, entry) = section;
            self.bytes.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
            self.bytes.extend([2_u64, *offset, *offset, *size].map(u64::to_le_bytes).concat());
            self.bytes.extend([link.to_le_bytes(), info.to_le_bytes()].concat());
            self.bytes.extend([8_u64, *entry].map(u64::to_le_bytes).concat());
        }
        let end = self.bytes.len() as u64;
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header.extend([3_u16, 62].map(u16::to_le_bytes).concat());
        header.extend(1_u32.to_le_bytes());
        header.extend([0_u64, 64, sections_at].map(u64::to_le_bytes).concat());
        header.extend(0_u32.to_le_bytes());
        let count = self.sections.len() as u16;
        header.extend([64, 56, 2, 64, count, count - 1].map(u16::to_le_bytes).concat());
        for (kind, offset, size) in [(1_u32, 0, end), (2, dynamic_at, dynamic_size)] {
            header.extend([kind.to_le_bytes(), 5_u32.to_le_bytes()].concat());
            header.extend([offset, offset, offset, size, size, 8].map(u64::to_le_bytes).concat());
        }
        self.bytes[..header.len()].copy_from_slice(&header);
        self.bytes
    }
}
