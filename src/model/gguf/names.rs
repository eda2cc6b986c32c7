//! GGUF tensor names in the words of Hugging Face checkpoints, which the engine's modules are named after.

/// The name that `name` has in a Hugging Face checkpoint; `None` for a tensor that such a checkpoint does not have.
///
/// The experts of a layer are one tensor in GGUF; they keep the plural: `model.layers.0.mlp.experts.gate_proj.weight`.
pub fn hf_name(name: &str, architecture: &str) -> Option<String> {
    let Some(rest) = name.strip_prefix("blk.") else {
        let (module, suffix) = name.rsplit_once('.')?;
        let module = match module {
            "token_embd" => "model.embed_tokens",
            "output_norm" => "model.norm",
            "output" => "lm_head",
            "position_embd" => "model.embed_positions",
            "token_embd_norm" => "model.embed_layernorm",
            _ => return None,
        };
        return Some(format!("{module}.{suffix}"));
    };
    let (layer, rest) = rest.split_once('.')?;
    let (module, suffix) = rest.rsplit_once('.').unwrap_or((rest, "weight"));
    let module = layer_module(module, architecture)?;
    Some(format!("model.layers.{layer}.{module}.{suffix}"))
}

fn layer_module(module: &str, architecture: &str) -> Option<&'static str> {
    let sandwich = matches!(architecture, "gemma2" | "gemma3" | "gemma3n" | "gemma4" | "glm4");
    Some(match module {
        "attn_norm" => "input_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_qkv" => "self_attn.qkv_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "attn_sinks" => "self_attn.sinks",
        "attn_q_a" => "self_attn.q_a_proj",
        "attn_q_a_norm" => "self_attn.q_a_layernorm",
        "attn_q_b" => "self_attn.q_b_proj",
        "attn_kv_a_mqa" => "self_attn.kv_a_proj_with_mqa",
        "attn_kv_a_norm" => "self_attn.kv_a_layernorm",
        "attn_kv_b" => "self_attn.kv_b_proj",
        "attn_k_b" => "self_attn.k_b_proj",
        "attn_v_b" => "self_attn.v_b_proj",
        "ffn_norm" if sandwich => "pre_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "post_attention_norm" => "post_attention_layernorm",
        "post_ffw_norm" => "post_feedforward_layernorm",
        "ffn_up" if architecture == "phi3" => "mlp.gate_up_proj",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        "ffn_gate_inp" => "mlp.gate",
        "exp_probs_b" => "mlp.gate.e_score_correction_bias",
        "ffn_gate_exps" => "mlp.experts.gate_proj",
        "ffn_up_exps" => "mlp.experts.up_proj",
        "ffn_down_exps" => "mlp.experts.down_proj",
        "ffn_gate_inp_shexp" => "mlp.shared_expert_gate",
        "ffn_gate_shexp" => "mlp.shared_experts.gate_proj",
        "ffn_up_shexp" => "mlp.shared_experts.up_proj",
        "ffn_down_shexp" => "mlp.shared_experts.down_proj",
        _ => return None,
    })
}
