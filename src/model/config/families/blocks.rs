//! Biases, norms and gates: mostly constants of a family's class, some of them switched by a field.

use crate::model::config::error::ConfigError;
use crate::model::config::fields::Fields;
use crate::model::shape::Shape;

/// Fills in the biases, norms and gates of the family.
pub(super) fn read(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    attention(decoder, shape)?;
    norms(decoder, shape)?;
    experts(decoder, shape)
}

fn attention(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let flag = |name: &str, default: bool| decoder.flag(name).map(|flag| flag.unwrap_or(default));
    match shape.family() {
        "qwen2" | "qwen2_moe" | "qwen2_vl" | "qwen2_5_vl" | "qwen2_5_omni" | "mimo" => shape.attention_bias = true,
        "llama" | "mistral" | "mistral4" | "granite" | "arcee" | "phimoe" => shape.attention_out_bias = shape.attention_bias,
        "gpt_oss" => {
            (shape.attention_bias, shape.attention_out_bias) = (true, true);
            shape.attention_sinks = true;
        }
        "seed_oss" => shape.attention_out_bias = flag("attention_out_bias", false)?,
        "starcoder2" => {
            let bias = flag("use_bias", true)?;
            (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (bias, bias, bias);
        }
        "phi" => (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (true, true, true),
        "stablelm" => shape.attention_bias = flag("use_qkv_bias", false)?,
        "glm4" | "glm" => shape.attention_bias = flag("attention_bias", true)?,
        "bailing_moe" | "bailing_moe_v2" => shape.attention_bias = flag("use_qkv_bias", false)?,
        "internlm2" | "baichuan" | "exaone" => shape.attention_bias = flag("bias", false)?,
        _ => {}
    }
    shape.qk_norm = match shape.family() {
        "qwen3" | "qwen3_moe" | "qwen3_vl" | "qwen3_vl_moe" | "qwen3_next" | "qwen3_5" | "qwen3_5_moe" | "gemma3" | "gemma3_text"
        | "gemma3n" => Some("head"),
        "exaone4" | "exaone_moe" | "dots1" | "apertus" | "lfm2" | "lfm2_moe" | "afmoe" | "step3p5" | "step3p7" | "hunyuan_v1_moe"
        | "hunyuan_v1_dense" | "hy_v3" => Some("head"),
        "glm4_moe" | "bailing_moe" | "bailing_moe_v2" if flag("use_qk_norm", false)? => Some("head"),
        "minimax_m2" | "minimax_m3" | "minimax_m3_vl" if flag("use_qk_norm", false)? => match decoder.text("qk_norm_type")? {
            Some("per_head") => Some("head"),
            _ => Some("full"),
        },
        "olmo2" | "olmo3" | "olmoe" | "flex_olmo" => Some("full"),
        "cohere" if flag("use_qk_norm", false)? => Some("heads"),
        "stablelm" if flag("qk_layernorm", false)? => Some("heads"),
        _ => None,
    }
    .map(ToOwned::to_owned);
    let gate = match shape.family() {
        "qwen3_next" | "qwen3_5" | "qwen3_5_moe" if flag("attn_output_gate", true)? => Some("elementwise"),
        "afmoe" => Some("elementwise"),
        "step3p5" | "step3p7" if flag("use_head_wise_attn_gate", true)? => Some("headwise"),
        _ => None,
    };
    shape.attention_output_gate = gate.map(ToOwned::to_owned);
    Ok(())
}

fn norms(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let kind = match shape.family() {
        "gptj" | "gpt_neox" | "bloom" | "opt" | "phi" | "phimoe" | "starcoder2" | "stablelm" | "nemotron" => Some("layernorm"),
        "cohere" | "cohere2" | "dbrx" => Some("layernorm_nobias"),
        "olmo" => Some("none"),
        _ => None,
    };
    shape.norm_type = kind.map(ToOwned::to_owned);
    shape.norms_per_layer = match shape.family() {
        "gemma2" | "gemma3" | "gemma3_text" | "glm4" | "afmoe" => Some(4),
        "phi" | "gptj" | "cohere" | "cohere2" => Some(1),
        "stablelm" if decoder.flag("use_parallel_residual")? == Some(true) => Some(1),
        "arctic" => Some(3),
        _ => None,
    };
    let ungated = matches!(
        shape.family(),
        "gptj" | "gpt_neox" | "bloom" | "opt" | "mpt" | "phi" | "starcoder2" | "nemotron" | "nemotron_h" | "apertus" | "arcee"
    );
    shape.mlp_gated = ungated.then_some(false);
    match shape.family() {
        "gptj" | "phi" => shape.lm_head_bias = true,
        "phimoe" => shape.lm_head_bias = decoder.flag("lm_head_bias")?.unwrap_or(false),
        // Two parameters of xIELU.
        "apertus" => shape.extra_per_layer = 2,
        _ => {}
    }
    Ok(())
}

fn experts(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let flag = |name: &str, default: bool| decoder.flag(name).map(|flag| flag.unwrap_or(default));
    shape.shared_expert_gate = matches!(shape.family(), "qwen2_moe" | "qwen3_next" | "qwen3_5_moe");
    shape.expert_bias = shape.family() == "gpt_oss";
    shape.router_bias = match shape.family() {
        "gpt_oss" | "deepseek_v3" | "deepseek_v32" | "kimi_k2" | "mistral4" | "glm4_moe" | "glm4v_moe" | "glm4v_moe_text"
        | "glm4_moe_lite" | "glm_moe_dsa" | "dots1" | "hy_v3" | "exaone_moe" | "afmoe" | "kimi_linear" | "kimi_k3" | "mimo_v2_flash" => {
            true
        }
        "minimax_m2" | "minimax_m3" | "minimax_m3_vl" => flag("use_routing_bias", true)?,
        "bailing_moe" | "bailing_moe_v2" => flag("moe_router_enable_expert_bias", false)?,
        "ernie4_5_moe" => flag("moe_use_aux_free", true)?,
        "step3p5" | "step3p7" => flag("use_moe_router_bias", true)?,
        _ => false,
    };
    Ok(())
}
