//! Families with recurrent layers.

use serde_json::Value;

use crate::model::check::MOST_LAYERS;
use crate::model::config::error::ConfigError;
use crate::model::config::fields::Fields;
use crate::model::shape::Shape;

/// Reads the fields of recurrent layers.
pub(super) fn read(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.mamba_ssm_dtype = decoder.text("mamba_ssm_dtype")?.or(decoder.text("mamba_ssm_cache_dtype")?).map(ToOwned::to_owned);
    match shape.family() {
        "nemotron_h" => nemotron_h(decoder, shape),
        "jamba" => jamba(decoder, shape),
        "bamba" | "granitemoehybrid" | "falcon_h1" => mamba2_hybrid(decoder, shape),
        "mamba" | "falcon_mamba" | "mamba2" => mamba_alone(decoder, shape),
        "lfm2" | "lfm2_moe" => lfm2(decoder, shape),
        "qwen3_next" | "qwen3_5" | "qwen3_5_moe" => gated_delta(decoder, shape),
        "kimi_linear" | "kimi_k3" => kimi_linear(decoder, shape),
        "minimax" | "minimax_text_01" | "minimax_m1" => lightning(decoder, shape),
        _ => Ok(()),
    }
}

fn nemotron_h(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let pattern = match decoder.text("hybrid_override_pattern")? {
        Some(pattern) => pattern.to_owned(),
        None => {
            let kinds = decoder.texts("layers_block_type")?;
            let letter = |kind: &String| match kind.as_str() {
                "mamba" => Some('M'),
                "attention" => Some('*'),
                "mlp" => Some('-'),
                "moe" => Some('E'),
                _ => None,
            };
            let letters: Option<String> = kinds.iter().map(letter).collect();
            letters
                .filter(|letters| !letters.is_empty())
                .ok_or_else(|| decoder.absent("hybrid_override_pattern", "a letter for each layer"))?
        }
    };
    if pattern.chars().any(|letter| !"M*-E".contains(letter)) {
        return Err(decoder.invalid("hybrid_override_pattern", "the letters `M`, `*`, `-` and `E`"));
    }
    if pattern.len() as u64 != shape.num_hidden_layers {
        return Err(decoder.invalid("hybrid_override_pattern", &format!("{} letters, one a layer", shape.num_hidden_layers)));
    }
    shape.layer_pattern = Some(pattern);
    shape.mamba_n_heads = decoder.required(&["mamba_num_heads"])?;
    shape.mamba_d_head = decoder.required(&["mamba_head_dim"])?;
    shape.mamba_n_groups = decoder.positive(&["n_groups"])?.unwrap_or(1);
    shape.mamba_d_state = decoder.required(&["ssm_state_size"])?;
    shape.mamba_d_conv = decoder.positive(&["conv_kernel"])?.unwrap_or(4);
    shape.mamba_conv_bias = decoder.flag("use_conv_bias")?;
    // The layers without a letter `E` have no experts, whatever the counts say.
    if shape.layer_pattern.as_deref().is_some_and(|pattern| !pattern.contains('E')) {
        shape.moe_layer_pattern = Some(String::new());
    }
    Ok(())
}

fn jamba(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let period = decoder.positive(&["attn_layer_period"])?.unwrap_or(8);
    let offset = decoder.count(&["attn_layer_offset"])?.unwrap_or(4);
    let count = shape.num_hidden_layers.min(MOST_LAYERS);
    shape.layer_pattern = Some((0..count).map(|layer| if layer % period == offset { 'F' } else { 'M' }).collect());
    shape.decoder_sparse_step = 2;
    shape.moe_layer_offset = Some(1);
    shape.mamba_inner_norms = true;
    mamba1(decoder, shape, "mamba_dt_rank")
}

/// The fields of Mamba 1. The time step's rank is a sixteenth of the width unless given.
fn mamba1(decoder: &Fields<'_>, shape: &mut Shape, rank: &str) -> Result<(), ConfigError> {
    shape.mamba_d_state = decoder.positive(&["mamba_d_state", "state_size"])?.unwrap_or(16);
    shape.mamba_d_conv = decoder.positive(&["mamba_d_conv", "conv_kernel"])?.unwrap_or(4);
    shape.mamba_expand = decoder.positive(&["mamba_expand", "expand"])?.unwrap_or(2);
    let automatic = matches!(decoder.get(rank), None | Some(Value::String(_)));
    shape.mamba_dt_rank = if automatic { Some(shape.hidden_size.div_ceil(16)) } else { decoder.positive(&[rank])? };
    Ok(())
}

fn mamba2_hybrid(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.mamba_n_heads = decoder.required(&["mamba_n_heads"])?;
    shape.mamba_d_state = decoder.positive(&["mamba_d_state"])?.unwrap_or(256);
    shape.mamba_d_conv = decoder.positive(&["mamba_d_conv"])?.unwrap_or(4);
    shape.mamba_n_groups = decoder.positive(&["mamba_n_groups"])?.unwrap_or(1);
    shape.mamba_conv_bias = decoder.flag("mamba_conv_bias")?;
    let expand = decoder.positive(&["mamba_expand"])?.unwrap_or(2);
    let inner = decoder.positive(&["mamba_d_ssm"])?.unwrap_or_else(|| shape.hidden_size.saturating_mul(expand));
    let automatic = matches!(decoder.get("mamba_d_head"), None | Some(Value::String(_)));
    let head = if automatic { None } else { decoder.positive(&["mamba_d_head"])? };
    shape.mamba_d_head = head.unwrap_or(inner / shape.mamba_n_heads.max(1));
    match shape.family() {
        "falcon_h1" => shape.mamba_rms_norm = Some(decoder.flag("mamba_rms_norm")?.unwrap_or(false)),
        "granitemoehybrid" => granite(decoder, shape)?,
        _ => {
            let attention = decoder.numbers("attn_layer_indices")?.unwrap_or_default();
            let count = shape.num_hidden_layers.min(MOST_LAYERS);
            shape.layer_pattern = Some((0..count).map(|layer| if attention.contains(&layer) { 'F' } else { 'M' }).collect());
        }
    }
    Ok(())
}

