//! From the name of a stored tensor to the module that the inventory lists.
//!
//! Names are those that checkpoints of the hub use; vLLM maps the same ones in the `load_weights` and
//! `packed_modules_mapping` of its model classes.

/// Where a stored tensor belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The decoder layer, if any.
    pub(super) layer: Option<u64>,
    /// The module inside the layer or the model, without an expert's number: `mlp.experts.up_proj`.
    pub(super) module: String,
    /// The same as the checkpoint writes it.
    pub(super) written: String,
    /// What the tensor is to the module.
    pub(super) part: Part,
}

/// What a stored tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The weights, packed or not: their type is the module's.
    Main,
    /// Scales, zero points, indices and the like.
    Side,
    /// The bias.
    Bias,
}

/// What checkpoints write before the decoder's modules, longest first.
const PREFIXES: [&str; 16] = [
    "model.language_model.model.",
    "language_model.model.",
    "model.language_model.",
    "transformer.encoder.",
    "language_model.",
    "model.decoder.",
    "model.text_model.",
    "transformer.",
    "gpt_neox.",
    "backbone.",
    "decoder.",
    "model.model.",
    "model.",
    "thinker.model.",
    "text_model.",
    "base_model.model.model.",
];

/// Words that only the modules of encoders and their projectors have in their names.
const ENCODERS: [&str; 18] = [
    "vision_tower",
    "vision_model",
    "visual",
    "vision_encoder",
    "vision_embed_tokens",
    "vision_language_adapter",
    "multi_modal_projector",
    "mm_projector",
    "audio_tower",
    "audio_model",
    "embed_audio",
    "embed_vision",
    "patch_merger",
    "image_newline",
    "mlp1.",
    "vit_",
    "img_projection",
    "pre_mm_projector_norm",
];

/// Names of buffers that an engine computes itself.
const BUFFERS: [&str; 6] = ["rotary_emb.inv_freq", "rotary_pos_emb", "attn.bias", "masked_bias", "position_ids", "attention.bias"];

/// Words of multi-token-prediction modules.
const PREDICTION: [&str; 6] = ["mtp.", "mtp_", "nextn", "eh_proj", "enorm", "hnorm"];

/// What a parameter is called behind its module, longest first.
const SUFFIXES: [(&str, Part); 41] = [
    (".weight.quant_state.bitsandbytes__nf4", Part::Side),
    (".weight.quant_state.bitsandbytes__fp4", Part::Side),
    (".weight.nested_quant_map", Part::Side),
    (".weight.nested_absmax", Part::Side),
    (".weight_zero_point", Part::Side),
    (".weight.quant_map", Part::Side),
    (".weight_scale_inv", Part::Side),
    (".weight_scale_2", Part::Side),
    (".weight.absmax", Part::Side),
    (".activation_scale", Part::Side),
    (".weight_packed", Part::Main),
    (".weight_scale", Part::Side),
    (".weight_shape", Part::Side),
    (".weight_g_idx", Part::Side),
    (".weight_format", Part::Side),
    (".input_scale", Part::Side),
    (".output_scale", Part::Side),
    (".scale_inv", Part::Side),
    (".weight.SCB", Part::Side),
    (".qweight", Part::Main),
    (".qzeros", Part::Side),
    (".scales", Part::Side),
    (".k_scale", Part::Side),
    (".v_scale", Part::Side),
    (".q_scale", Part::Side),
    (".g_idx", Part::Side),
    (".SCB", Part::Side),
    ("_scale_inv", Part::Side),
    ("_blocks", Part::Main),
    ("_scales", Part::Side),
    ("_scale", Part::Side),
    ("_bias", Part::Bias),
    (".weight", Part::Main),
    (".scale", Part::Side),
    (".bias", Part::Bias),
    (".weight_global_scale", Part::Side),
    (".input_global_scale", Part::Side),
    (".inv_freq", Part::Side),
    (".weights", Part::Main),
    (".qparams", Part::Side),
    (".biases", Part::Bias),
];

