//! Layers with a fixed state: Mamba, gated delta net, Kimi delta attention, lightning attention, short
//! convolution.

use super::tensors::Tensors;
use crate::model::recurrent::{self, State};
use crate::model::shape::Shape;
use crate::model::spec::{Mixer, Parallel, RecurrentFamily};

/// Layer kind `M`: Mamba 1 if the time step has a rank of its own, else Mamba 2.
pub(super) fn mamba(shape: &Shape, out: &mut Tensors) -> Mixer {
    match shape.mamba_dt_rank {
        Some(rank) => mamba1(shape, rank, out),
        None => mamba2(shape, out),
    }
}

/// Layer kind `L`: gated delta net, Kimi delta attention or lightning attention, by the fields that are there.
pub(super) fn linear_attention(shape: &Shape, out: &mut Tensors) -> Mixer {
    if shape.linear_num_value_heads > 0 {
        gated_delta(shape, out)
    } else if shape.linear_num_heads > 0 {
        kimi_delta(shape, out)
    } else {
        lightning(shape, out)
    }
}

fn mixer(family: RecurrentFamily, state: State) -> Mixer {
    Mixer::Recurrent { family, conv_elements: state.convolution, state_elements: state.recurrent }
}

fn mamba1(shape: &Shape, rank: u64, out: &mut Tensors) -> Mixer {
    let (hidden, state, taps) = (shape.hidden_size, shape.mamba_d_state, shape.mamba_d_conv);
    let inner = shape.mamba_expand.saturating_mul(hidden);
    out.linear("mamba.in_proj", inner.saturating_mul(2), hidden, Parallel::Column);
    out.vector("mamba.conv1d", inner.saturating_mul(taps), Parallel::Column);
    out.vector("mamba.conv1d.bias", inner, Parallel::Column);
    out.linear("mamba.x_proj", rank.saturating_add(state.saturating_mul(2)), inner, Parallel::Row);
    out.linear("mamba.dt_proj", inner, rank, Parallel::Column);
    out.vector("mamba.dt_proj.bias", inner, Parallel::Column);
    out.vector("mamba.A", inner.saturating_mul(state), Parallel::Column);
    out.vector("mamba.D", inner, Parallel::Column);
    out.linear("mamba.out_proj", hidden, inner, Parallel::Row);
    if shape.mamba_inner_norms {
        out.vector("mamba.dt_layernorm", rank, Parallel::Replicated);
        out.vector("mamba.b_layernorm", state, Parallel::Replicated);
        out.vector("mamba.c_layernorm", state, Parallel::Replicated);
    }
    mixer(RecurrentFamily::Mamba1, recurrent::mamba1(inner, state, taps))
}

fn mamba2(shape: &Shape, out: &mut Tensors) -> Mixer {
    let (heads, dim, groups) = (shape.mamba_n_heads, shape.mamba_d_head, shape.mamba_n_groups);
    let (hidden, state, taps) = (shape.hidden_size, shape.mamba_d_state, shape.mamba_d_conv);
    let inner = heads.saturating_mul(dim);
    let channels = inner.saturating_add(groups.saturating_mul(state).saturating_mul(2));
    out.linear("mamba.in_proj", inner.saturating_add(channels).saturating_add(heads), hidden, Parallel::Column);
    out.vector("mamba.conv1d", channels.saturating_mul(taps), Parallel::Column);
    if shape.mamba_conv_bias.unwrap_or(true) {
        out.vector("mamba.conv1d.bias", channels, Parallel::Column);
    }
    out.vector("mamba.A", heads, Parallel::Column);
    out.vector("mamba.D", heads, Parallel::Column);
    out.vector("mamba.dt_bias", heads, Parallel::Column);
    if shape.mamba_rms_norm.unwrap_or(true) {
        out.vector("mamba.norm", inner, Parallel::Column);
    }
    out.linear("mamba.out_proj", hidden, inner, Parallel::Row);
    mixer(RecurrentFamily::Mamba2, recurrent::mamba2(heads, dim, groups, state, taps))
}

