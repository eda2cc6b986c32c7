//! How each kernel of `w4a16.cu` and `w8a16.cu` is built. The figures are the template arguments there.

use super::layout::Stored;
use crate::bench::data::Format;

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Matrices that keep every block busy for long.
    Large,
    /// Matrices that give each block few groups: fewer, wider blocks share fewer tiles.
    Small,
    /// Matrices of which the tiles, each on a cluster of so many blocks, fill the device about once.
    Clusters,
}

/// A kernel for up to `rows` rows of X.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) stored: Stored,
    /// X and outputs.
    pub(super) format: Format,
    pub(super) used: Use,
    /// Rows of X that it takes at most.
    pub(super) rows: usize,
    pub(super) strips: usize,
    stages: usize,
    x_groups: usize,
    pub(super) blocks_per_sm: u32,
}

impl Variant {
    /// Blocks that share a tile; 1: blocks take ranges of all tiles.
    pub(super) const fn cluster(&self) -> u32 {
        if matches!(self.used, Use::Clusters) { 8 } else { 1 }
    }

    /// Bytes of shared memory: the rings of all warps, two chunks of X, and the sums that the blocks of a cluster push to each other.
    pub(super) const fn shared_bytes(&self) -> usize {
        let scales = if matches!(self.stored, Stored::Int4) { 64 } else { 0 };
        let received = if self.cluster() > 1 { self.rows / 8 * 8192 } else { 0 };
        8 * self.stages * (2048 + scales) + 2 * self.rows * self.x_groups * self.stored.group() * 2 + received
    }
}

/// The kernels `name` of `format`: rows, strips, stages, groups of X, blocks on a multiprocessor.
const fn variant(name: &'static str, format: Format, used: Use, [rows, strips, stages, x_groups, blocks]: [usize; 5]) -> Variant {
    // The second letter of a name is its bits: `w4a16`, `w8a16`.
    let stored = if name.as_bytes()[1] == b'4' { Stored::Int4 } else { Stored::E4m3 };
    Variant { name, stored, format, used, rows, strips, stages, x_groups, blocks_per_sm: blocks as u32 }
}

/// Those of compute capability 8.0 and newer. Clusters are of 9.0.
pub(super) const AMPERE: &[Variant] = &[
    variant("w4a16_bf16_m8", Format::Bf16, Use::Large, [8, 2, 3, 4, 3]),
    variant("w4a16_bf16_m16", Format::Bf16, Use::Large, [16, 2, 3, 4, 3]),
    variant("w4a16_bf16_m32", Format::Bf16, Use::Large, [32, 2, 3, 2, 2]),
    variant("w4a16_bf16_m64", Format::Bf16, Use::Large, [64, 1, 3, 1, 1]),
    variant("w4a16_bf16_m8_narrow", Format::Bf16, Use::Small, [8, 1, 3, 4, 2]),
    variant("w4a16_bf16_m8_cluster", Format::Bf16, Use::Clusters, [8, 2, 3, 2, 3]),
    variant("w4a16_bf16_m16_cluster", Format::Bf16, Use::Clusters, [16, 2, 2, 2, 3]),
    variant("w4a16_f16_m8", Format::F16, Use::Large, [8, 2, 3, 4, 3]),
    variant("w4a16_f16_m16", Format::F16, Use::Large, [16, 2, 3, 4, 3]),
    variant("w4a16_f16_m32", Format::F16, Use::Large, [32, 2, 3, 2, 2]),
    variant("w4a16_f16_m64", Format::F16, Use::Large, [64, 1, 3, 1, 1]),
    variant("w8a16_bf16_m8", Format::Bf16, Use::Large, [8, 2, 3, 8, 3]),
    variant("w8a16_bf16_m16", Format::Bf16, Use::Large, [16, 2, 3, 8, 3]),
    variant("w8a16_bf16_m32", Format::Bf16, Use::Large, [32, 1, 3, 4, 2]),
    variant("w8a16_bf16_m64", Format::Bf16, Use::Large, [64, 1, 3, 2, 1]),
    variant("w8a16_bf16_m8_cluster", Format::Bf16, Use::Clusters, [8, 2, 3, 4, 3]),
    variant("w8a16_bf16_m16_cluster", Format::Bf16, Use::Clusters, [16, 2, 2, 4, 3]),
    variant("w8a16_f16_m8", Format::F16, Use::Large, [8, 2, 3, 8, 3]),
    variant("w8a16_f16_m16", Format::F16, Use::Large, [16, 2, 3, 8, 3]),
    variant("w8a16_f16_m32", Format::F16, Use::Large, [32, 2, 3, 4, 2]),
];

/// Those of compute capability 7.5, which has 64 KiB of shared memory and no bfloat16.
pub(super) const TURING: &[Variant] = &[
    variant("w4a16_f16_m8", Format::F16, Use::Large, [8, 1, 2, 4, 1]),
    variant("w4a16_f16_m16", Format::F16, Use::Large, [16, 1, 2, 2, 1]),
    variant("w4a16_f16_m32", Format::F16, Use::Large, [32, 1, 2, 1, 1]),
    variant("w8a16_f16_m8", Format::F16, Use::Large, [8, 1, 2, 8, 1]),
    variant("w8a16_f16_m16", Format::F16, Use::Large, [16, 1, 2, 4, 1]),
    variant("w8a16_f16_m32", Format::F16, Use::Large, [32, 1, 2, 2, 1]),
];
