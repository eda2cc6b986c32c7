//! PyTorch releases, their CUDA variants and what each wheel contains (`rules/torch.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use crate::version::Version;

/// Everything in `rules/torch.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torch {
    /// One row a minor release, oldest first.
    #[serde(default)]
    pub release: Vec<TorchRelease>,
    /// Which Triton knows which architectures.
    #[serde(default)]
    pub triton: Vec<Triton>,
    /// What holds for all wheels.
    #[serde(default)]
    pub note: Vec<TorchNote>,
}

/// One minor release of PyTorch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TorchRelease {
    /// Major and minor number, `2.11`.
    pub torch: Version,
    /// Its releases, oldest first.
    pub patches: Vec<Version>,
    /// The variant that the Python Package Index serves: `cu130`.
    pub default_variant: String,
    /// Interpreter tags of its Linux x86-64 wheels.
    pub python_tags: Vec<String>,
    /// The interpreters it accepts, a PEP 440 specifier.
    pub requires_python: String,
    /// The platform tag of its wheels, which names the glibc they need.
    pub platform_tag: String,
    /// The Triton it pins.
    pub triton: Option<Version>,
    /// What else to know.
    pub note: Option<String>,
    /// Its CUDA builds.
    pub variant: Vec<TorchVariant>,
    /// Where this comes from.
    pub source: String,
}

/// One CUDA build of a release.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TorchVariant {
    /// Its name in wheel indexes and local versions: `cu130`.
    pub name: String,
    /// The CUDA it was built with.
    pub cuda: Version,
    /// Compiler targets with machine code in it, as in `sm_90`. No wheel seen carries PTX.
    pub targets: Vec<u16>,
    /// The oldest driver that runs it.
    pub min_driver: Version,
    /// The driver with full support of its CUDA.
    pub full_driver: Version,
    /// The cuDNN it brings.
    pub cudnn: Option<String>,
    /// The NCCL it brings.
    pub nccl: Option<String>,
    /// The CUDA runtime wheel it pins.
    pub cuda_runtime: Option<String>,
    /// How the targets are known.
    pub targets_source: String,
}

/// One Triton release.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triton {
    /// Its version.
    pub version: Version,
    /// The PyTorch releases that pin it.
    pub torch: String,
    /// The `ptxas` inside.
    pub ptxas: String,
    /// The second `ptxas`, for Blackwell, where there is one.
    pub ptxas_blackwell: Option<String>,
    /// Whether it compiles for compute capabilities 10.0 and 12.0.
    pub sm_100_120: bool,
    /// Whether it compiles for compute capabilities 10.3 and 12.1.
    pub sm_103_121: bool,
    /// Whether it compiles for compute capability 10.7.
    pub sm_107: bool,
    /// Where this comes from.
    pub source: String,
}

/// A fact about the wheels that no row holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TorchNote {
    /// What it is about, kebab-case; unique.
    pub id: String,
    /// The fact.
    pub text: String,
    /// What to do about it, where something can be done.
    pub fix: Option<String>,
    /// Where this comes from.
    pub sources: Vec<String>,
}

impl Torch {
    /// The release row of a PyTorch version.
    pub fn release(&self, torch: &Version) -> Option<&TorchRelease> {
        self.release.iter().find(|row| row.torch.major() == torch.major() && row.torch.minor() == torch.minor())
    }
}

impl TorchRelease {
    /// The variant that the Python Package Index serves.
    pub fn default_variant(&self) -> Option<&TorchVariant> {
        self.variant(&self.default_variant)
    }

    /// The variant of a name such as `cu129`.
    pub fn variant(&self, name: &str) -> Option<&TorchVariant> {
        self.variant.iter().find(|variant| variant.name == name)
    }
}

impl TorchVariant {
    /// Whether it has machine code for a GPU of this compute capability.
    pub fn runs_on(&self, capability: ComputeCapability) -> bool {
        self.targets.iter().any(|sm| capability.runs_code_for(ComputeCapability::from_sm(*sm)))
    }
}
