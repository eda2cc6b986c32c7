//! Where a weight and a scale stand in what the kernels read (`weight_stream.cuh`, `w4a16.cu` and `w8a16.cu` draw the layouts), and
//! what they are worth there.

use crate::bench::data::{Data, Format};

/// Outputs of a unit.
pub(super) const BLOCK_N: usize = 256;
/// Bytes of a unit of weights.
const UNIT_BYTES: usize = 16384;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Stored {
    /// Integers of four bits less eight, with a scale for each output and 128 inputs.
    Int4,
    /// Floats of eight bits, with a scale for each output.
    E4m3,
}

impl Stored {
    /// What kernels are called after in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Int4 => "int4",
            Self::E4m3 => "fp8",
        }
    }

    /// Inputs of a unit of weights; of 4-bit weights, they share a scale.
    pub(super) const fn group(self) -> usize {
        match self {
            Self::Int4 => 128,
            Self::E4m3 => 64,
        }
    }

    /// Random weights: usual ones, and those at the ends of the format's range, which have patterns of bits of their own.
    pub(super) fn data(self) -> Vec<Data> {
        match self {
            Self::Int4 => vec![Data::words()],
            Self::E4m3 => vec![Data::values(Format::E4m3), Data::smallest_e4m3(), Data::largest_e4m3()],
        }
    }
}

/// A matrix of `n` × `k` weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    /// How they are stored.
    pub(super) stored: Stored,
    /// Outputs, a multiple of 256.
    pub(super) n: usize,
    /// Inputs, a multiple of the group.
    pub(super) k: usize,
}

impl Matrix {
    /// Floating-point operations of a product with so many rows.
    pub(super) const fn flops(self, rows: usize) -> u64 {
        2 * (rows * self.n * self.k) as u64
    }

    /// Bytes of the packed weights.
    pub(super) const fn weight_bytes(self) -> usize {
        match self.stored {
            Stored::Int4 => self.n * self.k / 2,
            Stored::E4m3 => self.n * self.k,
        }
    }

    /// Bytes of the scales.
    pub(super) const fn scale_bytes(self) -> usize {
        match self.stored {
            Stored::Int4 => self.n * self.k / self.stored.group() * 2,
            Stored::E4m3 => self.n * 2,
        }
    }

    /// Units of weights.
    pub(super) const fn units(self) -> usize {
        self.n / BLOCK_N * (self.k / self.stored.group())
    }

    /// The 32-bit word that holds a weight, and the lowest of its bits in it.
    const fn place(self, n: usize, k: usize) -> (usize, usize) {
        let group = self.stored.group();
        let unit = n / BLOCK_N * (self.k / group) + k / group;
        let (strip, tile, row, lower) = (n % BLOCK_N / 32, n % 32 / 16, n % 8, n % 16 / 8);
        let lane = k % 64 / 16;
        let (step, word, bit) = match self.stored {
            Stored::Int4 => (k % group / 64, k % 16 / 4, 16 * (k & 1) + 8 * (k >> 1 & 1) + 4 * lower),
            // Bytes 1, 3, 0 and 2 hold the weights of four successive k.
            Stored::E4m3 => (k % 16 / 8, k % 8 / 4 * 2 + lower, 16 * (k & 1) + 8 * (1 - (k >> 1 & 1))),
        };
        let word = (((strip * 2 + step) * 2 + tile) * 32 + row * 4 + lane) * 4 + word;
        (unit * UNIT_BYTES / 4 + word, bit)
    }

    /// The index of the scale of a weight.
    const fn scale_place(self, n: usize, k: usize) -> usize {
        match self.stored {
            Stored::Int4 => {
                let unit = n / BLOCK_N * (self.k / self.stored.group()) + k / self.stored.group();
                (unit * 8 + n % BLOCK_N / 32) * 32 + n % 8 * 4 + n % 32 / 16 * 2 + n % 16 / 8
            }
            Stored::E4m3 => n,
        }
    }

    /// The value of a weight, times its scale.
    pub(super) fn weight(self, n: usize, k: usize, weights: Data, scales: Data, format: Format) -> f64 {
        let (word, bit) = self.place(n, k);
        let bits = weights.word(word) >> bit;
        let quantised = match self.stored {
            Stored::Int4 => f64::from(bits & 15) - 8.0,
            Stored::E4m3 => Format::E4m3.value(bits as u16 & 0xff),
        };
        quantised * scales.value(format, self.scale_place(n, k))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every weight has bits of its own, every output and group of k a scale of its own.
    #[test]
    fn places_are_a_permutation() {
        for (stored, width, grouped) in [(Stored::Int4, 4, true), (Stored::E4m3, 8, false)] {
            let matrix = Matrix { stored, n: 512, k: 256 };
            let mut bits: Vec<usize> = Vec::new();
            let mut scales: Vec<usize> = Vec::new();
            for n in 0..matrix.n {
                for k in 0..matrix.k {
                    let (word, bit) = matrix.place(n, k);
                    bits.push(word * 32 + bit);
                    let first = if grouped { k / stored.group() * stored.group() } else { 0 };
                    if k == first {
                        scales.push(matrix.scale_place(n, k));
                    }
                    assert_eq!(matrix.scale_place(n, k), matrix.scale_place(n, first));
                }
            }
            bits.sort_unstable();
            scales.sort_unstable();
            assert!(bits.iter().enumerate().all(|(index, bit)| *bit == index * width), "{stored:?}");
            assert!(scales.iter().enumerate().all(|(index, scale)| *scale == index), "{stored:?}");
            assert_eq!(bits.len() * width / 8, matrix.weight_bytes());
            assert_eq!(scales.len() * 2, matrix.scale_bytes());
        }
    }
}
