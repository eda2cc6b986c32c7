//! config.json files of families with names of their own, against the catalogue's counts.
//!
//! Each is the hub's file cut to the fields that shape the model.

use gpudoctor::catalog::Catalog;
use gpudoctor::model::catalogue_entry;
use gpudoctor::model::config::ModelConfig;
use gpudoctor::model::difference::differences;
use gpudoctor::model::spec::ModelSpec;

const CONFIGS: &[(&str, &str)] = &[
    (
        "THUDM/chatglm3-6b",
        r#"{"architectures": ["ChatGLMModel"], "model_type": "chatglm", "add_bias_linear": false, "add_qkv_bias": true, "ffn_hidden_size": 13696,
        "hidden_size": 4096, "kv_channels": 128, "multi_query_attention": true, "multi_query_group_num": 2, "num_attention_heads": 32, "num_layers": 28,
        "padded_vocab_size": 65024, "post_layer_norm": true, "rmsnorm": true, "seq_length": 8192, "tie_word_embeddings": false, "torch_dtype": "float16"}"#,
    ),
    (
        "tiiuae/falcon-7b-instruct",
        r#"{"architectures": ["FalconForCausalLM"], "model_type": "falcon", "alibi": false, "bias": false, "hidden_size": 4544,
        "multi_query": true, "new_decoder_architecture": false, "num_attention_heads": 71, "num_hidden_layers": 32, "parallel_attn": true,
        "torch_dtype": "bfloat16", "vocab_size": 65024}"#,
    ),
    (
        "tiiuae/falcon-40b-instruct",
        r#"{"architectures": ["FalconForCausalLM"], "model_type": "falcon", "alibi": false, "bias": false, "hidden_size": 8192,
        "new_decoder_architecture": true, "num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8, "parallel_attn": true,
        "torch_dtype": "bfloat16", "vocab_size": 65024}"#,
    ),
    (
        "openai-community/gpt2",
        r#"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
        "n_positions": 1024, "vocab_size": 50257, "torch_dtype": "float32"}"#,
    ),
    (
        "bigcode/starcoder",
        r#"{"architectures": ["GPTBigCodeForCausalLM"], "model_type": "gpt_bigcode", "multi_query": true, "n_embd": 6144, "n_head": 48,
        "n_inner": 24576, "n_layer": 40, "n_positions": 8192, "vocab_size": 49152, "torch_dtype": "float16"}"#,
    ),
    (
        "bigscience/bloom",
        r#"{"architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": 14336, "n_head": 112, "n_layer": 70, "seq_length": 2048,
        "vocab_size": 250880, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "facebook/opt-125m",
        r#"{"architectures": ["OPTForCausalLM"], "model_type": "opt", "do_layer_norm_before": true, "ffn_dim": 3072, "hidden_size": 768,
        "max_position_embeddings": 2048, "num_attention_heads": 12, "num_hidden_layers": 12, "vocab_size": 50272, "torch_dtype": "float16",
        "word_embed_proj_dim": 768}"#,
    ),
    (
        "mosaicml/mpt-7b-instruct",
        r#"{"architectures": ["MPTForCausalLM"], "model_type": "mpt", "attn_config": {"alibi": true, "attn_type": "multihead_attention"},
        "d_model": 4096, "expansion_ratio": 4, "max_seq_len": 2048, "n_heads": 32, "n_layers": 32, "no_bias": true, "vocab_size": 50432,
        "torch_dtype": "bfloat16"}"#,
    ),
    (
        "databricks/dbrx-instruct",
        r#"{"architectures": ["DbrxForCausalLM"], "model_type": "dbrx", "attn_config": {"kv_n_heads": 8}, "d_model": 6144,
        "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4}, "max_seq_len": 32768, "n_heads": 48, "n_layers": 40,
        "tie_word_embeddings": false, "vocab_size": 100352, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "EleutherAI/gpt-j-6b",
        r#"{"architectures": ["GPTJForCausalLM"], "model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_layer": 28, "n_positions": 2048,
        "rotary_dim": 64, "tie_word_embeddings": false, "vocab_size": 50400, "torch_dtype": "float16"}"#,
    ),
    (
        "EleutherAI/gpt-neox-20b",
        r#"{"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "hidden_size": 6144, "intermediate_size": 24576,
        "max_position_embeddings": 2048, "num_attention_heads": 64, "num_hidden_layers": 44, "rotary_pct": 0.25, "tie_word_embeddings": false,
        "vocab_size": 50432, "torch_dtype": "float16"}"#,
    ),
    (
        "internlm/internlm2-chat-7b",
        r#"{"architectures": ["InternLM2ForCausalLM"], "model_type": "internlm2", "bias": false, "hidden_size": 4096,
        "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
        "rope_scaling": null, "tie_word_embeddings": false, "vocab_size": 92544, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "microsoft/phi-2",
        r#"{"architectures": ["PhiForCausalLM"], "model_type": "phi", "hidden_size": 2560, "intermediate_size": 10240,
        "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 32, "partial_rotary_factor": 0.4, "tie_word_embeddings": false,
        "vocab_size": 51200, "torch_dtype": "float16"}"#,
    ),
    (
        "stabilityai/stablelm-2-1_6b",
        r#"{"architectures": ["StableLmForCausalLM"], "model_type": "stablelm", "hidden_size": 2048, "intermediate_size": 5632,
        "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": 24, "num_key_value_heads": 32, "partial_rotary_factor": 0.25,
        "tie_word_embeddings": false, "use_qkv_bias": true, "vocab_size": 100352, "torch_dtype": "float16"}"#,
    ),
    (
        "ai21labs/AI21-Jamba-Mini-1.5",
        r#"{"architectures": ["JambaForCausalLM"], "model_type": "jamba", "attn_layer_offset": 4, "attn_layer_period": 8,
        "expert_layer_offset": 1, "expert_layer_period": 2, "hidden_size": 4096, "intermediate_size": 14336, "mamba_d_conv": 4, "mamba_d_state": 16,
        "mamba_dt_rank": 256, "mamba_expand": 2, "max_position_embeddings": 262144, "num_attention_heads": 32, "num_experts": 16,
        "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "tie_word_embeddings": false, "vocab_size": 65536,
        "torch_dtype": "bfloat16"}"#,
    ),
    (
        "tiiuae/Falcon-H1-34B-Instruct",
        r#"{"architectures": ["FalconH1ForCausalLM"], "model_type": "falcon_h1", "head_dim": 128, "hidden_size": 5120,
        "intermediate_size": 21504, "mamba_d_conv": 4, "mamba_d_head": 128, "mamba_d_ssm": 4096, "mamba_d_state": 256, "mamba_n_groups": 2, "mamba_n_heads": 32,
        "mamba_rms_norm": true, "max_position_embeddings": 262144, "num_attention_heads": 20, "num_hidden_layers": 72, "num_key_value_heads": 4,
        "tie_word_embeddings": false, "vocab_size": 261120, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "LiquidAI/LFM2-1.2B",
        r#"{"architectures": ["Lfm2ForCausalLM"], "model_type": "lfm2", "block_auto_adjust_ff_dim": true, "block_ff_dim": 12288,
        "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 256, "conv_L_cache": 3, "full_attn_idxs": [2, 5, 8, 10, 12, 14], "hidden_size": 2048,
        "max_position_embeddings": 128000, "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "vocab_size": 65536,
        "torch_dtype": "bfloat16"}"#,
    ),
    (
        "state-spaces/mamba-2.8b-hf",
        r#"{"architectures": ["MambaForCausalLM"], "model_type": "mamba", "conv_kernel": 4, "expand": 2, "hidden_size": 2560,
        "num_hidden_layers": 64, "state_size": 16, "time_step_rank": 160, "vocab_size": 50280, "torch_dtype": "float32"}"#,
    ),
    (
        "google/gemma-2-9b-it",
        r#"{"architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "head_dim": 256, "hidden_size": 3584, "intermediate_size": 14336,
        "max_position_embeddings": 8192, "num_attention_heads": 16, "num_hidden_layers": 42, "num_key_value_heads": 8, "sliding_window": 4096,
        "vocab_size": 256000, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "CohereLabs/c4ai-command-r-v01",
        r#"{"architectures": ["CohereForCausalLM"], "model_type": "cohere", "hidden_size": 8192, "intermediate_size": 22528,
        "max_position_embeddings": 8192, "model_max_length": 131072, "num_attention_heads": 64, "num_hidden_layers": 40, "num_key_value_heads": 64,
        "use_qk_norm": false, "vocab_size": 256000, "torch_dtype": "float16"}"#,
    ),
    (
        "moonshotai/Kimi-Linear-48B-A3B-Instruct",
        r#"{"architectures": ["KimiLinearForCausalLM"], "model_type": "kimi_linear", "first_k_dense_replace": 1,
        "hidden_size": 2304, "intermediate_size": 9216, "kv_lora_rank": 512, "linear_attn_config": {"full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
        "head_dim": 128, "kda_layers": [1, 2, 3], "num_heads": 32, "short_conv_kernel_size": 4}, "mla_use_nope": true, "model_max_length": 1048576,
        "moe_intermediate_size": 1024, "moe_layer_freq": 1, "num_attention_heads": 32, "num_experts": 256, "num_experts_per_token": 8,
        "num_hidden_layers": 27, "num_key_value_heads": 32, "num_shared_experts": 1, "q_lora_rank": null, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "tie_word_embeddings": false, "v_head_dim": 128, "vocab_size": 163840, "dtype": "bfloat16"}"#,
    ),
    (
        "Snowflake/snowflake-arctic-instruct",
        r#"{"architectures": ["ArcticForCausalLM"], "model_type": "arctic", "hidden_size": 7168, "intermediate_size": 4864,
        "max_position_embeddings": 4096, "moe_layer_frequency": 1, "num_attention_heads": 56, "num_experts_per_tok": 2, "num_hidden_layers": 35,
        "num_key_value_heads": 8, "num_local_experts": 128, "parallel_attn_mlp_res": true, "tie_word_embeddings": false, "vocab_size": 32000,
        "torch_dtype": "bfloat16"}"#,
    ),
    (
        "MiniMaxAI/MiniMax-Text-01",
        r#"{"architectures": ["MiniMaxText01ForCausalLM"], "model_type": "minimax_text_01", "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1,
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1,
        0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], "head_dim": 128, "hidden_size": 6144, "intermediate_size": 9216,
        "max_position_embeddings": 10240000, "num_attention_heads": 64, "num_experts_per_tok": 2, "num_hidden_layers": 80, "num_key_value_heads": 8,
        "num_local_experts": 32, "rotary_dim": 64, "shared_intermediate_size": 0, "tie_word_embeddings": false, "vocab_size": 200064,
        "torch_dtype": "bfloat16"}"#,
    ),
    (
        "ibm-granite/granite-4.0-h-tiny",
        r#"{"architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid", "hidden_size": 1536,
        "intermediate_size": 512, "layer_types": ["mamba", "mamba", "mamba", "mamba", "mamba", "attention", "mamba", "mamba", "mamba", "mamba", "mamba",
        "mamba", "mamba", "mamba", "mamba", "attention", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "attention",
        "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "mamba", "attention", "mamba", "mamba", "mamba", "mamba"],
        "mamba_d_conv": 4, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_n_heads": 48,
        "max_position_embeddings": 131072, "num_attention_heads": 12, "num_experts_per_tok": 6, "num_hidden_layers": 40, "num_key_value_heads": 4,
        "num_local_experts": 64, "position_embedding_type": "nope", "shared_intermediate_size": 1024, "tie_word_embeddings": true,
        "vocab_size": 100352, "torch_dtype": "bfloat16"}"#,
    ),
    (
        "meta-llama/Llama-3.2-11B-Vision-Instruct",
        r#"{"architectures": ["MllamaForConditionalGeneration"], "model_type": "mllama", "text_config": {
        "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38], "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
        "model_type": "mllama_text_model", "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "rope_scaling": {"factor": 8.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "vocab_size": 128256},
        "torch_dtype": "bfloat16", "vision_config": {"attention_heads": 16, "hidden_size": 1280, "image_size": 560, "intermediate_size": 5120,
        "max_num_tiles": 4, "model_type": "mllama_vision_model", "num_global_layers": 8, "num_hidden_layers": 32, "patch_size": 14,
        "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]], "vision_output_dim": 7680}}"#,
    ),
];

