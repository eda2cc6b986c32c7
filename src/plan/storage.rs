//! Bytes that a linear layer takes under each quantisation: as the checkpoint stores it, and as the kernel
//! keeps it after loading. Never a flat factor: packed weights, scales, zero points and indices one by one.

use crate::model::spec::{CheckpointQuantization, Dtype};
use crate::version::Version;

/// Where a scale applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// One for so many weights along the input.
    Group(u64),
    /// One an output.
    Channel,
    /// One a tensor.
    Tensor,
    /// One a block of rows × columns.
    Block(u64, u64),
}

/// Zero points beside the scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroPoints {
    /// Symmetric: none.
    None,
    /// Packed, as many bits as a weight.
    Packed,
    /// 16-bit, already multiplied by the scale (Machete).
    Wide,
    /// Packed eight to a 16-bit element: GPTQ's experts declare their packed zero points in the model's dtype.
    HalfPacked,
}

/// How one linear layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Plain elements of so many bytes.
    Plain(u64),
    /// Packed weights with scales.
    Packed {
        /// Bits a weight.
        bits: u64,
        /// Where the scales apply.
        scale: Scale,
        /// Bytes a scale.
        scale_bytes: u64,
        /// The zero points.
        zeros: ZeroPoints,
        /// Bytes of group indices an input feature (GPTQ stores 4, a kernel with activation order keeps 8).
        index_bytes: u64,
    },
    /// bitsandbytes 4-bit: an absolute maximum for 64 weights.
    Absmax {
        /// Whether the maxima are themselves quantised: 1 byte each and 4 bytes for 256 of them.
        nested: bool,
    },
    /// GGUF blocks: so many bits a weight, times 16.
    Ggml {
        /// Bits a weight × 16 (4.5 bits are 72).
        sixteenth_bits: u64,
    },
}

/// Where and by what the weights are loaded: decides kernels, and with them the layout.
#[derive(Clone, Copy, Debug)]
pub struct Loader<'a> {
    /// The engine's version.
    pub version: &'a Version,
    /// Compute capability × 10; `None` counts as one without a repacking kernel of its own.
    pub compute_capability: Option<u32>,
    /// The dtype of unquantised weights.
    pub dtype: Dtype,
}

impl Storage {
    /// Bytes of one linear layer of `rows` outputs and `columns` inputs.
    pub fn bytes(self, rows: u64, columns: u64) -> u64 {
        self.parameters(rows, columns).into_iter().fold(0, u64::saturating_add)
    }

    /// Bytes of each of its parameters: weights, scales, zero points, indices. The allocator rounds each by itself.
    pub fn parameters(self, rows: u64, columns: u64) -> [u64; 4] {
        let elements = rows.saturating_mul(columns);
        match self {
            Self::Plain(bytes) => [elements.saturating_mul(bytes), 0, 0, 0],
            Self::Packed { bits, scale, scale_bytes, zeros, index_bytes } => {
                let scales = match scale {
                    Scale::Group(size) => rows.saturating_mul(columns.div_ceil(size.max(1))),
                    Scale::Channel => rows,
                    Scale::Tensor => 1,
                    Scale::Block(block_rows, block_columns) => {
                        rows.div_ceil(block_rows.max(1)).saturating_mul(columns.div_ceil(block_columns.max(1)))
                    }
                };
                let zero_bytes = match zeros {
                    ZeroPoints::None => 0,
                    ZeroPoints::Packed => scales.saturating_mul(bits) / 8,
                    ZeroPoints::Wide => scales.saturating_mul(2),
                    ZeroPoints::HalfPacked => scales / 4,
                };
                let weights = elements.saturating_mul(bits) / 8;
                [weights, scales.saturating_mul(scale_bytes), zero_bytes, columns.saturating_mul(index_bytes)]
            }
            Self::Absmax { nested } => {
                let maxima = elements.div_ceil(64);
                let maxima_bytes = if nested { maxima + maxima.div_ceil(256) * 4 } else { maxima.saturating_mul(4) };
                [elements / 2, maxima_bytes, 0, 0]
            }
            Self::Ggml { sixteenth_bits } => [elements.saturating_mul(sixteenth_bits) / 128, 0, 0, 0],
        }
    }
}

