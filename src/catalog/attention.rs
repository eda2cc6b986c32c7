//! Attention families: what each keeps for a token or a request (`rules/attention/<id>.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use super::origin::Origin;
use crate::version::Version;

/// One family of layers that keep something between steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionFamily {
    /// The file's name without its ending; unique.
    pub id: String,
    /// Its name in prose.
    pub name: String,
    /// How the cached bytes are counted.
    pub rule: CacheRule,
    /// The formula, for `gpudoctor explain`.
    pub formula: String,
    /// What it is and how its cache behaves, a sentence each.
    pub description: Vec<String>,
    /// Whether tensor parallelism divides the cache.
    pub divided_by_tensor_parallel: bool,
    /// Cache types with another layout than `elements × bytes`.
    #[serde(default)]
    pub cache_type: Vec<CacheType>,
    /// Kernels that run it in an engine, the preferred first.
    #[serde(default)]
    pub backend: Vec<AttentionBackend>,
    /// Where this comes from.
    pub sources: Vec<String>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// How the cached bytes of a layer are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheRule {
    /// Keys and values of every token.
    KeysAndValues,
    /// One latent for each token.
    Latent,
    /// One latent for each token, and the key of a sparse indexer.
    LatentAndIndex,
    /// Keys and values of the tokens in a window.
    Window,
    /// Keys and values of the tokens in a chunk.
    Chunk,
    /// A convolution and a state-space state for each request, as in Mamba-1.
    Mamba1State,
    /// A convolution and a state-space state for each request, as in Mamba-2.
    Mamba2State,
    /// A convolution and a matrix state for each request.
    DeltaState,
    /// A convolution state for each request.
    ConvolutionState,
    /// Keys and values of the encoder's tokens, once for each request.
    EncoderKeysAndValues,
}

/// A cache type with a layout of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheType {
    /// Its name as `--kv-cache-dtype` writes it.
    pub name: String,
    /// The first version that has it.
    pub since: Option<Version>,
    /// Bytes of one cached element.
    pub bytes_per_element: Option<f64>,
    /// Bytes for each head's keys, and again for its values, beside the elements.
    #[serde(default)]
    pub bytes_per_head: f64,
    /// Bytes of a token in a layer, where the layout is fixed.
    pub bytes_per_token: Option<u64>,
    /// The lowest compute capability that it was seen to run on.
    pub min_capability: Option<ComputeCapability>,
    /// What else to know.
    pub note: Option<String>,
}

/// A kernel of an engine for a family.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionBackend {
    /// The engine, `vllm`.
    pub engine: String,
    /// Its name as `--attention-backend` writes it.
    pub name: String,
    /// The first version for which this row was read.
    pub since: Option<Version>,
    /// The first version for which it no longer holds.
    pub until: Option<Version>,
    /// The lowest compute capability.
    pub min_capability: Option<ComputeCapability>,
    /// The first compute capability it does not run on.
    pub below_capability: Option<ComputeCapability>,
    /// Cache types it runs, beside the model's own.
    #[serde(default)]
    pub cache_types: Vec<String>,
    /// Tokens that a block must be a multiple of.
    pub block_multiple: Option<u32>,
    /// What else to know.
    pub note: Option<String>,
}
