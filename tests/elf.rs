//! Shared libraries are read without their payloads, and no file is so large or so damaged that reading it takes long,
//! takes much memory, or panics.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "common/library.rs"]
mod library;

use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use gpudoctor::elf::{CodeKind, Elf, ElfError, Scope};
use library::{Library, PLAIN};
use proptest::prelude::*;

fn open(library: &Library) -> Elf<Cursor<Vec<u8>>> {
    Elf::open(Cursor::new(library.build())).expect("a library")
}

fn extension() -> Library {
    Library::new("_C.abi3.so")
        .needed(&["libtorch.so", "libcudart.so.13", "libc.so.6"])
        .rpath("$ORIGIN/../nvidia/cu13/lib:$ORIGIN")
        .runpath("$ORIGIN")
        .needs("libc.so.6", &["GLIBC_2.14", "GLIBC_2.28"])
        .needs("libstdc++.so.6", &["GLIBCXX_3.4.30"])
        .defines(&["_C.abi3.so", "V1"])
        .undefined(&["_ZN3c105ErrorC1Ev", "malloc", "__nvJitLinkComplete_12_4"])
        .exported(&["PyInit__C", "launch", "_Z6kernelv"])
        .kernels(&[
            vec![(2, 80, PLAIN), (2, 90, PLAIN), (2, 90, PLAIN | 0x10_0000), (1, 90, PLAIN)],
            vec![(2, 80, PLAIN), (2, 100, PLAIN | 0x20_0000), (3, 5, PLAIN)],
        ])
}

// What the loader reads is what the library says.
#[test]
fn needs_and_search_paths_are_read() {
    let read = open(&extension()).dynamic().expect("the dynamic table");
    assert_eq!((read.soname.as_deref(), read.machine), (Some("_C.abi3.so"), 62));
    assert_eq!(read.needed, ["libtorch.so", "libcudart.so.13", "libc.so.6"]);
    assert_eq!(read.rpath, ["$ORIGIN/../nvidia/cu13/lib", "$ORIGIN"]);
    assert_eq!(read.runpath, ["$ORIGIN"]);
    let needs: Vec<_> = read.needs.iter().map(|need| (need.library.as_str(), need.versions.join(" "))).collect();
    assert_eq!(needs, [("libc.so.6", "GLIBC_2.14 GLIBC_2.28".to_owned()), ("libstdc++.so.6", "GLIBCXX_3.4.30".to_owned())]);
    assert_eq!(read.defines, ["_C.abi3.so", "V1"]);
}

// A library that is linked with nothing has nothing to say, which is no error.
#[test]
fn an_empty_library_is_no_error() {
    let mut elf = open(&Library::new("libempty.so"));
    assert_eq!(elf.dynamic().expect("a table").needed, [""; 0]);
    assert_eq!(elf.targets().expect("targets"), []);
    assert_eq!(elf.undefined(|_| true).expect("symbols"), [""; 0]);
    assert_eq!(elf.forward_compatibility().expect("a note"), None);
}

// Kernels are counted by architecture, kind and reach; entries of another kind are passed over.
#[test]
fn architectures_are_read_from_the_kernels() {
    let targets = open(&extension()).targets().expect("targets");
    let read: Vec<_> = targets.iter().map(|it| (it.sm, it.kind, it.scope, it.entries)).collect();
    assert_eq!(
        read,
        [
            (80, CodeKind::Cubin, Scope::Compatible, 2),
            (90, CodeKind::Cubin, Scope::Compatible, 1),
            (90, CodeKind::Cubin, Scope::Exact, 1),
            (90, CodeKind::Ptx, Scope::Compatible, 1),
            (100, CodeKind::Cubin, Scope::Family, 1),
        ]
    );
}

// Containers are aligned with zeros; anything else between them is damage, and half a list is no answer.
#[test]
fn only_zeros_may_lie_between_containers() {
    let kernels = |gap: &[u8]| {
        let one = library::container(&[(2, 80, PLAIN)]);
        let bytes = [one.as_slice(), gap, &one].concat();
        open(&Library::new("libgap.so").section(".nv_fatbin", bytes)).targets()
    };
    assert_eq!(kernels(&[0; 24]).expect("targets")[0].entries, 2);
    assert!(matches!(kernels(&[1; 24]), Err(ElfError::Damaged { .. })));
}