/// The layouts of one quantisation: in the checkpoint (what the offloader counts), and on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layouts {
    /// As the parameters are created, before any repacking.
    pub stored: Storage,
    /// As the kernel keeps them.
    pub resident: Storage,
    /// Whether loading replaces the parameters by repacked ones.
    pub repacked: bool,
}

impl Layouts {
    const fn same(storage: Storage) -> Self {
        Self { stored: storage, resident: storage, repacked: false }
    }
}

/// The layouts of linear layers under `quantization`. `experts` asks for the routed experts', which other
/// kernels serve (Marlin for mixture-of-experts layers on every capability).
pub fn layouts(quantization: &CheckpointQuantization, loader: Loader<'_>, experts: bool) -> Layouts {
    let method = quantization.method.as_str();
    let format = quantization.format.as_deref().unwrap_or("");
    match (method, format) {
        (_, "nvfp4") | ("modelopt_fp4" | "nvfp4", _) => Layouts::same(packed(4, Scale::Group(16), 1)),
        (_, "mxfp4") | ("mxfp4" | "gpt_oss_mxfp4", _) => Layouts::same(packed(4, Scale::Group(32), 1)),
        (_, "mxfp8") | ("mxfp8" | "modelopt_mxfp8", _) => Layouts::same(packed(8, Scale::Group(32), 1)),
        ("bitsandbytes", _) if quantization.bits == 8 => Layouts::same(packed(8, Scale::Channel, 4)),
        ("bitsandbytes", _) => Layouts::same(Storage::Absmax { nested: nested_absmax(loader.version) }),
        ("gguf", _) => Layouts::same(Storage::Ggml { sixteenth_bits: quantization.bits.saturating_mul(16) + 8 }),
        _ if quantization.bits <= 8 && quantization.group_size.is_some() && quantization.block.is_none() => {
            integer_groups(quantization, loader, experts)
        }
        _ => Layouts::same(eight_bits(quantization)),
    }
}

const fn packed(bits: u64, scale: Scale, scale_bytes: u64) -> Storage {
    Storage::Packed { bits, scale, scale_bytes, zeros: ZeroPoints::None, index_bytes: 0 }
}

/// fp8 and int8: one byte a weight, and fp32 scales a block, a channel or a tensor.
fn eight_bits(quantization: &CheckpointQuantization) -> Storage {
    let scale = match quantization.block {
        Some((rows, columns)) => Scale::Block(rows, columns),
        None if quantization.static_activations => Scale::Tensor,
        None => Scale::Channel,
    };
    packed(quantization.bits.max(4), scale, 4)
}

/// Up to 0.9.1 the nested maxima are kept; later they are expanded at load (`_dequantize_dq`).
fn nested_absmax(version: &Version) -> bool {
    matches!(version.release(), [0, 0..=8, ..] | [0, 9] | [0, 9, 0..=1, ..])
}

