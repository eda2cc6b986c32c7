//! What Python searches before an environment: `PYTHONPATH`, a user's own packages, the working directory.

use std::path::{Path, PathBuf};

use super::prefixes;
use crate::capture::Environment;
use crate::capture::metadata::normalised;
use crate::capture::python::{Overlay, Route};
use crate::catalog::Libraries;

/// Most directories of `PYTHONPATH`.
const MOST_PATHS: usize = 64;
/// Most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 32_768;
/// Most packages that are named.
const MOST_PACKAGES: usize = 64;

/// What the process around tells.
#[derive(Debug, Default)]
pub(super) struct Around {
    python_path: Vec<PathBuf>,
    user_base: Option<PathBuf>,
    working: Option<PathBuf>,
}

impl Around {
    /// The variables and the directory of this process.
    #[expect(clippy::disallowed_methods, reason = "reads the variables that Python reads")]
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let python_path = variable("PYTHONPATH").map(|paths| std::env::split_paths(&paths).take(MOST_PATHS).collect()).unwrap_or_default();
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local"));
        let user_base = variable("PYTHONUSERBASE").map(PathBuf::from).or_else(home);
        let user_base = user_base.filter(|_| variable("PYTHONNOUSERSITE").is_none());
        Self { python_path, user_base, working: std::env::current_dir().ok() }
    }
}

/// The directories before an environment that hold something that matters.
pub(super) fn read(environment: &Environment, around: &Around, rules: &Libraries) -> Vec<Overlay> {
    let user = around.user_base.as_ref().filter(|_| !environment.is_virtual).zip(environment.python.as_ref());
    let user = user.map(|(base, python)| base.join(format!("lib/python{}/site-packages", python.trim_end_matches('t'))));
    let paths = around.python_path.iter().map(|path| (path.clone(), Route::PythonPath));
    let all = paths.chain(user.map(|path| (path, Route::UserSite)));
    let all = all.chain(around.working.iter().map(|path| (path.clone(), Route::WorkingDirectory)));
    let own: Vec<PathBuf> = environment.sites.iter().map(|site| prefixes::real(Path::new(site))).collect();
    let others = all.filter(|(path, _)| path.is_dir() && !own.contains(&prefixes::real(path)));
    others.filter_map(|(path, route)| overlay(&path, route, environment, rules)).collect()
}

fn overlay(path: &Path, route: Route, environment: &Environment, rules: &Libraries) -> Option<Overlay> {
    // A directory without `__init__.py` is a module only where no other is found.
    let is_module = |name: &&str| path.join(name).join("__init__.py").is_file() || path.join(format!("{name}.py")).is_file();
    let modules: Vec<String> = rules.watched().filter(is_module).map(str::to_owned).collect();
    let packages = if route == Route::WorkingDirectory { Vec::new() } else { packages(path, environment) };
    let place = path.display().to_string();
    (!modules.is_empty() || !packages.is_empty()).then_some(Overlay { place, route, modules, packages })
}

/// The packages of a directory that the environment has too.
fn packages(path: &Path, environment: &Environment) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(path) else { return Vec::new() };
    let names = entries.flatten().take(MOST_ENTRIES).filter_map(|entry| entry.file_name().into_string().ok());
    let listed = names.filter_map(|name| {
        let (package, version) = name.strip_suffix(".dist-info")?.split_once('-')?;
        let package = normalised(package);
        environment.package(&package).is_some().then(|| format!("{package} {version}"))
    });
    let mut packages: Vec<String> = listed.take(MOST_PACKAGES).collect();
    packages.sort_unstable();
    packages
}
