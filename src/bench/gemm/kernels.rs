//! The kernels of `w4a16.cu` and `w8a16.cu`: what a launch of each needs, and which one is for what.

use super::layout::{BLOCK_N, Matrix, Stored};
use super::variants::{AMPERE, TURING, Variant, Work};
use crate::bench::data::Format;
use crate::bench::driver::{Error, Gpu, Kernel};
use crate::bench::modules::Kernels;

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
    /// The same on so many blocks, where ranges of tiles are shared out.
    pub(super) const fn on(self, blocks: u32) -> Self {
        Self { blocks, ..self }
    }

    /// Blocks of a launch for `matrix`.
    pub(super) fn blocks(&self, matrix: Matrix) -> u32 {
        self.variant.blocks_for(matrix.n).unwrap_or(self.blocks)
    }

    /// The most rows of X.
    pub(super) const fn rows(&self) -> usize {
        self.variant.rows
    }

    /// Outputs of a tile, of which a matrix must have whole ones.
    pub(super) const fn tile(&self) -> usize {
        self.variant.tile()
    }

    /// Bytes of the partial sums that blocks exchange: two slots a block.
    pub(super) fn partial_bytes(&self) -> usize {
        self.blocks as usize * 2 * self.variant.rows / 8 * 8192
    }

    /// Bytes of the counters of shared tiles of a matrix with `n` outputs: one for each warp of a block.
    pub(super) const fn counter_bytes(&self, n: usize) -> usize {
        n / BLOCK_N * (self.variant.threads() as usize / 32) * 4
    }
}

/// The formats that the kernels of this device have.
pub(super) fn formats(kernels: &Kernels<'_>) -> &'static [Format] {
    if kernels.is_turing() { &[Format::F16] } else { &[Format::Bf16, Format::F16] }
}

/// The variants that this device runs.
fn variants(gpu: &Gpu, kernels: &Kernels<'_>, stored: Stored, format: Format) -> Result<impl Iterator<Item = Variant>, Error> {
    let (table, shared) = (if kernels.is_turing() { TURING } else { AMPERE }, gpu.shared_of_block()?);
    let (overlap, alone) = (kernels.overlap(), kernels.has_alone());
    let runs = move |variant: &Variant| {
        let fits = variant.shared_bytes() <= shared;
        let has = match variant.work {
            Work::Stream { .. } => true,
            Work::Split { .. } => overlap && fits,
            Work::Warpgroups { .. } => alone && fits,
        };
        variant.stored == stored && variant.format == format && has
    };
    Ok(table.iter().copied().filter(runs))
}

/// The kernel for `rows` rows of `matrix`.
pub(super) fn choose(gpu: &Gpu, kernels: &Kernels<'_>, format: Format, rows: usize, matrix: Matrix) -> Result<Loaded, Error> {
    let all: Vec<Variant> = variants(gpu, kernels, matrix.stored, format)?.collect();
    // Tiles, or halves of them, that keep three of four multiprocessors busy once, and none of them twice; or tiles of a whole unit
    // for which multiprocessors queue.
    let multiprocessors = gpu.facts.multiprocessors;
    let fills = |variant: &&Variant| {
        let once = |blocks| blocks <= multiprocessors && 4 * blocks >= 3 * multiprocessors;
        let queue = |blocks| variant.takes_units() && 2 * blocks >= 3 * multiprocessors;
        matrix.n.is_multiple_of(variant.tile()) && variant.blocks_for(matrix.n).is_some_and(|blocks| once(blocks) || queue(blocks))
    };
    let fewest_rows = all.iter().filter(|variant| rows <= variant.rows).map(|variant| variant.rows).min().unwrap_or(0);
    let of_rows = || all.iter().filter(|variant| variant.rows == fewest_rows);
    if let Some(variant) = of_rows().find(fills) {
        return load(gpu, kernels, *variant);
    }
    let mut streams = of_rows().filter(|variant| variant.blocks_for(matrix.n).is_none());
    let wide = streams.next().ok_or_else(|| Error::Refused(format!("no kernel takes {rows} rows")))?;
    let blocks = (multiprocessors * resident(wide)) as usize;
    let narrow = streams.next().filter(|_| matrix.units() < blocks * GROUPS_FOR_WIDE);
    load(gpu, kernels, *narrow.unwrap_or(wide))
}

/// Every kernel of a format.
pub(super) fn all(gpu: &Gpu, kernels: &Kernels<'_>, stored: Stored, format: Format) -> Result<Vec<Loaded>, Error> {
    variants(gpu, kernels, stored, format)?.map(|variant| load(gpu, kernels, variant)).collect()
}

/// Blocks on a multiprocessor for which the kernel is built.
const fn resident(variant: &Variant) -> u32 {
    if let Work::Stream { resident, .. } = variant.work { resident } else { 1 }
}

fn load(gpu: &Gpu, kernels: &Kernels<'_>, variant: Variant) -> Result<Loaded, Error> {
    // Of blocks that split k, a multiprocessor gets one: where two fit, some get two of a launch and others none.
    let alone = if variant.splits() { gpu.shared_of_block()? / 2 + 1024 } else { 0 };
    let shared = variant.shared_bytes().max(alone);
    let kernel = kernels.kernel(variant.name, variant.threads(), shared)?.in_clusters_of(variant.cluster());
    let blocks = gpu.facts.multiprocessors * kernel.resident.min(resident(&variant));
    Ok(Loaded { kernel, blocks, variant })
}
