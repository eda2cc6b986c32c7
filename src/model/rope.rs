//! Rotary embeddings: the context they reach and the table that the engine keeps.
//!
//! The rules are vLLM's: `_get_and_verify_max_len` in `vllm/config/model.py` (`vllm/config.py` before 0.10)
//! and the classes of `vllm/model_executor/layers/rotary_embedding/`.

use super::shape::Shape;
use super::spec::Rotary;

/// Scalings whose factor is already in `max_position_embeddings`.
const FACTOR_APPLIED: [&str; 5] = ["su", "longrope", "llama3", "default", "mrope"];

/// The longest context that the engine accepts, in tokens. The factor of YaRN stretches the original
/// positions, other factors stretch `max_position_embeddings`; Gemma 3's is applied already.
pub fn context_length(shape: &Shape) -> u64 {
    let stated = shape.model_max_length.filter(|tokens| *tokens > 0).unwrap_or(shape.max_position_embeddings);
    let Some(scaling) = &shape.rope_scaling else {
        return stated;
    };
    if FACTOR_APPLIED.contains(&scaling.kind.as_str()) || shape.model_type.contains("gemma3") {
        return stated;
    }
    let base = match scaling.original_max_position_embeddings {
        Some(original) if is_yarn(&scaling.kind) => original,
        _ => stated,
    };
    stretch(base, scaling.factor)
}

/// The context that the engine takes when none is asked for. From 0.11 on it is the original one for
/// LongRoPE, since longer ones cost quality; else the longest.
pub fn default_context_length(shape: &Shape) -> u64 {
    match &shape.rope_scaling {
        Some(scaling) if scaling.kind == "longrope" => scaling.original_max_position_embeddings.unwrap_or_else(|| context_length(shape)),
        _ => context_length(shape),
    }
}

/// The cos/sin tables. Where layers have tables of several sizes, the rows are those of one table of the
/// head's width with as many elements.
pub fn rotary(shape: &Shape) -> Option<Rotary> {
    if shape.alibi || shape.no_rotary || shape.learned_position_embeddings > 0 || shape.num_attention_heads == 0 {
        return None;
    }
    let head = if shape.qk_rope_head_dim > 0 { shape.qk_rope_head_dim } else { shape.head_dim };
    let dim = rotated(shape, head);
    let rows = rows(shape).saturating_add(local_rows(shape, dim));
    let yarn = shape.rope_scaling.as_ref().is_some_and(|scaling| is_yarn(&scaling.kind));
    (dim > 0 && rows > 0).then_some(Rotary { positions: rows, dim, single_precision: yarn && shape.qk_rope_head_dim > 0 })
}

/// Elements of a head that are rotated.
fn rotated(shape: &Shape, head: u64) -> u64 {
    match (shape.rotary_dim, shape.partial_rotary_factor) {
        (Some(dim), _) => dim.min(head),
        (None, Some(share)) if share > 0.0 && share <= 1.0 && shape.qk_rope_head_dim == 0 => (head as f64 * share) as u64,
        _ => head,
    }
}

/// Rows of the main table.
fn rows(shape: &Shape) -> u64 {
    let stated = shape.max_position_embeddings;
    let rows = match &shape.rope_scaling {
        Some(scaling) => match (scaling.kind.as_str(), scaling.original_max_position_embeddings) {
            (kind, Some(original)) if is_yarn(kind) => stretch(original, scaling.factor),
            ("longrope" | "su", Some(original)) => stated.saturating_add(original),
            ("linear" | "dynamic", _) => stretch(stated, scaling.factor),
            _ => stated,
        },
        None => stated,
    };
    if shape.mrope { rows.saturating_mul(4) } else { rows }
}

/// Rows of the table of sliding layers, in families whose sliding layers rotate by another base.
fn local_rows(shape: &Shape, dim: u64) -> u64 {
    let family = shape.family();
    if family.starts_with("gemma4") {
        let full = shape.global_head_dim.saturating_mul(shape.max_position_embeddings);
        return full.checked_div(dim).unwrap_or(0);
    }
    let local = family.starts_with("gemma3") || family.starts_with("mimo_v2") || (family == "olmo3" && shape.rope_scaling.is_some());
    if local { shape.max_position_embeddings } else { 0 }
}

fn is_yarn(kind: &str) -> bool {
    matches!(kind, "yarn" | "deepseek_yarn")
}

/// `tokens × factor`, rounded down as the engine does.
fn stretch(tokens: u64, factor: Option<f64>) -> u64 {
    match factor {
        Some(factor) if factor.is_finite() && factor > 0.0 => (tokens as f64 * factor) as u64,
        _ => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::RopeScaling;

    fn shape(model_type: &str, positions: u64, kind: &str, factor: Option<f64>, original: Option<u64>) -> Shape {
        Shape {
            model_type: model_type.to_owned(),
            max_position_embeddings: positions,
            num_attention_heads: 32,
            head_dim: 128,
            rope_scaling: Some(RopeScaling { kind: kind.to_owned(), factor, original_max_position_embeddings: original }),
            ..Shape::default()
        }
    }

    /// Llama 3.1 states the stretched length.
    #[test]
    fn llama3_scaling_changes_nothing() {
        assert_eq!(context_length(&shape("llama", 131_072, "llama3", Some(8.0), Some(8192))), 131_072);
    }

    /// DeepSeek V3: 40 × 4096, whatever `max_position_embeddings` says.
    #[test]
    fn yarn_stretches_the_original_positions() {
        let shape = shape("deepseek_v3", 163_840, "yarn", Some(40.0), Some(4096));
        assert_eq!(context_length(&shape), 163_840);
        assert_eq!(rotary(&shape), Some(Rotary { positions: 163_840, dim: 128, single_precision: false }));
    }

    /// DeepSeek Coder states 16384 and the engine multiplies it again.
    #[test]
    fn linear_scaling_multiplies_what_is_stated() {
        assert_eq!(context_length(&shape("llama", 16_384, "linear", Some(4.0), None)), 65_536);
    }

    /// Gemma 3's 131072 are the stretched positions.
    #[test]
    fn gemma3_is_not_stretched_again() {
        assert_eq!(context_length(&shape("gemma3", 131_072, "linear", Some(8.0), None)), 131_072);
    }

    /// Phi 3 keeps a table for short and one for long contexts, and defaults to short ones.
    #[test]
    fn longrope_keeps_two_tables() {
        let shape = shape("phi3", 131_072, "longrope", None, Some(4096));
        assert_eq!(context_length(&shape), 131_072);
        assert_eq!(default_context_length(&shape), 4096);
        assert_eq!(rotary(&shape), Some(Rotary { positions: 135_168, dim: 128, single_precision: false }));
    }

    /// A factor that is not a number stretches nothing.
    #[test]
    fn nonsense_factors_are_ignored() {
        assert_eq!(context_length(&shape("llama", 4096, "linear", Some(f64::NAN), None)), 4096);
    }
}
