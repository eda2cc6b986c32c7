//! Image encoders in a config.json.

use super::error::ConfigError;
use super::fields::Fields;
use crate::model::shape::Shape;
use crate::model::vision::Vision;

/// Reads `vision_config`. Of audio encoders, and of image encoders that have no formula here, the size is not
/// known and that is said.
pub(super) fn read(root: &Fields<'_>, shape: &Shape, assumed: &mut Vec<String>) -> Result<Option<Vision>, ConfigError> {
    for name in ["audio_config", "audio_encoder_config"] {
        if root.get(name).is_some() {
            assumed.push("the audio encoder is left out: config.json alone does not tell its size".to_owned());
        }
    }
    let Some(serde_json::Value::Object(_)) = root.get("vision_config") else {
        return Ok(None);
    };
    let Some(fields) = root.object("vision_config")? else {
        return Ok(None);
    };
    let Some(kind) = kind(&fields, shape)? else {
        assumed.push("the image encoder is counted as nothing: config.json alone does not tell its size".to_owned());
        return Ok(Some(Vision { kind: "fixed".to_owned(), ..Vision::default() }));
    };
    let count = |names: &[&str], default: u64| fields.count(names).map(|number| number.unwrap_or(default));
    let width = count(&["embed_dim", "hidden_size"], 0)?;
    let vision = Vision {
        depth: count(&["depth", "num_hidden_layers"], 0)?,
        num_hidden_layers: count(&["num_hidden_layers", "depth", "vt_num_hidden_layers"], 0)?,
        num_global_layers: count(&["num_global_layers"], 0)?,
        hidden_size: if kind == "qwen2_vl" { width } else { count(&["hidden_size", "vt_hidden_size"], 0)? },
        intermediate_size: count(&["intermediate_size", "vt_intermediate_size"], 0)?,
        mlp_ratio: fields.number("mlp_ratio")?.unwrap_or(4.0),
        head_dim: count(&["head_dim"], 64)?,
        patch_size: count(&["patch_size", "spatial_patch_size"], 14)?,
        temporal_patch_size: count(&["temporal_patch_size"], 2)?,
        spatial_merge_size: count(&["spatial_merge_size"], 0)?.max(root.count(&["spatial_merge_size"])?.unwrap_or(0)).max(1),
        image_size: count(&["image_size"], 0)?,
        num_position_embeddings: count(&["num_position_embeddings"], 0)?,
        position_embedding_size: count(&["position_embedding_size"], 0)?,
        pos_emb_height: count(&["init_pos_emb_height", "pos_emb_height"], 64)?,
        pos_emb_width: count(&["init_pos_emb_width", "pos_emb_width"], 64)?,
        deepstack_layers: fields.numbers("deepstack_visual_indexes")?.map_or(0, |layers| layers.len() as u64),
        max_num_tiles: count(&["max_num_tiles"], 0)?,
        max_aspect_ratio_id: fields.numbers_of_pairs("supported_aspect_ratios")?.unwrap_or(8),
        vision_output_dim: count(&["vision_output_dim"], 0)?,
        pixel_shuffle_in: count(&["intermediate_size"], 0)?,
        projector_input_dim: count(&["projector_input_dim"], 0)?,
        projector_output_dim: count(&["projector_output_dim"], 0)?,
        projector: if shape.model_type == "mistral3" { "mistral3" } else { "llava" }.to_owned(),
        standardize: fields.flag("standardize")?.unwrap_or(false),
        parameters: 0,
        kind: kind.to_owned(),
    };
    Ok(Some(vision))
}

/// Which formula holds.
fn kind(fields: &Fields<'_>, shape: &Shape) -> Result<Option<&'static str>, ConfigError> {
    let encoder = fields.text("model_type")?.unwrap_or_default();
    Ok(match (shape.model_type.as_str(), encoder) {
        ("qwen2_vl", _) => Some("qwen2_vl"),
        ("qwen2_5_vl", _) => Some("qwen2_5_vl"),
        ("qwen3_vl" | "qwen3_vl_moe" | "qwen3_5" | "qwen3_5_moe", _) => Some("qwen3_vl"),
        ("gemma3", _) => Some("siglip"),
        ("mistral3" | "pixtral", _) | (_, "pixtral") => Some("pixtral"),
        ("mllama", _) => Some("mllama"),
        ("llama4", _) => Some("llama4"),
        ("kimi_vl" | "kimi_k25", _) => Some("moonvit"),
        ("gemma4", _) => Some("gemma4"),
        _ => None,
    })
}
