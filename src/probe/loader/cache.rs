//! `/etc/ld.so.cache`: which library `ldconfig` found where. The format is that of glibc 2.2 and newer, alone or behind the
//! older one (`struct cache_file_new` of glibc's `sysdeps/generic/dl-cache.h`).

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file.
const PLACE: &str = "/etc/ld.so.cache";
/// Largest cache that is read, in bytes; real ones have some hundred KiB.
const LARGEST: u64 = 16 << 20;
/// How the newer format begins.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// Size of its header, and of an entry.
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// The kinds of entries for this machine: ELF for glibc 2, for x86-64 or for AArch64.
const KINDS: [u32; 2] = [0x0303, 0x0a03];

/// Names of libraries and where they are.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    places: HashMap<String, Vec<PathBuf>>,
}

impl Cache {
    /// The cache of the system; empty where there is none.
    pub(super) fn system() -> Self {
        Self::at(Path::new(PLACE))
    }

    /// The cache at a path; empty where there is none.
    pub(crate) fn at(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = fs_err::File::open(path).map(|file| file.take(LARGEST).read_to_end(&mut bytes));
        if matches!(read, Ok(Ok(_))) { Self::parse(&bytes) } else { Self::default() }
    }

    /// The entries that lie inside `bytes`.
    fn parse(bytes: &[u8]) -> Self {
        let mut cache = Self::default();
        let Some(start) = bytes.windows(MAGIC.len()).position(|window| window == MAGIC) else { return cache };
        let table = bytes.get(start..).unwrap_or_default();
        let word = |place: usize| table.get(place..place.checked_add(4)?)?.first_chunk().map(|word| u32::from_le_bytes(*word));
        let text = |place: u32| {
            let rest = table.get(place as usize..)?;
            let end = rest.iter().take(4096).position(|byte| *byte == 0)?;
            std::str::from_utf8(rest.get(..end)?).ok()
        };
        let count = word(MAGIC.len()).unwrap_or(0) as usize;
        for index in 0..count.min(table.len() / ENTRY) {
            let entry = HEADER + index * ENTRY;
            let (Some(kind), Some(name), Some(place)) = (word(entry), word(entry + 4), word(entry + 8)) else { break };
            if KINDS.contains(&kind)
                && let (Some(name), Some(place)) = (text(name), text(place))
            {
                cache.places.entry(name.to_owned()).or_default().push(PathBuf::from(place));
            }
        }
        cache
    }

    /// Where a library is, best first.
    pub(crate) fn places(&self, name: &str) -> impl Iterator<Item = &Path> {
        self.places.get(name).into_iter().flatten().map(PathBuf::as_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(kind: u32, texts: &[&str]) -> Vec<u8> {
        let strings_at = HEADER + ENTRY;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(1_u32.to_le_bytes());
        bytes.resize(HEADER, 0);
        let second = strings_at + texts[0].len() + 1;
        for word in [kind, strings_at as u32, second as u32, 0, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(texts.iter().flat_map(|text| text.bytes().chain([0])));
        bytes
    }

    // Names lead to places, also behind the older format; libraries of another machine are left out.
    #[test]
    fn names_lead_to_places() {
        let texts = ["libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1"];
        let alone = cache(0x0303, &texts);
        let behind = [b"ld.so-1.7.0\0\0\0\0\0".to_vec(), alone.clone()].concat();
        for bytes in [alone, behind] {
            let cache = Cache::parse(&bytes);
            assert_eq!(cache.places("libz.so.1").collect::<Vec<_>>(), [Path::new(texts[1])]);
            assert_eq!(cache.places("libz.so.2").count(), 0);
        }
        assert_eq!(Cache::parse(&cache(0x0803, &texts)).places("libz.so.1").count(), 0);
    }

    // A cache that is cut off anywhere gives what lies inside.
    #[test]
    fn a_cut_cache_is_survived() {
        let bytes = cache(0x0303, &["libz.so.1", "/lib/libz.so.1"]);
        for end in 0..bytes.len() {
            drop(Cache::parse(&bytes[..end]));
        }
    }
}
