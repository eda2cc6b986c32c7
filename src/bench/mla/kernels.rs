//! The kernels of `mla.cu`: how each is built, and what a launch of it needs.

use super::shape::{LATENT, Shape, TILE, VALUES};
use crate::bench::driver::{Error, Gpu, Kernel};
use crate::bench::modules::Kernels;
use crate::bench::split;

/// A kernel. The constants are the template arguments in `mla.cu`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    name: &'static str,
    /// Query heads of a block.
    pub(super) heads: usize,
    warps: usize,
    tokens: usize,
    stages: usize,
    blocks_per_sm: u32,
}

/// Sequences and heads that a block of the kernel that combines has in hand at a time.
const TEAMS: usize = 4;

/// All of them.
pub(super) const VARIANTS: [Variant; 2] = [
    Variant { name: "mla_bf16_h64", heads: 64, warps: 8, tokens: 32, stages: 3, blocks_per_sm: 1 },
    Variant { name: "mla_bf16_h16", heads: 16, warps: 4, tokens: 16, stages: 4, blocks_per_sm: 2 },
];

/// A loaded variant, with the kernel that combines what its blocks share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) variant: Variant,
    pub(super) kernel: Kernel,
    pub(super) merge: Kernel,
    /// Blocks of a launch, at most.
    pub(super) blocks: u32,
}

impl Variant {
    /// The kernel.
    pub(super) fn load(self, gpu: &Gpu, kernels: &Kernels<'_>) -> Result<Loaded, Error> {
        if kernels.is_turing() {
            let (major, minor) = gpu.facts.capability;
            return Err(Error::Refused(format!(
                "latent attention needs bf16 of compute capability 8.0, and this device has {major}.{minor}"
            )));
        }
        let Self { name, heads, warps, tokens, stages, blocks_per_sm } = self;
        // The ring, a quarter of the scores each, the weights; rows of both are padded.
        let shared = stages * tokens * VALUES * 2 + 4 * heads * (tokens + 8) * 4 + heads * (tokens * 2 + 16);
        let kernel = kernels.kernel(name, (warps * 32) as u32, shared)?;
        let merge = kernels.kernel("mla_merge", (TEAMS * LATENT / 4) as u32, 0)?;
        Ok(Loaded { variant: self, kernel, merge, blocks: gpu.facts.multiprocessors * kernel.resident.min(blocks_per_sm) })
    }
}

impl Loaded {
    /// The same on so many blocks.
    pub(super) const fn on(self, blocks: u32) -> Self {
        Self { blocks, ..self }
    }

    /// The same on as many blocks as suit the lengths.
    pub(super) fn planned(self, shape: &Shape) -> Self {
        let groups = (shape.heads / self.variant.heads) as u32;
        let tiles: Vec<usize> = shape.lengths.iter().map(|length| length.div_ceil(TILE)).collect();
        let parts = split::parts(&tiles, self.variant.tokens / TILE, (self.blocks / groups).max(1) as usize);
        self.on(parts as u32 * groups)
    }

    /// Blocks of a launch for so many query heads: equally many for each part of them.
    pub(super) fn blocks_for(&self, query_heads: usize) -> u32 {
        let parts = (query_heads / self.variant.heads) as u32;
        (self.blocks / parts).max(1) * parts
    }

    /// Blocks of the kernel that combines.
    pub(super) fn merge_blocks(&self, gpu: &Gpu, shape: &Shape) -> u32 {
        let most = gpu.facts.multiprocessors * self.merge.resident.min(2);
        most.min((shape.lengths.len() * shape.heads).div_ceil(TEAMS) as u32)
    }

    /// Bytes of the partial outputs that blocks leave, and of their maxima and sums: two slots a block.
    pub(super) fn partial_bytes(&self, query_heads: usize) -> (usize, usize) {
        let slots = self.blocks_for(query_heads) as usize * 2 * self.variant.heads;
        (slots * LATENT * 4, slots * 2 * 4)
    }
}
