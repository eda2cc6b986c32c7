//! What a family of models always has, so that its config.json and its catalogue entry leave it out.
//!
//! Each fact is that of the family's class in vLLM's `model_executor/models/`.

use super::shape::Shape;

/// The shape with its family's constants filled in.
pub fn completed(shape: &Shape) -> Shape {
    let mut shape = shape.clone();
    blocks(&mut shape);
    positions(&mut shape);
    shape
}

/// Biases, gates and norms.
fn blocks(shape: &mut Shape) {
    match shape.family() {
        "gpt2" | "gpt_bigcode" => {
            (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (true, true, true);
            shape.mlp_gated = Some(false);
            shape.norm_type = Some("layernorm".to_owned());
        }
        "falcon" => {
            shape.mlp_gated = Some(false);
            shape.norm_type = Some("layernorm".to_owned());
        }
        "phi3small" => {
            (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (true, true, true);
            shape.norm_type = Some("layernorm".to_owned());
        }
        "gemma3n" => shape.qk_norm = Some("head".to_owned()),
        "nemotron_h" => shape.mlp_gated = Some(false),
        "kimi_k3" => shape.router_bias = true,
        _ => {}
    }
}

/// Rotary tables: which families have none, and which count positions for images too.
fn positions(shape: &mut Shape) {
    let mamba_hybrid = shape.family() == "granitemoehybrid" && shape.layer_pattern.is_some();
    match shape.model_type.as_str() {
        "qwen2_vl" | "qwen2_5_vl" | "qwen3_vl" | "qwen3_vl_moe" | "qwen3_5" | "qwen3_5_moe" | "glm4v" | "glm4v_moe" => shape.mrope = true,
        "nemotron_h" | "jamba" | "mamba" | "mamba2" | "falcon_mamba" | "kimi_linear" | "kimi_k3" => shape.no_rotary = true,
        "minimax" | "minimax_text_01" | "minimax_m1" | "minimax_m2" | "minimax_m3" | "minimax_m3_vl" if shape.rotary_dim.is_none() => {
            shape.rotary_dim = Some(shape.head_dim / 2);
        }
        "chatglm" if shape.rotary_dim.is_none() => shape.rotary_dim = Some(shape.head_dim / 2),
        "mimo_v2_flash" if shape.partial_rotary_factor.is_none() => shape.partial_rotary_factor = Some(0.334),
        "gpt_neox" | "stablelm" if shape.partial_rotary_factor.is_none() => shape.partial_rotary_factor = Some(0.25),
        "gptj" if shape.rotary_dim.is_none() => shape.rotary_dim = Some(64),
        _ => {}
    }
    shape.no_rotary |= mamba_hybrid;
    if shape.family() == "nemotron_h" && shape.mamba_ssm_dtype.is_none() {
        // `NemotronHForCausalLMConfig` keeps the state in 32 bits unless told otherwise.
        shape.mamba_ssm_dtype = Some("float32".to_owned());
    }
}