// Symbols are told apart: what is needed, and what is defined.
#[test]
fn symbols_are_looked_up_as_the_loader_does() {
    let mut elf = open(&extension());
    let needed = elf.undefined(|name| name.starts_with('_')).expect("symbols");
    assert_eq!(needed, ["_ZN3c105ErrorC1Ev", "__nvJitLinkComplete_12_4"]);
    let mut exports = elf.exports().expect("a hash table");
    let mut has = |name| exports.has(name).expect("a look-up");
    assert!(has("PyInit__C") && has("launch") && has("_Z6kernelv"));
    assert!(!has("malloc") && !has("PyInit__D") && !has(""));
}

// A forward-compatibility library names the drivers that it works on.
#[test]
fn a_compatibility_library_says_where_it_works() {
    let text = br#"{"Format":"1.0","CUDA Version":"13.1","Driver":[535,550,570],"Device":[1,2]}"#;
    let mut bytes = [[19_u32, text.len() as u32, 1].map(u32::to_le_bytes).concat(), b"NVIDIA Corporation\0\0".to_vec()].concat();
    bytes.extend(text);
    bytes.extend([0, 0]);
    let section = ".note.cuda.fwd_compatibility";
    let note = open(&Library::new("libcuda.so.1").section(section, bytes)).forward_compatibility().expect("a note").expect("one");
    assert_eq!((note.cuda.as_str(), note.drivers, note.devices), ("13.1", vec![535, 550, 570], vec![1, 2]));
    let broken = open(&Library::new("libcuda.so.1").section(section, b"no note".to_vec())).forward_compatibility();
    assert!(matches!(broken, Err(ElfError::Damaged { .. })));
}

// Each kind of file that is no such library is told in words.
#[test]
fn what_is_no_library_says_so() {
    let says = |bytes: Vec<u8>| Elf::open(Cursor::new(bytes)).map(|_| ()).expect_err("no library").to_string();
    assert_eq!(says(Vec::new()), "it is no ELF file");
    assert_eq!(says(b"INPUT(libtorch.so)".to_vec()), "it is no ELF file");
    let mut narrow = extension().build();
    narrow[4] = 1;
    assert!(says(narrow).contains("32-bit"));
    let cut = extension().build();
    assert!(says(cut[..cut.len() - 1].to_vec()).contains("beyond the end of the file"));
}

/// A reader that counts what it hands out.
struct Counted<R>(R, u64);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

