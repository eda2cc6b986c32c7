//! What was read of a machine and of an image, as plain values: everything after it is a function of them.

pub mod call;
pub mod cuda;
pub mod host;
pub mod library;
pub mod metadata;
pub mod nvml;
pub mod place;
pub mod python;
pub mod record;
pub mod redact;
pub mod rewrite;
pub mod tool;
pub mod variable;

pub use record::{Capture, CaptureError};

use serde::{Deserialize, Serialize};

use crate::capture::library::{Library, Load, Unmet};
use crate::capture::metadata::Metadata;
use crate::capture::python::{Conda, Overlay, Source};

/// What was read of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// Its Python environments; the one that a shell would use comes first.
    pub environments: Vec<Environment>,
    /// Where environments were looked for.
    pub looked: Vec<String>,
    /// The machine as Python names it: `x86_64`, `aarch64`.
    pub machine: Option<String>,
    /// The C library, where something was found that could need one.
    pub glibc: Option<Glibc>,
    /// What is there and could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// What one interpreter imports from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// Its directory: `/opt/venv`, `/usr`.
    pub root: String,
    /// Its package directories, in the order in which they are searched.
    pub sites: Vec<String>,
    /// Its Python, `3.12`; from the directory's name, so without the patch number.
    pub python: Option<String>,
    /// What installs packages into it.
    pub installer: Installer,
    /// Its packages, in the order of `sites`.
    pub packages: Vec<Package>,
    /// The PyTorch packages that can be imported, in the order of `sites`; the first one is.
    pub torches: Vec<TorchBuild>,
    /// Whether it is a virtual environment, which a user's own packages stay out of.
    pub is_virtual: bool,
    /// What conda knows of it.
    pub conda: Option<Conda>,
    /// Directories that are searched before it.
    pub overlays: Vec<Overlay>,
    /// The libraries of PyTorch and of extensions.
    pub libraries: Vec<Library>,
    /// The libraries of CUDA, C++ and C that a program with all of them would load, in that order.
    pub loads: Vec<Load>,
    /// What these need of each other and do not find.
    pub unmet: Vec<Unmet>,
    /// What importing it said, where that was asked for.
    pub imports: Vec<Import>,
}

/// What installs packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Installer {
    /// pip, or unknown.
    #[default]
    Pip,
    /// uv.
    Uv,
}

/// One installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Package {
    /// Its name, normalised: lower case, with hyphens.
    pub name: String,
    /// Its version as written.
    pub version: String,
    /// Its `.dist-info` or `.egg-info`.
    pub place: String,
    /// What it requires.
    pub metadata: Metadata,
    /// The tags of its wheel: `cp38-abi3-manylinux_2_28_x86_64`.
    pub tags: Vec<String>,
    /// What installed it: `pip`, `uv`, `conda`.
    pub installer: Option<String>,
    /// Where it came from, if not from an index.
    pub source: Option<Source>,
}

/// What `torch/version.py` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TorchBuild {
    /// The file.
    pub place: String,
    /// Its version with the build: `2.11.0+cu130`.
    pub version: Option<String>,
    /// The CUDA that it was built with.
    pub cuda: Setting,
    /// The ROCm that it was built with.
    pub hip: Setting,
    /// Whether it is built with the C++11 ABI, where its library tells.
    pub cxx11_abi: Option<bool>,
}

/// An assignment in `version.py`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// It is not there, or not readable.
    #[default]
    Absent,
    /// `None`.
    Nothing,
    /// A text.
    Text(String),
}

impl Setting {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Nothing => None,
        }
    }
}

/// What importing a module in a process of its own said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// The module.
    pub module: String,
    /// The interpreter.
    pub interpreter: String,
    /// How it went.
    pub outcome: ImportOutcome,
    /// The end of what it wrote to its standard error.
    pub stderr: String,
}

/// How an import went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// It was not tried.
    #[default]
    Untried,
    /// It worked; the lines that it printed.
    Worked(String),
    /// It ended with this exit code.
    Failed(i32),
    /// A signal ended it.
    Killed(i32),
    /// It was ended after so many seconds.
    TimedOut(u64),
    /// It could not be started.
    Unstarted(String),
}

/// The C library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glibc {
    /// Its version, `2.36`.
    pub version: String,
    /// The file.
    pub place: String,
}

/// Something that is there and could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unreadable {
    /// The path.
    pub place: String,
    /// Why.
    pub reason: String,
}

impl Environment {
    /// The package of a normalised name that is imported: the first.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The PyTorch that is imported.
    pub fn torch(&self) -> Option<&TorchBuild> {
        self.torches.first()
    }
}

impl TorchBuild {
    /// Reads the assignments of `version.py`; what else stands there is left alone.
    pub fn parse(place: String, text: &str) -> Self {
        let setting = |name: &str| text.lines().take(LINES).find_map(|line| assigned(line, name)).unwrap_or_default();
        let version = setting("__version__").text().map(str::to_owned);
        Self { place, version, cuda: setting("cuda"), hip: setting("hip"), cxx11_abi: None }
    }
}

/// More lines than `version.py` ever had.
const LINES: usize = 200;

/// The value of `NAME = 'text'` or `NAME: Optional[str] = 'text'`, where `line` assigns to `name`.
fn assigned(line: &str, name: &str) -> Option<Setting> {
    let rest = line.strip_prefix(name)?;
    if !rest.starts_with([' ', ':', '=']) {
        return None;
    }
    let (_, value) = rest.split_once('=')?;
    let value = value.split('#').next().unwrap_or_default().trim();
    let quoted = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    match (value, quoted('\'').or_else(|| quoted('"'))) {
        ("None", _) => Some(Setting::Nothing),
        (_, Some(text)) if !text.is_empty() => Some(Setting::Text(text.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_stands_in_version_py() {
        let text = "from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda']\n__version__ = '2.11.0+cu130'\n\
                    debug = False\ncuda: Optional[str] = '13.0'\ngit_version = 'x'\nhip: Optional[str] = None\n";
        let build = TorchBuild::parse(String::new(), text);
        assert_eq!((build.version.as_deref(), build.cuda.text(), build.hip), (Some("2.11.0+cu130"), Some("13.0"), Setting::Nothing));
    }

    // A capture is a file: what is written is read back, and a key of another version is an error.
    #[test]
    fn an_image_survives_its_file() {
        let torches =
            vec![TorchBuild { version: Some("2.11.0+cu130".to_owned()), cuda: Setting::Text("13.0".to_owned()), ..TorchBuild::default() }];
        let environment = Environment { root: "/opt/venv".to_owned(), torches, ..Environment::default() };
        let image = Image { environments: vec![environment], ..Image::default() };
        let text = serde_json::to_string(&image).expect("JSON");
        assert_eq!(serde_json::from_str::<Image>(&text).expect("an image"), image);
        assert!(serde_json::from_str::<Image>(r#"{"environments":[],"wheels":[]}"#).is_err());
    }

    #[test]
    fn what_is_no_assignment_is_absent() {
        for text in ["", "cuda", "cuda = ", "cuda = '13", "cudas = '13.0'", "cuda = f()", "\u{0}\u{1}"] {
            assert_eq!(TorchBuild::parse(String::new(), text).cuda, Setting::Absent, "{text:?}");
        }
    }
}