/// Modules whose parameter has a suffix's look but is no bias or scale.
const WHOLE: [&str; 5] = ["e_score_correction_bias", "dt_bias", "correct_output_scale", "per_expert_scale", "router.scale"];

/// A whole name in the inventory's words, and the pieces that a fused tensor holds.
const SAME: &[(&str, &[&str])] = &[
    ("self_attn.qkv_proj", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ("self_attn.q_proj", &["self_attn.q_proj", "self_attn.output_gate"]),
    ("self_attn.W_pack", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ("self_attn.wqkv", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ("self_attn.Wqkv", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ("self_attn.c_attn", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ("self_attn.query_key_value", &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    ("self_attn.query", &["self_attn.q_proj"]),
    ("self_attn.key", &["self_attn.k_proj"]),
    ("self_attn.value", &["self_attn.v_proj"]),
    ("self_attn.gate_proj", &["self_attn.output_gate"]),
    ("self_attn.g_proj", &["self_attn.g_proj", "self_attn.output_gate"]),
    ("self_attn.dense", &["self_attn.o_proj"]),
    ("self_attn.c_proj", &["self_attn.o_proj"]),
    ("self_attn.wo", &["self_attn.o_proj"]),
    ("self_attn.out_proj", &["self_attn.out_proj", "self_attn.o_proj"]),
    ("self_attn.query_layernorm", &["self_attn.q_norm"]),
    ("self_attn.key_layernorm", &["self_attn.k_norm"]),
    ("self_attn.q_layernorm", &["self_attn.q_norm"]),
    ("self_attn.k_layernorm", &["self_attn.k_norm"]),
    ("self_attn.k_b_proj", &["self_attn.kv_b_proj"]),
    ("self_attn.v_b_proj", &["self_attn.kv_b_proj"]),
    ("self_attn.fused_qkv_a_proj", &["self_attn.q_a_proj", "self_attn.kv_a_proj_with_mqa"]),
    ("mlp.gate_up_proj", &["mlp.gate_proj", "mlp.up_proj"]),
    ("mlp.dense_h_to_4h", &["mlp.gate_proj", "mlp.up_proj"]),
    ("mlp.dense_4h_to_h", &["mlp.down_proj"]),
    ("mlp.c_fc_0", &["mlp.gate_proj"]),
    ("mlp.c_fc_1", &["mlp.up_proj"]),
    ("mlp.c_fc", &["mlp.up_proj"]),
    ("mlp.c_proj", &["mlp.down_proj"]),
    ("mlp.fc_in", &["mlp.up_proj"]),
    ("mlp.fc_out", &["mlp.down_proj"]),
    ("mlp.fc1", &["mlp.up_proj"]),
    ("mlp.fc2", &["mlp.down_proj"]),
    ("fc1", &["mlp.up_proj"]),
    ("fc2", &["mlp.down_proj"]),
    ("mlp.w1", &["mlp.gate_proj"]),
    ("mlp.w2", &["mlp.down_proj"]),
    ("mlp.w3", &["mlp.up_proj"]),
    ("mlp.router", &["mlp.gate"]),
    ("mlp.router.classifier", &["mlp.gate"]),
    ("mlp.router.layer", &["mlp.gate"]),
    ("mlp.experts.gate_up_proj", &["mlp.experts.gate_proj", "mlp.experts.up_proj"]),
    ("mlp.experts.w1", &["mlp.experts.gate_proj"]),
    ("mlp.experts.w2", &["mlp.experts.down_proj"]),
    ("mlp.experts.w3", &["mlp.experts.up_proj"]),
    ("mlp.shared_experts.gate_up_proj", &["mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj"]),
    ("mlp.shared_mlp.gate_proj", &["mlp.shared_experts.gate_proj"]),
    ("mlp.shared_mlp.up_proj", &["mlp.shared_experts.up_proj"]),
    ("mlp.shared_mlp.down_proj", &["mlp.shared_experts.down_proj"]),
    ("shared_mlp.input_linear", &["mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj", "mlp.gate_proj", "mlp.up_proj"]),
    ("shared_mlp.output_linear", &["mlp.shared_experts.down_proj", "mlp.down_proj"]),
    ("linear_attn.in_proj_qkv", &["linear_attn.in_proj_qkvz"]),
    ("linear_attn.in_proj_z", &["linear_attn.in_proj_qkvz"]),
    ("linear_attn.in_proj_b", &["linear_attn.in_proj_ba"]),
    ("linear_attn.in_proj_a", &["linear_attn.in_proj_ba"]),
    ("mamba.A_log", &["mamba.A"]),
    ("mamba.norm", &["mamba.norm"]),
    ("wte", &["embed_tokens"]),
    ("word_embeddings", &["embed_tokens"]),
    ("embed_in", &["embed_tokens"]),
    ("tok_embeddings", &["embed_tokens"]),
    ("embedding.word_embeddings", &["embed_tokens"]),
    ("embeddings", &["embed_tokens"]),
    ("wpe", &["embed_positions"]),
    ("word_embeddings_layernorm", &["embed_layernorm"]),
    ("output", &["lm_head"]),
    ("output_layer", &["lm_head"]),
    ("embed_out", &["lm_head"]),
    ("ln_f", &["norm"]),
    ("norm_f", &["norm"]),
    ("norm", &["norm", "input_layernorm"]),
    ("final_layernorm", &["norm"]),
    ("final_layer_norm", &["norm", "post_attention_layernorm"]),
    ("self_attn_layer_norm", &["input_layernorm"]),
    ("ln_1", &["input_layernorm"]),
    ("ln_2", &["post_attention_layernorm"]),
    ("ln_attn", &["input_layernorm"]),
    ("ln_mlp", &["post_attention_layernorm"]),
    ("norm_1", &["input_layernorm"]),
    ("norm_2", &["post_attention_layernorm"]),
    ("operator_norm", &["input_layernorm"]),
    ("ffn_norm", &["post_attention_layernorm"]),
    ("mlp.e_score_correction_bias", &["mlp.gate.e_score_correction_bias"]),
    ("mlp.moe_statics.e_score_correction_bias", &["mlp.gate.e_score_correction_bias"]),
    ("experts.gate_up_proj", &["mlp.experts.gate_proj", "mlp.experts.up_proj"]),
    ("experts.down_proj", &["mlp.experts.down_proj"]),
    ("router.proj", &["mlp.gate"]),
];

/// Words inside a layer that other families use for the same blocks.
const WORDS: [(&str, &str); 9] = [
    ("self_attention.", "self_attn."),
    ("attention.attention.", "self_attn."),
    ("attention.", "self_attn."),
    ("attn.", "self_attn."),
    ("feed_forward.", "mlp."),
    ("block_sparse_moe.", "mlp."),
    ("moe.", "mlp."),
    ("ffn.", "mlp."),
    ("transformer.", ""),
];

/// Whether it belongs to an image, audio or video encoder or its projector.
pub(super) fn is_encoder(name: &str) -> bool {
    ENCODERS.iter().any(|word| name.contains(word))
}

/// Whether it is a buffer that the engine computes itself.
pub(super) fn is_buffer(name: &str) -> bool {
    BUFFERS.iter().any(|word| match name.find(word) {
        Some(at) => matches!(name.as_bytes().get(at + word.len()), None | Some(b'.')),
        None => false,
    })
}

/// Whether it belongs to the layers that predict further tokens, which come after the decoder's.
pub(super) fn is_prediction(name: &str, place: &Place, layers: u64) -> bool {
    place.layer.is_some_and(|layer| layer >= layers) || PREDICTION.iter().any(|word| name.contains(word))
}

/// Takes the name of a stored tensor apart.
pub(super) fn place(name: &str) -> Place {
    let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let (layer, rest) = split_layer(name);
    let (module, part) = split_part(rest);
    let module = without_numbers(module);
    Place { layer, module: if layer.is_some() { common_words(&module) } else { module.clone() }, written: module, part }
}

/// The groups that a module of this name may be, or be fused of.
pub(super) fn candidates(module: &str) -> Vec<&str> {
    match SAME.iter().find(|(other, _)| *other == module) {
        Some((_, groups)) => groups.to_vec(),
        None => vec![module],
    }
}

fn split_layer(name: &str) -> (Option<u64>, &str) {
    for word in ["layers.", "h.", "blocks.", "block.", "layer."] {
        let Some(rest) = name.strip_prefix(word) else { continue };
        let Some((number, rest)) = rest.split_once('.') else { continue };
        if let Ok(layer) = number.parse() {
            return (Some(layer), rest);
        }
    }
    (None, name)
}

fn split_part(name: &str) -> (&str, Part) {
    if WHOLE.iter().any(|word| name.ends_with(word)) {
        return (name, Part::Main);
    }
    for (suffix, part) in SUFFIXES {
        if let Some(module) = name.strip_suffix(suffix) {
            return (module, part);
        }
    }
    (name, Part::Main)
}

/// An expert's number is not part of the group's name.
fn without_numbers(module: &str) -> String {
    let Some((before, after)) = module.split_once("experts.") else { return module.to_owned() };
    match after.split_once('.') {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => format!("{before}experts.{rest}"),
        _ => module.to_owned(),
    }
}

fn common_words(module: &str) -> String {
    let mut module = module.replace("shared_expert.", "shared_experts.");
    // Nemotron-H calls every block of a layer its mixer.
    if let Some(rest) = module.strip_prefix("mixer.") {
        let attention = ["q_proj", "k_proj", "v_proj", "o_proj"].contains(&rest);
        let feed_forward = ["up_proj", "down_proj", "gate"].contains(&rest) || rest.contains("expert") || rest.contains("latent");
        let block = if attention {
            "self_attn"
        } else if feed_forward || rest.starts_with("gate.") {
            "mlp"
        } else {
            "mamba"
        };
        return format!("{block}.{rest}");
    }
    if let Some((word, same)) = WORDS.iter().find(|(word, _)| module.starts_with(word)) {
        module = format!("{same}{}", module.get(word.len()..).unwrap_or_default());
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(layer: Option<u64>, module: &str, part: Part) -> Place {
        Place { layer, module: module.to_owned(), written: module.to_owned(), part }
    }

    /// Llama's names are the inventory's.
    #[test]
    fn common_names_lose_prefix_layer_and_parameter() {
        assert_eq!(place("model.layers.3.self_attn.q_proj.weight"), at(Some(3), "self_attn.q_proj", Part::Main));
        assert_eq!(place("model.layers.3.self_attn.q_proj.g_idx"), at(Some(3), "self_attn.q_proj", Part::Side));
        assert_eq!(place("lm_head.weight"), at(None, "lm_head", Part::Main));
    }

    /// Experts share a group.
    #[test]
    fn experts_lose_their_number() {
        assert_eq!(place("model.layers.0.block_sparse_moe.experts.7.w1.weight").module, "mlp.experts.w1");
        assert_eq!(candidates("mlp.experts.w1"), ["mlp.experts.gate_proj"]);
        assert_eq!(place("model.layers.0.mlp.experts.gate_up_proj_blocks"), at(Some(0), "mlp.experts.gate_up_proj", Part::Main));
    }

    /// A correction of the router's scores is a vector of its own, not a bias.
    #[test]
    fn score_corrections_are_no_biases() {
        let name = "model.layers.9.mlp.gate.e_score_correction_bias";
        assert_eq!(place(name), at(Some(9), "mlp.gate.e_score_correction_bias", Part::Main));
    }

    /// What the engine computes or does not load by itself.
    #[test]
    fn buffers_encoders_and_predictions_are_known() {
        assert!(is_buffer("model.layers.0.self_attn.rotary_emb.inv_freq"));
        assert!(is_encoder("visual.blocks.0.attn.qkv.weight"));
        let name = "model.layers.61.eh_proj.weight";
        assert!(is_prediction(name, &place(name), 61));
    }
}
