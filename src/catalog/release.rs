//! Engine releases: what a wheel and an image of each version need and contain (`rules/engines/<engine>/releases.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use super::origin::Origin;
use crate::version::Version;

/// The file of releases of one engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// The oldest version that can be planned for.
    pub oldest: Option<Version>,
    /// The newest version that can be planned for.
    pub newest: Option<Version>,
    /// The version to plan for when none is named.
    pub default: Option<Version>,
    /// The repository of its images, `vllm/vllm-openai`.
    pub image: Option<String>,
    /// Where the rows come from, in general.
    pub sources: Vec<String>,
    /// One row a release, oldest first.
    #[serde(default)]
    pub release: Vec<Release>,
}

/// One release of an engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// The release whose source was read in its stead, where its own was not: flags and memory rules are taken from there.
    pub behaves_like: Option<Version>,
    /// The PyTorch it pins.
    pub torch: Version,
    /// The interpreters it accepts, a PEP 440 specifier.
    pub python: String,
    /// The transformers it accepts, a PEP 440 specifier.
    pub transformers: Option<String>,
    /// The FlashInfer it pins.
    pub flashinfer: Option<Version>,
    /// The xFormers it pins.
    pub xformers: Option<Version>,
    /// The platform tag of its wheel on the Python Package Index.
    pub platform_tag: String,
    /// The CUDA of that wheel.
    pub cuda: Version,
    /// How that CUDA is known.
    pub cuda_source: String,
    /// The oldest driver that runs that wheel.
    pub min_driver: Version,
    /// The lowest compute capability with kernels in that wheel.
    pub min_capability: ComputeCapability,
    /// Compiler targets in that wheel, as in `sm_90`.
    pub targets: Vec<u16>,
    /// Whether the targets were read from the wheel itself; otherwise from the build files.
    #[serde(default)]
    pub targets_seen: bool,
    /// Wheels of other CUDA versions, outside the Python Package Index.
    #[serde(default)]
    pub wheel_variants: Vec<String>,
    /// The CUDA of the image tagged `v<version>`.
    pub image_cuda: Version,
    /// Suffixes of other image tags, `cu129` for `v<version>-cu129`.
    #[serde(default)]
    pub image_variants: Vec<String>,
    /// The file that the row was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// What a version was resolved to.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// The version that was asked for.
    pub asked: Version,
    /// The row of that version, or of the nearest one.
    pub release: &'a Release,
    /// The version whose flags and behaviour hold: one whose source was read.
    pub behaviour: &'a Version,
}

impl Resolved<'_> {
    /// Whether the asked version itself was read, whatever its CUDA build; otherwise the plan says which one stands in.
    pub fn is_exact(&self) -> bool {
        let asked = self.asked.public();
        self.release.version == asked && *self.behaviour == asked
    }
}

/// A version that no plan can be made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedVersion {
    /// Older than all that was read.
    #[error("{engine} {version} is older than {oldest}, the oldest version that can be planned for")]
    TooOld {
        /// The engine.
        engine: String,
        /// The version that was asked for.
        version: Version,
        /// The oldest that can be planned for.
        oldest: Version,
    },
    /// Newer than all that was read.
    #[error("{engine} {version} is newer than {newest}, the newest version known here")]
    TooNew {
        /// The engine.
        engine: String,
        /// The version that was asked for.
        version: Version,
        /// The newest that is known.
        newest: Version,
    },
}

impl Release {
    /// The glibc that the wheel's platform tag asks for, `2.31`; none where the tag says nothing.
    pub fn glibc(&self) -> Option<Version> {
        let numbers = self.platform_tag.strip_prefix("manylinux_")?;
        let mut parts = numbers.split('_');
        format!("{}.{}", parts.next()?, parts.next()?).parse().ok()
    }

    /// Whether the wheel has machine code for a GPU of this compute capability.
    pub fn runs_on(&self, capability: ComputeCapability) -> bool {
        self.targets.iter().any(|sm| capability.runs_code_for(ComputeCapability::from_sm(*sm)))
    }
}

/// The row for `asked`: its own, else the one of the same release with another suffix, else the newest older one of the
/// same minor, else the oldest newer one of it (a patch changes less than a minor), else the newest older one.
pub(super) fn nearest<'a>(releases: &'a [Release], asked: &Version) -> Option<&'a Release> {
    let asked = &asked.public();
    let minor = |release: &&Release| release.version.major() == asked.major() && release.version.minor() == asked.minor();
    let prefix = |version: &Version| version.release().iter().take(3).copied().collect::<Vec<_>>();
    let older = |release: &&Release| release.version <= *asked;
    let newest = |a: &&Release, b: &&Release| a.version.cmp(&b.version);
    (releases.iter().find(|release| release.version == *asked))
        .or_else(|| releases.iter().filter(|release| prefix(&release.version) == prefix(asked)).max_by(newest))
        .or_else(|| releases.iter().filter(minor).filter(older).max_by(newest))
        .or_else(|| releases.iter().filter(minor).min_by(newest))
        .or_else(|| releases.iter().filter(older).max_by(newest))
}
