//! Where CUDA runtimes lie: those of the Python environments, and the system's own.

use std::path::{Path, PathBuf};

use crate::probe::prefixes::real;
use crate::probe::root::Root;

/// Folders below a package directory, or below an environment, that hold one.
const IN_SITE: [&str; 5] = ["nvidia/cuda_runtime/lib", "nvidia/cu13/lib", "nvidia/cu14/lib", "torch/lib", "cupy/.data/lib"];
const IN_ENVIRONMENT: [&str; 2] = ["lib", "targets/x86_64-linux/lib"];
/// The system's own.
const IN_SYSTEM: [&str; 1] = ["/usr/local/cuda*/lib64"];
/// Most of them that are asked: each is a process of its own.
const MOST: usize = 6;

/// The files, each once, those of the environment that a shell would use first.
pub(super) fn find(root: &Root, python: Option<&Path>) -> Vec<PathBuf> {
    let prefixes = super::environments(python).unwrap_or_default();
    let folders = prefixes.iter().flat_map(|prefix| {
        let sites = prefix.sites.iter().flat_map(|site| IN_SITE.iter().map(move |folder| site.join(folder)));
        let own = IN_ENVIRONMENT.iter().map(|folder| prefix.root.join(folder)).filter(|folder| !folder.starts_with("/usr"));
        sites.chain(own)
    });
    let system = IN_SYSTEM.iter().flat_map(|folder| root.expand(folder)).map(|folder| root.at(&folder));
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders.chain(system) {
        for file in runtimes(&folder) {
            if found.len() < MOST && !found.contains(&file) {
                found.push(file);
            }
        }
    }
    found
}

/// `libcudart.so.12` and the like, and the copies that old wheels carry: `libcudart-a7b20f20.so.11.0`.
fn runtimes(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    let is_runtime = |name: &str| name.starts_with("libcudart") && name.contains(".so");
    let files = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_runtime)).map(|entry| real(&entry.path()));
    let mut files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    files.sort_unstable();
    files.dedup();
    files
}
