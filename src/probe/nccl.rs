//! Which NCCL serving would use: that of the Python environment, as its loader would find it, else the system's.

use std::path::{Path, PathBuf};

use super::{ProbeError, environments, image, variable};
use crate::capture::Environment;
use crate::catalog::Libraries;
use crate::measurement::collective::Library;

/// The name that everyone asks for.
const NAME: &str = "libnccl.so.2";
/// Where the wheels of NVIDIA and conda put it, below a package directory and below an environment.
const IN_SITE: &str = "nvidia/nccl/lib";
const IN_ENVIRONMENT: &str = "lib";
/// vLLM's own name of the file that it opens for its communicator (`vllm/utils/nccl.py`, `find_nccl_library`).
const CHOSEN_FOR_VLLM: &str = "VLLM_NCCL_SO_PATH";

/// The library of the environment `python`; without it, the one that vLLM is told to open, that of the first environment with
/// PyTorch, and what the loader finds by its name.
///
/// # Errors
/// When `python` names no environment.
pub fn nccl(python: Option<&Path>, rules: &Libraries) -> Result<Library, ProbeError> {
    if python.is_none()
        && let Some(path) = variable(CHOSEN_FOR_VLLM).map(PathBuf::from)
    {
        return Ok(library(&path, format!("that `{CHOSEN_FOR_VLLM}` names")));
    }
    let read = image(python, rules)?;
    let found = read.environments.iter().find_map(|environment| loaded(environment).map(|path| (path, environment.root.clone())));
    // Without PyTorch nothing would load it, but it may lie there for another program.
    let lying = || {
        environments(python).unwrap_or_default().into_iter().find_map(|prefix| {
            let folders = prefix.sites.iter().map(|site| site.join(IN_SITE)).chain([prefix.root.join(IN_ENVIRONMENT)]);
            let file = folders.map(|folder| folder.join(NAME)).find(|file| file.is_file())?;
            Some((file, prefix.root.display().to_string()))
        })
    };
    let of = |(path, root): (PathBuf, String)| library(&path, format!("of the environment {root}"));
    let system = || library(Path::new(NAME), "that the loader finds".to_owned());
    Ok(found.or_else(lying).map_or_else(system, of))
}

/// The file that PyTorch would get.
fn loaded(environment: &Environment) -> Option<PathBuf> {
    environment.torch()?;
    environment.loads.iter().find(|load| load.name == NAME).and_then(|load| load.place.as_ref()).map(PathBuf::from)
}

fn library(path: &Path, owner: String) -> Library {
    Library { path: path.display().to_string(), owner, version: None }
}
