//! The model's shape: what every term of the budget is computed from.

use serde::Serialize;

use crate::units::Bytes;

/// A model as the engine will build it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSpec {
    /// The name to show and to launch: a hub id or the path that the user gave.
    pub id: String,
    /// Where the shape was read.
    pub origin: Origin,
    /// `architectures[0]` of config.json, such as `LlamaForCausalLM`: what the engine dispatches on.
    pub architecture: String,
    /// `model_type` of config.json, such as `llama`.
    pub model_type: String,
    /// The dtype that the checkpoint names (`torch_dtype`, or `dtype` from transformers 5 on).
    pub dtype: Dtype,
    /// Width of the residual stream, in elements.
    pub hidden_size: u64,
    /// Rows of the embedding, as config.json has them (the engine pads to a multiple of 64).
    pub vocab_size: u64,
    /// The longest context that the engine accepts without an override, in tokens (rope scaling applied).
    pub context_length: u64,
    /// The context that the engine takes when none is asked for, in tokens. It is `context_length` but for
    /// LongRoPE models from vLLM 0.11 on, which then stay at their original one.
    pub default_context_length: u64,
    /// Whether the language-model head is the embedding itself, held once.
    pub tie_word_embeddings: bool,
    /// The rotary table that the engine keeps on the device, if the model has one.
    pub rotary: Option<Rotary>,
    /// The decoder layers in order.
    pub layers: Vec<Layer>,
    /// Every tensor that the engine loads, grouped; multi-token-prediction layers are left out, as the
    /// engine loads them only for speculative decoding.
    pub tensors: Vec<TensorGroup>,
    /// Parameter counts: tied matrices once, no quantisation scales.
    pub parameters: ParameterCount,
    /// How the checkpoint is quantised; `None` for a 16-bit or 32-bit checkpoint.
    pub quantization: Option<CheckpointQuantization>,
    /// Whether the model is a local folder that holds a config.json and no tensor files. The engine can start
    /// it only with random weights, and reads from the missing headers that GPTQ layers are not quantised.
    pub without_tensors: bool,
    /// Whether the checkpoint carries an image, audio or video encoder.
    pub multimodal: bool,
    /// Whether the engine has no class of its own for this architecture, so that it needs the
    /// checkpoint's Python code (`auto_map` in config.json).
    pub needs_remote_code: bool,
    /// The dtype of the recurrent state where config.json names one; the model's own otherwise.
    pub recurrent_dtype: Option<Dtype>,
    /// What could not be read and was assumed instead, as sentences to show.
    pub assumed: Vec<String>,
}

/// Where a [`ModelSpec`] was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// The built-in catalogue; `file` is the rule file of the entry.
    Catalogue {
        /// The rule file that holds the entry.
        file: String,
    },
    /// A config.json without tensor headers.
    Config {
        /// The file or address that was read.
        place: String,
    },
    /// Tensor headers (safetensors or GGUF): the bytes are exact.
    Checkpoint {
        /// The file, directory or address that was read.
        place: String,
        /// Bytes of all tensors as stored.
        bytes: Bytes,
    },
}

/// A floating-point type that weights or activations are held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// IEEE half precision, 2 bytes.
    Float16,
    /// bfloat16, 2 bytes; needs compute capability 8.0.
    Bfloat16,
    /// IEEE single precision, 4 bytes.
    Float32,
}

impl Dtype {
    /// The type of this name, as config.json and the engine write it.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim_start_matches("torch.") {
            "float16" | "half" => Some(Self::Float16),
            "bfloat16" => Some(Self::Bfloat16),
            "float32" | "float" => Some(Self::Float32),
            _ => None,
        }
    }

    /// Bytes an element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Float32 => 4,
        }
    }

    /// The engine's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float32 => "float32",
        }
    }
}

/// The rotary cos/sin table: `positions × dim` elements of the model's dtype, held once a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rotary {
    /// Rows: the positions that the table covers.
    pub positions: u64,
    /// Columns: rotated elements of a head (cos and sin halves together).
    pub dim: u64,
    /// Whether it is kept in fp32 whatever the model's dtype is (`DeepseekScalingRotaryEmbedding`).
    pub single_precision: bool,
}

/// One decoder layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// How it mixes tokens, and therefore what it caches.
    pub mixer: Mixer,
    /// Its feed-forward block.
    pub mlp: Mlp,
}

impl Layer {
    /// The mixers of the layer that own a cache or a state: none, one, or two (Falcon-H1).
    pub fn caches(&self) -> impl Iterator<Item = &Mixer> {
        let (first, second): (Option<&Mixer>, Option<&Mixer>) = match &self.mixer {
            Mixer::None | Mixer::Shared { .. } => (None, None),
            Mixer::Parallel { attention, recurrent } => (Some(attention), Some(recurrent)),
            other => (Some(other), None),
        };
        first.into_iter().chain(second)
    }
}

