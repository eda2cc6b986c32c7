//! A catalogue entry as a [`Shape`].

use serde_json::{Map, Value};

use super::config::error::ConfigError;
use super::shape::Shape;
use super::spec::ModelSpec;
use crate::catalog::Model;

impl ModelSpec {
    /// The model of a catalogue entry, under the name `id`: the entry's own, or that of a variant.
    pub fn from_catalogue(model: &Model, id: &str) -> Result<Self, ConfigError> {
        Self::from_shape(id, &shape(model)?, &model.origin.path().display().to_string())
    }
}

/// The dimensions of the entry. Its fields have the names of [`Shape`]'s, so they go over by name.
pub fn shape(model: &Model) -> Result<Shape, ConfigError> {
    let place = model.origin.to_string();
    let not_readable = |problem: serde_json::Error| ConfigError::NotJson { place: place.clone(), problem: problem.to_string() };
    let mut fields = match present(serde_json::to_value(&model.shape).map_err(not_readable)?) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    // An entry says it of Falcon-H1 alone; everywhere else the norm always has weights.
    if model.model_type != "falcon_h1" {
        fields.remove("mamba_rms_norm");
    }
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), present(value));
    add("architecture", model.architecture.clone().into());
    add("model_type", model.model_type.clone().into());
    add("torch_dtype", model.dtype.clone().into());
    if let Some(other) = &model.count_as {
        add("count_as", other.clone().into());
    }
    if let Some(scaling) = &model.rope_scaling {
        add("rope_scaling", serde_json::to_value(scaling).map_err(not_readable)?);
    }
    if let Some(vision) = &model.vision {
        add("vision", serde_json::to_value(vision).map_err(not_readable)?);
    }
    if let Some(quantization) = &model.quantization {
        add("native_quantization", serde_json::to_value(quantization).map_err(not_readable)?);
    }
    serde_json::from_value(Value::Object(fields)).map_err(not_readable)
}

/// The value without the fields that are `null`.
fn present(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}
