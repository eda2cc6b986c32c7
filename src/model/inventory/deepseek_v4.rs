//! DeepSeek V4: latents of a window and of compressed stretches, several residual streams.

use super::feed_forward;
use super::tensors::Tensors;
use crate::model::shape::Shape;
use crate::model::spec::{Layer, Mixer, Parallel};

/// A layer. Kind `0` caches a window only, `4` also one latent for 4 tokens with an indexer, `C` one for 128.
pub(super) fn layer(shape: &Shape, index: u64, kind: char, out: &mut Tensors) -> Layer {
    let (hidden, heads, dim) = (shape.hidden_size, shape.num_attention_heads, shape.head_dim);
    let query_rank = shape.q_lora_rank.unwrap_or(0);
    let (groups, output_rank) = (shape.o_groups.max(1), shape.o_lora_rank);
    let width = heads.saturating_mul(dim);
    out.linear("attn.wq_a", query_rank, hidden, Parallel::Replicated);
    out.vector("attn.q_norm", query_rank, Parallel::Replicated);
    out.linear("attn.wq_b", width, query_rank, Parallel::Column);
    out.linear("attn.wkv", dim, hidden, Parallel::Replicated);
    out.vector("attn.kv_norm", dim, Parallel::Replicated);
    out.linear("attn.wo_a", groups.saturating_mul(output_rank), width / groups, Parallel::Column);
    out.linear("attn.wo_b", hidden, groups.saturating_mul(output_rank), Parallel::Row);
    out.vector("attn.sinks", heads, Parallel::Column);
    let ratio = match kind {
        '4' => Some(4),
        'C' => Some(128),
        _ => None,
    };
    if let Some(ratio) = ratio {
        compressor("attn.compressor", hidden, dim, ratio, out);
    }
    if ratio == Some(4) {
        compressor("attn.indexer.compressor", hidden, shape.index_head_dim, 4, out);
        out.linear("attn.indexer.wq_b", shape.index_n_heads.saturating_mul(shape.index_head_dim), query_rank, Parallel::Replicated);
        out.plain("attn.indexer.weights_proj", shape.index_n_heads, hidden);
    }
    let mlp = feed_forward::experts(shape, out);
    super::norms(shape, 2, out);
    for block in ["hc_attn", "hc_ffn"] {
        let mixed = shape.hc_mult.saturating_add(2).saturating_mul(shape.hc_mult);
        out.plain(&format!("{block}.fn"), mixed, shape.hc_mult.saturating_mul(hidden));
        out.vector(&format!("{block}.base"), mixed.saturating_add(3), Parallel::Replicated);
    }
    if index >= shape.num_hash_layers {
        out.vector("mlp.gate.e_score_correction_bias", shape.num_experts, Parallel::Replicated);
    }
    let mixer = Mixer::CompressedLatent {
        heads,
        head_dim: dim,
        qk_rope_head_dim: shape.qk_rope_head_dim,
        window: shape.sliding_window.unwrap_or(0),
        ratio,
        index_head_dim: (ratio == Some(4)).then_some(shape.index_head_dim),
    };
    Layer { mixer, mlp }
}

/// Key/value and gate projections of a compressor, its position table and norm. Compression by 4 overlaps two
/// stretches, which doubles the width.
fn compressor(name: &str, hidden: u64, dim: u64, ratio: u64, out: &mut Tensors) {
    let width = if ratio == 4 { dim.saturating_mul(2) } else { dim };
    out.linear(&format!("{name}.wkv"), width, hidden, Parallel::Replicated);
    out.linear(&format!("{name}.wgate"), width, hidden, Parallel::Replicated);
    out.plain(&format!("{name}.ape"), ratio, width);
    out.vector(&format!("{name}.norm"), dim, Parallel::Replicated);
}

/// What merges the residual streams before the head.
pub(super) fn head(shape: &Shape, out: &mut Tensors) {
    out.plain("hc_head.fn", shape.hc_mult, shape.hc_mult.saturating_mul(shape.hidden_size));
    out.vector("hc_head.base", shape.hc_mult.saturating_add(1), Parallel::Replicated);
}
