use proptest::prelude::*;

use super::*;
use crate::units::Bytes;

/// Writes a GGUF file by hand: the bytes that the format asks for, nothing checked.
#[derive(Default)]
struct Builder {
    keys: u64,
    metadata: Vec<u8>,
    tensors: u64,
    infos: Vec<u8>,
    data_end: u64,
}

impl Builder {
    fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.keys += 1;
        push_text(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend(value);
        self
    }

    fn number(self, key: &str, number: u32) -> Self {
        self.raw(key, 4, &number.to_le_bytes())
    }

    fn text(self, key: &str, text: &str) -> Self {
        let mut value = Vec::new();
        push_text(&mut value, text);
        self.raw(key, 8, &value)
    }

    fn numbers(self, key: &str, numbers: &[u32]) -> Self {
        let mut value = [&4_u32.to_le_bytes()[..], &(numbers.len() as u64).to_le_bytes()].concat();
        value.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.raw(key, 9, &value)
    }

    fn tokens(self, count: u64) -> Self {
        let mut value = [&8_u32.to_le_bytes()[..], &count.to_le_bytes()].concat();
        (0..count).for_each(|token| push_text(&mut value, &token.to_string()));
        self.raw("tokenizer.ggml.tokens", 9, &value)
    }

    fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, bytes: u64) -> Self {
        self.tensors += 1;
        push_text(&mut self.infos, name);
        self.infos.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|dimension| self.infos.extend(dimension.to_le_bytes()));
        self.infos.extend(kind.to_le_bytes());
        self.infos.extend(self.data_end.to_le_bytes());
        self.data_end = (self.data_end + bytes).next_multiple_of(32);
        self
    }

    fn build(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.keys.to_le_bytes());
        file.extend(&self.metadata);
        file.extend(&self.infos);
        file
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn llama() -> Builder {
    Builder::default()
        .text("general.architecture", "llama")
        .number("llama.block_count", 2)
        .number("llama.embedding_length", 256)
        .number("llama.context_length", 4096)
        .number("llama.feed_forward_length", 1024)
        .number("llama.attention.head_count", 8)
        .number("llama.attention.head_count_kv", 2)
        .raw("llama.rope.freq_base", 6, &500_000_f32.to_le_bytes())
        .tokens(300)
        .tensor("token_embd.weight", &[256, 320], 12, 256 * 320 / 256 * 144)
        .tensor("blk.0.attn_q.weight", &[256, 256], 14, 256 * 210)
        .tensor("output_norm.weight", &[256], 0, 1024)
}

fn problem(file: &[u8]) -> String {
    parse(file, Some(1 << 40)).expect_err("bad").to_string()
}

#[test]
fn tensors_have_exact_bytes_and_rows_before_columns() {
    let gguf = parse(&llama().build(), None).expect("valid");
    let embedding = TensorHeader { name: "token_embd.weight".into(), dtype: "Q4_K".into(), shape: vec![320, 256], bytes: Bytes(46_080) };
    assert_eq!(gguf.tensors[0], embedding);
    assert_eq!(gguf.tensors[1].bytes, Bytes(53_760));
    assert_eq!(gguf.version, 3);
    assert_eq!(gguf.metadata.array_length("tokenizer.ggml.tokens"), Some(300));
}

#[test]
fn every_type_of_ggml_has_its_size() {
    for (number, name, block, bytes) in [(12, "Q4_K", 256, 144), (8, "Q8_0", 32, 34), (39, "MXFP4", 32, 17), (30, "BF16", 1, 2)] {
        let file = Builder::default().tensor("t", &[block, 3], number, bytes * 3).build();
        let gguf = parse(&file, None).expect("valid");
        assert_eq!((gguf.tensors[0].dtype.as_str(), gguf.tensors[0].bytes), (name, Bytes(bytes * 3)));
    }
}

