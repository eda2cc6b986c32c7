//! The fields that every decoder has, under whichever name.

use super::error::ConfigError;
use super::fields::Fields;
use crate::model::shape::{RopeScaling, Shape};

/// The keys that vLLM takes a context length from; the smallest counts.
const POSITION_KEYS: [&str; 9] = [
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
];

/// What vLLM assumes where none of the keys is there, in tokens.
const DEFAULT_POSITIONS: u64 = 2048;

/// Families whose config class ties the head to the embedding unless told otherwise.
const TIED_BY_DEFAULT: [&str; 26] = [
    "bloom",
    "cohere",
    "cohere2",
    "ernie4_5",
    "ernie4_5_moe",
    "falcon",
    "falcon_mamba",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3n",
    "gemma4",
    "gemma4_unified",
    "gpt2",
    "gpt_bigcode",
    "lfm2",
    "lfm2_moe",
    "mamba",
    "minicpm",
    "minicpm3",
    "mpt",
    "opt",
    "phi3small",
    "smollm3",
    "starcoder2",
    "vaultgemma",
];

/// The decoder's common dimensions.
pub(super) fn shape(root: &Fields<'_>, decoder: &Fields<'_>, assumed: &mut Vec<String>) -> Result<Shape, ConfigError> {
    let architecture = root.texts("architectures")?.into_iter().next();
    let model_type = root.text("model_type")?.or(decoder.text("model_type")?).unwrap_or_default().to_owned();
    let architecture = architecture.ok_or_else(|| root.absent("architectures", "a list with the name of the model's class"))?;
    let hidden = decoder.required(&["hidden_size", "n_embd", "d_model", "model_dim"])?;
    let layers = layers(decoder)?;
    let heads = decoder.count(&["num_attention_heads", "n_head", "n_heads", "num_heads"])?.unwrap_or(0);
    let groups = decoder.positive(&["n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num"])?;
    let family = family(root, decoder)?.filter(|family| *family != model_type);
    let head = decoder.positive(&["head_dim", "hidden_size_per_head", "kv_channels", "attention_head_dim"])?;
    let max_position_embeddings = positions(decoder, assumed)?;
    Ok(Shape {
        torch_dtype: dtype(root, decoder, assumed)?,
        tie_word_embeddings: tied(root, decoder, family.as_deref().unwrap_or(&model_type))?,
        architecture,
        count_as: family,
        model_type,
        mrope: rope_object(decoder)?.is_some_and(|rope| rope.get("mrope_section").is_some()),
        hidden_size: hidden,
        intermediate_size: decoder.count(&["intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff"])?.unwrap_or(0),
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: groups.unwrap_or(heads),
        head_dim: head.unwrap_or_else(|| hidden.checked_div(heads).unwrap_or(0)),
        vocab_size: decoder
            .positive(&["vocab_size", "padded_vocab_size"])?
            .or(root.positive(&["vocab_size"])?)
            .ok_or_else(|| decoder.absent("vocab_size", "a positive whole number"))?,
        max_position_embeddings,
        model_max_length: decoder.positions("model_max_length")?,
        rope_scaling: rope_scaling(decoder)?,
        partial_rotary_factor: partial_rotary(decoder)?,
        rotary_dim: decoder.positive(&["rotary_dim"])?,
        sliding_window: sliding_window(decoder)?,
        attention_chunk_size: decoder.positive(&["attention_chunk_size"])?,
        attention_bias: decoder.flag("attention_bias")?.or(decoder.flag("qkv_bias")?).unwrap_or(false),
        mlp_bias: decoder.flag("mlp_bias")?.unwrap_or(false),
        ..Shape::default()
    })
}

/// The number of layers, or of the kinds that are listed layer by layer.
fn layers(decoder: &Fields<'_>) -> Result<u64, ConfigError> {
    let names = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];
    if let Some(layers) = decoder.positive(&names)? {
        return Ok(layers);
    }
    let pattern = decoder.text("hybrid_override_pattern")?.map_or(0, |pattern| pattern.chars().count());
    let listed = decoder.texts("layers_block_type")?.len().max(decoder.texts("layer_types")?.len());
    if pattern.max(listed) == 0 { decoder.required(&names) } else { Ok(pattern.max(listed) as u64) }
}

