//! Families with names of their own for what Llama's config.json has, and with other positions.

use serde_json::Value;

use crate::model::config::error::ConfigError;
use crate::model::config::fields::Fields;
use crate::model::shape::Shape;

/// Reads the families that came before Llama's names were common.
pub(super) fn read(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    match shape.family() {
        "chatglm" => chatglm(decoder, shape)?,
        "falcon" | "RefinedWeb" | "RefinedWebModel" => falcon(decoder, shape)?,
        "gpt2" | "gpt_bigcode" | "gptj" | "gpt_neox" | "bloom" => gpt(decoder, shape)?,
        "opt" => opt(decoder, shape)?,
        "mpt" => mpt(decoder, shape)?,
        "dbrx" => dbrx(decoder, shape)?,
        "phi3small" => phi3small(decoder, shape)?,
        // The 13B, the only one with 40 heads, is biased by distance.
        "baichuan" => shape.alibi = shape.hidden_size != 4096,
        _ => {}
    }
    Ok(())
}

fn chatglm(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.attention_bias = decoder.flag("add_qkv_bias")?.unwrap_or(false) || decoder.flag("add_bias_linear")?.unwrap_or(false);
    shape.attention_out_bias = decoder.flag("add_bias_linear")?.unwrap_or(false);
    shape.mlp_bias = shape.attention_out_bias;
    if decoder.flag("multi_query_attention")? == Some(false) {
        shape.num_key_value_heads = shape.num_attention_heads;
    }
    shape.vocab_size = decoder.positive(&["padded_vocab_size", "vocab_size"])?.unwrap_or(shape.vocab_size);
    // The second half of a head is not rotated.
    shape.rotary_dim = Some(shape.head_dim / 2);
    if decoder.flag("post_layer_norm")? == Some(false) {
        shape.no_final_norm = true;
    }
    if decoder.flag("rmsnorm")? == Some(false) {
        shape.norm_type = Some("layernorm".to_owned());
    }
    Ok(())
}

fn falcon(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let flag = |name: &str, default: bool| decoder.flag(name).map(|flag| flag.unwrap_or(default));
    shape.count_as = Some("falcon".to_owned());
    let new = flag("new_decoder_architecture", false)?;
    if !new && flag("multi_query", true)? {
        shape.num_key_value_heads = 1;
    }
    let beside = flag("parallel_attn", true)?;
    shape.norms_per_layer = match (new, decoder.count(&["num_ln_in_parallel_attn"])?) {
        (true, Some(norms)) => Some(norms.clamp(1, 2)),
        (true, None) => Some(2),
        (false, _) => Some(if beside { 1 } else { 2 }),
    };
    shape.alibi = flag("alibi", false)?;
    let bias = flag("bias", false)?;
    (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (bias, bias, bias);
    default_inner(shape);
    Ok(())
}

/// GPT-2 and its kin, and BLOOM.
fn gpt(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    default_inner(shape);
    match shape.family() {
        "gpt2" | "gpt_bigcode" => {
            shape.learned_position_embeddings = shape.max_position_embeddings;
            if shape.family() == "gpt_bigcode" && decoder.flag("multi_query")?.unwrap_or(true) {
                shape.num_key_value_heads = 1;
            }
        }
        "gptj" => shape.mlp_bias = true,
        "gpt_neox" => {
            let bias = decoder.flag("attention_bias")?.unwrap_or(true);
            (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (bias, bias, true);
        }
        _ => {
            (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (true, true, true);
            (shape.alibi, shape.embedding_norm) = (true, true);
        }
    }
    Ok(())
}

fn opt(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let bias = decoder.flag("enable_bias")?.unwrap_or(true);
    (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (bias, bias, bias);
    // Positions start at 2.
    shape.learned_position_embeddings = shape.max_position_embeddings.saturating_add(2);
    // OPT-350M normalises after each block instead.
    shape.no_final_norm = decoder.flag("do_layer_norm_before")? == Some(false) || decoder.flag("_remove_final_layer_norm")? == Some(true);
    Ok(())
}

fn mpt(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let bias = !decoder.flag("no_bias")?.unwrap_or(true);
    (shape.attention_bias, shape.attention_out_bias, shape.mlp_bias) = (bias, bias, bias);
    shape.norm_type = Some(if bias { "layernorm" } else { "layernorm_nobias" }.to_owned());
    let ratio = decoder.positive(&["expansion_ratio"])?.unwrap_or(4);
    shape.intermediate_size = shape.hidden_size.saturating_mul(ratio);
    let Some(Value::Object(_)) = decoder.get("attn_config") else { return Ok(()) };
    let Some(attention) = decoder.object("attn_config")? else { return Ok(()) };
    shape.alibi = attention.flag("alibi")?.unwrap_or(true);
    shape.num_key_value_heads = attention.positive(&["kv_n_heads"])?.unwrap_or(shape.num_key_value_heads);
    if attention.text("attn_type")? == Some("multiquery_attention") {
        shape.num_key_value_heads = 1;
    }
    if !shape.alibi && decoder.flag("learned_pos_emb")?.unwrap_or(true) {
        shape.learned_position_embeddings = shape.max_position_embeddings;
    }
    Ok(())
}

fn dbrx(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let attention = decoder.object("attn_config")?.ok_or_else(|| decoder.absent("attn_config", "an object"))?;
    let experts = decoder.object("ffn_config")?.ok_or_else(|| decoder.absent("ffn_config", "an object"))?;
    shape.num_key_value_heads = attention.positive(&["kv_n_heads"])?.unwrap_or(shape.num_attention_heads);
    shape.num_experts = experts.required(&["moe_num_experts"])?;
    shape.num_experts_per_tok = experts.required(&["moe_top_k"])?;
    shape.moe_intermediate_size = experts.required(&["ffn_hidden_size"])?;
    shape.intermediate_size = shape.moe_intermediate_size;
    Ok(())
}

fn phi3small(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.intermediate_size = decoder.positive(&["ff_intermediate_size", "intermediate_size"])?.unwrap_or(shape.intermediate_size);
    Ok(())
}

/// Four times the width, where no inner width is given.
const fn default_inner(shape: &mut Shape) {
    if shape.intermediate_size == 0 {
        shape.intermediate_size = shape.hidden_size.saturating_mul(4);
    }
}