/// Granite 4: the dense block, or the shared expert, is `shared_intermediate_size` wide.
fn granite(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.no_rotary = !matches!(decoder.text("position_embedding_type")?, Some("rope"));
    let shared = decoder.positive(&["shared_intermediate_size"])?.unwrap_or(shape.intermediate_size);
    let experts = decoder.count(&["num_local_experts"])?.unwrap_or(0);
    if experts > 0 {
        shape.moe_intermediate_size = shape.intermediate_size;
        shape.shared_expert_intermediate_size = shared;
    } else {
        shape.intermediate_size = shared;
        shape.moe_layer_pattern = Some(String::new());
    }
    Ok(())
}

fn mamba_alone(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.layer_pattern = Some("M".to_owned());
    (shape.num_attention_heads, shape.num_key_value_heads, shape.head_dim) = (0, 0, 0);
    if shape.family() != "mamba2" {
        return mamba1(decoder, shape, "time_step_rank");
    }
    shape.mamba_n_heads = decoder.required(&["num_heads"])?;
    shape.mamba_d_head = decoder.required(&["head_dim"])?;
    shape.mamba_n_groups = decoder.positive(&["n_groups"])?.unwrap_or(8);
    shape.mamba_d_state = decoder.positive(&["state_size"])?.unwrap_or(128);
    shape.mamba_d_conv = decoder.positive(&["conv_kernel"])?.unwrap_or(4);
    shape.mamba_conv_bias = decoder.flag("use_conv_bias")?;
    Ok(())
}

/// LFM2 rounds the inner width of its blocks itself.
fn lfm2(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.conv_kernel = decoder.positive(&["conv_L_cache"])?.unwrap_or(3);
    let count = shape.num_hidden_layers.min(MOST_LAYERS);
    if let Some(attention) = decoder.numbers("full_attn_idxs")?.filter(|layers| !layers.is_empty()) {
        shape.layer_pattern = Some((0..count).map(|layer| if attention.contains(&layer) { 'F' } else { 'C' }).collect());
    }
    if shape.family() == "lfm2" {
        let given = decoder.positive(&["block_ff_dim"])?.unwrap_or(shape.intermediate_size);
        shape.intermediate_size = given;
        if decoder.flag("block_auto_adjust_ff_dim")?.unwrap_or(true) {
            let multiplier = decoder.number("block_ffn_dim_multiplier")?.unwrap_or(1.0).clamp(0.0, 1024.0);
            let multiple = decoder.positive(&["block_multiple_of"])?.unwrap_or(256);
            let inner = ((given.saturating_mul(2) / 3) as f64 * multiplier) as u64;
            shape.intermediate_size = inner.div_ceil(multiple).saturating_mul(multiple);
        }
    }
    Ok(())
}

fn gated_delta(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.linear_num_key_heads = decoder.required(&["linear_num_key_heads"])?;
    shape.linear_num_value_heads = decoder.required(&["linear_num_value_heads"])?;
    shape.linear_key_head_dim = decoder.required(&["linear_key_head_dim"])?;
    shape.linear_value_head_dim = decoder.required(&["linear_value_head_dim"])?;
    shape.linear_conv_kernel_dim = decoder.positive(&["linear_conv_kernel_dim"])?.unwrap_or(4);
    let layers = decoder.get("layer_types").or(decoder.get("full_attention_interval"));
    if layers.is_none() {
        shape.layer_pattern = Some("LLLF".to_owned());
    }
    if shape.partial_rotary_factor.is_none() {
        shape.partial_rotary_factor = Some(0.25);
    }
    Ok(())
}

/// Kimi Linear and Kimi K3 number their layers from 1.
fn kimi_linear(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let linear = decoder.object("linear_attn_config")?.ok_or_else(|| decoder.absent("linear_attn_config", "an object"))?;
    shape.linear_num_heads = linear.required(&["num_heads"])?;
    shape.linear_head_dim = linear.required(&["head_dim"])?;
    shape.linear_conv_kernel_dim = linear.positive(&["short_conv_kernel_size"])?.unwrap_or(4);
    let full = linear.numbers("full_attn_layers")?.ok_or_else(|| linear.absent("full_attn_layers", "a list of layers"))?;
    let count = shape.num_hidden_layers.min(MOST_LAYERS);
    shape.layer_pattern = Some((1..=count).map(|layer| if full.contains(&layer) { 'F' } else { 'L' }).collect());
    shape.no_rotary = decoder.flag("mla_use_nope")?.unwrap_or(true);
    if linear.flag("use_full_rank_gate")? == Some(true) {
        shape.count_as = Some("kimi_k3".to_owned());
        shape.moe_latent_size = decoder.positive(&["routed_expert_hidden_size"])?;
    }
    Ok(())
}

/// MiniMax Text 01 and M1: `attn_type_list` has 1 for full and 0 for lightning attention.
fn lightning(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    if let Some(kinds) = decoder.numbers("attn_type_list")?.filter(|kinds| !kinds.is_empty()) {
        shape.layer_pattern = Some(kinds.iter().map(|full| if *full == 1 { 'F' } else { 'L' }).collect());
    }
    shape.shared_expert_intermediate_size = decoder.count(&["shared_intermediate_size"])?.unwrap_or(0);
    Ok(())
}
