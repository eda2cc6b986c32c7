//! The widths of one rank, in elements: what activations, graphs and workspaces are computed from.

use crate::engine::launch::Launch;
use crate::model::spec::{Dtype, Mixer, Mlp, ModelSpec};
use crate::plan::sharding::local_kv_heads;
use crate::units::Bytes;

/// Widths of the widest layer on one tensor-parallel rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    /// The residual stream.
    pub hidden: u64,
    /// All query heads.
    pub query: u64,
    /// All key heads (and as many values again).
    pub key: u64,
    /// The inner width of a dense MLP.
    pub intermediate: u64,
    /// Routed experts a token.
    pub experts_per_token: u64,
    /// The inner width of a routed expert.
    pub expert_intermediate: u64,
    /// The vocabulary; logits are gathered, so that every rank holds all of it.
    pub vocabulary: u64,
    /// Decoder layers of the stage.
    pub layers: u64,
    /// Elements of a query head.
    pub head: u64,
    /// Query heads on this rank.
    pub heads: u64,
    /// The up-projected keys and values of latent attention, all heads; zero elsewhere.
    pub up_projected: u64,
    /// Elements of a value head of latent attention.
    pub value_head: u64,
    /// Elements of the compressed latent, without its rotary part.
    pub latent: u64,
}

/// The widths of one rank with `layers` decoder layers.
pub fn widths(model: &ModelSpec, launch: &Launch, layers: u64) -> Widths {
    let tensor = launch.parallel.tensor;
    let mut widths = Widths { hidden: model.hidden_size, vocabulary: model.vocab_size, layers, ..Widths::default() };
    for layer in &model.layers {
        widths.add_mixer(&layer.mixer, tensor);
        match layer.mlp {
            Mlp::Dense { intermediate, .. } => widths.intermediate = widths.intermediate.max(intermediate.div_ceil(tensor)),
            Mlp::Experts { per_token, intermediate, shared_intermediate, .. } => {
                widths.experts_per_token = widths.experts_per_token.max(per_token);
                let local = if launch.parallel.expert { intermediate } else { intermediate.div_ceil(tensor) };
                widths.expert_intermediate = widths.expert_intermediate.max(local);
                widths.intermediate = widths.intermediate.max(shared_intermediate.div_ceil(tensor));
            }
            Mlp::None => {}
        }
    }
    widths
}

impl Widths {
    /// The largest projection in 16 bits: what kernels that unpack weights before a product write it to.
    pub fn unpacked_projection(&self, dtype: Dtype) -> Bytes {
        let widest = self.intermediate.max(self.expert_intermediate).max(self.query);
        Bytes(widest.saturating_mul(self.hidden).saturating_mul(dtype.bytes()))
    }

    fn add_mixer(&mut self, mixer: &Mixer, tensor: u64) {
        let mut add = |heads: u64, head: u64, key: u64, up_projected: u64| {
            let local = heads.div_ceil(tensor);
            if local * head > self.query {
                (self.heads, self.head) = (local, head);
            }
            self.query = self.query.max(local * head);
            self.key = self.key.max(key);
            self.up_projected = self.up_projected.max(local * up_projected);
        };
        match mixer {
            Mixer::Attention { heads, kv_heads, head_dim, .. } => add(*heads, *head_dim, local_kv_heads(*kv_heads, tensor) * head_dim, 0),
            Mixer::Latent { heads, kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim, .. } => {
                add(*heads, qk_nope_head_dim + qk_rope_head_dim, kv_lora_rank + qk_rope_head_dim, qk_nope_head_dim + v_head_dim);
                (self.value_head, self.latent) = (*v_head_dim, *kv_lora_rank);
            }
            Mixer::CompressedLatent { heads, head_dim, .. } => add(*heads, *head_dim, *head_dim, 0),
            Mixer::Shared { heads, head_dim } => add(*heads, *head_dim, 0, 0),
            Mixer::Parallel { attention, recurrent } => {
                self.add_mixer(attention, tensor);
                self.add_mixer(recurrent, tensor);
            }
            Mixer::Recurrent { .. } | Mixer::None => {}
        }
    }
}
