//! Which files the names of driver and CUDA libraries mean here: the one that the loader takes first, then those that it
//! passes over, without loading any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::capture::place::{FoundBy, Library};
use crate::elf::Elf;
use crate::elf::note::ForwardCompatibility;
use crate::probe::loader::{Cache, SYSTEM};
use crate::probe::root::{Root, file_name, not_read};
use crate::reading::Reading;
use crate::units::Bytes;

/// The libraries of the driver, and the system's own CUDA libraries.
const NAMES: [&str; 9] = [
    "libcuda.so.1",
    "libcudart.so.11.0",
    "libcudart.so.12",
    "libcudart.so.13",
    "libnccl.so.2",
    "libnvidia-container.so.1",
    "libnvidia-ml.so.1",
    "libnvidia-ptxjitcompiler.so.1",
    "libnvrtc.so.12",
];

/// Folders where a driver or a copy of one also lies, whether the loader looks there or not.
const ELSEWHERE: [&str; 12] = [
    "/usr/local/cuda/compat",
    "/usr/local/cuda*/compat",
    "/usr/local/cuda/lib64",
    "/usr/local/cuda/lib64/stubs",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/wsl/lib",
    "/usr/lib/aarch64-linux-gnu/nvidia",
    "/usr/lib/aarch64-linux-gnu/tegra",
    "/run/opengl-driver/lib",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "/usr/lib/nvidia",
];

/// Every name that means at least one file.
pub(super) fn read(root: &Root) -> BTreeMap<String, Vec<Library>> {
    let cache = Cache::at(&root.at("/etc/ld.so.cache"));
    let found = NAMES.iter().map(|name| ((*name).to_owned(), files(root, &cache, name)));
    found.filter(|(_, files)| !files.is_empty()).collect()
}

/// The files of one name, in the order in which the loader looks; one file is listed once.
fn files(root: &Root, cache: &Cache, name: &str) -> Vec<Library> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let preload = variable("LD_PRELOAD");
    let preloaded = preload.split([':', ' ']).filter(|path| file_name(path) == name).map(|path| (PathBuf::from(path), FoundBy::Preload));
    let search = variable("LD_LIBRARY_PATH");
    let folders = search.split([':', ';']).filter(|folder| folder.starts_with('/'));
    let in_path = folders.map(|folder| (Path::new(folder).join(name), FoundBy::LibraryPath));
    let cached = cache.places(name).map(|path| (path.to_path_buf(), FoundBy::Cache));
    let default = SYSTEM.iter().map(|folder| (Path::new(folder).join(name), FoundBy::Default));
    let elsewhere = ELSEWHERE.iter().flat_map(|folder| root.expand(folder));
    let elsewhere = elsewhere.map(|folder| (Path::new(&folder).join(name), FoundBy::NotSearched));
    let mut seen = Vec::new();
    let all = preloaded.chain(in_path).chain(cached).chain(default).chain(elsewhere);
    all.filter_map(|(path, by)| {
        // A staged tree has its own libraries; those that the environment names are of the machine itself.
        let place = if matches!(by, FoundBy::LibraryPath | FoundBy::Preload) { path.clone() } else { root.at(&path) };
        let real = fs_err::canonicalize(&place).ok().filter(|real| real.is_file())?;
        if seen.contains(&real) {
            return None;
        }
        seen.push(real.clone());
        Some(library(root, &path, &real, by))
    })
    .collect()
}

fn library(root: &Root, path: &Path, real: &Path, by: FoundBy) -> Library {
    let size = match fs_err::metadata(real) {
        Ok(found) => Reading::Known(Bytes(found.len())),
        Err(error) => not_read(&error),
    };
    let file = file_name(&real.display().to_string());
    // The version follows `.so.`; a soname's own number, such as `1`, is none.
    let version = file.split_once(".so.").map(|(_, version)| version.to_owned()).filter(|version| version.contains('.'));
    Library {
        path: path.display().to_string(),
        real_path: Reading::Known(root.path_of(real).display().to_string()),
        by,
        size,
        version: Reading::from(version),
        stub: real.components().any(|part| part.as_os_str() == "stubs"),
        compat_note: if file.starts_with("libcuda.so") { compat_note(real) } else { Reading::Absent },
    }
}

fn compat_note(file: &Path) -> Reading<ForwardCompatibility> {
    let opened = match fs_err::File::open(file) {
        Ok(opened) => opened,
        Err(error) => return not_read(&error),
    };
    match Elf::open(opened).and_then(|mut elf| elf.forward_compatibility()) {
        Ok(note) => Reading::from(note),
        Err(error) => Reading::Unreadable(error.to_string()),
    }
}
