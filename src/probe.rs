//! Reads a machine, and an image as it is on disk. Nothing of the image is run, and nothing is written.

#![expect(clippy::disallowed_methods, reason = "reads the machine: its files, variables, clock and programs")]

mod capture;
mod child;
mod conda;
mod cuda;
mod drivers;
mod deep;
mod file;
mod glibc;
mod identifiers;
mod kernel_log;
mod libraries;
mod loader;
mod machine;
mod mapped;
mod nccl;
mod nvml;
mod online;
mod overlays;
mod pointers;
mod prefixes;
mod processes;
mod python;
mod record;
mod root;
mod runtimes;
pub mod section;
mod tools;
mod variables;

pub use capture::{Python, Request, capture};
pub use child::WORD;
pub(crate) use child::{finish, lines_of};
pub use identifiers::identifiers;
pub use nccl::nccl;

use std::path::{Path, PathBuf};

use crate::capture::Image;
use crate::catalog::Libraries;
use crate::hint::Hint;

/// A `--python` that names nothing that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The path does not exist.
    #[error("`{}` does not exist; `--python` needs an interpreter, an environment or its package directory", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Nothing around the path looks like an environment.
    #[error("`{}` belongs to no Python environment: there is no `lib/python3.*/site-packages` beside it", path.display())]
    NotPython {
        /// The path.
        path: PathBuf,
    },
}

impl Hint for ProbeError {
    fn hint(&self) -> Option<String> {
        Some("name an environment, such as `--python /opt/venv`, or leave the option out to look in the usual places".to_owned())
    }
}

/// Imports torch and the engine of the environment that would be judged, in its own interpreter, each for at most `deadline`.
/// `engines` are the packages that count as one.
pub fn import(image: &mut Image, engines: &[&str], rules: &Libraries, deadline: std::time::Duration) {
    deep::import(image, engines, rules, deadline);
}

/// Reads the image that this program runs in: `python` alone if it is given, else every environment in reach.
///
/// # Errors
/// When `python` names no environment.
pub fn image(python: Option<&Path>, rules: &Libraries) -> Result<Image, ProbeError> {
    let prefixes = environments(python)?;
    let mut image = Image { machine: Some(std::env::consts::ARCH.to_owned()), ..Image::default() };
    for prefix in &prefixes {
        image.looked.push(prefix.root.display().to_string());
        python::read(prefix, &mut image);
    }
    let library_path = variable("LD_LIBRARY_PATH").and_then(|path| path.into_string().ok()).unwrap_or_default();
    let around = overlays::Around::of_process();
    let Image { environments, unreadable, .. } = &mut image;
    for environment in environments.iter_mut() {
        environment.conda = conda::read(environment);
        environment.overlays = overlays::read(environment, &around, rules);
        libraries::read(environment, rules, &library_path, unreadable);
    }
    if image.environments.iter().any(|environment| !environment.torches.is_empty()) {
        image.glibc = glibc::read();
    }
    Ok(image)
}

/// Whether `path` names a Python environment.
///
/// # Errors
/// When it does not, with what is wrong about it.
pub fn is_environment(path: &Path) -> Result<(), ProbeError> {
    prefixes::named(path).map(drop)
}

/// The environments that are looked at: `python` alone if it is given, else every one in reach.
fn environments(python: Option<&Path>) -> Result<Vec<prefixes::Prefix>, ProbeError> {
    match python {
        Some(path) => Ok(vec![prefixes::named(path)?]),
        None => {
            let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable).map(PathBuf::from);
            let path = variable("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
            Ok(prefixes::in_reach(active.collect(), path))
        }
    }
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
