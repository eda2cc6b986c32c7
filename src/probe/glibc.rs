//! The version of the C library, from the library itself.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::capture::Glibc;

/// Where distributions keep it.
const PLACES: [&str; 6] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/lib/libc.so.6",
    "/lib/libc.so.6",
];

/// The largest library that is searched, in bytes; real ones stay below 3 MiB.
const LIMIT: u64 = 16 << 20;

/// The words before the version in the library's banner.
const BANNER: &str = "release version ";

/// The C library of the image; none where there is another one, such as musl.
pub(super) fn read() -> Option<Glibc> {
    PLACES.iter().find_map(|place| {
        let path = Path::new(place);
        let target = fs_err::canonicalize(path).ok()?;
        let named = target.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("libc-")?.strip_suffix(".so"));
        let version = named.map(str::to_owned).or_else(|| banner(&target))?;
        Some(Glibc { version, place: (*place).to_owned() })
    })
}

/// The version in `GNU C Library (…) stable release version 2.36.`, the end of a line in the library's data.
fn banner(path: &Path) -> Option<String> {
    if !fs_err::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut reader = BufReader::new(fs_err::File::open(path).ok()?.take(LIMIT));
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let tail = line.get(line.len().saturating_sub(64)..).unwrap_or_default();
        let tail = String::from_utf8_lossy(tail);
        if let Some((_, rest)) = tail.rsplit_once(BANNER) {
            let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let version = version.trim_end_matches('.');
            if !version.is_empty() {
                return Some(version.to_owned());
            }
        }
    }
}
