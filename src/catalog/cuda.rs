//! CUDA toolkits, the drivers that run them, and the life of architectures (`rules/cuda.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use crate::version::Version;

/// Everything in `rules/cuda.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cuda {
    /// One row a CUDA major.
    #[serde(default)]
    pub family: Vec<CudaFamily>,
    /// One row a toolkit release, oldest first.
    #[serde(default)]
    pub toolkit: Vec<Toolkit>,
    /// One row a driver branch, oldest first.
    #[serde(default)]
    pub branch: Vec<DriverBranch>,
    /// One row an architecture generation, oldest first.
    #[serde(default)]
    pub generation: Vec<Generation>,
    /// Packages that let an older data-centre driver run a newer CUDA major.
    #[serde(default)]
    pub forward_compatibility: Vec<ForwardCompatibility>,
    /// What holds for forward compatibility in general, and for what the driver's kernel modules must be; a sentence each.
    #[serde(default)]
    pub note: Vec<CudaNote>,
}

/// What every toolkit of one CUDA major has in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CudaFamily {
    /// The CUDA major.
    pub major: u64,
    /// The oldest driver that runs programs of this major, new features aside (minor-version compatibility).
    pub min_driver: Version,
    /// The first driver branch of the next major, where there is one. Newer drivers run this major too.
    pub next_branch: Option<u64>,
    /// What else to know.
    pub note: Option<String>,
    /// Where this comes from.
    pub sources: Vec<String>,
}

/// One toolkit release.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolkit {
    /// Its version, `12.8.1`.
    pub version: Version,
    /// The driver that ships with it, which supports all of its features; absent where it was not found.
    pub full_driver: Option<Version>,
    /// The oldest driver that runs its programs.
    pub min_driver: Version,
    /// What `cuDriverGetVersion` returns on the driver that ships with it: 1000 × major + 10 × minor.
    pub driver_api: u32,
    /// The PTX version it emits.
    pub ptx: Version,
    /// The compiler targets it knows, as in `sm_89`.
    pub targets: Vec<u16>,
    /// Where this comes from.
    pub source: String,
}

/// One driver branch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriverBranch {
    /// The first number of its versions.
    pub branch: u64,
    /// The newest CUDA whose features it supports.
    pub cuda: Version,
    /// What `cuDriverGetVersion` returns.
    pub driver_api: u32,
    /// Its support status and end of life.
    pub status: String,
    /// The month after which it gets no more fixes, as `2028-06`; where it is over and the month is not known, the month
    /// in which that was read.
    pub end_of_life: Option<String>,
    /// Where this comes from.
    pub source: String,
}

/// One generation of GPUs and what still supports it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    /// Its name.
    pub name: String,
    /// The compute capabilities that belong to it.
    pub capabilities: Vec<ComputeCapability>,
    /// The first toolkit that builds for it, by capability where they differ.
    pub first_toolkit: Option<String>,
    /// The last toolkit that builds for it, by capability where they differ.
    pub last_toolkit: Option<String>,
    /// The first driver branch that runs it, where known.
    pub min_driver_branch: Option<u64>,
    /// The last driver branch that runs it.
    pub last_driver_branch: Option<u64>,
    /// Whether it runs only with the open kernel modules.
    #[serde(default)]
    pub needs_open_modules: bool,
    /// Whether it runs only with the proprietary kernel modules.
    #[serde(default)]
    pub needs_proprietary_modules: bool,
    /// What else to know.
    pub note: Option<String>,
    /// Where this comes from.
    pub source: String,
}

/// One `cuda-compat` package: user-space driver libraries that run on an older kernel driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardCompatibility {
    /// The CUDA it brings.
    pub cuda: Version,
    /// The version of its libraries.
    pub libraries: Version,
    /// The driver branches that it runs on. It never runs on GeForce and TITAN cards (error 804).
    pub host_branches: Vec<u64>,
    /// Where this comes from.
    pub source: String,
}

/// A fact about drivers that no row holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CudaNote {
    /// What it is about, kebab-case; unique.
    pub id: String,
    /// The fact.
    pub text: String,
    /// Where this comes from.
    pub sources: Vec<String>,
}

impl Cuda {
    /// The family of a CUDA version.
    pub fn family(&self, cuda: &Version) -> Option<&CudaFamily> {
        self.family.iter().find(|family| family.major == cuda.major())
    }

    /// The newest toolkit of the same major and minor number.
    pub fn toolkit(&self, cuda: &Version) -> Option<&Toolkit> {
        let same = |toolkit: &&Toolkit| toolkit.version.major() == cuda.major() && toolkit.version.minor() == cuda.minor();
        self.toolkit.iter().filter(same).max_by(|a, b| a.version.cmp(&b.version))
    }

    /// The branch of a driver version.
    pub fn branch(&self, driver: &Version) -> Option<&DriverBranch> {
        self.branch.iter().find(|branch| branch.branch == driver.major())
    }

    /// The generation that a compute capability belongs to.
    pub fn generation(&self, capability: ComputeCapability) -> Option<&Generation> {
        self.generation.iter().find(|generation| generation.capabilities.contains(&capability))
    }

    /// The compatibility packages for `cuda` that run on a host driver of `branch`.
    pub fn forward_compatibility(&self, cuda: &Version, branch: u64) -> impl Iterator<Item = &ForwardCompatibility> {
        let cuda = cuda.clone();
        self.forward_compatibility.iter().filter(move |package| package.cuda >= cuda && package.host_branches.contains(&branch))
    }
}
