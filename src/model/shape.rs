//! A model's dimensions under one set of names, whatever its own config.json calls them.
//!
//! The catalogue's entries carry these fields, and config.json of every family is brought to them, so that
//! one inventory serves both. Counts are of elements, heads, layers or tokens, as each field says; zero and
//! `None` both mean that the model has no such thing.

use serde::{Deserialize, Serialize};

use super::vision::Vision;

/// The dimensions of a model. Field names follow the hub's config.json of the Llama family where it has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// `architectures[0]` of config.json.
    pub architecture: String,
    /// `model_type` of config.json.
    pub model_type: String,
    /// The `model_type` whose tensor inventory holds, where it is not the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count_as: Option<String>,
    /// The dtype that the checkpoint names: `bfloat16`, `float16` or `float32`.
    pub torch_dtype: String,
    /// Width of the residual stream, in elements.
    pub hidden_size: u64,
    /// Inner width of a dense feed-forward block, in elements.
    pub intermediate_size: u64,
    /// Decoder layers.
    pub num_hidden_layers: u64,
    /// Query heads.
    pub num_attention_heads: u64,
    /// Key and value heads.
    pub num_key_value_heads: u64,
    /// Elements of a query and key head.
    pub head_dim: u64,
    /// Tokens of the vocabulary.
    pub vocab_size: u64,
    /// Rows of the embedding where they are not `vocab_size`.
    pub embedding_rows: Option<u64>,
    /// Rows of the head where they are not `vocab_size`.
    pub lm_head_rows: Option<u64>,
    /// Tokens, as config.json has them, before rope scaling.
    pub max_position_embeddings: u64,
    /// Tokens, where config.json has this key beside `max_position_embeddings` (Cohere).
    pub model_max_length: Option<u64>,
    /// Whether the head is the embedding itself.
    pub tie_word_embeddings: bool,
    /// Rope scaling, if any.
    pub rope_scaling: Option<RopeScaling>,
    /// The rotated share of a head; `None` for all of it.
    pub partial_rotary_factor: Option<f64>,
    /// Elements rotated in a head where config.json gives them directly.
    pub rotary_dim: Option<u64>,
    /// Whether positions are rotated with three components (images, video): the engine's table has four
    /// times the rows.
    pub mrope: bool,
    /// Whether attention is biased by distance instead of rotated.
    pub alibi: bool,
    /// Whether the model has no rotary table for another reason.
    pub no_rotary: bool,
    /// One letter a layer, repeated when shorter than the model: `F` full attention, `S` sliding window or
    /// chunks, `L` linear attention, `M` Mamba, `C` short convolution. Nemotron-H: `M`, `*` attention,
    /// `-` feed-forward, `E` experts. DeepSeek V4: `0` window only, `4` and `C` compressed by 4 and by 128.
    pub layer_pattern: Option<String>,
    /// Window of the sliding layers, in tokens.
    pub sliding_window: Option<u64>,
    /// Chunk of the chunked layers, in tokens (Llama 4).
    pub attention_chunk_size: Option<u64>,
    /// Query heads of the sliding layers where they differ.
    pub swa_num_attention_heads: Option<u64>,
    /// Key and value heads of the sliding layers where they differ.
    pub swa_num_key_value_heads: Option<u64>,
    /// Elements of a head of the sliding layers where they differ.
    pub swa_head_dim: Option<u64>,
    /// Elements of a value head of the sliding layers where they differ.
    pub swa_v_head_dim: Option<u64>,
    /// Whether the sliding layers hold attention sinks.
    pub swa_attention_sinks: bool,
    /// Whether q, k and v projections have a bias.
    pub attention_bias: bool,
    /// Whether the output projection has a bias.
    pub attention_out_bias: bool,
    /// Whether each head holds an attention sink.
    pub attention_sinks: bool,
    /// Norms of queries and keys: `head`, `full`, `heads` or `head_layernorm`.
    pub qk_norm: Option<String>,
    /// Gate on the attention output: `elementwise` or `headwise`.
    pub attention_output_gate: Option<String>,
    /// Whether the feed-forward projections have a bias.
    pub mlp_bias: bool,
    /// Whether a feed-forward block has a gate projection beside the up projection; true if not given.
    pub mlp_gated: Option<bool>,
    /// `rmsnorm`, `layernorm`, `layernorm_nobias` or `none`.
    pub norm_type: Option<String>,
    /// Norms of a layer; 2 if not given.
    pub norms_per_layer: Option<u64>,
    /// Whether there is no norm after the last layer.
    pub no_final_norm: bool,
    /// Parameters of a layer that no other field counts.
    pub extra_per_layer: u64,
    /// Whether the head has a bias.
    pub lm_head_bias: bool,
    /// Rows of a learned position embedding.
    pub learned_position_embeddings: u64,
    /// Whether the embedding is followed by a norm.
    pub embedding_norm: bool,

    /// Routed experts of a layer.
    pub num_experts: u64,
    /// Routed experts that a token uses.
    pub num_experts_per_tok: u64,
    /// Inner width of a routed expert.
    pub moe_intermediate_size: u64,
    /// Width that experts read and write where it is not the residual stream's.
    pub moe_latent_size: Option<u64>,
    /// Shared experts, each as wide as a routed one.
    pub n_shared_experts: u64,
    /// Inner width of all shared experts together, where it does not follow from their number.
    pub shared_expert_intermediate_size: u64,
    /// Whether the shared expert has a gate of one output.
    pub shared_expert_gate: bool,
    /// Whether the router holds a bias or score correction for each expert.
    pub router_bias: bool,
    /// Whether the expert projections have a bias.
    pub expert_bias: bool,
    /// Layers before the first one with experts.
    pub first_k_dense_replace: u64,
    /// Every how many layers one has experts; 0 and 1 mean each.
    pub decoder_sparse_step: u64,
    /// `layer mod step` of the layers with experts; the last of each step if not given.
    pub moe_layer_offset: Option<u64>,
    /// The last layer with experts.
    pub moe_layer_end_index: Option<u64>,
    /// `1` for a layer with experts, `0` for one without, for every layer.
    pub moe_layer_pattern: Option<String>,
    /// Inner width of the dense block beside the experts (Arctic).
    pub dense_residual_intermediate_size: u64,

    /// Latent attention: elements of the compressed latent.
    pub kv_lora_rank: Option<u64>,
    /// Latent attention: elements of the compressed query.
    pub q_lora_rank: Option<u64>,
    /// Latent attention: elements of the non-rotary part of a head.
    pub qk_nope_head_dim: u64,
    /// Latent attention: elements of the rotary key.
    pub qk_rope_head_dim: u64,
    /// Elements of a value head where they are not `head_dim`.
    pub v_head_dim: Option<u64>,
    /// Sparse attention: heads of the indexer.
    pub index_n_heads: u64,
    /// Sparse attention: elements of an indexer head.
    pub index_head_dim: u64,
    /// Sparse attention: tokens that are attended to.
    pub index_topk: u64,
    /// One letter a layer, `F` where the layer has an indexer of its own; all if not given.
    pub indexer_pattern: Option<String>,
    /// DeepSeek V4: groups of the output projection.
    pub o_groups: u64,
    /// DeepSeek V4: rank of the output projection.
    pub o_lora_rank: u64,
    /// DeepSeek V4: residual streams.
    pub hc_mult: u64,
    /// DeepSeek V4: layers routed by hash, without a score correction.
    pub num_hash_layers: u64,
    /// MiniMax M3: key heads of the sparse attention's indexer.
    pub sparse_index_heads: u64,
    /// MiniMax M3: elements of such a head.
    pub sparse_index_dim: u64,

    /// Gated delta net: key heads.
    pub linear_num_key_heads: u64,
    /// Gated delta net: value heads.
    pub linear_num_value_heads: u64,
    /// Gated delta net: elements of a key head.
    pub linear_key_head_dim: u64,
    /// Gated delta net: elements of a value head.
    pub linear_value_head_dim: u64,
    /// Linear attention: taps of its convolution.
    pub linear_conv_kernel_dim: u64,
    /// Kimi delta attention: heads.
    pub linear_num_heads: u64,
    /// Kimi delta attention: elements of a head.
    pub linear_head_dim: u64,
    /// Short convolution: taps.
    pub conv_kernel: u64,
    /// Mamba: state elements a channel.
    pub mamba_d_state: u64,
    /// Mamba: taps of the convolution.
    pub mamba_d_conv: u64,
    /// Mamba 1: inner width over `hidden_size`.
    pub mamba_expand: u64,
    /// Mamba 1: rank of the time step.
    pub mamba_dt_rank: Option<u64>,
    /// Mamba 2: heads.
    pub mamba_n_heads: u64,
    /// Mamba 2: elements of a head.
    pub mamba_d_head: u64,
    /// Mamba 2: groups.
    pub mamba_n_groups: u64,
    /// Mamba 2: whether the inner norm holds weights; true if not given.
    pub mamba_rms_norm: Option<bool>,
    /// Mamba 2: whether the convolution has a bias; true if not given.
    pub mamba_conv_bias: Option<bool>,
    /// Mamba 1: whether time step, B and C are normalised (Jamba).
    pub mamba_inner_norms: bool,
    /// The dtype of the recurrent state, where config.json names one.
    pub mamba_ssm_dtype: Option<String>,

    /// Gemma 3n and 4: last layers that read the cache of an earlier one.
    pub num_kv_shared_layers: u64,
    /// Gemma 3n and 4: width of the per-layer embedding.
    pub hidden_size_per_layer_input: u64,
    /// Gemma 3n and 4: rows of the per-layer embedding.
    pub vocab_size_per_layer_input: u64,
    /// Gemma 3n: rank of the learned augmented residual.
    pub laurel_rank: u64,
    /// Gemma 3n: residual streams.
    pub altup_num_inputs: u64,
    /// Gemma 4: elements of a head of the full-attention layers.
    pub global_head_dim: u64,
    /// Gemma 4: key and value heads of the full-attention layers.
    pub num_global_key_value_heads: Option<u64>,
    /// Gemma 4: whether the full-attention layers use the keys as values.
    pub attention_k_eq_v: bool,
    /// Gemma 4: whether the layers without a cache of their own have a feed-forward block of twice the width.
    pub use_double_wide_mlp: bool,
    /// Llama 3.2 Vision: layers that attend to the image.
    pub cross_attention_layers: Vec<u64>,
    /// Step 3: elements of the shared query.
    pub share_q_dim: u64,
    /// Nemotron NAS: query heads a key/value head, for each layer; 0 for a layer without attention.
    pub block_attention: Vec<u64>,
    /// Nemotron NAS: inner width of the feed-forward block of each layer; 0 for none.
    pub block_ffn: Vec<u64>,
    /// Multi-token-prediction layers, which are not part of the inventory.
    pub num_nextn_predict_layers: u64,
    /// The image, audio or video encoder.
    pub vision: Option<Vision>,
    /// The `quantization_config` that the checkpoint is published with.
    pub native_quantization: Option<serde_json::Value>,
}

