//! Refuses shapes that no engine could build, before anything is computed from them.

use super::config::error::ConfigError;
use super::shape::Shape;

/// More layers than any model has, so that a mistake cannot make the planner list forever.
pub const MOST_LAYERS: u64 = 10_000;
/// Letters of a layer pattern.
const KINDS: &str = "FSLMC*-E04";

/// Checks that a shape read at `place` can be built.
pub fn shape(shape: &Shape, place: &str) -> Result<(), ConfigError> {
    let positive = |field: &str, value: u64| range(place, field, value, 1, 1 << 24);
    positive("hidden_size", shape.hidden_size)?;
    range(place, "num_hidden_layers", shape.num_hidden_layers, 1, MOST_LAYERS)?;
    range(place, "vocab_size", shape.vocab_size, 1, 1 << 28)?;
    range(place, "max_position_embeddings", shape.max_position_embeddings, 1, 1 << 40)?;
    if let Some(pattern) = &shape.layer_pattern {
        if let Some(letter) = pattern.chars().find(|letter| !KINDS.contains(*letter)) {
            return Err(invalid(place, "layer_pattern", "the letters of layer kinds", &letter.to_string()));
        }
        if pattern.is_empty() {
            return Err(invalid(place, "layer_pattern", "a letter a layer", "nothing"));
        }
    }
    let kinds = shape.kinds();
    let attends = kinds.iter().any(|kind| matches!(kind, 'F' | 'S' | '*' | '0' | '4'));
    if attends {
        range(place, "num_attention_heads", shape.num_attention_heads, 1, 1 << 16)?;
        range(place, "head_dim", shape.head_dim, 1, 1 << 16)?;
        range(place, "num_key_value_heads", shape.num_key_value_heads, 1, shape.num_attention_heads)?;
        if !shape.num_attention_heads.is_multiple_of(shape.num_key_value_heads) {
            let expected = format!("a divisor of the {} attention heads", shape.num_attention_heads);
            return Err(invalid(place, "num_key_value_heads", &expected, &shape.num_key_value_heads.to_string()));
        }
    }
    range(place, "num_experts", shape.num_experts, 0, 1 << 16)?;
    if shape.num_experts > 0 {
        positive("moe_intermediate_size", shape.moe_intermediate_size)?;
        range(place, "num_experts_per_tok", shape.num_experts_per_tok, 1, shape.num_experts)?;
    }
    Ok(())
}

fn range(place: &str, field: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let expected = if value < least { "a positive whole number".to_owned() } else { format!("a whole number up to {most}") };
    Err(invalid(place, field, &expected, &value.to_string()))
}

fn invalid(place: &str, field: &str, expected: &str, found: &str) -> ConfigError {
    ConfigError::Invalid { place: place.to_owned(), field: field.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}
