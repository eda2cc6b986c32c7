//! A config.json from GGUF metadata, so that the model is read as any other.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::architecture::hf_architecture;
use super::types::ggml_type_named;
use super::{GgufError, Metadata, Value};
use crate::model::headers::TensorHeader;
use crate::units::Bytes;

/// The config.json that a Hugging Face checkpoint of this model would have, as far as the metadata tells.
///
/// An architecture that the engine has no class for keeps its GGUF name.
pub fn gguf_config(metadata: &Metadata, tensors: &[TensorHeader]) -> Result<Json, GgufError> {
    let missing = |key: &str, expected| GgufError::MissingKey { key: key.to_owned(), expected };
    let architecture = metadata.text("general.architecture").ok_or_else(|| missing("general.architecture", "a string"))?;
    let mut model = Model { metadata, architecture, tensors, fields: Map::new() };
    for key in ["block_count", "embedding_length", "context_length"] {
        if model.unsigned(key).is_none() {
            return Err(missing(&format!("{architecture}.{key}"), "a whole number"));
        }
    }
    model.identity();
    model.dimensions();
    model.attention();
    model.experts();
    model.latent_attention();
    model.rotary();
    model.recurrence();
    model.quantization();
    Ok(Json::Object(model.fields))
}

struct Model<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
    tensors: &'a [TensorHeader],
    fields: Map<String, Json>,
}