/// A rotary embedding stretched past the positions it was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RopeScaling {
    /// `yarn`, `linear`, `dynamic`, `llama3`, `longrope` …
    #[serde(rename = "type", alias = "rope_type", alias = "kind")]
    pub kind: String,
    /// How far it is stretched.
    pub factor: Option<f64>,
    /// Tokens before stretching.
    pub original_max_position_embeddings: Option<u64>,
}

impl Shape {
    /// The `model_type` that decides the tensor inventory.
    pub fn family(&self) -> &str {
        self.count_as.as_deref().unwrap_or(&self.model_type)
    }

    /// Whether a feed-forward block has a gate projection beside the up projection.
    pub fn gated(&self) -> bool {
        self.mlp_gated.unwrap_or(true)
    }

    /// The letter of each layer, as [`Self::layer_pattern`] explains.
    pub fn kinds(&self) -> Vec<char> {
        let pattern: Vec<char> = self.layer_pattern.as_deref().unwrap_or("F").chars().collect();
        let count = usize::try_from(self.num_hidden_layers).unwrap_or(0);
        pattern.iter().copied().cycle().take(if pattern.is_empty() { 0 } else { count }).collect()
    }

    /// Whether layer `index` routes tokens to experts.
    pub fn has_experts(&self, index: u64) -> bool {
        if self.num_experts == 0 {
            return false;
        }
        if let Some(pattern) = &self.moe_layer_pattern {
            return usize::try_from(index).is_ok_and(|index| pattern.as_bytes().get(index) == Some(&b'1'));
        }
        let step = self.decoder_sparse_step.max(1);
        index >= self.first_k_dense_replace
            && self.moe_layer_end_index.is_none_or(|last| index <= last)
            && index % step == self.moe_layer_offset.unwrap_or(step - 1)
    }

    /// Elements of a value head.
    pub fn value_head_dim(&self) -> u64 {
        self.v_head_dim.unwrap_or(self.head_dim)
    }

    /// Inner width of all shared experts together.
    pub const fn shared_width(&self) -> u64 {
        if self.shared_expert_intermediate_size > 0 {
            self.shared_expert_intermediate_size
        } else {
            self.n_shared_experts.saturating_mul(self.moe_intermediate_size)
        }
    }
}
