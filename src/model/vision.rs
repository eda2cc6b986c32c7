//! Image encoders: how many elements they hold.
//!
//! The planner needs their size only, not their parts, so an encoder is one group of tensors. Each formula is
//! that of the encoder's class in transformers, projector included.

use serde::{Deserialize, Serialize};

/// The dimensions of an image encoder, under the names of its `vision_config`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vision {
    /// Which encoder it is: `qwen2_vl`, `qwen2_5_vl`, `qwen3_vl`, `siglip`, `pixtral`, `mllama`, `llama4`,
    /// `moonvit`, `gemma4`, or `fixed` where only its size is known.
    #[serde(rename = "type", alias = "kind")]
    pub kind: String,
    /// Elements of a `fixed` encoder.
    pub parameters: u64,
    /// Layers, where the encoder calls them so.
    pub depth: u64,
    /// Layers.
    pub num_hidden_layers: u64,
    /// Layers that see all tiles (Llama 3.2).
    pub num_global_layers: u64,
    /// Width, in elements.
    pub hidden_size: u64,
    /// Inner width of the feed-forward block, in elements.
    pub intermediate_size: u64,
    /// The inner width over the width, where that is given instead.
    pub mlp_ratio: f64,
    /// Elements of a head.
    pub head_dim: u64,
    /// Edge of a patch, in pixels.
    pub patch_size: u64,
    /// Frames of a patch.
    pub temporal_patch_size: u64,
    /// Patches merged along each edge.
    pub spatial_merge_size: u64,
    /// Edge of an image, in pixels.
    pub image_size: u64,
    /// Rows of the position embedding.
    pub num_position_embeddings: u64,
    /// Rows of the position embedding (Gemma 4).
    pub position_embedding_size: u64,
    /// Rows of the position embedding (MoonViT).
    pub pos_emb_height: u64,
    /// Columns of the position embedding (MoonViT).
    pub pos_emb_width: u64,
    /// Layers whose output is merged into the decoder too.
    pub deepstack_layers: u64,
    /// Tiles of an image.
    pub max_num_tiles: u64,
    /// Aspect ratios that have an embedding.
    pub max_aspect_ratio_id: u64,
    /// Width of what the projector reads.
    pub vision_output_dim: u64,
    /// Width of what the pixel shuffle reads (Llama 4).
    pub pixel_shuffle_in: u64,
    /// Input width of the projector (Llama 4).
    pub projector_input_dim: u64,
    /// Output width of the projector (Llama 4).
    pub projector_output_dim: u64,
    /// Which projector follows: `mistral3`, else two linear layers.
    pub projector: String,
    /// Whether its output is standardised (Gemma 4).
    pub standardize: bool,
}

/// Arithmetic that saturates: the fields come from foreign files.
fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

fn sum(terms: &[u64]) -> u64 {
    terms.iter().fold(0, |sum, term| sum.saturating_add(*term))
}

/// A linear layer with a bias.
fn biased(inputs: u64, outputs: u64) -> u64 {
    sum(&[product(&[inputs, outputs]), outputs])
}

impl Vision {
    /// Elements of the encoder and its projector into a decoder of width `hidden`.
    pub fn elements(&self, hidden: u64) -> u64 {
        match self.kind.as_str() {
            "qwen2_vl" => self.qwen2_vl(hidden),
            "qwen2_5_vl" => self.qwen2_5_vl(hidden),
            "qwen3_vl" => self.qwen3_vl(hidden),
            "siglip" => self.siglip(hidden),
            "pixtral" => self.pixtral(hidden),
            "mllama" => self.mllama(hidden),
            "llama4" => self.llama4(hidden),
            "moonvit" => self.moonvit(hidden),
            "gemma4" => self.gemma4(hidden),
            _ => self.parameters,
        }
    }

    /// The convolution that cuts patches.
    fn patches(&self, frames: u64) -> u64 {
        product(&[3, frames, self.patch_size, self.patch_size, self.hidden_size])
    }

    /// Patches of a square image.
    fn grid(&self) -> u64 {
        let edge = self.image_size.checked_div(self.patch_size).unwrap_or(0);
        product(&[edge, edge])
    }

    /// The merger that joins neighbouring patches into one token.
    fn merger(&self, hidden: u64) -> u64 {
        let merged = product(&[self.hidden_size, self.spatial_merge_size, self.spatial_merge_size]);
        sum(&[biased(merged, merged), biased(merged, hidden)])
    }

    /// A layer with fused, biased attention, two layer norms and an ungated MLP of width `inner`.
    fn plain_layer(&self, inner: u64) -> u64 {
        let width = self.hidden_size;
        sum(&[biased(width, product(&[3, width])), biased(width, width), biased(width, inner), biased(inner, width), product(&[4, width])])
    }

