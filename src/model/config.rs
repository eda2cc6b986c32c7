//! Reading a config.json of any family into one [`Shape`].
//!
//! The names are those of the families' configuration classes in transformers (and, for older models, of the
//! `configuration_*.py` beside their weights); which of several counts is decided as vLLM does in
//! `transformers_utils/model_arch_config_convertor.py`.

pub mod error;
mod experts;
mod families;
pub mod fields;
mod json;
pub mod known;
mod layers;
mod text;
mod vision;

use serde_json::Value;

use super::check;
use super::quantization;
use super::shape::Shape;
use super::spec::{CheckpointQuantization, ModelSpec, Origin};
use error::ConfigError;
use fields::Fields;

/// The objects that hold the decoder's fields in a multimodal config.json.
const TEXT_CONFIGS: [&str; 5] = ["text_config", "llm_config", "language_config", "thinker_config", "text_model_config"];

/// A config.json, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// The file or address that it was read from.
    pub place: String,
    /// The model's dimensions.
    pub shape: Shape,
    /// How the checkpoint is quantised, if it is.
    pub quantization: Option<CheckpointQuantization>,
    /// Whether the checkpoint brings Python code (`auto_map`).
    pub has_custom_code: bool,
    /// What was not there and was assumed, as sentences to show.
    pub assumed: Vec<String>,
}

impl ModelConfig {
    /// Reads the text of a config.json; `place` names it in errors.
    pub fn from_json(text: &str, place: &str) -> Result<Self, ConfigError> {
        let text = json::without_python_numbers(text);
        let value: Value = serde_json::from_str(&text).map_err(|problem| not_json(place, &problem.to_string()))?;
        let Value::Object(map) = &value else {
            return Err(not_json(place, "expected a JSON object"));
        };
        let root = Fields::root(place, map);
        let decoder = decoder(&root)?;
        let mut assumed = Vec::new();
        let mut shape = text::shape(&root, &decoder, &mut assumed)?;
        families::specialise(&decoder, &mut shape)?;
        experts::read(&decoder, &mut shape)?;
        layers::read(&decoder, &mut shape)?;
        shape.vision = vision::read(&root, &shape, &mut assumed)?;
        check::shape(&shape, place)?;
        let mut quantization = match quantization_object(&root, &decoder)? {
            Some(fields) => quantization::read(&fields)?,
            None => None,
        };
        if let Some(found) = quantization.as_mut().filter(|found| found.experts.is_none()) {
            quantization::add_expert_dtype(&decoder, found)?;
        }
        let has_custom_code = root.get("auto_map").is_some();
        Ok(Self { place: place.to_owned(), shape, quantization, has_custom_code, assumed })
    }

    /// Takes the quantisation from `hf_quant_config.json`, which older ModelOpt checkpoints have beside a config.json
    /// that says nothing of it. What config.json says counts more.
    pub fn add_quantization(&mut self, text: &str, place: &str) -> Result<(), ConfigError> {
        let text = json::without_python_numbers(text);
        let value: Value = serde_json::from_str(&text).map_err(|problem| not_json(place, &problem.to_string()))?;
        let Value::Object(map) = &value else {
            return Err(not_json(place, "expected a JSON object"));
        };
        if self.quantization.is_none() {
            self.quantization = quantization::read(&Fields::root(place, map))?;
        }
        Ok(())
    }

    /// The model that the engine builds from this file, under the name `id`.
    pub fn spec(&self, id: &str) -> Result<ModelSpec, ConfigError> {
        let origin = Origin::Config { place: self.place.clone() };
        let mut spec = ModelSpec::assemble(id, &self.shape, self.quantization.clone(), origin, &self.place)?;
        spec.needs_remote_code = self.has_custom_code && !known::is_known(&self.shape.model_type);
        spec.assumed.extend(self.assumed.iter().cloned());
        Ok(spec)
    }
}

/// The object with the decoder's fields: the file itself, or a nested one. Omni models nest twice.
fn decoder<'a>(root: &Fields<'a>) -> Result<Fields<'a>, ConfigError> {
    let mut fields = root.clone();
    for _ in 0..2 {
        let mut inner = None;
        for name in TEXT_CONFIGS {
            if inner.is_none() && matches!(fields.get(name), Some(Value::Object(_))) {
                inner = fields.object(name)?;
            }
        }
        match inner {
            Some(inner) => fields = inner,
            None => break,
        }
    }
    Ok(fields)
}

/// `quantization_config`, or `compression_config` of older compressed-tensors; in the decoder's object if the
/// outer one has none.
fn quantization_object<'a>(root: &Fields<'a>, decoder: &Fields<'a>) -> Result<Option<Fields<'a>>, ConfigError> {
    for fields in [root, decoder] {
        for name in ["quantization_config", "compression_config"] {
            if let Some(found) = fields.object(name)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

fn not_json(place: &str, problem: &str) -> ConfigError {
    ConfigError::NotJson { place: place.to_owned(), problem: problem.to_owned() }
}