fn gated_delta(shape: &Shape, out: &mut Tensors) -> Mixer {
    let (key_heads, value_heads) = (shape.linear_num_key_heads, shape.linear_num_value_heads);
    let (key_dim, value_dim) = (shape.linear_key_head_dim, shape.linear_value_head_dim);
    let (hidden, taps) = (shape.hidden_size, shape.linear_conv_kernel_dim);
    let (keys, values) = (key_heads.saturating_mul(key_dim), value_heads.saturating_mul(value_dim));
    let channels = keys.saturating_mul(2).saturating_add(values);
    out.linear("linear_attn.in_proj_qkvz", channels.saturating_add(values), hidden, Parallel::Column);
    out.linear("linear_attn.in_proj_ba", value_heads.saturating_mul(2), hidden, Parallel::Column);
    out.vector("linear_attn.conv1d", channels.saturating_mul(taps), Parallel::Column);
    out.vector("linear_attn.dt_bias", value_heads, Parallel::Column);
    out.vector("linear_attn.A_log", value_heads, Parallel::Column);
    out.vector("linear_attn.norm", value_dim, Parallel::Replicated);
    out.linear("linear_attn.out_proj", hidden, values, Parallel::Row);
    mixer(RecurrentFamily::GatedDelta, recurrent::gated_delta(key_heads, value_heads, key_dim, value_dim, taps))
}

fn kimi_delta(shape: &Shape, out: &mut Tensors) -> Mixer {
    let (hidden, heads, dim) = (shape.hidden_size, shape.linear_num_heads, shape.linear_head_dim);
    let taps = shape.linear_conv_kernel_dim;
    let width = heads.saturating_mul(dim);
    for part in ["q", "k", "v"] {
        out.linear(&format!("self_attn.{part}_proj"), width, hidden, Parallel::Column);
        out.vector(&format!("self_attn.{part}_conv1d"), width.saturating_mul(taps), Parallel::Column);
    }
    out.linear("self_attn.f_a_proj", dim, hidden, Parallel::Replicated);
    out.linear("self_attn.f_b_proj", width, dim, Parallel::Column);
    out.vector("self_attn.dt_bias", width, Parallel::Column);
    out.vector("self_attn.A_log", heads, Parallel::Column);
    out.linear("self_attn.b_proj", heads, hidden, Parallel::Column);
    if shape.family() == "kimi_k3" {
        out.linear("self_attn.g_proj", width, hidden, Parallel::Column);
    } else {
        out.linear("self_attn.g_a_proj", dim, hidden, Parallel::Replicated);
        out.linear("self_attn.g_b_proj", width, dim, Parallel::Column);
    }
    out.vector("self_attn.o_norm", dim, Parallel::Replicated);
    out.linear("self_attn.o_proj", hidden, width, Parallel::Row);
    mixer(RecurrentFamily::GatedDelta, recurrent::kimi_delta(heads, dim, taps))
}

fn lightning(shape: &Shape, out: &mut Tensors) -> Mixer {
    let (hidden, heads, dim) = (shape.hidden_size, shape.num_attention_heads, shape.head_dim);
    let width = heads.saturating_mul(dim);
    out.linear("self_attn.qkv_proj", width.saturating_mul(3), hidden, Parallel::Column);
    out.linear("self_attn.output_gate", width, hidden, Parallel::Column);
    out.vector("self_attn.norm", width, Parallel::Column);
    out.linear("self_attn.out_proj", hidden, width, Parallel::Row);
    mixer(RecurrentFamily::Linear, recurrent::linear(heads, dim))
}

/// Layer kind `C`: LFM2's short convolution.
pub(super) fn short_convolution(shape: &Shape, out: &mut Tensors) -> Mixer {
    let (hidden, taps) = (shape.hidden_size, shape.conv_kernel);
    out.linear("conv.in_proj", hidden.saturating_mul(3), hidden, Parallel::Column);
    out.vector("conv.conv", hidden.saturating_mul(taps), Parallel::Column);
    out.linear("conv.out_proj", hidden, hidden, Parallel::Row);
    mixer(RecurrentFamily::ShortConv, recurrent::short_convolution(hidden, taps))
}
