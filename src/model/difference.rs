//! How a user's own config.json differs from the catalogue's entry of the same model.

use serde::Serialize;
use serde_json::Value;

use super::family;
use super::rope;
use super::shape::Shape;
use super::spec::ModelSpec;

/// One field that the two do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field, under the name that it has in the catalogue.
    pub field: String,
    /// The catalogue's value, as it would be written.
    pub catalogue: String,
    /// The given value.
    pub given: String,
}

/// Fields that name the model or its counting rather than shape it.
const NOT_SHAPES: [&str; 5] = ["architecture", "count_as", "vision", "native_quantization", "num_nextn_predict_layers"];

/// The fields in which the `given` shape differs from the `catalogue`'s, in the catalogue's order. What an entry
/// leaves out because its family always has it is no difference.
pub fn differences(catalogue: &Shape, given: &Shape) -> Vec<Difference> {
    let (before, after) = (comparable(catalogue), comparable(given));
    let (Value::Object(before), Value::Object(after)) = (&before, &after) else { return Vec::new() };
    let fields = before.keys().filter(|field| !NOT_SHAPES.contains(&field.as_str()));
    let mut found: Vec<Difference> = fields
        .filter_map(|field| {
            let (catalogue, given) = (before.get(field)?, after.get(field)?);
            let differs = !same(catalogue, given);
            differs.then(|| Difference { field: field.clone(), catalogue: shown(catalogue), given: shown(given) })
        })
        .collect();
    let (longest, own) = (rope::context_length(catalogue), rope::context_length(given));
    if longest != own && !found.iter().any(|difference| difference.field == "max_position_embeddings") {
        found.push(Difference { field: "context_length".to_owned(), catalogue: longest.to_string(), given: own.to_string() });
    }
    found
}

/// Whether two specs are of the same model by their shape: the class, and as many parameters.
pub fn is_same_model(catalogue: &ModelSpec, given: &ModelSpec) -> bool {
    catalogue.architecture == given.architecture && catalogue.parameters.total == given.parameters.total
}

/// The shape with everything spelt out, so that two spellings of one thing compare equal.
fn comparable(shape: &Shape) -> Value {
    let mut shape = family::completed(shape);
    let kinds: String = shape.kinds().into_iter().collect();
    let experts: String = (0..shape.kinds().len() as u64).map(|layer| if shape.has_experts(layer) { '1' } else { '0' }).collect();
    shape.layer_pattern = Some(kinds.clone());
    shape.moe_layer_pattern = (shape.num_experts > 0).then_some(experts);
    (shape.first_k_dense_replace, shape.decoder_sparse_step) = (0, 0);
    (shape.moe_layer_offset, shape.moe_layer_end_index) = (None, None);
    shape.shared_expert_intermediate_size = shape.shared_width();
    shape.n_shared_experts = 0;
    if kinds.chars().all(|kind| kind == 'F') && shape.sliding_window.is_some_and(|window| window >= shape.max_position_embeddings) {
        shape.sliding_window = None;
    }
    // Widths of blocks that no layer has, and lengths that the derived one stands for.
    if (0..shape.kinds().len() as u64).all(|layer| shape.has_experts(layer)) || kinds.chars().all(|kind| kind == 'M') {
        shape.intermediate_size = 0;
    }
    if shape.mamba_dt_rank.is_none() {
        shape.mamba_expand = 0;
    }
    shape.model_max_length = None;
    shape.mlp_gated = Some(shape.gated());
    shape.norms_per_layer = Some(shape.norms_per_layer.unwrap_or(2));
    shape.norm_type = Some(shape.norm_type.unwrap_or_else(|| "rmsnorm".to_owned()));
    // Where all heads rotate in full, it may be said or not.
    shape.rotary_dim = rope::rotary(&shape).map(|rotary| rotary.dim);
    shape.partial_rotary_factor = None;
    if let Some(scaling) = &mut shape.rope_scaling
        && matches!(scaling.kind.as_str(), "longrope" | "su")
    {
        scaling.kind = "longrope".to_owned();
        scaling.factor = None;
    }
    serde_json::to_value(&shape).unwrap_or(Value::Null)
}

/// Nothing, zero, `false` and an empty list all mean that the model has no such thing.
fn same(one: &Value, other: &Value) -> bool {
    let nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    one == other || (nothing(one) && nothing(other))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            model_type: "llama".to_owned(),
            hidden_size: 4096,
            num_hidden_layers: 2,
            num_attention_heads: 32,
            head_dim: 128,
            max_position_embeddings: 8192,
            ..Shape::default()
        }
    }

    /// A shape does not differ from itself, nor from another spelling of itself.
    #[test]
    fn spellings_are_no_differences() {
        let spelt = Shape { layer_pattern: Some("FF".to_owned()), mlp_gated: Some(true), norms_per_layer: Some(2), ..shape() };
        assert_eq!(differences(&shape(), &spelt), []);
    }

    /// A changed vocabulary and a longer context are two differences, in the catalogue's order.
    #[test]
    fn changed_fields_are_listed_with_both_values() {
        let given = Shape { vocab_size: 32_000, max_position_embeddings: 16_384, ..shape() };
        let fields: Vec<(String, String, String)> =
            differences(&shape(), &given).into_iter().map(|found| (found.field, found.catalogue, found.given)).collect();
        let expected = [("vocab_size", "0", "32000"), ("max_position_embeddings", "8192", "16384")];
        assert_eq!(fields, expected.map(|(field, before, after)| (field.to_owned(), before.to_owned(), after.to_owned())));
    }
}
