//! The shape fields of a model, under the names of `config.json` where it has them (`[model.shape]` in `rules/models/<family>.toml`).

use serde::{Deserialize, Serialize};

/// What the sizes of every tensor follow from. Counts are elements, heads, layers or tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Width of the dense feed-forward layers; absent where every layer is a mixture of experts.
    pub intermediate_size: Option<u64>,
    /// Decoder layers of the main model.
    pub num_hidden_layers: u64,
    /// Query heads.
    pub num_attention_heads: u64,
    /// Key and value heads.
    pub num_key_value_heads: u64,
    /// Width of a head; with latent attention, of its uncompressed and rotary parts together.
    pub head_dim: u64,
    /// Rows of the vocabulary.
    pub vocab_size: u64,
    /// Longest context that the configuration declares.
    pub max_position_embeddings: u64,
    /// Longest context by the tokenizer, where it differs.
    pub model_max_length: Option<u64>,
    /// Whether the head shares the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Rows of the embedding, where it has more than the vocabulary.
    pub embedding_rows: Option<u64>,
    /// Rows of a learned position table.
    pub learned_position_embeddings: Option<u64>,

    // Norms, biases, activations.
    /// The kind of normalisation.
    #[serde(default)]
    pub norm_type: NormType,
    /// Norms in a decoder layer; 2 when absent.
    pub norms_per_layer: Option<u64>,
    /// Whether a norm follows the embedding.
    #[serde(default)]
    pub embedding_norm: bool,
    /// Normalisation of queries and keys.
    pub qk_norm: Option<QkNorm>,
    /// Whether query, key and value projections have biases.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the output projection has a bias.
    #[serde(default)]
    pub attention_out_bias: bool,
    /// Whether feed-forward layers have biases.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Whether feed-forward layers have a gate beside the up projection.
    #[serde(default = "gated")]
    pub mlp_gated: bool,
    /// Whether the head has a bias.
    #[serde(default)]
    pub lm_head_bias: bool,
    /// Whether positions are linear biases instead of rotations.
    #[serde(default)]
    pub alibi: bool,
    /// Share of each head that is rotated; all of it when absent.
    pub partial_rotary_factor: Option<f64>,
    /// Further parameters of each decoder layer.
    pub extra_per_layer: Option<u64>,

    // Attention pattern.
    /// One letter a layer, repeated when shorter than the model: F full, S sliding or chunked, L linear, M mamba, C short convolution; nemotron_h and deepseek_v4 have their own letters.
    pub layer_pattern: Option<String>,
    /// Tokens in a sliding window: of the S layers where there is a pattern, else of every layer.
    pub sliding_window: Option<u64>,
    /// Tokens in a local attention chunk.
    pub attention_chunk_size: Option<u64>,
    /// A learned gate on the attention output.
    pub attention_output_gate: Option<OutputGate>,
    /// Whether each head has a learned sink logit.
    #[serde(default)]
    pub attention_sinks: bool,
    /// Whether global layers use their keys as values.
    #[serde(default)]
    pub attention_k_eq_v: bool,
    /// Head width of the global layers, where it differs.
    pub global_head_dim: Option<u64>,
    /// Key and value heads of the global layers, where they differ.
    pub num_global_key_value_heads: Option<u64>,
    /// Last layers that reuse the KV cache of earlier ones.
    pub num_kv_shared_layers: Option<u64>,
    /// Query heads of the sliding-window layers, where they differ.
    pub swa_num_attention_heads: Option<u64>,
    /// Key and value heads of the sliding-window layers, where they differ.
    pub swa_num_key_value_heads: Option<u64>,
    /// Head width of the sliding-window layers, where it differs.
    pub swa_head_dim: Option<u64>,
    /// Whether the sliding-window layers have sinks.
    #[serde(default)]
    pub swa_attention_sinks: bool,
    /// Layers that attend to the vision tower.
    #[serde(default)]
    pub cross_attention_layers: Vec<u64>,
    /// Key and value heads of each layer, where a search chose them one by one; 0 without attention.
    #[serde(default)]
    pub block_attention: Vec<u64>,
    /// Feed-forward width of each layer, likewise; 0 without one.
    #[serde(default)]
    pub block_ffn: Vec<u64>,
    /// Width of the query factor that all heads share.
    pub share_q_dim: Option<u64>,

    // Latent attention.
    /// Elements of the latent that the cache keeps; present makes it latent attention.
    pub kv_lora_rank: Option<u64>,
    /// Rank of the query projection; absent when it is a full matrix.
    pub q_lora_rank: Option<u64>,
    /// Width of a head without rotation.
    pub qk_nope_head_dim: Option<u64>,
    /// Width of the rotated part, kept in the cache beside the latent.
    pub qk_rope_head_dim: Option<u64>,
    /// Width of a value head.
    pub v_head_dim: Option<u64>,
    /// Groups of the output projection.
    pub o_groups: Option<u64>,
    /// Rank of the output projection.
    pub o_lora_rank: Option<u64>,
    /// Heads of the sparse-attention indexer.
    pub index_n_heads: Option<u64>,
    /// Head width of the indexer, kept in the cache.
    pub index_head_dim: Option<u64>,
    /// Tokens that the indexer selects.
    pub index_topk: Option<u64>,
    /// One letter a layer: F where the layer has an indexer of its own.
    pub indexer_pattern: Option<String>,
    /// Heads of a block-sparse index.
    pub sparse_index_heads: Option<u64>,
    /// Head width of a block-sparse index.
    pub sparse_index_dim: Option<u64>,

    // Mixture of experts.
    /// Routed experts of a layer.
    pub num_experts: Option<u64>,
    /// Routed experts that a token uses.
    pub num_experts_per_tok: Option<u64>,
    /// Width of a routed expert.
    pub moe_intermediate_size: Option<u64>,
    /// Width that the experts work in, where it is not the hidden size.
    pub moe_latent_size: Option<u64>,
    /// Experts that every token uses.
    pub n_shared_experts: Option<u64>,
    /// Width of the shared expert, where it is not a multiple of a routed one.
    pub shared_expert_intermediate_size: Option<u64>,
    /// Whether the shared expert has a gate.
    #[serde(default)]
    pub shared_expert_gate: bool,
    /// First layers that are dense.
    pub first_k_dense_replace: Option<u64>,
    /// Every how many layers one is a mixture.
    pub decoder_sparse_step: Option<u64>,
    /// Which layer of a step is the mixture.
    pub moe_layer_offset: Option<u64>,
    /// One digit a layer: 1 where it is a mixture.
    pub moe_layer_pattern: Option<String>,
    /// Whether the router has a bias an expert.
    #[serde(default)]
    pub router_bias: bool,
    /// Whether experts have biases.
    #[serde(default)]
    pub expert_bias: bool,
    /// Width of a dense feed-forward beside the experts.
    pub dense_residual_intermediate_size: Option<u64>,
    /// Layers routed by a hash of the token.
    pub num_hash_layers: Option<u64>,
    /// Parallel residual streams.
    pub hc_mult: Option<u64>,

    // Linear attention, state spaces, convolutions.
    /// Heads of a linear attention with one head count.
    pub linear_num_heads: Option<u64>,
    /// Head width of a linear attention with one head width.
    pub linear_head_dim: Option<u64>,
    /// Key heads of a gated delta net.
    pub linear_num_key_heads: Option<u64>,
    /// Value heads of a gated delta net.
    pub linear_num_value_heads: Option<u64>,
    /// Width of its key heads.
    pub linear_key_head_dim: Option<u64>,
    /// Width of its value heads.
    pub linear_value_head_dim: Option<u64>,
    /// Taps of its convolution.
    pub linear_conv_kernel_dim: Option<u64>,
    /// Heads of a Mamba-2 layer.
    pub mamba_n_heads: Option<u64>,
    /// Width of its heads.
    pub mamba_d_head: Option<u64>,
    /// Groups that share its B and C.
    pub mamba_n_groups: Option<u64>,
    /// State elements a channel.
    pub mamba_d_state: Option<u64>,
    /// Taps of its convolution.
    pub mamba_d_conv: Option<u64>,
    /// Inner width of a Mamba layer as a multiple of the hidden size.
    pub mamba_expand: Option<u64>,
    /// Rank of the time-step projection of Mamba-1.
    pub mamba_dt_rank: Option<u64>,
    /// Whether the time step, B and C are normalised.
    #[serde(default)]
    pub mamba_inner_norms: bool,
    /// Whether the gated output is normalised.
    #[serde(default)]
    pub mamba_rms_norm: bool,
    /// Type of the recurrent state, where it is not the model's.
    pub mamba_ssm_dtype: Option<String>,
    /// Taps of a short-convolution layer.
    pub conv_kernel: Option<u64>,

    // Gemma 3n and 4.
    /// Width of the per-layer embedding.
    pub hidden_size_per_layer_input: Option<u64>,
    /// Rows of the per-layer embedding.
    pub vocab_size_per_layer_input: Option<u64>,
    /// Rank of the learned residual.
    pub laurel_rank: Option<u64>,
    /// Alternating updates.
    pub altup_num_inputs: Option<u64>,
    /// Whether layers that share KV have feed-forwards of twice the width.
    #[serde(default)]
    pub use_double_wide_mlp: bool,

    // Multi-token prediction.
    /// Prediction layers that the checkpoint ships.
    pub num_nextn_predict_layers: Option<u64>,
    /// Whether they are dense in a mixture model.
    #[serde(default)]
    pub mtp_dense: bool,
    /// Whether they use the sliding-window attention.
    #[serde(default)]
    pub mtp_sliding: bool,
    /// Prediction layers that `mtp_parameters` leaves out.
    pub num_mtp_layers_not_counted: Option<u64>,
}

/// Feed-forward layers are gated unless an entry says otherwise.
fn gated() -> bool {
    true
}

/// A kind of normalisation layer, by its parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormType {
    /// A weight an element.
    #[default]
    Rmsnorm,
    /// A weight and a bias an element.
    Layernorm,
    /// A layer norm with weights alone.
    LayernormNobias,
    /// No parameters.
    None,
}

/// Normalisation of queries and keys before attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// One weight vector for all query heads and one for all key heads, as wide as a head.
    Head,
    /// As `head`, with a bias too.
    HeadLayernorm,
    /// A weight for every element of all heads.
    Full,
    /// A weight vector for each head.
    Heads,
}

/// A learned gate on the attention output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputGate {
    /// One gate an element.
    Elementwise,
    /// One gate a head.
    Headwise,
}
