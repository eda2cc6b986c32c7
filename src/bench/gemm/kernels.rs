//! The kernels of `w4a16.cu` and `w8a16.cu`: what a launch of each needs, and which one is for what.

use super::layout::{BLOCK_N, Matrix, Stored};
use super::variants::{AMPERE, TURING, Use, Variant};
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
    /// The same on so many blocks.
    pub(super) const fn on(self, blocks: u32) -> Self {
        Self { blocks, ..self }
    }

    /// Blocks of a launch for `matrix`.
    pub(super) fn blocks(&self, matrix: Matrix) -> u32 {
        if self.variant.cluster() > 1 { (matrix.n / BLOCK_N) as u32 * self.variant.cluster() } else { self.blocks }
    }

    /// Whether the clusters of `matrix` run all at once and leave no multiprocessor empty. Blocks of a cluster go to one
    /// multiprocessor before they go to the next: with less than 1.5 blocks each, some would get two and others none. Twice as many
    /// bytes a weight make up for that.
    fn suits(&self, gpu: &Gpu, matrix: Matrix) -> bool {
        let (blocks, multiprocessors) = (self.blocks(matrix), gpu.facts.multiprocessors);
        let spread = matrix.stored == Stored::E4m3 || 2 * blocks >= 3 * multiprocessors;
        spread && blocks <= multiprocessors * self.kernel.resident
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

/// The variants that this device runs.
fn variants(kernels: &Kernels<'_>, stored: Stored, format: Format) -> impl Iterator<Item = Variant> {
    let (table, overlap) = (if kernels.is_turing() { TURING } else { AMPERE }, kernels.overlap());
    let runs = move |variant: &Variant| variant.stored == stored && variant.format == format && (overlap || variant.cluster() == 1);
    table.iter().copied().filter(runs)
}

/// The kernel for `rows` rows of `matrix`.
pub(super) fn choose(gpu: &Gpu, kernels: &Kernels<'_>, format: Format, rows: usize, matrix: Matrix) -> Result<Loaded, Error> {
    let of = |wanted: Use| variants(kernels, matrix.stored, format).find(|variant| variant.used == wanted && rows <= variant.rows);
    if let Some(variant) = of(Use::Clusters) {
        let loaded = load(gpu, kernels, variant)?;
        if loaded.suits(gpu, matrix) {
            return Ok(loaded);
        }
    }
    let wide = of(Use::Large).ok_or_else(|| Error::Refused(format!("no kernel takes {rows} rows")))?;
    let blocks = (gpu.facts.multiprocessors * wide.blocks_per_sm) as usize;
    let narrow = of(Use::Small).filter(|_| matrix.units() < blocks * GROUPS_FOR_WIDE);
    load(gpu, kernels, narrow.unwrap_or(wide))
}

/// Every kernel of a format.
pub(super) fn all(gpu: &Gpu, kernels: &Kernels<'_>, stored: Stored, format: Format) -> Result<Vec<Loaded>, Error> {
    variants(kernels, stored, format).map(|variant| load(gpu, kernels, variant)).collect()
}

fn load(gpu: &Gpu, kernels: &Kernels<'_>, variant: Variant) -> Result<Loaded, Error> {
    let kernel = kernels.kernel(variant.name, (256 / variant.strips) as u32, variant.shared_bytes())?.in_clusters_of(variant.cluster());
    let blocks = gpu.facts.multiprocessors * kernel.resident.min(variant.blocks_per_sm);
    Ok(Loaded { kernel, blocks, variant })
}
