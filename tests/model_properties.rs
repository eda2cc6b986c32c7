//! Laws of reading a model: no text makes it panic, absurd values are errors, and more layers are more parameters.

use gpudoctor::model::config::ModelConfig;
use gpudoctor::model::headers::TensorHeader;
use gpudoctor::units::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

/// config.json files of several families, as the hub has them, cut to the fields that matter.
fn configs() -> Vec<Value> {
    vec![
        json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256,
            "max_position_embeddings": 131_072, "torch_dtype": "bfloat16", "tie_word_embeddings": false,
            "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}}),
        json!({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432,
            "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 129_280, "n_routed_experts": 256,
            "num_experts_per_tok": 8, "moe_intermediate_size": 2048, "n_shared_experts": 1, "first_k_dense_replace": 3, "kv_lora_rank": 512,
            "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "max_position_embeddings": 163_840,
            "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096}, "torch_dtype": "bfloat16",
            "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}}),
        json!({"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "hidden_size": 4096, "intermediate_size": 21504,
            "num_hidden_layers": 4, "hybrid_override_pattern": "M-*-", "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "mamba_num_heads": 128, "mamba_head_dim": 64, "n_groups": 8, "ssm_state_size": 128, "vocab_size": 131_072,
            "max_position_embeddings": 8192, "torch_dtype": "bfloat16"}),
        json!({"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "text_config": {"model_type": "qwen3_vl_text",
            "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
            "head_dim": 128, "vocab_size": 151_936, "max_position_embeddings": 262_144, "dtype": "bfloat16",
            "rope_scaling": {"mrope_section": [24, 20, 20], "rope_type": "default"}},
            "vision_config": {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "patch_size": 16, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17]}}),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[a-zA-Z0-9*:._-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,10}", inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The fields of an object and of the objects in it, as pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Value::Object(map) = value {
        for (name, inner) in map {
            let pointer = format!("{at}/{name}");
            pointers(inner, &pointer, found);
            found.push(pointer);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the text, there is a config or an error that names the place.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        if let Err(error) = ModelConfig::from_json(&text, "config.json") {
            prop_assert!(error.to_string().starts_with("config.json: "), "{error}");
        }
    }

    /// A real file with one field replaced by anything is read or refused, and what is read can be built.
    #[test]
    fn a_changed_field_never_panics(which in 0..4_usize, field in any::<prop::sample::Index>(), value in any_json()) {
        let mut config = configs().swap_remove(which);
        let mut fields = Vec::new();
        pointers(&config, "", &mut fields);
        if let Some(place) = config.pointer_mut(field.get(&fields).as_str()) {
            *place = value;
        }
        match ModelConfig::from_json(&config.to_string(), "config.json").and_then(|config| config.spec("it")) {
            Ok(spec) => prop_assert!(spec.parameters.total >= spec.parameters.active && !spec.layers.is_empty()),
            Err(error) => prop_assert!(error.to_string().starts_with("config.json: "), "{error}"),
        }
    }

    /// Absurd dimensions are one error that names the field.
    #[test]
    fn absurd_dimensions_are_refused(
        field in prop::sample::select(vec!["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "max_position_embeddings"]),
        value in prop_oneof![Just(json!(0)), Just(json!(-3)), Just(json!(1_000_000_000_000_000_000_u64)), Just(json!("4096")), Just(json!(1.5)), Just(json!([])), Just(json!({}))],
    ) {
        let mut config = configs().swap_remove(0);
        config[field] = value;
        let error = ModelConfig::from_json(&config.to_string(), "config.json").expect_err("an absurd value").to_string();
        prop_assert!(error.starts_with(&format!("config.json: {field}: ")), "{error}");
    }

    /// A model of more layers has more parameters.
    #[test]
    fn more_layers_are_more_parameters(which in prop::sample::select(vec![0_usize, 1]), layers in 4..200_u64) {
        let total = |layers: u64| {
            let mut config = configs().swap_remove(which);
            config["num_hidden_layers"] = json!(layers);
            ModelConfig::from_json(&config.to_string(), "config.json").and_then(|config| config.spec("it")).map(|spec| spec.parameters)
        };
        let (fewer, more) = (total(layers).expect("a model"), total(layers + 1).expect("a model"));
        prop_assert!(fewer.total < more.total && fewer.active < more.active);
    }

    /// Any headers at all give a model, and no stored byte is lost but those that are named as left out.
    #[test]
    fn any_headers_are_taken(names in prop::collection::vec("(model\\.)?(layers\\.[0-9]{1,2}\\.)?[a-z_.]{1,24}(weight|qweight|scales|bias)?", 0..20), size in any::<u64>()) {
        let headers: Vec<TensorHeader> = names.into_iter().map(|name| TensorHeader {
            name, dtype: "I32".to_owned(), shape: vec![size, 2], bytes: Bytes(size),
        }).collect();
        let config = ModelConfig::from_json(&configs().swap_remove(0).to_string(), "config.json").expect("a Llama");
        let spec = config.spec("it").expect("a Llama").with_headers(&headers, "there");
        let stored: Bytes = spec.tensors.iter().filter_map(|group| group.stored.as_ref()).map(|stored| stored.bytes).sum();
        prop_assert!(stored <= headers.iter().map(|header| header.bytes).sum());
    }
}

/// A number that JSON does not have is refused where it counts, and ignored where it does not.
#[test]
fn not_a_number_is_refused() {
    let text = configs().swap_remove(0).to_string().replace("4096", "NaN");
    let error = ModelConfig::from_json(&text, "config.json").expect_err("no number");
    assert_eq!(error.to_string(), "config.json: hidden_size: expected a positive whole number, found \"NaN\"");
}