    fn qwen2_vl(&self, hidden: u64) -> u64 {
        let inner = (self.hidden_size as f64 * self.mlp_ratio) as u64;
        sum(&[
            self.patches(self.temporal_patch_size),
            product(&[self.depth, self.plain_layer(inner)]),
            product(&[2, self.hidden_size]),
            self.merger(hidden),
        ])
    }

    fn qwen2_5_vl(&self, hidden: u64) -> u64 {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let layer = sum(&[
            biased(width, product(&[3, width])),
            biased(width, width),
            product(&[3, width, inner]),
            product(&[2, inner]),
            product(&[3, width]),
        ]);
        sum(&[self.patches(self.temporal_patch_size), product(&[self.depth, layer]), width, self.merger(hidden)])
    }

    fn qwen3_vl(&self, hidden: u64) -> u64 {
        let width = self.hidden_size;
        let merged = product(&[width, self.spatial_merge_size, self.spatial_merge_size]);
        sum(&[
            self.patches(self.temporal_patch_size),
            width,
            product(&[self.num_position_embeddings, width]),
            product(&[self.depth, self.plain_layer(self.intermediate_size)]),
            product(&[2, width]),
            self.merger(hidden),
            product(&[self.deepstack_layers, sum(&[product(&[2, merged]), self.merger(hidden)])]),
        ])
    }

    fn siglip(&self, hidden: u64) -> u64 {
        let width = self.hidden_size;
        sum(&[
            self.patches(1),
            width,
            product(&[self.grid(), width]),
            product(&[self.num_hidden_layers, self.plain_layer(self.intermediate_size)]),
            product(&[2, width]),
            product(&[width, hidden]),
            width,
        ])
    }

    fn pixtral(&self, hidden: u64) -> u64 {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let layer = sum(&[product(&[4, width, width]), product(&[3, width, inner]), product(&[2, width])]);
        let projector = if self.projector == "mistral3" {
            let merge = product(&[self.spatial_merge_size, self.spatial_merge_size, width, width]);
            sum(&[width, merge, product(&[width, hidden]), product(&[hidden, hidden])])
        } else {
            sum(&[biased(width, hidden), biased(hidden, hidden)])
        };
        sum(&[self.patches(1), width, product(&[self.num_hidden_layers, layer]), projector])
    }

    fn mllama(&self, hidden: u64) -> u64 {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let rows = self.grid().saturating_add(1);
        let tiles = product(&[self.max_aspect_ratio_id.saturating_add(1), self.max_num_tiles]);
        let layer = sum(&[product(&[4, width, width]), biased(width, inner), biased(inner, width), product(&[4, width])]);
        sum(&[
            self.patches(1),
            width,
            product(&[rows, width]),
            1,
            product(&[tiles, rows, width]),
            product(&[2, product(&[tiles, width]).saturating_add(1)]),
            product(&[4, width]),
            product(&[self.num_hidden_layers, layer]),
            product(&[self.num_global_layers, layer.saturating_add(2)]),
            biased(self.vision_output_dim, hidden),
        ])
    }

    fn llama4(&self, hidden: u64) -> u64 {
        let width = self.hidden_size;
        sum(&[
            self.patches(1),
            width,
            product(&[self.grid().saturating_add(1), width]),
            product(&[4, width]),
            product(&[self.num_hidden_layers, self.plain_layer(self.intermediate_size)]),
            product(&[self.pixel_shuffle_in, self.projector_input_dim]),
            product(&[self.projector_input_dim, self.projector_output_dim]),
            product(&[self.vision_output_dim, hidden]),
        ])
    }

    fn moonvit(&self, hidden: u64) -> u64 {
        let width = self.hidden_size;
        let merged = product(&[4, width]);
        sum(&[
            self.patches(1),
            width,
            product(&[self.pos_emb_height, self.pos_emb_width, width]),
            product(&[self.num_hidden_layers, self.plain_layer(self.intermediate_size)]),
            product(&[4, width]),
            biased(merged, merged),
            biased(merged, hidden),
        ])
    }

    fn gemma4(&self, hidden: u64) -> u64 {
        let (width, inner) = (self.hidden_size, self.intermediate_size);
        let layer = sum(&[product(&[4, width, width]), product(&[2, self.head_dim]), product(&[3, width, inner]), product(&[4, width])]);
        sum(&[
            self.patches(1),
            product(&[2, self.position_embedding_size, width]),
            product(&[self.num_hidden_layers, layer]),
            if self.standardize { product(&[2, width]) } else { 0 },
            product(&[width, hidden]),
        ])
    }
}