impl Model<'_> {
    fn value(&self, key: &str) -> Option<&Value> {
        self.metadata.get(&format!("{}.{key}", self.architecture))
    }

    fn unsigned(&self, key: &str) -> Option<u64> {
        self.value(key).and_then(Value::unsigned)
    }

    fn tensor(&self, name: &str) -> Option<&TensorHeader> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// A number that a layer may have of its own: the array's common value where they all agree.
    fn largest(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Array { elements, .. } => elements.iter().filter_map(Value::unsigned).max(),
            value => value.unsigned(),
        }
    }

    fn set(&mut self, field: &str, value: impl Into<Json>) {
        self.fields.insert(field.to_owned(), value.into());
    }

    /// Copies a value as it is, where there is one. An array whose elements agree becomes one value.
    fn copy(&mut self, key: &str, field: &str) {
        if let Some(value) = self.value(key).and_then(plain) {
            self.set(field, value);
        }
    }

    fn identity(&mut self) {
        let (class, model_type) = match (self.architecture, self.unsigned("expert_count")) {
            ("llama" | "mistral", Some(1..)) => ("MixtralForCausalLM", "mixtral"),
            ("deepseek2", _) if self.unsigned("expert_gating_func") == Some(2) => ("DeepseekV3ForCausalLM", "deepseek_v3"),
            (name, _) => hf_architecture(name).unwrap_or((name, name)),
        };
        let (class, model_type) = (class.to_owned(), model_type.to_owned());
        self.set("architectures", json!([class]));
        self.set("model_type", model_type);
        self.set("torch_dtype", "float16");
    }

    fn dimensions(&mut self) {
        self.copy("embedding_length", "hidden_size");
        self.copy("feed_forward_length", "intermediate_size");
        self.copy("context_length", "max_position_embeddings");
        let prediction_layers = self.unsigned("nextn_predict_layers").unwrap_or(0);
        if let Some(blocks) = self.unsigned("block_count") {
            self.set("num_hidden_layers", blocks.saturating_sub(prediction_layers));
        }
        if prediction_layers > 0 {
            self.set("num_nextn_predict_layers", prediction_layers);
        }
        let embedding_rows = self.tensor("token_embd.weight").and_then(|tensor| tensor.shape.first().copied());
        let tokens = self.metadata.array_length("tokenizer.ggml.tokens");
        if let Some(rows) = embedding_rows.or_else(|| self.unsigned("vocab_size")).or(tokens) {
            self.set("vocab_size", rows);
        }
        self.set("tie_word_embeddings", self.tensor("output.weight").is_none());
        self.copy("attention.layer_norm_rms_epsilon", "rms_norm_eps");
        self.copy("attention.layer_norm_epsilon", "layer_norm_eps");
    }

    fn attention(&mut self) {
        self.copy("attention.head_count", "num_attention_heads");
        let heads = self.largest("attention.head_count");
        if self.value("attention.head_count_kv").is_some() {
            self.copy("attention.head_count_kv", "num_key_value_heads");
        } else if let Some(heads) = heads {
            self.set("num_key_value_heads", heads);
        }
        let width = self.unsigned("embedding_length").zip(heads).and_then(|(width, heads)| width.checked_div(heads));
        if let Some(head_dim) = self.unsigned("attention.key_length").or(width) {
            self.set("head_dim", head_dim);
        }
        self.copy("attention.sliding_window", "sliding_window");
        match self.value("attention.sliding_window_pattern") {
            Some(Value::Array { elements, .. }) => {
                let kind = |element: &Value| if element.is_set() { "sliding_attention" } else { "full_attention" };
                let kinds: Vec<&str> = elements.iter().map(kind).collect();
                self.set("layer_types", kinds);
            }
            Some(_) => self.copy("attention.sliding_window_pattern", "sliding_window_pattern"),
            None if self.architecture == "gemma3" => self.set("sliding_window_pattern", 6),
            None if self.architecture == "cohere2" => self.set("sliding_window_pattern", 4),
            None => {}
        }
        let has_bias = |name: &str| self.tensor(&format!("blk.0.{name}.bias")).is_some();
        self.set("attention_bias", has_bias("attn_q") || has_bias("attn_qkv"));
    }

    fn experts(&mut self) {
        if self.unsigned("expert_count").unwrap_or(0) == 0 {
            return;
        }
        let count_field = match self.architecture {
            "llama" | "mistral" | "mixtral" | "llama4" | "gpt-oss" | "grok" | "phimoe" | "granitemoe" | "granitehybrid" | "minimax-m2" => {
                "num_local_experts"
            }
            "deepseek" | "deepseek2" | "glm4moe" | "glm-dsa" | "dots1" | "nemotron_h_moe" => "n_routed_experts",
            "ernie4_5-moe" => "moe_num_experts",
            _ => "num_experts",
        };
        self.copy("expert_count", count_field);
        self.copy("expert_used_count", "num_experts_per_tok");
        self.copy("expert_feed_forward_length", "moe_intermediate_size");
        if self.value("expert_feed_forward_length").is_none() {
            self.copy("feed_forward_length", "moe_intermediate_size");
        }
        if self.architecture == "llama4" {
            self.copy("feed_forward_length", "intermediate_size_mlp");
            self.copy("expert_feed_forward_length", "intermediate_size");
        }
        self.copy("expert_shared_feed_forward_length", "shared_expert_intermediate_size");
        self.copy("expert_shared_count", "n_shared_experts");
        self.copy("leading_dense_block_count", "first_k_dense_replace");
        self.copy("interleave_moe_layer_step", "interleave_moe_layer_step");
        self.copy("expert_group_count", "n_group");
        self.copy("expert_group_used_count", "topk_group");
    }

    fn latent_attention(&mut self) {
        let Some(rank) = self.unsigned("attention.kv_lora_rank").filter(|&rank| rank > 0) else { return };
        self.set("kv_lora_rank", rank);
        self.copy("attention.q_lora_rank", "q_lora_rank");
        let rope = self.unsigned("rope.dimension_count").unwrap_or(0);
        let key = self.unsigned("attention.key_length_mla").or_else(|| self.unsigned("attention.key_length"));
        let value = self.unsigned("attention.value_length_mla").or_else(|| self.unsigned("attention.value_length"));
        self.set("qk_rope_head_dim", rope);
        if let Some((key, value)) = key.zip(value) {
            self.set("qk_nope_head_dim", key.saturating_sub(rope));
            self.set("v_head_dim", value);
        }
        self.fields.remove("head_dim");
        if let Some(heads) = self.largest("attention.head_count") {
            self.set("num_key_value_heads", heads);
        }
        self.copy("attention.indexer.head_count", "index_n_heads");
        self.copy("attention.indexer.key_length", "index_head_dim");
        self.copy("attention.indexer.top_k", "index_topk");
    }

    fn rotary(&mut self) {
        self.copy("rope.freq_base", "rope_theta");
        let head_dim = self.fields.get("head_dim").and_then(Json::as_u64);
        if let Some((rotated, head_dim)) = self.unsigned("rope.dimension_count").zip(head_dim).filter(|(rotated, all)| rotated < all) {
            self.set("partial_rotary_factor", rotated as f64 / head_dim as f64);
        }
        let kind = match self.metadata.text(&format!("{}.rope.scaling.type", self.architecture)) {
            Some(kind) if kind != "none" => kind.to_owned(),
            _ if self.tensor("rope_factors_long.weight").is_some() => "longrope".to_owned(),
            _ => return,
        };
        let mut scaling = json!({ "rope_type": kind });
        let parts = [("rope.scaling.factor", "factor"), ("rope.scaling.original_context_length", "original_max_position_embeddings")];
        for (key, field) in parts {
            if let Some(value) = self.value(key).and_then(plain) {
                scaling[field] = value;
            }
        }
        self.set("rope_scaling", scaling);
    }

    fn recurrence(&mut self) {
        self.copy("shortconv.l_cache", "conv_L_cache");
        self.copy("ssm.state_size", "state_size");
        self.copy("ssm.conv_kernel", "conv_kernel");
        self.copy("ssm.group_count", "n_groups");
        self.copy("full_attention_interval", "full_attention_interval");
        if !matches!(self.architecture, "lfm2" | "lfm2moe") {
            return;
        }
        if let Some(Value::Array { elements, .. }) = self.value("attention.head_count_kv") {
            let kind = |element: &Value| if element.is_set() { "full_attention" } else { "conv" };
            let kinds: Vec<&str> = elements.iter().map(kind).collect();
            self.set("layer_types", kinds);
            if let Some(heads) = self.largest("attention.head_count_kv") {
                self.set("num_key_value_heads", heads);
            }
        }
    }

    /// The engine loads every GGUF file by its GGUF method; the type that holds most bytes speaks for the file.
    fn quantization(&mut self) {
        let mut bytes: BTreeMap<&str, Bytes> = BTreeMap::new();
        for tensor in self.tensors {
            *bytes.entry(&tensor.dtype).or_default() += tensor.bytes;
        }
        let main = bytes.into_iter().max_by_key(|(_, bytes)| *bytes);
        let Some(dtype) = main.and_then(|(name, _)| ggml_type_named(name)) else { return };
        self.set("quantization_config", json!({ "quant_method": "gguf", "bits": dtype.bits(), "format": dtype.name }));
    }
}

impl Value {
    fn is_set(&self) -> bool {
        matches!(self, Self::Bool(true)) || self.unsigned().is_some_and(|number| number > 0)
    }
}

fn plain(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Unsigned(number) => Json::from(*number),
        Value::Signed(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Bool(flag) => Json::from(*flag),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Array { elements, .. } => {
            let first = elements.first()?;
            match elements.iter().all(|element| element == first) {
                true => plain(first)?,
                false => Json::Array(elements.iter().filter_map(plain).collect()),
            }
        }
    })
}
