//! Attention with a cache that grows: grouped-query, latent, and DeepSeek V4's compressed latent.

use super::tensors::Tensors;
use crate::model::shape::Shape;
use crate::model::spec::{Mixer, Parallel, Span};

/// The heads of one attention layer.
pub(super) struct Heads {
    /// Query heads.
    pub(super) query: u64,
    /// Key and value heads.
    pub(super) key_value: u64,
    /// Elements of a query and key head.
    pub(super) dim: u64,
    /// Elements of a value head.
    pub(super) value_dim: u64,
    /// Whether there is an attention sink a head.
    pub(super) sinks: bool,
}

/// Layer kind `F`, `S` or `*`: multi-head, grouped-query or multi-query attention.
pub(super) fn grouped(shape: &Shape, kind: char, out: &mut Tensors) -> Mixer {
    let heads = heads(shape, kind);
    projections(shape, &heads, out);
    Mixer::Attention {
        heads: heads.query,
        kv_heads: heads.key_value,
        head_dim: heads.dim,
        v_head_dim: heads.value_dim,
        span: span(shape, kind),
    }
}

/// The heads of a layer of this kind: sliding layers may have their own.
pub(super) fn heads(shape: &Shape, kind: char) -> Heads {
    let mut heads = Heads {
        query: shape.num_attention_heads,
        key_value: shape.num_key_value_heads,
        dim: shape.head_dim,
        value_dim: shape.value_head_dim(),
        sinks: shape.attention_sinks,
    };
    if kind == 'S' {
        heads.query = shape.swa_num_attention_heads.unwrap_or(heads.query);
        heads.key_value = shape.swa_num_key_value_heads.unwrap_or(heads.key_value);
        heads.dim = shape.swa_head_dim.unwrap_or(heads.dim);
        heads.value_dim = shape.swa_v_head_dim.or(shape.v_head_dim).unwrap_or(heads.dim);
        heads.sinks |= shape.swa_attention_sinks;
    }
    heads
}

/// Which tokens a layer of this kind sees: without a pattern, a window holds for every layer.
pub(super) fn span(shape: &Shape, kind: char) -> Span {
    if kind != 'S' && shape.layer_pattern.is_some() {
        return Span::Full;
    }
    match (shape.attention_chunk_size, shape.sliding_window) {
        (Some(chunk), _) if kind == 'S' => Span::Chunked(chunk),
        (_, Some(window)) if window < shape.max_position_embeddings => Span::Sliding(window),
        _ => Span::Full,
    }
}

/// The projections, biases, norms, gates and sinks of grouped-query attention.
pub(super) fn projections(shape: &Shape, heads: &Heads, out: &mut Tensors) {
    let hidden = shape.hidden_size;
    let (query, key) = (heads.query.saturating_mul(heads.dim), heads.key_value.saturating_mul(heads.dim));
    let (value, output) = (heads.key_value.saturating_mul(heads.value_dim), heads.query.saturating_mul(heads.value_dim));
    let shared = Parallel::KeyValue(heads.key_value);
    out.linear("self_attn.q_proj", query, hidden, Parallel::Column);
    match shape.attention_output_gate.as_deref() {
        Some("elementwise") => out.linear("self_attn.output_gate", query, hidden, Parallel::Column),
        Some("headwise") => out.linear("self_attn.output_gate", heads.query, hidden, Parallel::Column),
        _ => {}
    }
    out.linear("self_attn.k_proj", key, hidden, shared);
    out.linear("self_attn.v_proj", value, hidden, shared);
    out.linear("self_attn.o_proj", hidden, output, Parallel::Row);
    if shape.attention_bias {
        out.vector("self_attn.q_proj.bias", query, Parallel::Column);
        out.vector("self_attn.k_proj.bias", key, shared);
        out.vector("self_attn.v_proj.bias", value, shared);
    }
    if shape.attention_out_bias {
        out.vector("self_attn.o_proj.bias", hidden, Parallel::Replicated);
    }
    let (query_norm, key_norm) = match shape.qk_norm.as_deref() {
        Some("head") => (heads.dim, heads.dim),
        Some("head_layernorm") => (heads.dim.saturating_mul(2), heads.dim.saturating_mul(2)),
        Some("full" | "heads") => (query, key),
        _ => (0, 0),
    };
    out.vector("self_attn.q_norm", query_norm, Parallel::Replicated);
    out.vector("self_attn.k_norm", key_norm, Parallel::Replicated);
    if heads.sinks {
        out.vector("self_attn.sinks", heads.query, Parallel::Column);
    }
}

/// Multi-head latent attention. The engine runs MiniCPM3 without it, with full heads in the cache.
pub(super) fn latent(shape: &Shape, index: usize, rank: u64, out: &mut Tensors) -> Mixer {
    let (hidden, heads) = (shape.hidden_size, shape.num_attention_heads);
    let (nope, rope, value) = (shape.qk_nope_head_dim, shape.qk_rope_head_dim, shape.value_head_dim());
    let query = heads.saturating_mul(nope.saturating_add(rope));
    match shape.q_lora_rank.filter(|rank| *rank > 0) {
        Some(query_rank) => {
            out.linear("self_attn.q_a_proj", query_rank, hidden, Parallel::Replicated);
            out.vector("self_attn.q_a_layernorm", query_rank, Parallel::Replicated);
            out.linear("self_attn.q_b_proj", query, query_rank, Parallel::Column);
        }
        None => out.linear("self_attn.q_proj", query, hidden, Parallel::Column),
    }
    out.linear("self_attn.kv_a_proj_with_mqa", rank.saturating_add(rope), hidden, Parallel::Replicated);
    out.vector("self_attn.kv_a_layernorm", rank, Parallel::Replicated);
    out.linear("self_attn.kv_b_proj", heads.saturating_mul(nope.saturating_add(value)), rank, Parallel::Column);
    out.linear("self_attn.o_proj", hidden, heads.saturating_mul(value), Parallel::Row);
    if shape.family() == "kimi_k3" {
        out.linear("self_attn.g_proj", heads.saturating_mul(value), hidden, Parallel::Column);
    }
    let own_indexer = shape.indexer_pattern.as_deref().is_none_or(|pattern| pattern.as_bytes().get(index) == Some(&b'F'));
    let indexed = shape.index_n_heads > 0 && own_indexer;
    if indexed {
        indexer(shape, out);
    }
    if shape.family() == "minicpm3" {
        let dim = nope.saturating_add(rope);
        return Mixer::Attention { heads, kv_heads: heads, head_dim: dim, v_head_dim: dim, span: Span::Full };
    }
    Mixer::Latent {
        heads,
        kv_lora_rank: rank,
        qk_rope_head_dim: rope,
        qk_nope_head_dim: nope,
        v_head_dim: value,
        index_head_dim: indexed.then_some(shape.index_head_dim),
    }
}

/// The indexer of DeepSeek's sparse attention (V3.2, GLM-5).
fn indexer(shape: &Shape, out: &mut Tensors) {
    let (heads, dim) = (shape.index_n_heads, shape.index_head_dim);
    let query_rank = shape.q_lora_rank.unwrap_or(0);
    out.linear("self_attn.indexer.wq_b", heads.saturating_mul(dim), query_rank, Parallel::Replicated);
    out.linear("self_attn.indexer.wk", dim, shape.hidden_size, Parallel::Replicated);
    out.vector("self_attn.indexer.k_norm", dim.saturating_mul(2), Parallel::Replicated);
    out.plain("self_attn.indexer.weights_proj", heads, shape.hidden_size);
}
