//! How each kernel of `w4a16.cu` and `w8a16.cu` is built. The figures are the template arguments there.

use super::layout::{BLOCK_N, Stored};
use crate::bench::data::Format;

/// Outputs of a strip, which a warp multiplies at a time.
const STRIP_N: usize = 32;
/// Bytes of one group of a strip.
const STRIP_BYTES: usize = 2048;
/// Bytes of the scales of one group of a strip.
const STRIP_SCALE_BYTES: usize = 64;
/// Bytes of the sums of a warp for a tile of 16 outputs and eight rows.
const FRAGMENT_BYTES: usize = 512;
/// Warps of a block of warpgroups.
const WARPGROUP_WARPS: usize = 16;
/// Outputs of a tile of such a warp.
const WARP_TILE_N: usize = 16;
/// Bytes of X that each of them copies for a chunk, and of the two barriers of a chunk.
const WARP_X_BYTES: usize = 2048;
const CHUNK_BARRIER_BYTES: usize = 16;

/// How blocks share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Blocks take equal ranges of all tiles (`weight_stream.cuh`).
    Stream {
        /// Strips of a warp.
        strips: usize,
        /// Groups of X in a chunk.
        x_groups: usize,
        /// Blocks on a multiprocessor.
        resident: u32,
    },
    /// The warps of one or two blocks split the k of a tile (`split_k.cuh`).
    Split {
        /// Strips of a tile, and warps of a set.
        strips: usize,
        /// Sets of a block.
        sets: usize,
        /// Blocks of a tile.
        blocks: u32,
        /// Groups of X in a chunk.
        x_groups: usize,
        /// Chunks in the ring of a set.
        x_chunks: usize,
    },
    /// The warpgroups of a block have a tile, and all of its k (`warpgroup.cuh`). Such kernels are for compute capability 9.0 alone.
    Warpgroups {
        /// Tiles of 16 outputs of a warp.
        tiles: usize,
        /// Groups of X in a chunk.
        x_groups: usize,
        /// Chunks that are dealt out.
        x_chunks: usize,
        /// Chunks that are asked for before.
        x_ahead: usize,
    },
}

/// A kernel for up to `rows` rows of X.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) stored: Stored,
    /// X and outputs.
    pub(super) format: Format,
    /// Rows of X that it takes at most.
    pub(super) rows: usize,
    /// Groups of weights in the ring of a warp.
    stages: usize,
    pub(super) work: Work,
}

impl Variant {
    /// Blocks that are launched together; 1: each for itself.
    pub(super) const fn cluster(&self) -> u32 {
        if let Work::Split { blocks, .. } = self.work { blocks } else { 1 }
    }

    /// Whether the warps of a block split k. Such kernels are in the PTX of compute capability 9.0 and newer alone.
    pub(super) const fn splits(&self) -> bool {
        matches!(self.work, Work::Split { .. })
    }

    /// Outputs of a tile, of which a matrix must have whole ones.
    pub(super) const fn tile(&self) -> usize {
        if let Work::Warpgroups { tiles, .. } = self.work { WARPGROUP_WARPS * tiles * WARP_TILE_N } else { BLOCK_N }
    }

    /// Whether a block takes all outputs of a unit.
    pub(super) const fn takes_units(&self) -> bool {
        match self.work {
            Work::Stream { .. } => false,
            Work::Split { strips, blocks, .. } => blocks == 1 && strips * STRIP_N == BLOCK_N,
            Work::Warpgroups { .. } => self.tile() == BLOCK_N,
        }
    }

    /// Threads of a block.
    pub(super) const fn threads(&self) -> u32 {
        match self.work {
            Work::Stream { strips, .. } => (BLOCK_N / strips) as u32,
            Work::Split { strips, sets, .. } => (strips * sets * 32) as u32,
            Work::Warpgroups { .. } => (WARPGROUP_WARPS * 32) as u32,
        }
    }

    /// Bytes of shared memory: the rings of all warps, chunks of X, and the sums that are added up there.
    pub(super) const fn shared_bytes(&self) -> usize {
        let int4 = matches!(self.stored, Stored::Int4);
        let stage = STRIP_BYTES + if int4 { STRIP_SCALE_BYTES } else { 0 };
        let group_of_x = self.rows * self.stored.group() * 2;
        match self.work {
            Work::Stream { x_groups, .. } => BLOCK_N / STRIP_N * self.stages * stage + 2 * x_groups * group_of_x,
            Work::Split { strips, sets, x_groups, x_chunks, .. } => {
                let sums_of_x = if int4 { self.rows * 4 } else { 0 };
                let warp = 2 * (self.rows / 8) * FRAGMENT_BYTES + self.stages * stage;
                sets * x_chunks * x_groups * (group_of_x + sums_of_x) + strips * sets * warp
            }
            // X as it is read and as it was copied; a warp has its tiles of the weights, and the scales of a strip.
            Work::Warpgroups { tiles, x_groups, x_chunks, x_ahead } => {
                let stage = tiles * (STRIP_BYTES / 2) + STRIP_SCALE_BYTES;
                let warp = x_ahead * WARP_X_BYTES + self.stages * stage;
                x_chunks * (x_groups * group_of_x + CHUNK_BARRIER_BYTES) + WARPGROUP_WARPS * warp
            }
        }
    }

