//! Behaviours that make an engine do something else than its flags say (`rules/engines/<engine>/quirks.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use super::origin::Origin;
use super::timeline::Timeline;
use crate::version::Version;

/// The file of quirks of one engine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuirkFile {
    /// Which model runner a version starts by default.
    #[serde(default)]
    pub(super) v2_model_runner: Timeline<RunnerRule>,
    /// The quirks.
    #[serde(default)]
    pub(super) quirk: Vec<Quirk>,
}

/// One behaviour that a plan must know of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quirk {
    /// Its name, kebab-case; unique.
    pub id: String,
    /// The first version that behaves so; absent when the oldest read already does.
    pub since: Option<Version>,
    /// The first version that no longer does.
    pub until: Option<Version>,
    /// What it makes of a launch.
    pub effect: QuirkEffect,
    /// When it applies: all conditions that are present must hold.
    #[serde(default)]
    pub when: QuirkCondition,
    /// What happens, for the user.
    pub message: String,
    /// What to do about it, for the user.
    pub fix: Option<String>,
    /// Environment variables that mend it.
    #[serde(default)]
    pub fix_env: indexmap::IndexMap<String, String>,
    /// Flags that mend it, with their values.
    #[serde(default)]
    pub fix_flags: indexmap::IndexMap<String, String>,
    /// A package that mends it.
    pub fix_package: Option<String>,
    /// Where this comes from.
    pub sources: Vec<String>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// What a quirk makes of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuirkEffect {
    /// The flag is accepted and promises something that does not happen: the launch is invalid.
    Broken,
    /// The engine refuses to start.
    Refused,
    /// The flag is accepted and does nothing, harmlessly.
    NoEffect,
    /// The flag works and will be removed.
    Deprecated,
    /// It works and costs device memory that nobody expects.
    CostsMemory,
    /// It works and costs time that nobody expects.
    CostsTime,
    /// It works and the engine reports or plans a wrong figure.
    Misreports,
    /// It works and opens the machine, loses data or spoils the output.
    Dangerous,
    /// It works; its name says less, or more, than it does.
    Explained,
}

/// When a quirk applies. Absent conditions hold always.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuirkCondition {
    /// A flag is given, by name and with another value than its default.
    pub flag: Option<String>,
    /// The flag's value is one of these.
    #[serde(default)]
    pub values: Vec<String>,
    /// An environment variable is set, by name.
    pub environment: Option<String>,
    /// Weights are offloaded to the host by this backend.
    pub offload: Option<OffloadBackend>,
    /// The model runner is this one.
    pub runner: Option<Runner>,
    /// The weights' quantisation is one of these, by the engine's name for the method.
    #[serde(default)]
    pub quantization: Vec<String>,
    /// The weights have this many bits.
    pub weight_bits: Option<u32>,
    /// The checkpoint is quantised already, or is not.
    pub prequantized: Option<bool>,
    /// The model has layers of one of these attention families.
    #[serde(default)]
    pub attention: Vec<String>,
    /// The KV cache type is one of these.
    #[serde(default)]
    pub kv_cache_dtype: Vec<String>,
    /// More GPUs than this share each layer.
    pub tensor_parallel_over: Option<u32>,
    /// CUDA graphs are on, or off.
    pub cuda_graphs: Option<bool>,
    /// The GPU's compute capability is at least this.
    pub min_capability: Option<ComputeCapability>,
    /// The GPU's compute capability is below this.
    pub below_capability: Option<ComputeCapability>,
    /// The host is this one.
    pub host: Option<Host>,
}

/// How weights are kept on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffloadBackend {
    /// Any way.
    Any,
    /// Read in place over the host link.
    Uva,
    /// Copied ahead of each layer.
    Prefetch,
}

/// The engine's two implementations of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    /// The first.
    V1,
    /// The second.
    V2,
}

/// Hosts that matter to a quirk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Host {
    /// The Windows Subsystem for Linux.
    Wsl,
}

/// For which models a version starts the V2 model runner when nobody chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RunnerRule {
    /// For none.
    Never,
    /// For these architectures.
    Listed {
        /// Class names in `config.json`.
        architectures: Vec<String>,
        /// Whether they must be unquantised.
        unquantized_only: bool,
        /// Whether the list is all there is, or only what was read of it.
        complete: bool,
    },
    /// For every dense, non-hybrid model that generates text, and for these architectures.
    DenseGenerate {
        /// Class names in `config.json`.
        architectures: Vec<String>,
        /// Whether the list is all there is, or only what was read of it.
        complete: bool,
    },
    /// For every model, unsupported features aside.
    Everything,
}

impl Quirk {
    /// Whether `version` behaves so.
    pub fn holds_for(&self, version: &Version) -> bool {
        self.since.as_ref().is_none_or(|since| version >= since) && self.until.as_ref().is_none_or(|until| version < until)
    }
}
