//! Mixtures of experts: their number, widths, and the layers that have them.

use super::error::ConfigError;
use super::fields::Fields;
use crate::model::shape::Shape;

/// Reads what the file says of experts, where the family has not filled it in already.
pub(super) fn read(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    if shape.num_experts == 0 {
        shape.num_experts = decoder.count(&["num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts"])?.unwrap_or(0);
    }
    if shape.num_experts <= 1 {
        shape.num_experts = 0;
        return Ok(());
    }
    if shape.num_experts_per_tok == 0 {
        shape.num_experts_per_tok = decoder
            .count(&["num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_k", "moe_topk", "top_k_experts"])?
            .unwrap_or(0);
    }
    if shape.moe_intermediate_size == 0 {
        let own = decoder.count(&["moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"])?;
        shape.moe_intermediate_size = own.unwrap_or(shape.intermediate_size);
    }
    let latent = decoder.count(&["moe_latent_size"])?.filter(|width| *width > 0);
    shape.moe_latent_size = shape.moe_latent_size.or(latent);
    if shape.n_shared_experts == 0 {
        shape.n_shared_experts =
            decoder.count(&["n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts"])?.unwrap_or(0);
    }
    if shape.shared_expert_intermediate_size == 0 {
        let names =
            ["shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size", "share_expert_dim"];
        shape.shared_expert_intermediate_size = decoder.count(&names)?.unwrap_or(0);
    }
    layers(decoder, shape)
}

/// Which layers have experts.
fn layers(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    let dense = decoder.count(&["first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"])?;
    shape.first_k_dense_replace = dense.unwrap_or(shape.first_k_dense_replace);
    let step = decoder.positive(&["decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq_step", "expert_layer_period"]);
    shape.decoder_sparse_step = step?.unwrap_or(shape.decoder_sparse_step);
    shape.moe_layer_offset = decoder.count(&["expert_layer_offset"])?.or(shape.moe_layer_offset);
    let last = decoder.count(&["moe_layer_end_index"])?;
    shape.moe_layer_end_index = last.filter(|last| *last > 0).or(shape.moe_layer_end_index);
    if let Some(pattern) = pattern(decoder, shape)? {
        shape.moe_layer_pattern = Some(pattern);
    }
    Ok(())
}

/// Layers that are listed one by one: `mlp_only_layers` (Qwen), `moe_layers` (Llama 4), `moe_layers_enum`
/// (Step 3), a list in `moe_layer_freq` (MiMo), `mlp_layer_types` (transformers 5).
fn pattern(decoder: &Fields<'_>, shape: &Shape) -> Result<Option<String>, ConfigError> {
    let count = shape.num_hidden_layers.min(crate::model::check::MOST_LAYERS);
    let listed = |layers: &[u64], inside: char, outside: char| {
        (0..count).map(|layer| if layers.contains(&layer) { inside } else { outside }).collect::<String>()
    };
    if let Some(layers) = decoder.numbers("mlp_only_layers")?.filter(|layers| !layers.is_empty()) {
        let stepped = |layer: &u64| shape.has_experts(*layer) && !layers.contains(layer);
        return Ok(Some((0..count).map(|layer| if stepped(&layer) { '1' } else { '0' }).collect()));
    }
    if let Some(layers) = decoder.numbers("moe_layers")?.filter(|layers| !layers.is_empty()) {
        return Ok(Some(listed(&layers, '1', '0')));
    }
    if let Some(layers) = decoder.get("moe_layers_enum").and_then(|value| value.as_str()) {
        let layers: Vec<u64> = layers.split(',').filter_map(|layer| layer.trim().parse().ok()).collect();
        return Ok(Some(listed(&layers, '1', '0')));
    }
    let kinds = if decoder.get("mlp_layer_types").is_some() { decoder.texts("mlp_layer_types")? } else { Vec::new() };
    if !kinds.is_empty() {
        return Ok(Some(kinds.iter().map(|kind| if kind == "sparse" { '1' } else { '0' }).collect()));
    }
    if matches!(decoder.get("moe_layer_freq"), Some(serde_json::Value::Array(_))) {
        return Ok(decoder.numbers("moe_layer_freq")?.map(|layers| layers.iter().map(|one| if *one == 1 { '1' } else { '0' }).collect()));
    }
    Ok(None)
}
