//! Model architectures: identity, parameter counts and shapes (`rules/models/<family>.toml`), and what a bare size means.

use serde::{Deserialize, Serialize};

use super::origin::Origin;
use super::shape::Shape;

/// One model, or several checkpoints of the same shapes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The hub id of the reference checkpoint; unique.
    pub id: String,
    /// The file's family, `llama-3.1`.
    #[serde(skip)]
    pub family: String,
    /// Short names people type.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Hub ids of other checkpoints with the same shapes.
    #[serde(default)]
    pub variants: Vec<String>,
    /// The id on ModelScope, where known.
    pub modelscope_id: Option<String>,
    /// The class name in `config.json`, `LlamaForCausalLM`.
    pub architecture: String,
    /// `model_type` in `config.json`.
    pub model_type: String,
    /// The `model_type` whose parameter formula applies, where it is not this one's.
    pub count_as: Option<String>,
    /// Unique weights of the main model: a tied head once, vision and audio towers included, prediction layers and
    /// quantisation scales not.
    pub parameters: u64,
    /// Text weights less the routed experts that a token does not use; embeddings included. Absent for dense models.
    pub active_parameters: Option<u64>,
    /// Weights of the multi-token-prediction layers that the checkpoint ships beside the main model.
    #[serde(default)]
    pub mtp_parameters: u64,
    /// Weights of vision and audio towers and their projectors, part of `parameters`.
    #[serde(default)]
    pub vision_parameters: u64,
    /// `torch_dtype` of the checkpoint.
    pub dtype: String,
    /// The licence, by name.
    pub license: String,
    /// Whether the hub asks for an accepted licence; absent where not known.
    pub gated: Option<bool>,
    /// How well the numbers are known.
    pub confidence: Confidence,
    /// Whether a copy of `config.json` was read, which confirms the fields that no parameter count can: windows, rope, layer order.
    #[serde(default)]
    pub config_read: bool,
    /// Whether a tower's or prediction layer's size was set so that the total fits; the total then proves nothing.
    #[serde(default)]
    pub count_by_difference: bool,
    /// Where the figures come from.
    pub sources: Vec<String>,
    /// What the hub publishes about its size.
    pub published: Option<Published>,
    /// The shapes.
    pub shape: Shape,
    /// How positions beyond the trained length are scaled.
    pub rope_scaling: Option<RopeScaling>,
    /// The vision or audio tower.
    pub vision: Option<Vision>,
    /// The quantisation that the reference checkpoint ships in.
    pub quantization: Option<NativeQuantization>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// How well an entry's numbers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// A copy of `config.json`, or at least two sources that agree.
    Confirmed,
    /// A single source, or the parameter count alone.
    OneSource,
    /// Neither.
    Memory,
}

/// The size of a checkpoint as the hub gives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Elements in the tensor headers, or the vendor's figure.
    pub parameters: Option<u64>,
    /// Elements of these that are no weights of the main model: a duplicated head, buffers, scales.
    #[serde(default)]
    pub extra: u64,
    /// Whether it is the vendor's rounded figure.
    #[serde(default)]
    pub rounded: bool,
    /// What else to know about it.
    pub note: Option<String>,
}

/// `rope_scaling` of `config.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeScaling {
    /// Its type: `yarn`, `llama3`, `linear`, `dynamic`, `longrope`.
    pub kind: String,
    /// How many times longer the context becomes.
    pub factor: Option<f64>,
    /// The length the model was trained at.
    pub original_max_position_embeddings: Option<u64>,
    /// What else to know about it.
    pub note: Option<String>,
}

/// The quantisation of a checkpoint that has no unquantised original, or is published quantised.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativeQuantization {
    /// `quant_method` of its configuration.
    pub quant_method: String,
    /// The 8-bit float format.
    pub fmt: Option<String>,
    /// The storage format of compressed tensors.
    pub format: Option<String>,
    /// Rows and columns of a weight block that shares a scale.
    #[serde(default)]
    pub weight_block_size: Vec<u64>,
    /// The format of the scales.
    pub scale_fmt: Option<String>,
    /// The type of routed experts, where it differs.
    pub expert_dtype: Option<String>,
    /// Bits a weight.
    pub num_bits: Option<u32>,
    /// Weights that share a scale.
    pub group_size: Option<u32>,
    /// Which layers it covers, where not all linear ones.
    pub targets: Option<String>,
    /// How activation scales are found.
    pub activation_scheme: Option<String>,
}

/// A vision or audio tower; which fields are present depends on the kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields carry the names of the tower's own configuration")]
pub struct Vision {
    /// The formula that counts its weights; `fixed` when only the total is known.
    pub kind: String,
    /// The total, for a `fixed` tower.
    pub parameters: Option<u64>,
    /// What else to know about it.
    pub note: Option<String>,
    pub hidden_size: Option<u64>,
    pub intermediate_size: Option<u64>,
    pub num_hidden_layers: Option<u64>,
    pub num_global_layers: Option<u64>,
    pub num_attention_heads: Option<u64>,
    pub num_heads: Option<u64>,
    pub head_dim: Option<u64>,
    pub depth: Option<u64>,
    pub mlp_ratio: Option<u64>,
    pub image_size: Option<u64>,
    pub patch_size: Option<u64>,
    pub temporal_patch_size: Option<u64>,
    pub spatial_merge_size: Option<u64>,
    pub max_num_tiles: Option<u64>,
    pub max_aspect_ratio_id: Option<u64>,
    pub pos_emb_height: Option<u64>,
    pub pos_emb_width: Option<u64>,
    pub num_position_embeddings: Option<u64>,
    pub position_embedding_size: Option<u64>,
    pub deepstack_layers: Option<u64>,
    pub pixel_shuffle_in: Option<u64>,
    pub projector: Option<String>,
    pub projector_input_dim: Option<u64>,
    pub projector_output_dim: Option<u64>,
    pub vision_output_dim: Option<u64>,
    pub out_hidden_size: Option<u64>,
    #[serde(default)]
    pub standardize: bool,
}

impl Model {
    /// Whether two sources agree on the numbers; what is not verified is never chosen unasked.
    pub fn is_verified(&self) -> bool {
        self.confidence == Confidence::Confirmed
    }

    /// Every name of the entry: id, variants, ModelScope id, aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let ids = std::iter::once(&self.id).chain(&self.variants).chain(&self.modelscope_id);
        ids.chain(&self.aliases).map(String::as_str)
    }
}

/// A file of models of one family.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    #[expect(dead_code, reason = "read as `ModelFamily`; named here so that other keys are refused")]
    pub(super) family: String,
    pub(super) model: Vec<Model>,
}

/// The family alone of a file of models.
#[derive(Debug, Deserialize)]
pub(super) struct ModelFamily {
    pub(super) family: String,
}

/// What a bare size such as `70b` stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSize {
    /// The size as people type it, in lower case: `70b`.
    pub name: String,
    /// The hub id of the reference model of that size, an entry of the catalogue.
    pub model: String,
    /// Why this one.
    pub reason: String,
    /// Well-known checkpoints of it that are quantised already.
    #[serde(default)]
    pub quantized: Vec<QuantizedCheckpoint>,
    /// Where the choice and the checkpoint ids come from.
    pub sources: Vec<String>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// A published checkpoint of a model in a quantised format.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantizedCheckpoint {
    /// Its hub id.
    pub id: String,
    /// The scheme it is stored in, an entry of `rules/quantizations.toml`.
    pub scheme: String,
    /// Whether the id was seen in a public source.
    pub seen: bool,
}

/// The file of sizes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SizeFile {
    pub(super) size: Vec<ModelSize>,
}
