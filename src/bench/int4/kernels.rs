//! The kernels of `w4a16.cu`: how each is built, and what a launch of it needs.

use crate::bench::data::Format;
use crate::bench::driver::{Error, Gpu, Kernel};
use crate::bench::modules::Kernels;

/// A kernel for up to `rows` rows of X. The constants are the template arguments in `w4a16.cu`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    name: &'static str,
    /// Rows of X that it takes at most.
    rows: usize,
    strips: usize,
    stages: usize,
    x_groups: usize,
    blocks_per_sm: u32,
}

const fn variant(name: &'static str, rows: usize, strips: usize, stages: usize, x_groups: usize, blocks_per_sm: u32) -> Variant {
    Variant { name, rows, strips, stages, x_groups, blocks_per_sm }
}

const BF16: [Variant; 3] =
    [variant("w4a16_bf16_m8", 8, 2, 3, 4, 3), variant("w4a16_bf16_m16", 16, 2, 3, 4, 3), variant("w4a16_bf16_m32", 32, 2, 3, 2, 2)];
/// For matrices that give each block few groups: fewer, wider blocks share fewer tiles.
const BF16_NARROW: Variant = variant("w4a16_bf16_m8_narrow", 8, 1, 3, 4, 2);
const F16: [Variant; 3] =
    [variant("w4a16_f16_m8", 8, 2, 3, 4, 3), variant("w4a16_f16_m16", 16, 2, 3, 4, 3), variant("w4a16_f16_m32", 32, 2, 3, 2, 2)];
const F16_TURING: [Variant; 3] =
    [variant("w4a16_f16_m8", 8, 1, 2, 4, 1), variant("w4a16_f16_m16", 16, 1, 2, 2, 1), variant("w4a16_f16_m32", 32, 1, 2, 1, 1)];

/// Fewest groups for each block with which the wide kernel is the faster one, found on an H100.
const GROUPS_FOR_WIDE: usize = 16;

/// A loaded variant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) kernel: Kernel,
    /// Blocks of a launch.
    pub(super) blocks: u32,
    variant: Variant,
}

impl Loaded {
    /// The same on so many blocks.
    pub(super) const fn on(self, blocks: u32) -> Self {
        Self { blocks, ..self }
    }

    /// The most rows of X.
    pub(super) const fn rows(&self) -> usize {
        self.variant.rows
    }

    /// Bytes of the partial sums that blocks exchange: two slots a block.
    pub(super) fn partial_bytes(&self) -> usize {
        self.blocks as usize * 2 * self.variant.rows / 8 * 8192
    }

    /// Bytes of the counters of shared tiles of a matrix with `n` outputs.
    pub(super) fn counter_bytes(&self, n: usize) -> usize {
        n / super::layout::BLOCK_N * (8 / self.variant.strips) * 4
    }
}

/// The formats that the kernels of this device have.
pub(super) fn formats(kernels: &Kernels<'_>) -> &'static [Format] {
    if kernels.is_turing() { &[Format::F16] } else { &[Format::Bf16, Format::F16] }
}

/// The kernel for `rows` rows and `groups` groups of 128 × 256 weights in all.
pub(super) fn choose(gpu: &Gpu, kernels: &Kernels<'_>, format: Format, rows: usize, groups: usize) -> Result<Loaded, Error> {
    let table = match (format, kernels.is_turing()) {
        (Format::Bf16, _) => BF16,
        (_, true) => F16_TURING,
        (_, false) => F16,
    };
    let too_many = || Error::Refused(format!("no kernel takes {rows} rows"));
    let wide = table.into_iter().find(|variant| rows <= variant.rows).ok_or_else(too_many)?;
    let blocks = (gpu.facts.multiprocessors * wide.blocks_per_sm) as usize;
    let narrow = format == Format::Bf16 && rows <= BF16_NARROW.rows && groups < blocks * GROUPS_FOR_WIDE;
    load(gpu, kernels, if narrow { BF16_NARROW } else { wide })
}

/// Every kernel of a format.
pub(super) fn all(gpu: &Gpu, kernels: &Kernels<'_>, format: Format) -> Result<Vec<Loaded>, Error> {
    let table = match (format, kernels.is_turing()) {
        (Format::Bf16, _) => BF16.into_iter().chain([BF16_NARROW]).collect(),
        (_, true) => F16_TURING.to_vec(),
        (_, false) => F16.to_vec(),
    };
    table.into_iter().map(|variant: Variant| load(gpu, kernels, variant)).collect()
}

fn load(gpu: &Gpu, kernels: &Kernels<'_>, variant: Variant) -> Result<Loaded, Error> {
    let Variant { name, rows, strips, stages, x_groups, blocks_per_sm } = variant;
    // The rings of all warps, and two chunks of X.
    let shared = 8 * stages * (2048 + 64) + 2 * rows * x_groups * 256;
    let kernel = kernels.kernel(name, (256 / strips) as u32, shared)?;
    let blocks = gpu.facts.multiprocessors * kernel.resident.min(blocks_per_sm);
    Ok(Loaded { kernel, blocks, variant })
}
