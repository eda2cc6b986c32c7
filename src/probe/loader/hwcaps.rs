//! Libraries for newer processors, in folders of their own below each directory of a search path (`glibc-hwcaps` of `ld.so(8)`).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder below which they are.
const FOLDER: &str = "glibc-hwcaps";

/// The places of a library in a directory, in the loader's order.
pub(super) fn places(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let hwcaps = folder.join(FOLDER);
    let levels = if hwcaps.is_dir() { levels() } else { &[] };
    let special: Vec<PathBuf> = levels.iter().map(|level| hwcaps.join(level).join(name)).collect();
    special.into_iter().chain([folder.join(name)])
}

/// The levels that this processor has, best first.
fn levels() -> &'static [&'static str] {
    static LEVELS: OnceLock<Vec<&'static str>> = OnceLock::new();
    LEVELS.get_or_init(detected)
}

/// The levels of the x86-64 psABI: each has all of the one below.
#[cfg(target_arch = "x86_64")]
fn detected() -> Vec<&'static str> {
    use std::is_x86_feature_detected as has;
    let v2 = has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2") && has!("popcnt") && has!("cmpxchg16b");
    let v3 = v2 && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c") && has!("fma") && has!("lzcnt") && has!("movbe");
    let v4 = v3 && has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    let levels = [(v4, "x86-64-v4"), (v3, "x86-64-v3"), (v2, "x86-64-v2")];
    levels.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
}

/// Other architectures have no levels that CUDA machines need.
#[cfg(not(target_arch = "x86_64"))]
fn detected() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    // A folder for this processor comes before the directory itself, and one for no processor is not looked into.
    #[test]
    fn what_is_for_this_processor_comes_first() {
        let folder = tempfile::tempdir().expect("a directory");
        let plain = folder.path().join("libx.so");
        assert_eq!(places(folder.path(), "libx.so").collect::<Vec<_>>(), [plain.clone()]);
        fs_err::create_dir_all(folder.path().join(FOLDER)).expect("a folder");
        let found: Vec<PathBuf> = places(folder.path(), "libx.so").collect();
        assert_eq!((found.len(), found.last()), (levels().len() + 1, Some(&plain)));
        assert!(found.iter().all(|path| !path.ends_with("x86-64-v9/libx.so")));
    }
}