/// The type of the decoder: of a multimodal model, that of the object it is described in.
fn family(root: &Fields<'_>, decoder: &Fields<'_>) -> Result<Option<String>, ConfigError> {
    let Some(model_type) = decoder.text("model_type")?.or(root.text("model_type")?) else { return Ok(None) };
    Ok(Some(model_type.trim_end_matches("_model").trim_end_matches("_text").to_owned()))
}

/// The smallest of the context lengths, as vLLM takes it.
fn positions(decoder: &Fields<'_>, assumed: &mut Vec<String>) -> Result<u64, ConfigError> {
    let mut least = None;
    for key in POSITION_KEYS {
        if let Some(tokens) = decoder.positions(key)? {
            least = Some(least.map_or(tokens, |least: u64| least.min(tokens)));
        }
    }
    Ok(least.unwrap_or_else(|| {
        assumed.push(format!("config.json states no context length: {DEFAULT_POSITIONS} tokens, as the engine assumes"));
        DEFAULT_POSITIONS
    }))
}

fn dtype(root: &Fields<'_>, decoder: &Fields<'_>, assumed: &mut Vec<String>) -> Result<String, ConfigError> {
    for fields in [root, decoder] {
        for name in ["torch_dtype", "dtype"] {
            if let Some(dtype) = fields.text(name)? {
                return Ok(dtype.trim_start_matches("torch.").to_owned());
            }
        }
    }
    assumed.push("config.json names no dtype: bfloat16".to_owned());
    Ok("bfloat16".to_owned())
}

fn tied(root: &Fields<'_>, decoder: &Fields<'_>, family: &str) -> Result<bool, ConfigError> {
    let stated = decoder.flag("tie_word_embeddings")?.or(root.flag("tie_word_embeddings")?);
    Ok(stated.unwrap_or_else(|| TIED_BY_DEFAULT.contains(&family)))
}

/// `rope_scaling`, or `rope_parameters` as transformers 5 writes it: flat, or one object for each kind of
/// layer, of which the full-attention one counts.
fn rope_scaling(decoder: &Fields<'_>) -> Result<Option<RopeScaling>, ConfigError> {
    let Some(fields) = rope_object(decoder)? else {
        return Ok(None);
    };
    let kind = fields.text("rope_type")?.or(fields.text("type")?).unwrap_or("default");
    if matches!(kind, "default" | "mrope" | "proportional") {
        return Ok(None);
    }
    let factor = fields.number("factor")?;
    if factor.is_some_and(|factor| factor <= 0.0 || factor > 1e6) {
        return Err(fields.invalid("factor", "a positive number"));
    }
    let original = fields.positions("original_max_position_embeddings")?.or(decoder.positions("original_max_position_embeddings")?);
    if kind == "yarn" && original.is_none() {
        return Err(fields.absent("original_max_position_embeddings", "a positive whole number of tokens"));
    }
    Ok(Some(RopeScaling { kind: kind.to_owned(), factor, original_max_position_embeddings: original }))
}

/// The object that describes the rotation of full-attention layers.
fn rope_object<'a>(decoder: &Fields<'a>) -> Result<Option<Fields<'a>>, ConfigError> {
    for name in ["rope_scaling", "rope_parameters"] {
        // Older files write `"rope_scaling": false` or an empty string for none.
        let Some(serde_json::Value::Object(_)) = decoder.get(name) else {
            continue;
        };
        let Some(fields) = decoder.object(name)? else {
            continue;
        };
        let nested = match fields.get("full_attention") {
            Some(serde_json::Value::Object(_)) => fields.object("full_attention")?,
            _ => None,
        };
        return Ok(Some(nested.unwrap_or(fields)));
    }
    Ok(None)
}

fn partial_rotary(decoder: &Fields<'_>) -> Result<Option<f64>, ConfigError> {
    for name in ["partial_rotary_factor", "rotary_pct", "rope_pct", "rope_percent"] {
        if let Some(share) = decoder.number(name)? {
            return Ok(Some(share));
        }
    }
    match rope_object(decoder)? {
        Some(fields) => fields.number("partial_rotary_factor"),
        None => Ok(None),
    }
}

/// The window, unless `use_sliding_window` turns it off.
fn sliding_window(decoder: &Fields<'_>) -> Result<Option<u64>, ConfigError> {
    if decoder.flag("use_sliding_window")? == Some(false) {
        return Ok(None);
    }
    match decoder.count(&["sliding_window", "sliding_window_size"])? {
        Some(0) | None => Ok(None),
        window => Ok(window),
    }
}