#[test]
fn a_prefix_says_how_far_to_read_on() {
    let file = llama().build();
    let mut known = 0;
    let gguf = loop {
        match parse(&file[..known], Some(1 << 30)) {
            Err(GgufError::Incomplete { needed }) => {
                assert!(needed > known as u64);
                known = needed as usize;
            }
            other => break other,
        }
    };
    assert_eq!(known, file.len());
    assert_eq!(gguf.map(|gguf| gguf.tensors.len()), Ok(3));
}

#[test]
fn foreign_files_and_versions_are_named() {
    assert!(problem(b"PK\x03\x04----").starts_with("it starts with `PK\\x03\\x04`"));
    assert_eq!(problem(b"GGUF\x01\0\0\0"), "it is GGUF version 1; versions 2 and 3 are read");
    assert_eq!(problem(b"GGUF\x09\0\0\0"), "it is GGUF version 9; versions 2 and 3 are read");
    assert!(problem(b"GGUF\0\0\0\x03").starts_with("it is a big-endian GGUF file of version 3"));
    assert!(matches!(parse(b"version https://git-lfs", None), Err(GgufError::ForeignMagic { lfs_pointer: true, .. })));
}

#[test]
fn absurd_counts_and_lengths_end_at_once() {
    let head = |tensors: u64, keys: u64| [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &keys.to_le_bytes()].concat();
    assert!(problem(&head(u64::MAX, 0)).contains("18446744073709551615 tensors; at most"));
    assert!(problem(&head(0, 1 << 63)).contains("metadata keys; at most"));
    let long_key = [head(0, 1), (1_u64 << 62).to_le_bytes().to_vec()].concat();
    assert!(problem(&long_key).starts_with("at byte 32: metadata key would end at byte"));
    assert!(parse(&long_key, None).expect_err("long").to_string().contains("headers beyond"));
    let long_array = Builder::default().raw("a", 9, &[&12_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat());
    assert!(problem(&long_array.build()).contains("metadata array"));
    let nested = [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat().repeat(100);
    assert!(problem(&Builder::default().raw("a", 9, &nested).build()).contains("nests arrays deeper than 4"));
}

#[test]
fn bad_tensors_are_named() {
    let one = |dimensions: &[u64], kind| problem(&Builder::default().tensor("t", dimensions, kind, 0).build());
    assert_eq!(one(&[32], 99), "tensor `t` has the unknown ggml type 99");
    assert_eq!(one(&[100], 12), "tensor `t` of type Q4_K cannot have the dimensions [100]");
    assert!(one(&[1 << 40, 1 << 40], 0).contains("cannot have the dimensions"));
    assert!(one(&[1; 9], 0).contains("9 dimensions; at most 4"));
    let gap = Builder::default().tensor("a", &[32], 0, 4096).tensor("b", &[32], 0, 128).build();
    assert_eq!(problem(&gap), "tensor `b` begins at data offset 4096, but the tensor before it ends at 128");
    let twice = Builder::default().tensor("a", &[32], 0, 128).tensor("a", &[32], 0, 128).build();
    assert_eq!(problem(&twice), "tensor `a` stands twice");
}

#[test]
fn a_short_file_says_where_it_ends() {
    let file = llama().build();
    let error = parse(&file, Some(file.len() as u64 + 10)).expect_err("short").to_string();
    assert!(error.starts_with("its tensors end at byte"), "{error}");
    let cut = parse(&file[..60], Some(60)).expect_err("cut").to_string();
    assert!(cut.contains("but the file ends at byte 60"), "{cut}");
}

#[test]
fn metadata_becomes_a_config() {
    let gguf = parse(&llama().build(), None).expect("valid");
    let config = gguf_config(&gguf.metadata, &gguf.tensors).expect("complete");
    let expected = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float16",
        "hidden_size": 256, "intermediate_size": 1024, "max_position_embeddings": 4096, "num_hidden_layers": 2,
        "vocab_size": 320, "tie_word_embeddings": true, "num_attention_heads": 8, "num_key_value_heads": 2,
        "head_dim": 32, "attention_bias": false, "rope_theta": 500_000.0,
        "quantization_config": { "quant_method": "gguf", "bits": 6, "format": "Q6_K" },
    });
    assert_eq!(config, expected);
}

