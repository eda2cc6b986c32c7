//! What each family's config class and model class add to the common fields.

use super::error::ConfigError;
use super::fields::Fields;
use crate::model::shape::Shape;

/// Fills in what the family means by its own fields.
pub(super) fn specialise(root: &Fields<'_>, decoder: &Fields<'_>, shape: &mut Shape, _assumed: &mut [String]) -> Result<(), ConfigError> {
    let _ = root;
    latent_attention(decoder, shape)?;
    match shape.model_type.as_str() {
        "qwen2" | "qwen2_moe" | "qwen2_vl" | "qwen2_5_vl" => shape.attention_bias = true,
        "qwen3" | "qwen3_moe" | "qwen3_vl" | "qwen3_vl_moe" => shape.qk_norm = Some("head".to_owned()),
        "gemma2" => shape.norms_per_layer = Some(4),
        "gemma3" | "gemma3_text" => {
            shape.norms_per_layer = Some(4);
            shape.qk_norm = Some("head".to_owned());
        }
        "gpt_oss" => {
            (shape.attention_bias, shape.attention_out_bias, shape.attention_sinks) = (true, true, true);
            (shape.router_bias, shape.expert_bias) = (true, true);
        }
        "deepseek_v3" | "deepseek_v32" | "kimi_k2" => shape.router_bias = true,
        _ => {}
    }
    if shape.model_type == "qwen2_moe" {
        shape.shared_expert_gate = true;
    }
    Ok(())
}

/// Multi-head latent attention, and DeepSeek's indexer beside it.
fn latent_attention(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.kv_lora_rank = decoder.positive(&["kv_lora_rank"])?;
    shape.q_lora_rank = decoder.count(&["q_lora_rank"])?.filter(|rank| *rank > 0);
    shape.qk_nope_head_dim = decoder.count(&["qk_nope_head_dim"])?.unwrap_or(0);
    shape.qk_rope_head_dim = decoder.count(&["qk_rope_head_dim"])?.unwrap_or(0);
    shape.v_head_dim = decoder.positive(&["v_head_dim"])?;
    shape.index_n_heads = decoder.count(&["index_n_heads"])?.unwrap_or(0);
    shape.index_head_dim = decoder.count(&["index_head_dim"])?.unwrap_or(0);
    shape.index_topk = decoder.count(&["index_topk"])?.unwrap_or(0);
    if shape.kv_lora_rank.is_some() {
        shape.head_dim = shape.qk_nope_head_dim.saturating_add(shape.qk_rope_head_dim);
    }
    Ok(())
}

/// Whether this type of model is one whose tensors are known here.
pub(super) fn is_known(_model_type: &str) -> bool {
    true
}