/// How a layer mixes tokens. This decides the layer's KV cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Mixer {
    /// Multi-head, grouped-query or multi-query attention.
    Attention {
        /// Query heads.
        heads: u64,
        /// Key and value heads.
        kv_heads: u64,
        /// Elements of a query and key head.
        head_dim: u64,
        /// Elements of a value head.
        v_head_dim: u64,
        /// Which tokens it sees.
        span: Span,
    },
    /// Multi-head latent attention: one latent vector a token is cached, shared by all heads.
    Latent {
        /// Query heads.
        heads: u64,
        /// Elements of the compressed latent.
        kv_lora_rank: u64,
        /// Elements of the shared rotary key.
        qk_rope_head_dim: u64,
        /// Elements of the non-rotary part of a query head.
        qk_nope_head_dim: u64,
        /// Elements of a value head.
        v_head_dim: u64,
        /// Elements of the sparse-attention indexer's key, for DeepSeek sparse attention.
        index_head_dim: Option<u64>,
    },
    /// A fixed state a request instead of a cache that grows: Mamba, gated delta net, short convolution.
    Recurrent {
        /// The family, which names the engine's state layout.
        family: RecurrentFamily,
        /// Elements of the convolution state a request (all tensor-parallel ranks together).
        conv_elements: u64,
        /// Elements of the recurrent state a request (all ranks together).
        state_elements: u64,
    },
    /// DeepSeek V4: every layer caches a window of latents; some also cache one latent for `ratio` tokens.
    CompressedLatent {
        /// Query heads.
        heads: u64,
        /// Elements of a cached latent, rotary part included.
        head_dim: u64,
        /// Elements of its rotary part.
        qk_rope_head_dim: u64,
        /// Tokens of the window.
        window: u64,
        /// Tokens that one compressed latent stands for; `None` for a layer with the window only.
        ratio: Option<u64>,
        /// Elements of the indexer's key, one for `ratio` tokens, if the layer has an indexer.
        index_head_dim: Option<u64>,
    },
    /// Attention that reads the cache of an earlier layer and keeps none of its own (Gemma 3n and 4).
    Shared {
        /// Query heads.
        heads: u64,
        /// Elements of a head.
        head_dim: u64,
    },
    /// Attention and a recurrent block side by side, each with a cache of its own (Falcon-H1).
    Parallel {
        /// The attention.
        attention: Box<Self>,
        /// The recurrent block.
        recurrent: Box<Self>,
    },
    /// No token mixing (a feed-forward block that stands alone, as in Nemotron-H).
    None,
}

/// Which tokens an attention layer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "tokens")]
pub enum Span {
    /// All tokens before it.
    Full,
    /// The last `n` tokens.
    Sliding(u64),
    /// The tokens of its own chunk of `n` (Llama 4).
    Chunked(u64),
}

/// The recurrent families that the engine knows, by the layout of their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecurrentFamily {
    /// Mamba 1: selective scan with a state for each channel.
    Mamba1,
    /// Mamba 2: heads and groups.
    Mamba2,
    /// Gated delta net and Kimi delta attention.
    GatedDelta,
    /// Lightning and other linear attention.
    Linear,
    /// Short convolution (LFM2): no recurrent state.
    ShortConv,
}

/// A feed-forward block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Mlp {
    /// One MLP for all tokens.
    Dense {
        /// Its inner width.
        intermediate: u64,
        /// Whether it has a gate projection beside the up projection.
        gated: bool,
    },
    /// A mixture of experts.
    Experts {
        /// Routed experts.
        count: u64,
        /// Routed experts that a token uses.
        per_token: u64,
        /// Inner width of a routed expert.
        intermediate: u64,
        /// Inner width of the shared expert(s) together; zero if there is none.
        shared_intermediate: u64,
        /// Whether an expert has a gate projection beside the up projection.
        gated: bool,
    },
    /// No feed-forward block.
    None,
}

/// Tensors of one shape and one role. `copies` counts experts; layers stand apart, since offload and
/// pipeline stages go by layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorGroup {
    /// The module's name in the engine, without the parameter suffix: `layers.3.self_attn.q_proj`.
    pub name: String,
    /// The decoder layer it belongs to; `None` for embeddings, head, final norm and encoders.
    pub layer: Option<u32>,
    /// What it does, and how it is divided among ranks.
    pub role: Role,
    /// Output features (rows) of one tensor; for a vector, its elements.
    pub rows: u64,
    /// Input features (columns) of one tensor; 1 for a vector.
    pub columns: u64,
    /// Tensors of this shape: the number of experts, else 1.
    pub copies: u64,
    /// What the checkpoint stores for the whole group, when its headers were read.
    pub stored: Option<Stored>,
}

