//! The product in 64-bit floats, and how far a result is from it.

use super::layout::{BLOCK_N, Matrix};
use crate::bench::cores::on_all;
use crate::bench::data::{Data, Format};
use crate::bench::deviation::Deviation;

/// The largest error that rounding of the outputs explains, as a share of their root mean square: half a unit in the last place,
/// which is 2^-9 of bf16 and 2^-12 of f16, of values up to fifteen times the root mean square. Values of 8.5 times it were seen.
pub(super) const fn limit(format: Format) -> f64 {
    match format {
        Format::F16 => 0.004,
        Format::Bf16 | Format::E4m3 => 0.03,
    }
}

/// Y = X Wᵀ, with what X and W are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) matrix: Matrix,
    pub(super) rows: usize,
    pub(super) format: Format,
    pub(super) weights: Data,
    pub(super) scales: Data,
    pub(super) x: Data,
}

impl Product {
    /// Every output.
    pub(super) fn all_outputs(&self) -> Vec<usize> {
        (0..self.matrix.n).collect()
    }

    /// One random output of each tile of 256, and the first and the last: a tile that is shared wrongly shows.
    pub(super) fn some_outputs(&self) -> Vec<usize> {
        let tiles = 0..self.matrix.n / BLOCK_N;
        tiles.map(|tile| tile * BLOCK_N + fastrand::usize(..BLOCK_N)).chain([0, self.matrix.n - 1]).collect()
    }

    /// How far `result` is from the reference at these outputs, in all rows. No output may be unwritten.
    pub(super) fn check(&self, result: &[u16], outputs: &[usize]) -> Deviation {
        let Self { matrix: Matrix { n: width, k: depth, .. }, rows, format, .. } = *self;
        let x: Vec<f64> = (0..rows * depth).map(|index| self.x.value(format, index)).collect();
        let of = |n: &usize| -> Vec<(f64, f64)> {
            let n = *n;
            let weights: Vec<f64> = (0..depth).map(|k| self.matrix.weight(n, k, self.weights, self.scales, format)).collect();
            let row = |m: usize| {
                let wanted = x.iter().skip(m * depth).zip(&weights).map(|(x, w)| x * w).sum();
                (result.get(m * width + n).map_or(f64::NAN, |bits| format.value(*bits)), wanted)
            };
            (0..rows).map(row).collect()
        };
        let Some(pairs) = on_all(outputs, of) else { return Deviation::fault("the reference could not be computed") };
        let unwritten = result.iter().filter(|bits| format.value(**bits).is_nan()).count();
        let deviation = Deviation::of(&pairs.concat());
        if unwritten == 0 {
            deviation
        } else {
            deviation.worse(Deviation::fault(&format!("{unwritten} of {} outputs are not numbers", result.len())))
        }
    }
}