/// The files give what the catalogue has: the same layers, tensors and table, and no difference to report.
#[test]
fn files_of_older_and_hybrid_families_give_the_catalogues_models() {
    let catalog = Catalog::builtin();
    for (id, text) in CONFIGS {
        let entry = catalog.model(id).unwrap_or_else(|_| panic!("{id} is not in the catalogue"));
        let expected = ModelSpec::from_catalogue(entry, id).unwrap_or_else(|error| panic!("{id}: {error}"));
        let config = ModelConfig::from_json(text, "config.json").unwrap_or_else(|error| panic!("{id}: {error}"));
        let spec = config.spec(id).unwrap_or_else(|error| panic!("{id}: {error}"));
        let shape = catalogue_entry::shape(entry).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(spec.parameters, expected.parameters, "{id}: {:?}", differences(&shape, &config.shape));
        let fields: Vec<String> = differences(&shape, &config.shape).into_iter().map(|found| found.field).collect();
        assert!(fields.iter().all(|field| field == "torch_dtype" || field == "intermediate_size"), "{id}: {fields:?}");
        assert_eq!(spec.layers, expected.layers, "{id}");
        assert_eq!(spec.rotary, expected.rotary, "{id}");
        assert_eq!(spec.tie_word_embeddings, expected.tie_word_embeddings, "{id}");
    }
}