impl TensorGroup {
    /// Elements of the whole group before any quantisation.
    pub const fn elements(&self) -> u64 {
        self.rows.saturating_mul(self.columns).saturating_mul(self.copies)
    }
}

/// What a tensor does. The engine shards and quantises by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "parallel")]
pub enum Role {
    /// The token embedding: vocabulary-parallel, 16-bit.
    Embedding,
    /// The language-model head: vocabulary-parallel, 16-bit unless the checkpoint quantises it.
    Head,
    /// A linear layer that quantisation methods act on.
    Linear(Parallel),
    /// The linear layers of the routed experts.
    Expert(Parallel),
    /// A matrix that stays in the model's dtype and whole on every rank (router gates, learned positions).
    Plain,
    /// Norms, biases, convolution and state parameters: in the model's dtype, divided with the layer they
    /// belong to or small enough not to matter.
    Vector(Parallel),
    /// Image, audio or video encoder and its projector: in the model's dtype.
    Encoder,
}

/// How tensor parallelism divides a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "heads")]
pub enum Parallel {
    /// By output features.
    Column,
    /// By input features.
    Row,
    /// By key/value heads (the number given), repeated when there are more ranks than heads.
    KeyValue(u64),
    /// Whole on every rank.
    Replicated,
}

/// Bytes of a tensor group as stored in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// The stored type of the main tensor: `BF16`, `F8_E4M3`, `I32` (packed), `Q4_K` …
    pub dtype: String,
    /// All its bytes: packed weights, scales, zero points, group indices.
    pub bytes: Bytes,
}

/// Parameter counts, tied matrices counted once, multi-token-prediction layers and scales left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ParameterCount {
    /// All parameters, encoders included.
    pub total: u64,
    /// Those that one token uses: all but the routed experts that it skips, encoders excluded.
    pub active: u64,
}

/// `quantization_config` of a checkpoint, reduced to what decides bytes and kernels.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CheckpointQuantization {
    /// `quant_method`: `awq`, `gptq`, `fp8`, `compressed-tensors`, `bitsandbytes`, `modelopt`, `mxfp4`, `gguf` …
    pub method: String,
    /// Bits a weight.
    pub bits: u64,
    /// Weights that share a scale along the input; `None` for one scale a channel or tensor.
    pub group_size: Option<u64>,
    /// Whether zero points are stored (AWQ, asymmetric GPTQ).
    pub zero_point: bool,
    /// GPTQ activation order (`desc_act`): adds group indices and forbids some splits.
    pub desc_act: bool,
    /// Block of weights that share a scale in both directions (fp8 block quantisation), rows × columns.
    pub block: Option<(u64, u64)>,
    /// Whether activation scales are stored (`static`) or computed (`dynamic`).
    pub static_activations: bool,
    /// bitsandbytes: nested absmax (`bnb_4bit_use_double_quant`).
    pub nested: bool,
    /// The data format where the method has several: `nf4`, `fp4`, `nvfp4`, `mxfp4`, `int4`, `e4m3`.
    pub format: Option<String>,
    /// Modules that stay in 16 bit, as the checkpoint names them: [`Self::skips`] compares them.
    pub skipped_modules: Vec<String>,
    /// How the routed experts are quantised, where it is not as the rest (DeepSeek V4).
    pub experts: Option<Box<Self>>,
    /// Whether the head is quantised too.
    pub quantized_head: bool,
}

impl ModelSpec {
    /// Whether any layer routes tokens to experts.
    pub fn is_mixture_of_experts(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.mlp, Mlp::Experts { .. }))
    }

    /// Whether any layer keeps a recurrent state instead of a cache.
    pub fn is_hybrid(&self) -> bool {
        self.layers.iter().any(|layer| layer.caches().any(|mixer| matches!(mixer, Mixer::Recurrent { .. })))
    }

    /// Whether the model caches latents (multi-head latent attention).
    pub fn uses_latent_attention(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer.mixer, Mixer::Latent { .. } | Mixer::CompressedLatent { .. }))
    }

    /// Query heads and key/value heads of the first attention layer: what tensor parallelism must divide.
    pub fn attention_heads(&self) -> Option<(u64, u64)> {
        self.layers.iter().flat_map(Layer::caches).find_map(|mixer| match *mixer {
            Mixer::Attention { heads, kv_heads, .. } => Some((heads, kv_heads)),
            Mixer::Latent { heads, .. } | Mixer::CompressedLatent { heads, .. } => Some((heads, 1)),
            _ => None,
        })
    }
}
