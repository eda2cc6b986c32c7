//! Gemma 3n and Gemma 4: per-layer embeddings, layers that share a cache, heads of two sizes.

use super::attention::{self, Heads};
use super::feed_forward;
use super::tensors::Tensors;
use crate::model::shape::Shape;
use crate::model::spec::{Layer, Mixer, Mlp, Parallel, Role};

/// Gemma 3n: per-layer embedding and the projections of its residual streams.
pub(super) fn embeddings3n(shape: &Shape, out: &mut Tensors) {
    per_layer_embeddings(shape, out);
    let streams = shape.altup_num_inputs.saturating_sub(1);
    out.add("altup_projections", Role::Linear(Parallel::Replicated), shape.hidden_size, shape.hidden_size, streams);
    out.add("altup_unembed_projections", Role::Linear(Parallel::Replicated), shape.hidden_size, shape.hidden_size, streams);
}

/// Gemma 4: per-layer embedding, in the models that have one.
pub(super) fn embeddings4(shape: &Shape, out: &mut Tensors) {
    per_layer_embeddings(shape, out);
}

fn per_layer_embeddings(shape: &Shape, out: &mut Tensors) {
    let all = shape.hidden_size_per_layer_input.saturating_mul(shape.num_hidden_layers);
    out.add("embed_tokens_per_layer", Role::Embedding, shape.vocab_size_per_layer_input, all, 1);
    out.linear("per_layer_model_projection", all, shape.hidden_size, Parallel::Column);
    out.vector("per_layer_projection_norm", shape.hidden_size_per_layer_input, Parallel::Replicated);
}

/// A Gemma 3n layer.
pub(super) fn layer3n(shape: &Shape, index: u64, kind: char, out: &mut Tensors) -> Layer {
    let (hidden, streams) = (shape.hidden_size, shape.altup_num_inputs);
    let mixer = attention::grouped(shape, kind, out);
    let mlp = feed_forward::dense(shape, shape.intermediate_size, out);
    super::norms(shape, 4, out);
    per_layer_input(shape, out);
    out.linear("laurel.linear_left", shape.laurel_rank, hidden, Parallel::Replicated);
    out.linear("laurel.linear_right", hidden, shape.laurel_rank, Parallel::Replicated);
    out.vector("laurel.post_laurel_norm", hidden, Parallel::Replicated);
    out.vector("altup.correct_output_scale", hidden, Parallel::Replicated);
    out.plain("altup.correction_coefs", streams, streams);
    out.plain("altup.prediction_coefs", streams.saturating_mul(streams), streams);
    out.plain("altup.modality_router", streams, hidden);
    out.vector("altup.router_norm", hidden, Parallel::Replicated);
    Layer { mixer: if shares_cache(shape, index) { shared(mixer) } else { mixer }, mlp }
}

/// A Gemma 4 layer: full-attention layers have larger heads and may use the keys as values; the last layers
/// hold no keys and values at all.
pub(super) fn layer4(shape: &Shape, index: u64, kind: char, out: &mut Tensors) -> Layer {
    let full = kind == 'F';
    let keys_as_values = full && shape.attention_k_eq_v;
    let dim = if full && shape.global_head_dim > 0 { shape.global_head_dim } else { shape.head_dim };
    let key_value = if keys_as_values { shape.num_global_key_value_heads } else { None }.unwrap_or(shape.num_key_value_heads);
    let query = shape.num_attention_heads;
    let heads = Heads { query, key_value, dim, value_dim: dim, sinks: false };
    let borrows = shares_cache(shape, index);
    projections4(shape.hidden_size, &heads, borrows, keys_as_values, out);
    let inner = shape.intermediate_size.saturating_mul(if borrows && shape.use_double_wide_mlp { 2 } else { 1 });
    let mut mlp = feed_forward::dense(shape, inner, out);
    super::norms(shape, 4, out);
    out.vector("layer_scalar", 1, Parallel::Replicated);
    if shape.hidden_size_per_layer_input > 0 {
        per_layer_input(shape, out);
    }
    if shape.num_experts > 0 {
        mlp = beside(feed_forward::experts(shape, out), inner);
        for norm in ["post_feedforward_layernorm_1", "pre_feedforward_layernorm_2", "post_feedforward_layernorm_2"] {
            out.vector(norm, shape.hidden_size, Parallel::Replicated);
        }
        out.vector("router.scale", shape.hidden_size, Parallel::Replicated);
        out.vector("router.per_expert_scale", shape.num_experts, Parallel::Replicated);
    }
    let span = attention::span(shape, kind);
    let mixer = Mixer::Attention { heads: query, kv_heads: key_value, head_dim: dim, v_head_dim: dim, span };
    Layer { mixer: if borrows { shared(mixer) } else { mixer }, mlp }
}

fn projections4(hidden: u64, heads: &Heads, borrows: bool, keys_as_values: bool, out: &mut Tensors) {
    let query = heads.query.saturating_mul(heads.dim);
    let key = heads.key_value.saturating_mul(heads.dim);
    out.linear("self_attn.q_proj", query, hidden, Parallel::Column);
    out.vector("self_attn.q_norm", heads.dim, Parallel::Replicated);
    if !borrows {
        out.linear("self_attn.k_proj", key, hidden, Parallel::KeyValue(heads.key_value));
        out.vector("self_attn.k_norm", heads.dim, Parallel::Replicated);
    }
    if !borrows && !keys_as_values {
        out.linear("self_attn.v_proj", key, hidden, Parallel::KeyValue(heads.key_value));
    }
    out.linear("self_attn.o_proj", hidden, query, Parallel::Row);
}

/// The gate and projection through which the per-layer embedding enters.
fn per_layer_input(shape: &Shape, out: &mut Tensors) {
    let (hidden, width) = (shape.hidden_size, shape.hidden_size_per_layer_input);
    out.linear("per_layer_input_gate", width, hidden, Parallel::Replicated);
    out.linear("per_layer_projection", hidden, width, Parallel::Replicated);
    out.vector("post_per_layer_input_norm", hidden, Parallel::Replicated);
}

const fn shares_cache(shape: &Shape, index: u64) -> bool {
    index.saturating_add(shape.num_kv_shared_layers) >= shape.num_hidden_layers
}

fn shared(mixer: Mixer) -> Mixer {
    match mixer {
        Mixer::Attention { heads, head_dim, .. } => Mixer::Shared { heads, head_dim },
        other => other,
    }
}

/// Gemma 4 runs the dense block beside the experts, as others run a shared expert.
fn beside(mlp: Mlp, inner: u64) -> Mlp {
    match mlp {
        Mlp::Experts { count, per_token, intermediate, gated, .. } => {
            Mlp::Experts { count, per_token, intermediate, shared_intermediate: inner, gated }
        }
        other => other,
    }
}
