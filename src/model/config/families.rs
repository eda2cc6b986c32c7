//! What each family's config class and model class add to the common fields.

mod blocks;
mod hybrid;
mod older;
mod recent;

use super::error::ConfigError;
use super::fields::Fields;
use crate::model::shape::Shape;

/// Fills in what the family means by its own fields, and what its class always has.
pub(super) fn specialise(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    latent_attention(decoder, shape)?;
    blocks::read(decoder, shape)?;
    older::read(decoder, shape)?;
    hybrid::read(decoder, shape)?;
    recent::read(decoder, shape)
}

/// Multi-head latent attention, and DeepSeek's indexer beside it.
fn latent_attention(decoder: &Fields<'_>, shape: &mut Shape) -> Result<(), ConfigError> {
    shape.kv_lora_rank = decoder.positive(&["kv_lora_rank"])?;
    shape.q_lora_rank = decoder.count(&["q_lora_rank"])?.filter(|rank| *rank > 0);
    shape.qk_nope_head_dim = decoder.count(&["qk_nope_head_dim"])?.unwrap_or(0);
    shape.qk_rope_head_dim = decoder.count(&["qk_rope_head_dim"])?.unwrap_or(0);
    shape.v_head_dim = decoder.positive(&["v_head_dim"])?;
    shape.index_n_heads = decoder.count(&["index_n_heads"])?.unwrap_or(0);
    shape.index_head_dim = decoder.count(&["index_head_dim"])?.unwrap_or(0);
    shape.index_topk = decoder.count(&["index_topk"])?.unwrap_or(0);
    let kinds = decoder.texts("indexer_types")?;
    if kinds.iter().any(|kind| kind != "full") {
        shape.indexer_pattern = Some(kinds.iter().map(|kind| if kind == "full" { 'F' } else { 'S' }).collect());
    }
    if shape.kv_lora_rank.is_some() {
        shape.head_dim = shape.qk_nope_head_dim.saturating_add(shape.qk_rope_head_dim);
        if shape.v_head_dim.is_none() {
            return Err(decoder.absent("v_head_dim", "a positive whole number, as `kv_lora_rank` is there"));
        }
    }
    Ok(())
}
