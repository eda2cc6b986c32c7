//! Quantised weights: bytes, what stays in 16 bits, kernels (`rules/quantizations.toml`), and the methods of an engine
//! through its versions (`rules/engines/<engine>/quantization.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use super::origin::Origin;
use crate::version::Version;

/// Everything in `rules/quantizations.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantizations {
    /// Storage schemes.
    #[serde(default)]
    pub scheme: Vec<Scheme>,
    /// Tensor types of GGUF files.
    #[serde(default)]
    pub ggml_type: Vec<GgmlType>,
}

/// One way to store the weights of linear layers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// Its name; unique.
    pub id: String,
    /// Other names people type.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it is, one sentence.
    pub summary: String,
    /// How a checkpoint stores a weight.
    pub stored: Storage,
    /// What stays in 16 bits, a phrase each, beside what a checkpoint's own list names.
    #[serde(default)]
    pub unquantized: Vec<String>,
    /// How an engine holds a weight on the device, by version and kernel. The first row whose conditions hold counts;
    /// where none does, it is held as it is stored.
    #[serde(default)]
    pub resident: Vec<Resident>,
    /// Whether an engine can make it from a 16-bit checkpoint at load time.
    #[serde(default)]
    pub online: bool,
    /// What to know about the peak while loading.
    pub load_peak: Option<String>,
    /// Where this comes from.
    pub sources: Vec<String>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// The bits behind one stored weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Bits of the weight itself.
    pub weight_bits: f64,
    /// How many weights share a scale.
    pub scale_per: ScalePer,
    /// Weights of a group, for scales per group or block.
    pub group_size: Option<u64>,
    /// Bits of a scale.
    #[serde(default)]
    pub scale_bits: f64,
    /// Bits of a zero point, one for each scale; 0 for symmetric schemes.
    #[serde(default)]
    pub zero_point_bits: f64,
    /// Bits of a scale of scales, and how many scales share it.
    pub nested: Option<Nested>,
}

/// Scales of scales.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nested {
    /// Bits of one.
    pub bits: f64,
    /// Scales that share it.
    pub scales: u64,
}

/// How many weights share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScalePer {
    /// There are none.
    None,
    /// All of a tensor.
    Tensor,
    /// All of an output channel.
    Channel,
    /// A group along the input dimension.
    Group,
    /// A square block of `group_size` rows and columns.
    Block,
}

/// How an engine holds the weights on the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resident {
    /// The engine, `vllm`.
    pub engine: String,
    /// The first version that holds them so.
    pub since: Option<Version>,
    /// The first version that no longer does.
    pub until: Option<Version>,
    /// The kernel that multiplies them.
    pub kernel: String,
    /// The lowest compute capability of the kernel.
    pub min_capability: Option<ComputeCapability>,
    /// The first compute capability that gets another kernel.
    pub below_capability: Option<ComputeCapability>,
    /// Only these capabilities, where a range does not say it.
    #[serde(default)]
    pub capabilities: Vec<ComputeCapability>,
    /// The bits behind one weight.
    pub storage: Storage,
    /// Whether steps that use it can be captured as CUDA graphs.
    #[serde(default = "yes")]
    pub cuda_graphs: bool,
    /// Whether offloading the weights survives what the kernel does to them after loading.
    #[serde(default = "yes")]
    pub offload_survives: bool,
    /// What else to know.
    pub note: Option<String>,
}

fn yes() -> bool {
    true
}

/// One tensor type of GGUF files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GgmlType {
    /// Its name, `Q4_K`.
    pub name: String,
    /// Its number in file headers.
    pub id: u32,
    /// Weights of a block.
    pub block: u64,
    /// Bytes of a block.
    pub bytes: u64,
    /// Where this comes from.
    pub source: String,
}

/// The quantisation methods of one engine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MethodFile {
    /// Where the spans come from.
    #[expect(dead_code, reason = "kept for the reader of the file; the rules test asks for it")]
    pub(super) sources: Vec<String>,
    /// One row a name that the engine accepts.
    #[serde(default)]
    pub(super) method: Vec<Method>,
}

/// A quantisation method by the engine's name for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The name, `awq_marlin`.
    pub name: String,
    /// The scheme behind it, an entry of `rules/quantizations.toml`; absent where a checkpoint decides, or none is described.
    pub scheme: Option<String>,
    /// What to use where it is gone.
    pub replacement: Option<String>,
    /// The package that brings it back where it is gone.
    pub plugin: Option<String>,
    /// When the engine accepts it, oldest first.
    pub span: Vec<MethodSpan>,
}

/// A range of versions in which a method behaved the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodSpan {
    /// The first version read that has it so.
    pub since: Version,
    /// The first version read that no longer has it so.
    pub until: Option<Version>,
    /// The lowest compute capability that the engine asks for; absent where it does not ask.
    pub min_capability: Option<ComputeCapability>,
    /// Whether it needs `--allow-deprecated-quantization`.
    #[serde(default)]
    pub deprecated: bool,
}

impl Storage {
    /// Bytes of one weight with its share of scales and zero points, in a matrix of `inputs` columns.
    pub fn bytes_per_weight(&self, inputs: u64) -> f64 {
        self.bytes_per_weight_at(self.group_size.unwrap_or(1), inputs)
    }

    /// The same with groups of `group_size`, which a checkpoint may choose.
    pub fn bytes_per_weight_at(&self, group_size: u64, inputs: u64) -> f64 {
        let sharing = match self.scale_per {
            ScalePer::None | ScalePer::Tensor => return self.weight_bits / 8.0,
            ScalePer::Channel => inputs,
            ScalePer::Group => group_size,
            ScalePer::Block => group_size.saturating_mul(group_size),
        };
        let nested = self.nested.map_or(0.0, |nested| nested.bits / nested.scales.max(1) as f64);
        (self.weight_bits + (self.scale_bits + self.zero_point_bits + nested) / sharing.max(1) as f64) / 8.0
    }
}

impl Scheme {
    /// How `engine` of `version` holds it on a device of `capability`.
    pub fn resident(&self, engine: &str, version: &Version, capability: ComputeCapability) -> Option<&Resident> {
        self.resident.iter().find(|row| row.engine == engine && row.holds_for(version, capability))
    }
}

impl Resident {
    /// Whether it holds for this version on a device of this capability.
    pub fn holds_for(&self, version: &Version, capability: ComputeCapability) -> bool {
        self.since.as_ref().is_none_or(|since| version >= since)
            && self.until.as_ref().is_none_or(|until| version < until)
            && self.min_capability.is_none_or(|least| capability >= least)
            && self.below_capability.is_none_or(|bound| capability < bound)
            && (self.capabilities.is_empty() || self.capabilities.contains(&capability))
    }
}

impl GgmlType {
    /// Bits of one weight with its share of the block's scales.
    pub fn bits_per_weight(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.block.max(1) as f64
    }
}

impl Method {
    /// How `version` treats it; none where it does not accept it.
    pub fn at(&self, version: &Version) -> Option<&MethodSpan> {
        self.span.iter().find(|span| *version >= span.since && span.until.as_ref().is_none_or(|until| version < until))
    }
}
