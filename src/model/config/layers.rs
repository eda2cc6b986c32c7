//! The kind of each layer: full attention, sliding window, linear attention, Mamba, short convolution.

use super::error::ConfigError;
use super::fields::Fields;
use crate::model::check::MOST_LAYERS;
use crate::model::shape::Shape;

/// Fills in `layer_pattern`, unless the family has done so.
pub(super) fn read(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let count = shape.num_hidden_layers.min(MOST_LAYERS);
    if shape.layer_pattern.is_none() {
        let pattern = match by_type(decoder)? {
            Some(pattern) => Some(pattern),
            None => by_period(decoder, shape, count)?,
        };
        shape.layer_pattern = pattern;
    }
    if shape.layer_pattern.as_deref().is_some_and(|pattern| pattern.chars().all(|kind| kind == 'F')) {
        shape.layer_pattern = None;
        shape.sliding_window = None;
    }
    Ok(())
}

/// `layer_types`, a name for each layer.
fn by_type(decoder: &Fields<'_>) -> Result<Option<String>, ConfigError> {
    for name in ["layer_types", "layers_block_type"] {
        let kinds = decoder.texts(name)?;
        if kinds.is_empty() {
            continue;
        }
        let letters: Option<String> = kinds.iter().map(|kind| letter(kind)).collect();
        return letters.map(Some).ok_or_else(|| decoder.invalid(name, "the kinds of layers that vLLM knows"));
    }
    Ok(None)
}

fn letter(kind: &str) -> Option<char> {
    match kind {
        "full_attention" | "attention" | "global_attention" | "moe" | "deepseek_sparse_attention" | "sparse_attention" => Some('F'),
        "sliding_attention" | "chunked_attention" | "local_attention" => Some('S'),
        "linear_attention" | "kda" | "lightning_attention" => Some('L'),
        "mamba" | "mamba2" => Some('M'),
        "conv" => Some('C'),
        _ => None,
    }
}

/// Patterns that are given by a period or by a number of layers.
fn by_period(decoder: &Fields<'_>, shape: &Shape, count: u64) -> Result<Option<String>, ConfigError> {
    let cycle = |period: u64, kind: char| (0..count).map(|layer| if (layer + 1) % period == 0 { 'F' } else { kind }).collect::<String>();
    if let Some(period) = decoder.positive(&["full_attention_interval"])? {
        return Ok(Some(cycle(period, 'L')));
    }
    let windowed = shape.sliding_window.is_some() || shape.attention_chunk_size.is_some();
    let lettered = matches!(decoder.get("sliding_window_pattern"), Some(serde_json::Value::String(_)));
    let names = ["sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers"];
    if windowed
        && !lettered
        && let Some(period) = decoder.positive(&names)?
    {
        return Ok(Some(cycle(period, 'S')));
    }
    // EXAONE 4 writes letters: `LLLG`.
    if let Some(pattern) = decoder.get("sliding_window_pattern").and_then(|value| value.as_str()).filter(|_| windowed) {
        return Ok(Some(pattern.chars().map(|letter| if letter == 'L' { 'S' } else { 'F' }).collect()));
    }
    if let Some(layers) = decoder.numbers("no_rope_layers")?.filter(|layers| !layers.is_empty() && shape.attention_chunk_size.is_some()) {
        return Ok(Some(layers.iter().map(|rotated| if *rotated == 0 { 'F' } else { 'S' }).collect()));
    }
    // Qwen 2 and 3: with a window, the layers from `max_window_layers` on have it.
    if let Some(first) = decoder.count(&["max_window_layers"])?.filter(|_| shape.sliding_window.is_some()) {
        return Ok(Some((0..count).map(|layer| if layer < first { 'F' } else { 'S' }).collect()));
    }
    let period = match shape.model_type.as_str() {
        "gemma2" | "gpt_oss" => Some(2),
        "gemma3" | "gemma3_text" => Some(6),
        "llama4" | "cohere2" | "olmo3" => Some(4),
        _ => None,
    };
    Ok(period.filter(|_| windowed).map(|period| cycle(period, 'S')))
}