#[test]
fn experts_and_latents_keep_their_hugging_face_names() {
    let deepseek = Builder::default()
        .text("general.architecture", "deepseek2")
        .number("deepseek2.block_count", 61)
        .number("deepseek2.embedding_length", 7168)
        .number("deepseek2.context_length", 163_840)
        .number("deepseek2.attention.head_count", 128)
        .number("deepseek2.attention.head_count_kv", 1)
        .number("deepseek2.attention.key_length", 576)
        .number("deepseek2.attention.key_length_mla", 192)
        .number("deepseek2.attention.value_length_mla", 128)
        .number("deepseek2.attention.kv_lora_rank", 512)
        .number("deepseek2.attention.q_lora_rank", 1536)
        .number("deepseek2.rope.dimension_count", 64)
        .number("deepseek2.expert_count", 256)
        .number("deepseek2.expert_used_count", 8)
        .number("deepseek2.expert_gating_func", 2)
        .number("deepseek2.leading_dense_block_count", 3)
        .build();
    let gguf = parse(&deepseek, None).expect("valid");
    let config = gguf_config(&gguf.metadata, &gguf.tensors).expect("complete");
    let numbers = ["n_routed_experts", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "first_k_dense_replace"];
    assert_eq!(numbers.map(|field| config[field].as_u64().unwrap_or(0)), [256, 512, 128, 64, 128, 3]);
    assert_eq!(config["architectures"][0], "DeepseekV3ForCausalLM");
    assert_eq!(config["num_key_value_heads"], 128);
}

#[test]
fn layers_may_differ() {
    let model = |heads: &[u32]| {
        let file = Builder::default()
            .text("general.architecture", "lfm2")
            .number("lfm2.block_count", 3)
            .number("lfm2.embedding_length", 64)
            .number("lfm2.context_length", 128)
            .number("lfm2.attention.head_count", 8)
            .numbers("lfm2.attention.head_count_kv", heads)
            .build();
        let gguf = parse(&file, None).expect("valid");
        gguf_config(&gguf.metadata, &gguf.tensors).expect("complete")
    };
    let config = model(&[0, 0, 4]);
    assert_eq!(config["layer_types"], serde_json::json!(["conv", "conv", "full_attention"]));
    assert_eq!(config["num_key_value_heads"], 4);
    assert_eq!(model(&[4, 4, 4])["num_key_value_heads"], 4);
}

#[test]
fn missing_metadata_is_named() {
    let gguf = parse(&Builder::default().text("general.architecture", "llama").build(), None).expect("valid");
    let error = gguf_config(&gguf.metadata, &gguf.tensors).expect_err("incomplete");
    assert_eq!(error.to_string(), "metadata key `llama.block_count` is missing or not a whole number");
}

#[test]
fn names_become_those_of_the_checkpoint() {
    assert_eq!(hf_name("blk.7.ffn_down_exps.weight", "qwen3moe").as_deref(), Some("model.layers.7.mlp.experts.down_proj.weight"));
    assert_eq!(hf_name("blk.0.attn_q.bias", "qwen2").as_deref(), Some("model.layers.0.self_attn.q_proj.bias"));
    assert_eq!(hf_name("output.weight", "llama").as_deref(), Some("lm_head.weight"));
    assert_eq!(hf_name("rope_freqs.weight", "llama"), None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in proptest::option::of(any::<u64>())) {
        let _ = parse(&bytes, size);
        let _ = parse(&[b"GGUF\x03\0\0\0", &bytes[..]].concat(), size);
    }

    #[test]
    fn mutated_files_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut file = llama().build();
        let place = at.index(file.len());
        file[place] = byte;
        if let Ok(gguf) = parse(&file, None) {
            let _ = gguf_config(&gguf.metadata, &gguf.tensors);
        }
        let _ = parse(&file[..cut.index(file.len())], None);
    }
}
