//! Where a weight and a scale stand in what the kernel reads (`w4a16.cu` draws the layout), and what they are worth there.

use crate::bench::data::{Data, Format};

/// Outputs of a unit.
pub(super) const BLOCK_N: usize = 256;
/// Values of k that share a scale.
pub(super) const GROUP: usize = 128;
/// Bytes of a unit of weights.
const UNIT_BYTES: usize = BLOCK_N * GROUP / 2;

/// A matrix of `outputs` × `inputs` weights of four bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    /// Outputs, a multiple of 256.
    pub(super) n: usize,
    /// Inputs, a multiple of 128.
    pub(super) k: usize,
}

impl Matrix {
    /// Floating-point operations of a product with so many rows.
    pub(super) const fn flops(self, rows: usize) -> u64 {
        2 * (rows * self.n * self.k) as u64
    }

    /// Bytes of the packed weights.
    pub(super) const fn weight_bytes(self) -> usize {
        self.n * self.k / 2
    }

    /// Bytes of the scales.
    pub(super) const fn scale_bytes(self) -> usize {
        self.n * self.k / GROUP * 2
    }

    /// The 32-bit word that holds a weight, and the lowest of its four bits in it.
    const fn place(self, n: usize, k: usize) -> (usize, usize) {
        let unit = n / BLOCK_N * (self.k / GROUP) + k / GROUP;
        let (strip, tile, row) = (n % BLOCK_N / 32, n % 32 / 16, n % 8);
        let (step, lane, quad) = (k % GROUP / 64, k % 64 / 16, k % 16 / 4);
        let word = (((strip * 2 + step) * 2 + tile) * 32 + row * 4 + lane) * 4 + quad;
        (unit * UNIT_BYTES / 4 + word, 16 * (k & 1) + 8 * (k >> 1 & 1) + 4 * (n % 16 / 8))
    }

    /// The index of the scale of a weight.
    const fn scale_place(self, n: usize, k: usize) -> usize {
        let unit = n / BLOCK_N * (self.k / GROUP) + k / GROUP;
        (unit * 8 + n % BLOCK_N / 32) * 32 + n % 8 * 4 + n % 32 / 16 * 2 + n % 16 / 8
    }

    /// The value of a weight: four bits less eight, times its scale.
    pub(super) fn weight(self, n: usize, k: usize, weights: Data, scales: Data, format: Format) -> f64 {
        let (word, bit) = self.place(n, k);
        let quantised = f64::from(weights.word(word) >> bit & 15) - 8.0;
        quantised * scales.value(format, self.scale_place(n, k))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every weight has four bits of its own, every group of outputs and k a scale of its own.
    #[test]
    fn places_are_a_permutation() {
        let matrix = Matrix { n: 512, k: 256 };
        let mut bits: Vec<usize> = Vec::new();
        let mut scales: Vec<usize> = Vec::new();
        for n in 0..matrix.n {
            for k in 0..matrix.k {
                let (word, bit) = matrix.place(n, k);
                bits.push(word * 32 + bit);
                if k % GROUP == 0 {
                    scales.push(matrix.scale_place(n, k));
                }
                assert_eq!(matrix.scale_place(n, k), matrix.scale_place(n, k / GROUP * GROUP));
            }
        }
        bits.sort_unstable();
        scales.sort_unstable();
        assert!(bits.iter().enumerate().all(|(index, bit)| *bit == index * 4));
        assert!(scales.iter().enumerate().all(|(index, scale)| *scale == index));
        assert_eq!(bits.len() / 2, matrix.weight_bytes());
        assert_eq!(scales.len() * 2, matrix.scale_bytes());
    }
}