// A library of 10 GiB is read in kilobytes: its payload is a hole in the file, and nobody looks into it.
#[test]
fn a_library_of_ten_gigabytes_takes_no_time() {
    let size: u64 = 10 << 30;
    let mut bytes = extension().kernels(&[vec![(2, 75, PLAIN)]]).build();
    // The entry of the last container, whose payload is made to reach to the end of its section; the tables move behind it.
    let entry = bytes.windows(4).rposition(|word| word == 0xBA55_ED50_u32.to_le_bytes()).expect("a container") + 16;
    let tables = bytes.split_off(entry + 64);
    let at = |place: usize| u64::from_le_bytes(bytes[place..place + 8].try_into().expect("eight bytes"));
    let sections_at = at(40);
    for (place, value) in [(entry - 8, 64 + size), (entry + 8, size), (40, sections_at + size - 24)] {
        bytes[place..place + 8].copy_from_slice(&value.to_le_bytes());
    }
    let mut tables = tables[24..].to_vec();
    // The section headers behind the hole: names and kernels.
    let first = usize::try_from(sections_at).expect("small") - (entry + 64 + 24);
    for header in tables[first..].chunks_exact_mut(64) {
        let word = |place: usize| u64::from_le_bytes(header[place..place + 8].try_into().expect("eight bytes"));
        let (offset, length) = (word(24), word(32));
        if offset > entry as u64 {
            header[24..32].copy_from_slice(&(offset + size - 24).to_le_bytes());
        } else if offset + 16 == entry as u64 {
            header[32..40].copy_from_slice(&(length + size - 24).to_le_bytes());
        }
    }
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("written");
    file.seek(SeekFrom::Start(entry as u64 + 64 + size)).expect("a hole");
    file.write_all(&tables).expect("written");

    let start = Instant::now();
    let mut counted = Counted(file, 0);
    let mut elf = Elf::open(&mut counted).expect("a library");
    assert!(elf.targets().expect("targets").iter().any(|target| target.sm == 75));
    assert_eq!(elf.dynamic().expect("a table").needed.len(), 3);
    drop(elf);
    assert!(counted.1 < 64 << 10, "{} bytes were read", counted.1);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

/// Asks a file everything; every answer is good but a panic, a hang, or the memory of the machine.
fn ask(bytes: Vec<u8>) {
    let start = Instant::now();
    if let Ok(mut elf) = Elf::open(Cursor::new(bytes)) {
        drop(elf.dynamic());
        drop(elf.targets());
        drop(elf.undefined(|_| true));
        drop(elf.forward_compatibility());
        if let Ok(mut exports) = elf.exports() {
            drop(exports.has("PyInit__C"));
            drop(exports.has("malloc"));
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Numbers that break careless readers.
fn edges() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX / 2), Just(u64::from(u32::MAX)), 0..4096_u64, any::<u64>()]
}

/// The C library of this process, as a linker wrote it.
fn real() -> Vec<u8> {
    let maps = fs_err::read_to_string("/proc/self/maps").expect("the process");
    let place = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|place| place.contains("/libc."));
    fs_err::read(place.expect("a C library")).expect("a file")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    // Words of a real library are overwritten, half of them in its headers, and it ends early.
    #[test]
    fn damaged_real_libraries_are_survived(
        words in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), edges(), 1..=8_usize), 1..12),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = real();
        for (in_headers, index, value, size) in words {
            let place = index.index(if in_headers { 1 << 10 } else { bytes.len() - 8 });
            bytes[place..place + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        let end = end.map_or(bytes.len(), |end| end.index(bytes.len()));
        bytes.truncate(end);
        ask(bytes);
    }
}

proptest! {
    // Words of a valid library are overwritten where it hurts.
    #[test]
    fn damaged_libraries_are_survived(words in prop::collection::vec((any::<prop::sample::Index>(), edges(), 1..=8_usize), 1..8)) {
        let mut bytes = extension().build();
        for (index, value, size) in words {
            let place = index.index(bytes.len() - 8);
            bytes[place..place + size].copy_from_slice(&value.to_le_bytes()[..size]);
        }
        ask(bytes);
    }

    // A library ends anywhere.
    #[test]
    fn cut_libraries_are_survived(end in any::<prop::sample::Index>()) {
        let bytes = extension().build();
        ask(bytes[..end.index(bytes.len())].to_vec());
    }

    // Kernels are anything.
    #[test]
    fn garbage_kernels_are_survived(garbage in prop::collection::vec(any::<u8>(), 0..2048), first in any::<bool>()) {
        let valid = library::container(&[(2, 80, PLAIN)]);
        let bytes = if first { [valid, garbage].concat() } else { [garbage, valid].concat() };
        ask(Library::new("libgarbage.so").section(".nv_fatbin", bytes).build());
    }

    // A file of noise behind a valid first word.
    #[test]
    fn noise_is_survived(noise in prop::collection::vec(any::<u8>(), 0..1024)) {
        ask([vec![0x7f, b'E', b'L', b'F', 2, 1, 1], noise].concat());
    }

    // Any list of architectures is read back as it was written.
    #[test]
    fn every_list_of_architectures_is_read_back(entries in prop::collection::vec((1..=2_u16, 35..130_u32), 1..40)) {
        let entries: Vec<_> = entries.iter().map(|(kind, sm)| (*kind, *sm, PLAIN)).collect();
        let targets = open(&Library::new("libany.so").kernels(std::slice::from_ref(&entries))).targets().expect("targets");
        prop_assert_eq!(targets.iter().map(|target| target.entries as usize).sum::<usize>(), entries.len());
        for (kind, sm, _) in entries {
            let kind = if kind == 1 { CodeKind::Ptx } else { CodeKind::Cubin };
            prop_assert!(targets.iter().any(|target| u32::from(target.sm) == sm && target.kind == kind));
        }
    }
}
