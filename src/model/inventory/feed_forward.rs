//! Feed-forward blocks: dense, and mixtures of experts.

use super::tensors::Tensors;
use crate::model::shape::Shape;
use crate::model::spec::{Mlp, Parallel, Role};

/// The feed-forward block of layer `index`.
pub(super) fn block(shape: &Shape, index: u64, out: &mut Tensors) -> Mlp {
    if shape.has_experts(index) { experts(shape, out) } else { dense(shape, shape.intermediate_size, out) }
}

/// One MLP for all tokens.
pub(super) fn dense(shape: &Shape, inner: u64, out: &mut Tensors) -> Mlp {
    let hidden = shape.hidden_size;
    if inner == 0 {
        return Mlp::None;
    }
    if shape.gated() {
        out.linear("mlp.gate_proj", inner, hidden, Parallel::Column);
    }
    out.linear("mlp.up_proj", inner, hidden, Parallel::Column);
    out.linear("mlp.down_proj", hidden, inner, Parallel::Row);
    if shape.mlp_bias {
        if shape.gated() {
            out.vector("mlp.gate_proj.bias", inner, Parallel::Column);
        }
        out.vector("mlp.up_proj.bias", inner, Parallel::Column);
        out.vector("mlp.down_proj.bias", hidden, Parallel::Replicated);
    }
    Mlp::Dense { intermediate: inner, gated: shape.gated() }
}

/// Routed experts with their router, and the shared experts beside them.
pub(super) fn experts(shape: &Shape, out: &mut Tensors) -> Mlp {
    let (hidden, inner, count) = (shape.hidden_size, shape.moe_intermediate_size, shape.num_experts);
    let latent = shape.moe_latent_size.filter(|width| *width > 0);
    let width = latent.unwrap_or(hidden);
    out.plain("mlp.gate", count, hidden);
    if shape.router_bias {
        out.vector("mlp.gate.e_score_correction_bias", count, Parallel::Replicated);
    }
    if let Some(latent) = latent {
        out.linear("mlp.fc1_latent_proj", latent, hidden, Parallel::Replicated);
        out.linear("mlp.fc2_latent_proj", hidden, latent, Parallel::Replicated);
    }
    if shape.gated() {
        out.add("mlp.experts.gate_proj", Role::Expert(Parallel::Column), inner, width, count);
    }
    out.add("mlp.experts.up_proj", Role::Expert(Parallel::Column), inner, width, count);
    out.add("mlp.experts.down_proj", Role::Expert(Parallel::Row), width, inner, count);
    if shape.expert_bias {
        if shape.gated() {
            out.add("mlp.experts.gate_proj.bias", Role::Vector(Parallel::Column), inner, 1, count);
        }
        out.add("mlp.experts.up_proj.bias", Role::Vector(Parallel::Column), inner, 1, count);
        out.add("mlp.experts.down_proj.bias", Role::Vector(Parallel::Replicated), hidden, 1, count);
    }
    let shared = shape.shared_width();
    side_block(shape, "mlp.shared_experts", shared, out);
    if shape.shared_expert_gate {
        out.plain("mlp.shared_expert_gate", 1, hidden);
    }
    side_block(shape, "residual_mlp", shape.dense_residual_intermediate_size, out);
    Mlp::Experts {
        count,
        per_token: shape.num_experts_per_tok,
        intermediate: inner,
        shared_intermediate: shared.saturating_add(shape.dense_residual_intermediate_size),
        gated: shape.gated(),
    }
}

/// A dense block that every token passes beside the routed experts.
fn side_block(shape: &Shape, name: &str, inner: u64, out: &mut Tensors) {
    if shape.gated() {
        out.linear(&format!("{name}.gate_proj"), inner, shape.hidden_size, Parallel::Column);
    }
    out.linear(&format!("{name}.up_proj"), inner, shape.hidden_size, Parallel::Column);
    out.linear(&format!("{name}.down_proj"), shape.hidden_size, inner, Parallel::Row);
}
