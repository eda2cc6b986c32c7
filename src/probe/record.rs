//! The shared libraries of a package, from the list of its files or, where there is none, from its directory.

use std::path::{Path, PathBuf};

use super::file::head;
use super::pointers;
use crate::capture::{Package, Unreadable};

/// Longest list of files that is read, in bytes; that of torch has 1.6 MiB.
const LONGEST: u64 = 16 << 20;
/// Most libraries of one package.
const MOST: usize = 128;
/// How deep a package is searched that has no list, and how many entries are looked at.
const DEEPEST: u32 = 5;
const MOST_ENTRIES: usize = 20_000;

/// The libraries of a package, as paths.
pub(super) fn libraries(package: &Package, unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
    let info = Path::new(&package.place);
    let Some(site) = info.parent() else { return Vec::new() };
    let mut libraries: Vec<PathBuf> = match head(&info.join("RECORD"), LONGEST, unreadable) {
        Some(record) => {
            let own = record.lines().filter_map(listed).map(|file| site.join(file)).collect();
            // An editable install lists only the file that leads to its source.
            let pointers: Vec<PathBuf> = record.lines().filter_map(pointer).map(|file| site.join(file)).collect();
            [own, below(&elsewhere(package, &pointers, unreadable))].concat()
        }
        None => below(&modules(package, site, unreadable)),
    };
    libraries.sort_unstable();
    libraries.truncate(MOST);
    libraries
}

/// The path in a line of `RECORD`, if it is a library's: `torch/lib/libc10.so,sha256=…,1498969`.
fn listed(line: &str) -> Option<&str> {
    let file = match line.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => line.split(',').next()?,
    };
    // A package lists what it has put below its own directory; nothing else of the machine is read.
    (is_library(file.rsplit('/').next()?) && !file.starts_with('/') && !file.contains("..")).then_some(file)
}

/// The file in a line of `RECORD` that leads to another directory.
fn pointer(line: &str) -> Option<&str> {
    line.split(',').next().filter(|file| !file.contains('/') && pointers::is_pointer(file))
}

/// The directories of a package's modules where its files lead elsewhere.
fn elsewhere(package: &Package, pointers: &[PathBuf], unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
    if pointers.is_empty() {
        return Vec::new();
    }
    let names = names(package, unreadable);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    pointers.iter().flat_map(|file| pointers::modules(file, &names, unreadable)).collect()
}

/// Whether a file name is that of a shared library: `_C.abi3.so`, `libcudart.so.13`.
pub(super) fn is_library(name: &str) -> bool {
    name.split_once(".so").is_some_and(|(stem, rest)| {
        !stem.is_empty() && (rest.is_empty() || rest.starts_with('.') && rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    })
}

/// The directories of a package without a list: those that `top_level.txt` names, else that of its own name.
fn modules(package: &Package, site: &Path, unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
    names(package, unreadable).iter().map(|name| site.join(name)).collect()
}

/// The names of a package's modules.
fn names(package: &Package, unreadable: &mut Vec<Unreadable>) -> Vec<String> {
    let named = head(&Path::new(&package.place).join("top_level.txt"), 1 << 16, unreadable).unwrap_or_default();
    let named: Vec<&str> = named.lines().map(str::trim).filter(|name| !name.is_empty() && !name.contains(['/', '.'])).collect();
    let own = package.name.replace('-', "_");
    if named.is_empty() { vec![own] } else { named.into_iter().map(str::to_owned).collect() }
}

/// The libraries below directories. Links are not followed, so a loop of links is no loop here.
fn below(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = MOST_ENTRIES;
    let mut todo: Vec<(PathBuf, u32)> = folders.iter().map(|folder| (folder.clone(), 0)).collect();
    while let Some((folder, depth)) = todo.pop() {
        let Ok(entries) = fs_err::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            if left == 0 {
                return found;
            }
            left -= 1;
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEEPEST {
                todo.push((entry.path(), depth + 1));
            } else if !kind.is_dir() && entry.file_name().to_str().is_some_and(is_library) {
                found.push(entry.path());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    // Only libraries below the package directory count.
    #[test]
    fn a_line_names_a_library() {
        assert_eq!(listed("torch/lib/libc10.so,sha256=x,1"), Some("torch/lib/libc10.so"));
        assert_eq!(listed("nvidia/cu13/lib/libcudart.so.13,,"), Some("nvidia/cu13/lib/libcudart.so.13"));
        assert_eq!(listed("\"a,b/_C.so\",,"), Some("a,b/_C.so"));
        for line in ["", "torch/version.py,,", "../../bin/x.so,,", "/etc/x.so,,", "torch/_C.solution,,", "x/.so,,"] {
            assert_eq!(listed(line), None, "{line}");
        }
    }
}
