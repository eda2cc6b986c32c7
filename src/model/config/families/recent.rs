//! Recent families whose layers differ from each other, or that give a common name another meaning.

use serde_json::Value;

use crate::model::check::MOST_LAYERS;
use crate::model::config::error::ConfigError;
use crate::model::config::fields::Fields;
use crate::model::shape::Shape;

/// Reads the fields that only one family has.
pub(super) fn read(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    match shape.family() {
        "llama4" => llama4(decoder, shape),
        "mllama" => mllama(decoder, shape),
        "gemma3n" | "gemma4" | "gemma4_unified" => gemma(decoder, shape),
        "deepseek_v4" | "deepseek_ref" => deepseek_v4(decoder, shape),
        "minimax_m3" | "minimax_m3_vl" => minimax_m3(decoder, shape),
        "mimo_v2_flash" => mimo_v2(decoder, shape),
        "step3" | "step3_vl" | "step3_text" => step3(decoder, shape),
        "step3p5" | "step3p7" => step3p5(decoder, shape),
        "nemotron-nas" => nemotron_nas(decoder, shape),
        "arctic" => arctic(decoder, shape),
        "hunyuan_v1_moe" => hunyuan(decoder, shape),
        "bailing_moe" | "bailing_moe_v2" => {
            shape.count_as = Some("bailing_moe".to_owned());
            Ok(())
        }
        "kimi_k2" | "deepseek_v2" | "deepseek_v3" | "deepseek_v32" | "glm4_moe" | "glm_moe_dsa" | "dots1" | "exaone_moe"
        | "ernie4_5_moe" => {
            shape.num_nextn_predict_layers = decoder.count(&["num_nextn_predict_layers"])?.unwrap_or(0);
            Ok(())
        }
        "glm4" | "glm" => {
            shape.partial_rotary_factor = shape.partial_rotary_factor.or(Some(0.5));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `intermediate_size` is the experts' width, `intermediate_size_mlp` that of dense layers.
fn llama4(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.moe_intermediate_size = shape.intermediate_size;
    shape.intermediate_size = decoder.required(&["intermediate_size_mlp"])?;
    shape.n_shared_experts = 1;
    shape.sliding_window = None;
    Ok(())
}

/// Eight embedding rows are added for the image tokens, the head has none for them.
fn mllama(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.cross_attention_layers = decoder.numbers("cross_attention_layers")?.unwrap_or_default();
    shape.embedding_rows = Some(shape.vocab_size.saturating_add(8));
    Ok(())
}

fn gemma(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.num_kv_shared_layers = decoder.count(&["num_kv_shared_layers"])?.unwrap_or(0);
    shape.hidden_size_per_layer_input = decoder.count(&["hidden_size_per_layer_input"])?.unwrap_or(0);
    if shape.hidden_size_per_layer_input > 0 {
        shape.vocab_size_per_layer_input = decoder.required(&["vocab_size_per_layer_input"])?;
    }
    if shape.family() == "gemma3n" {
        shape.laurel_rank = decoder.required(&["laurel_rank"])?;
        shape.altup_num_inputs = decoder.required(&["altup_num_inputs"])?;
        if shape.layer_pattern.is_none() && decoder.get("layer_types").is_none() {
            shape.layer_pattern = Some("SSSSF".to_owned());
        }
        return Ok(());
    }
    shape.count_as = Some("gemma4".to_owned());
    shape.global_head_dim = decoder.required(&["global_head_dim"])?;
    shape.num_global_key_value_heads = decoder.positive(&["num_global_key_value_heads"])?;
    shape.attention_k_eq_v = decoder.flag("attention_k_eq_v")?.unwrap_or(false);
    shape.use_double_wide_mlp = decoder.flag("use_double_wide_mlp")?.unwrap_or(false);
    if decoder.flag("enable_moe_block")? == Some(false) {
        shape.moe_layer_pattern = Some(String::new());
    }
    // The factor belongs to the full-attention layers, whose table is as wide as their head.
    shape.partial_rotary_factor = None;
    Ok(())
}

fn deepseek_v4(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.count_as = Some("deepseek_v4".to_owned());
    shape.o_groups = decoder.required(&["o_groups"])?;
    shape.o_lora_rank = decoder.required(&["o_lora_rank"])?;
    shape.hc_mult = decoder.required(&["hc_mult"])?;
    shape.num_hash_layers = decoder.count(&["num_hash_layers"])?.unwrap_or(0);
    shape.num_nextn_predict_layers = decoder.count(&["num_nextn_predict_layers"])?.unwrap_or(0);
    let ratios = decoder.numbers("compress_ratios")?.ok_or_else(|| decoder.absent("compress_ratios", "a ratio for each layer"))?;
    let letters: Option<String> = ratios
        .iter()
        .take(usize::try_from(shape.num_hidden_layers).unwrap_or(usize::MAX))
        .map(|ratio| match ratio {
            0 | 1 => Some('0'),
            4 => Some('4'),
            128 => Some('C'),
            _ => None,
        })
        .collect();
    shape.layer_pattern = Some(letters.ok_or_else(|| decoder.invalid("compress_ratios", "the ratios 0, 4 and 128"))?);
    Ok(())
}

/// `intermediate_size` is the experts' width, `dense_intermediate_size` that of dense layers.
fn minimax_m3(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.moe_intermediate_size = shape.intermediate_size;
    shape.intermediate_size = decoder.positive(&["dense_intermediate_size"])?.unwrap_or(shape.intermediate_size);
    if let Some(sparse) = decoder.object("sparse_attention_config")? {
        shape.sparse_index_heads = sparse.count(&["sparse_num_index_heads"])?.unwrap_or(0);
        shape.sparse_index_dim = sparse.count(&["sparse_index_dim"])?.unwrap_or(0);
    }
    Ok(())
}

/// `hybrid_layer_pattern` has 1 for sliding layers; `attention_chunk_size` is there but not used.
fn mimo_v2(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.attention_chunk_size = None;
    shape.swa_num_attention_heads = decoder.positive(&["swa_num_attention_heads"])?;
    shape.swa_num_key_value_heads = decoder.positive(&["swa_num_key_value_heads"])?;
    shape.swa_head_dim = decoder.positive(&["swa_head_dim"])?;
    shape.swa_v_head_dim = decoder.positive(&["swa_v_head_dim"])?;
    shape.swa_attention_sinks = decoder.flag("add_swa_attention_sink_bias")?.unwrap_or(false);
    shape.attention_sinks = decoder.flag("add_full_attention_sink_bias")?.unwrap_or(false);
    if let Some(kinds) = decoder.numbers("hybrid_layer_pattern")?.filter(|kinds| !kinds.is_empty()) {
        shape.layer_pattern = Some(kinds.iter().map(|sliding| if *sliding == 1 { 'S' } else { 'F' }).collect());
    }
    Ok(())
}

fn step3(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.count_as = Some("step3".to_owned());
    shape.share_q_dim = decoder.required(&["share_q_dim"])?;
    shape.num_key_value_heads = decoder.positive(&["num_attention_groups"])?.unwrap_or(1);
    Ok(())
}

fn step3p5(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    if let Some(other) = decoder.object("attention_other_setting")? {
        shape.swa_num_attention_heads = other.positive(&["num_attention_heads"])?;
        shape.swa_num_key_value_heads = other.positive(&["num_attention_groups"])?;
    }
    shape.num_key_value_heads = decoder.positive(&["num_attention_groups"])?.unwrap_or(shape.num_key_value_heads);
    Ok(())
}

/// The blocks that the search left in each layer. The inner width is a multiple of the residual stream's,
/// times two thirds, rounded up to 256.
fn nemotron_nas(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let blocks = match decoder.get("block_configs") {
        Some(Value::Array(blocks)) if !blocks.is_empty() => blocks,
        _ => return Err(decoder.absent("block_configs", "a list with an object for each layer")),
    };
    for (index, block) in blocks.iter().take(usize::try_from(MOST_LAYERS).unwrap_or(0)).enumerate() {
        let block = decoder.element("block_configs", index, block)?;
        let attention = block.object("attention")?;
        let group = match &attention {
            Some(attention) if attention.flag("no_op")? != Some(true) => attention.count(&["n_heads_in_group"])?.unwrap_or(0),
            _ => 0,
        };
        shape.block_attention.push(group);
        let inner = match block.object("ffn")? {
            Some(ffn) if ffn.flag("no_op")? != Some(true) => match ffn.number("ffn_mult")? {
                Some(factor) => rounded_inner(shape.hidden_size, factor),
                None => ffn.count(&["intermediate_size"])?.unwrap_or(0),
            },
            _ => 0,
        };
        shape.block_ffn.push(inner);
    }
    let group = shape.block_attention.iter().copied().find(|group| *group > 0).unwrap_or(1);
    shape.num_key_value_heads = shape.num_attention_heads / group.max(1);
    Ok(())
}

fn rounded_inner(hidden: u64, factor: f64) -> u64 {
    let inner = (2.0 * factor.clamp(0.0, 1024.0) * hidden as f64 / 3.0) as u64;
    inner.div_ceil(256).saturating_mul(256)
}

/// Every second layer has experts, beside a dense block as wide as the residual stream.
fn arctic(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.moe_intermediate_size = shape.intermediate_size;
    shape.num_experts_per_tok = decoder.positive(&["num_experts_per_tok"])?.unwrap_or(2);
    if decoder.flag("parallel_attn_mlp_res")?.unwrap_or(true) {
        shape.dense_residual_intermediate_size = shape.hidden_size;
    }
    shape.decoder_sparse_step = decoder.positive(&["moe_layer_frequency"])?.unwrap_or(1);
    Ok(())
}

fn hunyuan(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let mixed = decoder.flag("use_mixed_mlp_moe")?.unwrap_or(true);
    let shared = decoder.count(&["num_shared_expert"])?.unwrap_or(1);
    let inner = decoder.count(&["moe_intermediate_size"])?.unwrap_or(shape.intermediate_size);
    shape.moe_intermediate_size = inner;
    if mixed {
        shape.shared_expert_intermediate_size = shape.intermediate_size.saturating_mul(shared);
    }
    Ok(())
}
