//! Tensor headers against the inventory: every model of the catalogue as a 16-bit checkpoint.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use gpudoctor::catalog::Catalog;
use gpudoctor::model::headers::TensorHeader;
use gpudoctor::model::spec::{ModelSpec, Origin, TensorGroup};
use gpudoctor::units::Bytes;

fn header(name: String, dtype: &str, shape: &[u64], bytes: u64) -> TensorHeader {
    TensorHeader { name, dtype: dtype.to_owned(), shape: shape.to_vec(), bytes: Bytes(bytes) }
}

/// The tensors of a group as a checkpoint of the hub stores them, experts one by one.
fn stored(group: &TensorGroup) -> Vec<TensorHeader> {
    let suffix = if group.name.ends_with("bias") { "" } else { ".weight" };
    let one = |name: String| header(format!("model.{name}{suffix}"), "BF16", &[group.rows, group.columns], group.rows * group.columns * 2);
    // Those of many experts as one tensor, as GGUF and newer checkpoints have them.
    if group.copies == 1 || group.copies > 16 || !group.name.contains(".experts.") {
        let whole =
            header(format!("model.{}{suffix}", group.name), "BF16", &[group.copies, group.rows, group.columns], group.elements() * 2);
        return vec![whole];
    }
    (0..group.copies).map(|expert| one(group.name.replace(".experts.", &format!(".experts.{expert}.")))).collect()
}

/// A checkpoint that holds exactly the inventory leaves nothing over, and its bytes are two for each parameter.
#[test]
fn every_model_reads_back_from_its_own_headers() {
    let catalog = Catalog::builtin();
    for model in catalog.models() {
        let spec = ModelSpec::from_catalogue(model, &model.id).unwrap_or_else(|error| panic!("{}: {error}", model.id));
        let headers: Vec<TensorHeader> = spec.tensors.iter().flat_map(stored).collect();
        let read = spec.clone().with_headers(&headers, "there");
        assert_eq!(read.assumed, spec.assumed, "{}", spec.id);
        assert_eq!(read.parameters, spec.parameters, "{}", spec.id);
        let bytes: Bytes = read.tensors.iter().filter_map(|group| group.stored.as_ref()).map(|stored| stored.bytes).sum();
        assert_eq!(bytes, Bytes(spec.parameters.total * 2), "{}", spec.id);
        assert_eq!(read.origin, Origin::Checkpoint { place: "there".to_owned(), bytes });
        for group in &read.tensors {
            assert_eq!(group.stored.as_ref().map(|stored| stored.bytes.0), Some(group.elements() * 2), "{}: {}", spec.id, group.name);
        }
    }
}

fn small() -> ModelSpec {
    let config = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 512,
        "torch_dtype": "float16"}"#;
    let config = gpudoctor::model::config::ModelConfig::from_json(config, "config.json").expect("a small Llama");
    config.spec("small").expect("a small Llama")
}

fn bytes_of(spec: &ModelSpec, name: &str) -> Option<u64> {
    let group = spec.tensors.iter().find(|group| group.name == name)?;
    group.stored.as_ref().map(|stored| stored.bytes.0)
}

/// A fused tensor is divided by the sizes of its parts; scales and zero points count with their weights.
#[test]
fn fused_and_packed_tensors_go_to_their_groups() {
    let headers = [
        header("model.layers.0.self_attn.qkv_proj.qweight".into(), "I32", &[8, 128], 4096),
        header("model.layers.0.self_attn.qkv_proj.scales".into(), "F16", &[1, 128], 256),
        header("model.layers.0.mlp.down_proj.qweight".into(), "I32", &[16, 64], 4096),
        header("model.layers.0.mlp.down_proj.qzeros".into(), "I32", &[1, 8], 32),
    ];
    let spec = small().with_headers(&headers, "there");
    assert_eq!(bytes_of(&spec, "layers.0.self_attn.q_proj"), Some(2048 + 128));
    assert_eq!(bytes_of(&spec, "layers.0.self_attn.k_proj"), Some(1024 + 64));
    assert_eq!(bytes_of(&spec, "layers.0.mlp.down_proj"), Some(4128));
}

/// What is left out, and what is new, is said.
#[test]
fn buffers_predictions_and_unknown_tensors_are_named() {
    let headers = [
        header("model.layers.0.self_attn.rotary_emb.inv_freq".into(), "F32", &[8], 32),
        header("model.layers.1.eh_proj.weight".into(), "F16", &[64, 128], 16_384),
        header("model.layers.0.novelty.weight".into(), "F16", &[7, 11], 154),
    ];
    let spec = small().with_headers(&headers, "there");
    let said = spec.assumed.join("\n");
    assert!(
        said.contains("1 tensor left out, as the engine computes them itself: `model.layers.0.self_attn.rotary_emb.inv_freq`"),
        "{said}"
    );
    assert!(said.contains("`model.layers.1.eh_proj.weight`"), "{said}");
    assert!(said.contains("not in the checkpoint"), "{said}");
    assert_eq!(bytes_of(&spec, "layers.0.novelty"), Some(154));
}

/// GGUF names find the same groups.
#[test]
fn gguf_names_are_understood() {
    let headers =
        [header("blk.0.attn_k.weight".into(), "Q4_K", &[32, 64], 1152), header("token_embd.weight".into(), "Q6_K", &[100, 64], 5250)];
    let spec = small().with_headers(&headers, "there");
    assert_eq!(bytes_of(&spec, "layers.0.self_attn.k_proj"), Some(1152));
    assert_eq!(bytes_of(&spec, "embed_tokens"), Some(5250));
}
