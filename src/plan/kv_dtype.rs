//! Bytes a cached token takes, by `--kv-cache-dtype`.

use crate::model::spec::Dtype;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvDtype {
    /// Plain elements of so many bytes.
    Plain(u64),
    /// One element of 8 bits, and an fp32 scale for each token and head for keys and for values.
    PerTokenHead8,
    /// Two elements a byte, and the same scales.
    PerTokenHead4,
    /// NVFP4: two elements a byte and one fp8 scale for 16 of them.
    Nvfp4,
    /// DeepSeek V3.2's sparse layout: 656 bytes a token (512 fp8 + 4 fp32 scales + 64 bf16).
    Fp8DsMla,
    /// Its NVFP4 variant: 352 bytes a token.
    Nvfp4DsMla,
}

impl KvDtype {
    /// The storage that the engine's name means; the model's own dtype for `auto` and unknown names.
    pub fn named(name: &str, dtype: Dtype) -> Self {
        match name {
            "fp8_ds_mla" => Self::Fp8DsMla,
            "nvfp4_ds_mla" => Self::Nvfp4DsMla,
            "nvfp4" | "nvfp4_4over6" => Self::Nvfp4,
            "int8_per_token_head" | "fp8_per_token_head" => Self::PerTokenHead8,
            "int4_per_token_head" => Self::PerTokenHead4,
            name if name.starts_with("fp8") || name == "int8" => Self::Plain(1),
            "float32" => Self::Plain(4),
            "bfloat16" | "float16" => Self::Plain(2),
            _ => Self::Plain(dtype.bytes()),
        }
    }

    /// Bytes of one token in one layer of grouped-query attention on one rank.
    pub const fn attention_bytes(self, kv_heads: u64, head_dim: u64, v_head_dim: u64) -> u64 {
        let elements = head_dim + v_head_dim;
        match self {
            Self::Plain(bytes) => kv_heads * elements * bytes,
            Self::PerTokenHead8 => kv_heads * (elements + 8),
            Self::PerTokenHead4 => kv_heads * (elements / 2 + 8),
            Self::Nvfp4 => kv_heads * (elements / 2 + elements / 16),
            Self::Fp8DsMla | Self::Nvfp4DsMla => kv_heads * elements,
        }
    }

    /// Bytes of one token in one layer of latent attention: one vector of `elements`, whole on every rank.
    pub const fn latent_bytes(self, elements: u64) -> u64 {
        match self {
            Self::Plain(bytes) => elements * bytes,
            Self::Fp8DsMla => 656,
            Self::Nvfp4DsMla => 352,
            Self::PerTokenHead8 => elements + 8,
            Self::PerTokenHead4 | Self::Nvfp4 => elements / 2 + elements / 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_llama_70b_token_takes_4_kib_a_layer() {
        assert_eq!(KvDtype::named("auto", Dtype::Bfloat16).attention_bytes(8, 128, 128), 4096);
        assert_eq!(KvDtype::named("fp8_e4m3", Dtype::Bfloat16).attention_bytes(8, 128, 128), 2048);
    }

    #[test]
    fn a_deepseek_token_takes_1152_bytes_a_layer() {
        assert_eq!(KvDtype::named("bfloat16", Dtype::Bfloat16).latent_bytes(576), 1152);
        assert_eq!(KvDtype::named("fp8_ds_mla", Dtype::Bfloat16).latent_bytes(576), 656);
    }
}