/// AWQ, GPTQ and compressed-tensors WNA16: integers in groups. On compute capability 9.0 dense layers are
/// served by Machete, which keeps 16-bit zero points and leaves GPTQ's unused ones in place; elsewhere by
/// Marlin, which keeps zero points packed and empties what it does not use. Experts are served by Marlin.
fn integer_groups(quantization: &CheckpointQuantization, loader: Loader<'_>, experts: bool) -> Layouts {
    let group = Scale::Group(quantization.group_size.unwrap_or(128));
    let gptq = quantization.method.contains("gptq");
    let layout = |zeros, index_bytes| Storage::Packed { bits: quantization.bits, scale: group, scale_bytes: 2, zeros, index_bytes };
    let stored_zeros = if quantization.zero_point || gptq { ZeroPoints::Packed } else { ZeroPoints::None };
    let stored = layout(stored_zeros, if gptq { 4 } else { 0 });
    let repacks = loader.compute_capability.is_none_or(|capability| capability >= 75);
    let machete = loader.compute_capability == Some(90) && !experts && has_machete(quantization, loader.version);
    let index = if quantization.desc_act { 8 } else { 0 };
    let resident = match (repacks, machete, experts) {
        (false, ..) => stored,
        (true, true, _) if gptq => layout(ZeroPoints::Packed, 4 + index),
        (true, true, _) if quantization.zero_point => layout(ZeroPoints::Wide, index),
        (true, false, true) if gptq => layout(ZeroPoints::HalfPacked, index),
        _ if quantization.zero_point => layout(ZeroPoints::Packed, index),
        _ => layout(ZeroPoints::None, index),
    };
    Layouts { stored, resident, repacked: repacks }
}

/// Machete serves GPTQ and compressed-tensors in all versions that can be planned. AWQ chooses among the
/// mixed-precision kernels (`choose_mp_linear_kernel`) in 0.19.1, and did not yet in 0.16.0.
fn has_machete(quantization: &CheckpointQuantization, version: &Version) -> bool {
    !quantization.method.contains("awq") || *version.release() >= [0, 19, 1][..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awq() -> CheckpointQuantization {
        CheckpointQuantization {
            method: "awq".into(),
            bits: 4,
            group_size: Some(128),
            zero_point: true,
            desc_act: false,
            block: None,
            static_activations: false,
            nested: false,
            format: None,
            skipped_modules: Vec::new(),
            experts: None,
            quantized_head: false,
        }
    }

    fn per_weight(storage: Storage) -> f64 {
        storage.bytes(8192, 8192) as f64 / (8192.0 * 8192.0)
    }

    #[test]
    fn awq_stores_packed_zero_points_and_machete_widens_them() {
        let version = "0.25.1".parse().expect("a version");
        let loader = Loader { version: &version, compute_capability: Some(90), dtype: Dtype::Bfloat16 };
        let layouts = layouts(&awq(), loader, false);
        assert!((per_weight(layouts.stored) - 0.519_531_25).abs() < 1e-9);
        assert!((per_weight(layouts.resident) - 0.531_25).abs() < 1e-9);
    }

    #[test]
    fn marlin_keeps_zero_points_packed() {
        let version = "0.25.1".parse().expect("a version");
        let loader = Loader { version: &version, compute_capability: Some(89), dtype: Dtype::Bfloat16 };
        assert!((per_weight(layouts(&awq(), loader, false).resident) - 0.519_531_25).abs() < 1e-9);
    }

    #[test]
    fn machete_served_gptq_before_awq() {
        let version = "0.10.2".parse().expect("a version");
        let loader = Loader { version: &version, compute_capability: Some(90), dtype: Dtype::Bfloat16 };
        let gptq = CheckpointQuantization { method: "gptq".into(), zero_point: false, ..awq() };
        let indices = 4.0 / 8192.0;
        assert!((per_weight(layouts(&gptq, loader, false).resident) - 0.519_531_25 - indices).abs() < 1e-9);
        assert!((per_weight(layouts(&awq(), loader, false).resident) - 0.519_531_25).abs() < 1e-9);
    }

    #[test]
    fn nf4_keeps_nested_maxima_up_to_0_9_1() {
        assert!((per_weight(Storage::Absmax { nested: true }) - 0.515_869_140_625).abs() < 1e-9);
        assert!((per_weight(Storage::Absmax { nested: false }) - 0.5625).abs() < 1e-9);
        assert!(nested_absmax(&"0.8.5.post1".parse().expect("a version")));
        assert!(!nested_absmax(&"0.9.2".parse().expect("a version")));
    }
}
