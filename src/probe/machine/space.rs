//! How much room there is where models, caches and shared memory go.

use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use crate::capture::place::Space;
use crate::probe::root::Root;
use crate::reading::Reading;
use crate::units::Bytes;

/// The paths that are asked about: fixed ones, and those that variables name.
pub(super) fn paths() -> Vec<String> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    let cache = variable("XDG_CACHE_HOME").or_else(|| home.as_ref().map(|home| home.join(".cache")));
    let hub = variable("HF_HUB_CACHE").or_else(|| variable("HF_HOME")).or_else(|| cache.as_ref().map(|cache| cache.join("huggingface")));
    let engine = variable("VLLM_CACHE_ROOT").or_else(|| cache.map(|cache| cache.join("vllm")));
    let kernels = variable("TRITON_CACHE_DIR").or_else(|| home.map(|home| home.join(".triton")));
    let temporary = variable("TMPDIR");
    let fixed = ["/", "/dev/shm", "/tmp"].map(|path| Some(PathBuf::from(path)));
    let named = [hub, engine, kernels, temporary, std::env::current_dir().ok()];
    let paths = fixed.into_iter().chain(named).flatten().filter(|path| path.is_absolute());
    let mut paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The file system that `path` is on, or will be on once it exists.
pub(super) fn read(root: &Root, path: &str, mounts: &str) -> Reading<Space> {
    let own = Path::new(path);
    if path == "/dev/shm" && !root.exists(path) {
        return Reading::Absent;
    }
    let Some(there) = own.ancestors().find(|folder| root.at(folder).exists()) else { return Reading::Absent };
    match statvfs(&root.at(there)) {
        Ok(found) => {
            let unit = found.fragment_size();
            let bytes = |blocks: u64| Bytes(blocks.saturating_mul(unit));
            let read_only = found.flags().contains(FsFlags::ST_RDONLY);
            let filesystem = Reading::from(filesystem(there, mounts));
            Reading::Known(Space { total: bytes(found.blocks()), available: bytes(found.blocks_available()), filesystem, read_only })
        }
        Err(error) => Reading::Unreadable(error.desc().to_owned()),
    }
}

/// The type of the last mount among those with the longest matching path.
fn filesystem(path: &Path, mounts: &str) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let (fields, rest) = line.split_once(" - ")?;
        Some((fields.split(' ').nth(4)?, rest.split(' ').next()?))
    });
    let over = mounts.filter(|(point, _)| path.starts_with(point));
    over.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:5 / /dev rw shared:2 - devtmpfs udev rw\n31 30 0:6 / /dev/shm rw - tmpfs tmpfs rw\n";
        let kind = |path| filesystem(Path::new(path), mounts);
        assert_eq!((kind("/dev/shm").as_deref(), kind("/data").as_deref()), (Some("tmpfs"), Some("ext4")));
    }
}
