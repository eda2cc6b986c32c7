//! From a [`Shape`] to the [`ModelSpec`] that the planner works with.

use super::config::error::ConfigError;
use super::config::fields::Fields;
use super::shape::Shape;
use super::spec::{CheckpointQuantization, Dtype, ModelSpec, Origin};
use super::{check, family, inventory::Inventory, quantization, rope};

impl ModelSpec {
    /// The spec of a catalogue entry; `file` is the rule file that holds it.
    pub fn from_shape(id: &str, shape: &Shape, file: &str) -> Result<Self, ConfigError> {
        let quantization = match &shape.native_quantization {
            Some(serde_json::Value::Object(map)) => quantization::read(&Fields::root(file, map))?,
            _ => None,
        };
        let origin = Origin::Catalogue { file: file.to_owned() };
        Self::assemble(id, shape, quantization, origin, file)
    }

    /// The spec of a shape that was read at `place`.
    pub fn assemble(
        id: &str,
        shape: &Shape,
        quantization: Option<CheckpointQuantization>,
        origin: Origin,
        place: &str,
    ) -> Result<Self, ConfigError> {
        check::shape(shape, place)?;
        let shape = &family::completed(shape);
        let mut assumed = Vec::new();
        let dtype = Dtype::named(&shape.torch_dtype).unwrap_or_else(|| {
            assumed.push(format!("the checkpoint names no dtype that the engine serves (`{}`): bfloat16", shape.torch_dtype));
            Dtype::Bfloat16
        });
        let inventory = Inventory::of(shape);
        Ok(Self {
            id: id.to_owned(),
            origin,
            architecture: shape.architecture.clone(),
            model_type: shape.model_type.clone(),
            dtype,
            hidden_size: shape.hidden_size,
            vocab_size: shape.vocab_size,
            context_length: rope::context_length(shape),
            default_context_length: rope::default_context_length(shape),
            tie_word_embeddings: shape.tie_word_embeddings,
            rotary: rope::rotary(shape),
            layers: inventory.layers,
            tensors: inventory.tensors,
            parameters: inventory.parameters,
            quantization,
            without_tensors: false,
            multimodal: shape.vision.is_some(),
            needs_remote_code: false,
            recurrent_dtype: shape.mamba_ssm_dtype.as_deref().and_then(Dtype::named),
            assumed,
        })
    }
}
