//! The kernels of `w4a16.cu`: how each is built, and what a launch of it needs.

use super::layout::{BLOCK_N, GROUP, Matrix};
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
    /// Blocks that share a tile; 1: blocks take ranges of all tiles.
    cluster: u32,
}

const fn variant(name: &'static str, rows: usize, strips: usize, stages: usize, x_groups: usize, blocks_per_sm: u32) -> Variant {
    Variant { name, rows, strips, stages, x_groups, blocks_per_sm, cluster: 1 }
}

const BF16: [Variant; 3] =
    [variant("w4a16_bf16_m8", 8, 2, 3, 4, 3), variant("w4a16_bf16_m16", 16, 2, 3, 4, 3), variant("w4a16_bf16_m32", 32, 2, 3, 2, 2)];
/// For matrices that give each block few groups: fewer, wider blocks share fewer tiles.
const BF16_NARROW: Variant = variant("w4a16_bf16_m8_narrow", 8, 1, 3, 4, 2);
/// For matrices of which the tiles, each on a cluster of blocks, fill the device about once.
const BF16_CLUSTERS: [Variant; 2] = [
    Variant { cluster: 8, ..variant("w4a16_bf16_m8_cluster", 8, 2, 3, 2, 3) },
    Variant { cluster: 8, ..variant("w4a16_bf16_m16_cluster", 16, 2, 2, 2, 3) },
];
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
    blocks: u32,
    variant: Variant,
}

impl Loaded {
    /// The same on so many blocks.
    pub(super) const fn on(self, blocks: u32) -> Self {
        Self { blocks, ..self }
    }

    /// Blocks of a launch for `matrix`.
    pub(super) fn blocks(&self, matrix: Matrix) -> u32 {
        if self.variant.cluster > 1 { (matrix.n / BLOCK_N) as u32 * self.variant.cluster } else { self.blocks }
    }

    /// Whether the clusters of `matrix` run all at once and leave no multiprocessor empty. Blocks of a cluster go to one
    /// multiprocessor before they go to the next: with less than 1.5 blocks each, some would get two and others none.
    fn suits(&self, gpu: &Gpu, matrix: Matrix) -> bool {
        let (blocks, multiprocessors) = (self.blocks(matrix), gpu.facts.multiprocessors);
        2 * blocks >= 3 * multiprocessors && blocks <= multiprocessors * self.kernel.resident
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

/// The kernel for `rows` rows of `matrix`.
pub(super) fn choose(gpu: &Gpu, kernels: &Kernels<'_>, format: Format, rows: usize, matrix: Matrix) -> Result<Loaded, Error> {
    if let Some(variant) = clusters(kernels, format).iter().find(|variant| rows <= variant.rows) {
        let loaded = load(gpu, kernels, *variant)?;
        if loaded.suits(gpu, matrix) {
            return Ok(loaded);
        }
    }
    let groups = matrix.n / BLOCK_N * (matrix.k / GROUP);
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
        (Format::Bf16, _) => [&BF16[..], &[BF16_NARROW], clusters(kernels, format)].concat(),
        (_, true) => F16_TURING.to_vec(),
        (_, false) => F16.to_vec(),
    };
    table.into_iter().map(|variant: Variant| load(gpu, kernels, variant)).collect()
}

/// The kernels for clusters, where there are any.
fn clusters(kernels: &Kernels<'_>, format: Format) -> &'static [Variant] {
    if format == Format::Bf16 && kernels.overlap() { &BF16_CLUSTERS } else { &[] }
}

fn load(gpu: &Gpu, kernels: &Kernels<'_>, variant: Variant) -> Result<Loaded, Error> {
    let Variant { name, rows, strips, stages, x_groups, blocks_per_sm, cluster } = variant;
    // The rings of all warps, two chunks of X, and the sums that the blocks of a cluster push to each other.
    let received = if cluster > 1 { rows / 8 * 8192 } else { 0 };
    let shared = 8 * stages * (2048 + 64) + 2 * rows * x_groups * 256 + received;
    let kernel = kernels.kernel(name, (256 / strips) as u32, shared)?.in_clusters_of(cluster);
    let blocks = gpu.facts.multiprocessors * kernel.resident.min(blocks_per_sm);
    Ok(Loaded { kernel, blocks, variant })
}
