//! Reads an image as it is on disk. Nothing of it is run.

#![expect(clippy::disallowed_methods, reason = "reads the variables that choose a Python environment")]

mod conda;
mod deep;
mod file;
mod glibc;
mod libraries;
mod loader;
mod overlays;
mod prefixes;
mod python;
mod record;

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
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let prefixes = match python {
        Some(path) => vec![prefixes::named(path)?],
        None => {
            let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(variable).map(PathBuf::from);
            let path = variable("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
            prefixes::in_reach(active.collect(), path)
        }
    };
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
