//! What else a Python environment is made of: how its packages came there, and what is imported in front of it.

use serde::{Deserialize, Serialize};

/// A place other than a package index that a package was installed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// The address, without user names or passwords.
    pub url: String,
    /// Whether its directory is imported as it is: `pip install -e`.
    pub editable: bool,
}

/// A directory that is searched before the environment, and what it holds of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// The directory.
    pub place: String,
    /// Why it is searched.
    pub route: Route,
    /// The modules in it that matter: `torch`.
    pub modules: Vec<String>,
    /// The packages in it that the environment has too, as `name version`.
    pub packages: Vec<String>,
}

/// Why a directory is searched before the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `PYTHONPATH` names it.
    #[default]
    PythonPath,
    /// It is the user's own package directory, `~/.local`.
    UserSite,
    /// It is the working directory, which `python -m` and a shell of Python search first.
    WorkingDirectory,
}

/// What conda knows of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conda {
    /// Whether it is the installation of conda itself, `(base)`.
    pub base: bool,
    /// Its packages.
    pub packages: Vec<CondaPackage>,
}

/// A package that conda installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CondaPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its build: `py3.12_cuda12.4_cudnn9.1.0_0`.
    pub build: String,
}