    /// Blocks of a launch for `n` outputs, if tiles decide that.
    pub(super) const fn blocks_for(&self, n: usize) -> Option<u32> {
        match self.work {
            Work::Stream { .. } => None,
            Work::Split { strips, blocks, .. } => Some((n / (strips * STRIP_N)) as u32 * blocks),
            Work::Warpgroups { .. } => Some((n / self.tile()) as u32),
        }
    }
}

/// The kernel `name` of `format` for ranges of tiles: rows, strips, stages, groups of X, blocks on a multiprocessor.
const fn stream(name: &'static str, format: Format, [rows, strips, stages, x_groups, resident]: [usize; 5]) -> Variant {
    Variant { name, stored: stored(name), format, rows, stages, work: Work::Stream { strips, x_groups, resident: resident as u32 } }
}

/// The kernel `name` in bf16 for a split k: rows, strips, sets, blocks, stages, groups of X, chunks of X.
const fn split(name: &'static str, [rows, strips, sets, blocks, stages, x_groups, x_chunks]: [usize; 7]) -> Variant {
    let work = Work::Split { strips, sets, blocks: blocks as u32, x_groups, x_chunks };
    Variant { name, stored: stored(name), format: Format::Bf16, rows, stages, work }
}

/// The kernel `name` in bf16 for warpgroups: rows, tiles of a warp, stages, groups of X, chunks of X, chunks that are asked for.
const fn warpgroups(name: &'static str, [rows, tiles, stages, x_groups, x_chunks, x_ahead]: [usize; 6]) -> Variant {
    let work = Work::Warpgroups { tiles, x_groups, x_chunks, x_ahead };
    Variant { name, stored: stored(name), format: Format::Bf16, rows, stages, work }
}

/// The second letter of a name is its bits: `w4a16`, `w8a16`.
const fn stored(name: &str) -> Stored {
    if name.as_bytes()[1] == b'4' { Stored::Int4 } else { Stored::E4m3 }
}

/// Those of compute capability 8.0 and newer. Of two that take as many rows, the one for longer matrices comes first.
pub(super) const AMPERE: &[Variant] = &[
    stream("w4a16_bf16_m8", Format::Bf16, [8, 2, 3, 4, 3]),
    stream("w4a16_bf16_m8_narrow", Format::Bf16, [8, 1, 3, 4, 2]),
    stream("w4a16_bf16_m16", Format::Bf16, [16, 2, 3, 4, 3]),
    stream("w4a16_bf16_m32", Format::Bf16, [32, 2, 3, 2, 2]),
    stream("w4a16_bf16_m64", Format::Bf16, [64, 1, 3, 1, 1]),
    split("w4a16_bf16_m8_split8", [8, 2, 8, 1, 2, 1, 3]),
    split("w4a16_bf16_m8_split16", [8, 2, 8, 2, 3, 1, 4]),
    split("w4a16_bf16_m16_split8", [16, 4, 4, 2, 2, 2, 2]),
    // Also for long matrices: sixteen warps unpack for sixteen rows what eight do not.
    split("w4a16_bf16_m16_split2", [16, 8, 2, 1, 2, 2, 2]),
    warpgroups("w4a16_bf16_m32_warpgroups", [32, 2, 3, 4, 2, 1]),
    warpgroups("w4a16_bf16_m64_warpgroups", [64, 1, 3, 2, 3, 2]),
    stream("w4a16_f16_m8", Format::F16, [8, 2, 3, 4, 3]),
    stream("w4a16_f16_m16", Format::F16, [16, 2, 3, 4, 3]),
    stream("w4a16_f16_m32", Format::F16, [32, 2, 3, 2, 2]),
    stream("w4a16_f16_m64", Format::F16, [64, 1, 3, 1, 1]),
    stream("w8a16_bf16_m8", Format::Bf16, [8, 2, 3, 8, 3]),
    stream("w8a16_bf16_m16", Format::Bf16, [16, 2, 3, 8, 3]),
    stream("w8a16_bf16_m32", Format::Bf16, [32, 1, 3, 4, 2]),
    stream("w8a16_bf16_m64", Format::Bf16, [64, 1, 3, 2, 1]),
    split("w8a16_bf16_m8_split8", [8, 2, 8, 1, 2, 2, 2]),
    split("w8a16_bf16_m8_split16", [8, 2, 8, 2, 2, 2, 2]),
    split("w8a16_bf16_m16_split8", [16, 4, 4, 2, 3, 2, 3]),
    stream("w8a16_f16_m8", Format::F16, [8, 2, 3, 8, 3]),
    stream("w8a16_f16_m16", Format::F16, [16, 2, 3, 8, 3]),
    stream("w8a16_f16_m32", Format::F16, [32, 2, 3, 4, 2]),
];

/// Those of compute capability 7.5, which has 64 KiB of shared memory and no bfloat16.
pub(super) const TURING: &[Variant] = &[
    stream("w4a16_f16_m8", Format::F16, [8, 1, 2, 4, 1]),
    stream("w4a16_f16_m16", Format::F16, [16, 1, 2, 2, 1]),
    stream("w4a16_f16_m32", Format::F16, [32, 1, 2, 1, 1]),
    stream("w8a16_f16_m8", Format::F16, [8, 1, 2, 8, 1]),
    stream("w8a16_f16_m16", Format::F16, [16, 1, 2, 4, 1]),
    stream("w8a16_f16_m32", Format::F16, [32, 1, 2, 2, 1]),
];
