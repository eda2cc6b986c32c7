//! The kernels of `paged_attention.cu`: how each is built, and what a launch of it needs.

use super::shape::{Shape, TILE};
use crate::bench::data::Format;
use crate::bench::driver::{Error, Gpu, Kernel};
use crate::bench::modules::Kernels;
use crate::bench::split;

/// A kernel. The constants are the template arguments in `paged_attention.cu`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    name: &'static str,
    /// Keys and values.
    pub(super) kv: Format,
    /// Queries and outputs.
    pub(super) format: Format,
    /// Values of a head.
    pub(super) head_size: usize,
    /// Query heads of a KV head, at most.
    pub(super) group: usize,
    warps: usize,
    /// Slots in the ring of a warp.
    stages: usize,
    /// Whether keys and values of a tile have a slot each.
    apart: bool,
    blocks_per_sm: u32,
    /// Shapes that it is timed with.
    pub(super) timed: Timed,
}

/// How much of a variant is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// Every shape.
    All,
    /// One shape, when there is time.
    One,
}

const AMPERE: [Variant; 6] = [
    Variant { name: "paged_bf16_d128_g8", stages: 3, blocks_per_sm: 2, ..BASE },
    Variant { name: "paged_e4m3_d128_g8", kv: Format::E4m3, stages: 4, blocks_per_sm: 3, ..BASE },
    Variant { name: "paged_f16_d128_g8", kv: Format::F16, format: Format::F16, timed: Timed::One, ..BASE },
    Variant { name: "paged_bf16_d128_g16", group: 16, timed: Timed::One, ..BASE },
    Variant { name: "paged_bf16_d64_g8", head_size: 64, stages: 4, timed: Timed::One, ..BASE },
    Variant { name: "paged_bf16_d256_g8", head_size: 256, stages: 2, blocks_per_sm: 1, timed: Timed::One, ..BASE },
];
/// What the form for compute capability 9.0 has of its own: fp8 that the hardware converts needs fewer tiles on their way.
const E4M3_HOPPER: Variant = Variant { name: "paged_e4m3_d128_g8", kv: Format::E4m3, stages: 3, blocks_per_sm: 3, ..BASE };
const HOPPER: [Variant; 6] = [AMPERE[0], E4M3_HOPPER, AMPERE[2], AMPERE[3], AMPERE[4], AMPERE[5]];
/// The same where a block can have all of 227 KiB of shared memory: half as many blocks, and half as many parts to combine.
const WIDE: [Variant; 6] = [
    Variant { name: "paged_bf16_d128_g8_w8", warps: 8, stages: 7, apart: true, blocks_per_sm: 1, ..AMPERE[0] },
    Variant { name: "paged_e4m3_d128_g8_w8", warps: 8, stages: 7, blocks_per_sm: 1, ..E4M3_HOPPER },
    AMPERE[2],
    AMPERE[3],
    AMPERE[4],
    AMPERE[5],
];
/// Bytes of shared memory that a kernel has besides the rings of its warps, at most.
const OWN_SHARED: usize = 1024;
const TURING: [Variant; 2] = [
    Variant { name: "paged_f16_d128_g8", kv: Format::F16, format: Format::F16, warps: 2, stages: 2, ..BASE },
    Variant { name: "paged_e4m3_d128_g8", kv: Format::E4m3, format: Format::F16, warps: 2, stages: 4, ..BASE },
];
const BASE: Variant = Variant {
    name: "",
    kv: Format::Bf16,
    format: Format::Bf16,
    head_size: 128,
    group: 8,
    warps: 4,
    stages: 3,
    apart: false,
    blocks_per_sm: 2,
    timed: Timed::All,
};

/// The variants of the loaded form that suit the device.
pub(super) fn variants(gpu: &Gpu, kernels: &Kernels<'_>) -> Result<&'static [Variant], Error> {
    let shared = gpu.shared_of_block()?;
    Ok(match (kernels.is_turing(), kernels.is_hopper()) {
        (true, _) => &TURING,
        (_, true) if WIDE.iter().all(|variant| variant.shared_bytes() + OWN_SHARED <= shared) => &WIDE,
        (_, true) => &HOPPER,
        _ => &AMPERE,
    })
}

/// A loaded variant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) kernel: Kernel,
    /// Blocks of a launch.
    pub(super) blocks: u32,
}

impl Loaded {
    /// The same on as many blocks as suit the lengths: ranges that end where a head of a sequence does leave nothing to combine.
    pub(super) fn planned(self, variant: Variant, shape: &Shape) -> Self {
        let tiles = shape.lengths.iter().flat_map(|length| std::iter::repeat_n(length.div_ceil(TILE), shape.kv_heads));
        let tiles: Vec<usize> = tiles.collect();
        Self { blocks: split::parts(&tiles, variant.warps, self.blocks as usize) as u32, ..self }
    }
}

impl Variant {
    /// What tells it from the others of the same formats.
    pub(super) fn what(&self) -> String {
        format!("{} heads of {}", self.group, self.head_size)
    }

    /// Bytes of shared memory: the rings of all warps.
    const fn shared_bytes(&self) -> usize {
        let tiles = if self.apart { 1 } else { 2 };
        self.warps * self.stages * tiles * TILE * self.head_size * self.kv.size()
    }

    /// The kernel.
    pub(super) fn load(&self, gpu: &Gpu, kernels: &Kernels<'_>) -> Result<Loaded, Error> {
        let kernel = kernels.kernel(self.name, (self.warps * 32) as u32, self.shared_bytes())?;
        Ok(Loaded { kernel, blocks: gpu.facts.multiprocessors * kernel.resident.min(self.blocks_per_sm) })
    }

    /// Bytes of the partial outputs that `blocks` blocks exchange, and of their maxima and sums: two slots a block.
    pub(super) const fn partial_bytes(&self, blocks: u32) -> (usize, usize) {
        let slots = blocks as usize * 2;
        (slots * self.group * self.head_size * 4, slots * self.group * 2 * 4)
    }

    /// The largest error that rounding explains, as a share of the root mean square of the outputs. Weights are rounded to the
    /// format of the product, outputs to that of the queries.
    pub(super) const fn error_limit(&self) -> f64 {
        match self.format {
            Format::F16 | Format::E4m3 => 0.006,
            Format::Bf16 => 0.03,
        }
    }
}
