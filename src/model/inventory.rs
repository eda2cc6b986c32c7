//! The tensors of a model and its layers, made from its [`Shape`].
//!
//! Groups are named after the modules of vLLM's Llama implementation wherever a family has the same part,
//! so that a checkpoint's own names need one table only; fused projections stay apart, since their shards
//! differ. The parts of each architecture are those of its class in vLLM's `model_executor/models/`.

mod attention;
mod deepseek_v4;
mod feed_forward;
mod gemma;
mod recurrent;
mod tensors;

use super::family;
use super::shape::Shape;
use super::spec::{Layer, Mixer, Mlp, Parallel, ParameterCount, Role, TensorGroup};
use tensors::Tensors;

/// What the engine builds from a [`Shape`].
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// The decoder layers in order.
    pub layers: Vec<Layer>,
    /// Every tensor, without those of multi-token prediction.
    pub tensors: Vec<TensorGroup>,
    /// Their elements.
    pub parameters: ParameterCount,
}

impl Inventory {
    /// Lists the layers and tensors of a model of this shape.
    pub fn of(shape: &Shape) -> Self {
        let shape = &family::completed(shape);
        let mut out = Tensors::default();
        embeddings(shape, &mut out);
        let layers: Vec<Layer> = shape.kinds().into_iter().enumerate().map(|(index, kind)| layer(shape, index, kind, &mut out)).collect();
        out.leave_layers();
        ending(shape, &mut out);
        let parameters = count(&layers, &out.groups);
        Self { layers, tensors: out.groups, parameters }
    }
}

/// The embedding and what is added to it.
fn embeddings(shape: &Shape, out: &mut Tensors) {
    let (hidden, rows) = (shape.hidden_size, shape.embedding_rows.unwrap_or(shape.vocab_size));
    out.add("embed_tokens", Role::Embedding, rows, hidden, 1);
    out.plain("embed_positions", shape.learned_position_embeddings, hidden);
    if shape.embedding_norm {
        out.norm("embed_layernorm", shape.norm_type.as_deref(), hidden);
    }
    match shape.family() {
        "gemma3n" => gemma::embeddings3n(shape, out),
        "gemma4" => gemma::embeddings4(shape, out),
        _ => {}
    }
}

/// The final norm, the head and the encoder.
fn ending(shape: &Shape, out: &mut Tensors) {
    let hidden = shape.hidden_size;
    if !shape.no_final_norm {
        out.norm("norm", shape.norm_type.as_deref(), hidden);
    }
    if shape.family() == "deepseek_v4" {
        deepseek_v4::head(shape, out);
    }
    if !shape.tie_word_embeddings {
        out.add("lm_head", Role::Head, shape.lm_head_rows.unwrap_or(shape.vocab_size), hidden, 1);
    }
    if shape.lm_head_bias {
        out.vector("lm_head.bias", shape.vocab_size, Parallel::Column);
    }
    if let Some(vision) = &shape.vision {
        out.add("vision_tower", Role::Encoder, vision.elements(hidden), 1, 1);
    }
}

/// One decoder layer of the family.
fn layer(shape: &Shape, index: usize, kind: char, out: &mut Tensors) -> Layer {
    let number = index as u64;
    out.enter_layer(number);
    match shape.family() {
        "nemotron_h" => single_block(shape, kind, out),
        "nemotron-nas" => searched(shape, index, out),
        "falcon_h1" => side_by_side(shape, out),
        "mamba" | "falcon_mamba" | "mamba2" => mamba_alone(shape, out),
        "gemma3n" => gemma::layer3n(shape, number, kind, out),
        "gemma4" => gemma::layer4(shape, number, kind, out),
        "deepseek_v4" => deepseek_v4::layer(shape, number, kind, out),
        _ => two_blocks(shape, index, kind, out),
    }
}

/// A mixer, a feed-forward block and their norms: nearly every family.
fn two_blocks(shape: &Shape, index: usize, kind: char, out: &mut Tensors) -> Layer {
    let mixer = match (kind, shape.kv_lora_rank) {
        ('L', _) => recurrent::linear_attention(shape, out),
        ('M', _) => recurrent::mamba(shape, out),
        ('C', _) => recurrent::short_convolution(shape, out),
        (_, Some(rank)) => attention::latent(shape, index, rank, out),
        _ if shape.share_q_dim > 0 => shared_query(shape, kind, out),
        _ => attention::grouped(shape, kind, out),
    };
    let mlp = feed_forward::block(shape, index as u64, out);
    match shape.family() {
        "mllama" if shape.cross_attention_layers.contains(&(index as u64)) => {
            out.vector("cross_attn.q_norm", shape.head_dim, Parallel::Replicated);
            out.vector("cross_attn.k_norm", shape.head_dim, Parallel::Replicated);
            out.vector("cross_attn.gates", 2, Parallel::Replicated);
        }
        "kimi_k3" if matches!(mlp, Mlp::Experts { .. }) => {
            out.vector("mlp.latent_norm", shape.moe_latent_size.unwrap_or(0), Parallel::Replicated);
        }
        _ => {}
    }
    norms(shape, shape.norms_per_layer.unwrap_or(2), out);
    out.vector("extra", shape.extra_per_layer, Parallel::Replicated);
    Layer { mixer, mlp }
}

/// The norms of a layer, by their number: four stand around both blocks.
fn norms(shape: &Shape, count: u64, out: &mut Tensors) {
    let names = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"];
    for name in names.iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
        out.norm(name, shape.norm_type.as_deref(), shape.hidden_size);
    }
}

/// Step 3: queries pass a shared low-rank projection.
fn shared_query(shape: &Shape, kind: char, out: &mut Tensors) -> Mixer {
    let (hidden, rank) = (shape.hidden_size, shape.share_q_dim);
    let heads = attention::heads(shape, kind);
    let (query, key) = (heads.query.saturating_mul(heads.dim), heads.key_value.saturating_mul(heads.dim));
    out.linear("self_attn.q_proj", rank, hidden, Parallel::Replicated);
    out.vector("self_attn.inter_norm", rank, Parallel::Replicated);
    out.linear("self_attn.wq", query, rank, Parallel::Column);
    out.linear("self_attn.k_proj", key, hidden, Parallel::KeyValue(heads.key_value));
    out.linear("self_attn.v_proj", key, hidden, Parallel::KeyValue(heads.key_value));
    out.linear("self_attn.o_proj", hidden, query, Parallel::Row);
    Mixer::Attention {
        heads: heads.query,
        kv_heads: heads.key_value,
        head_dim: heads.dim,
        v_head_dim: heads.dim,
        span: attention::span(shape, kind),
    }
}

/// Nemotron-H: each layer is one block with one norm.
fn single_block(shape: &Shape, kind: char, out: &mut Tensors) -> Layer {
    let (mixer, mlp) = match kind {
        'M' => (recurrent::mamba(shape, out), Mlp::None),
        '*' => (attention::grouped(shape, kind, out), Mlp::None),
        'E' => (Mixer::None, feed_forward::experts(shape, out)),
        _ => (Mixer::None, feed_forward::dense(shape, shape.intermediate_size, out)),
    };
    norms(shape, 1, out);
    Layer { mixer, mlp }
}

/// Nemotron NAS: a search removed attention or narrowed the feed-forward block layer by layer.
fn searched(shape: &Shape, index: usize, out: &mut Tensors) -> Layer {
    let group = shape.block_attention.get(index).copied().unwrap_or(0);
    let mixer = match shape.num_attention_heads.checked_div(group) {
        None => Mixer::None,
        Some(num_key_value_heads) => {
            let own = Shape { num_key_value_heads, ..shape.clone() };
            out.norm("input_layernorm", shape.norm_type.as_deref(), shape.hidden_size);
            attention::grouped(&own, 'F', out)
        }
    };
    let mlp = feed_forward::dense(shape, shape.block_ffn.get(index).copied().unwrap_or(0), out);
    if mlp != Mlp::None {
        out.norm("post_attention_layernorm", shape.norm_type.as_deref(), shape.hidden_size);
    }
    Layer { mixer, mlp }
}

/// Falcon-H1: Mamba 2 and attention read the same input.
fn side_by_side(shape: &Shape, out: &mut Tensors) -> Layer {
    let recurrent = Box::new(recurrent::mamba(shape, out));
    let attention = Box::new(attention::grouped(shape, 'F', out));
    let mlp = feed_forward::dense(shape, shape.intermediate_size, out);
    norms(shape, 2, out);
    Layer { mixer: Mixer::Parallel { attention, recurrent }, mlp }
}

/// Mamba models: no attention and no feed-forward block.
fn mamba_alone(shape: &Shape, out: &mut Tensors) -> Layer {
    let mixer = recurrent::mamba(shape, out);
    norms(shape, 1, out);
    Layer { mixer, mlp: Mlp::None }
}

/// All elements, and those that one token uses.
fn count(layers: &[Layer], tensors: &[TensorGroup]) -> ParameterCount {
    let mut total = 0_u64;
    let mut idle = 0_u64;
    for group in tensors {
        total = total.saturating_add(group.elements());
        idle = idle.saturating_add(match group.role {
            Role::Encoder => group.elements(),
            _ if group.copies > 1 => group.rows.saturating_mul(group.columns).saturating_mul(skipped(layers, group)),
            _ => 0,
        });
    }
    ParameterCount { total, active: total.saturating_sub(idle) }
}

/// Of the copies of an expert's tensor, those that a token does not use.
fn skipped(layers: &[Layer], group: &TensorGroup) -> u64 {
    let layer = group.layer.and_then(|index| layers.get(usize::try_from(index).ok()?));
    match layer.map(|layer| &layer.mlp) {
        Some(Mlp::Experts { per_token, .. }) => group.copies.saturating_sub(*per_token),
        _ => 0,
    }
}
