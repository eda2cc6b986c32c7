//! Shapes of latent attention, where a row stands in the pages, and the outputs in 64-bit floats.

use crate::bench::cores::on_all;
use crate::bench::data::{Data, Format};
use crate::bench::deviation::Deviation;
use crate::bench::driver::Argument;

/// Values of the latent, which are those of an output.
pub(super) const LATENT: usize = 512;
/// Values of a row and of a query: the latent and 64 that carry the position.
pub(super) const VALUES: usize = 576;
/// Tokens of a tile of the work list; a page is one or more of them.
pub(super) const TILE: usize = 16;
/// Values of a query before its product with the latent: scores are divided by the root of it.
const QUERY: f64 = 192.0;

/// One decode step over sequences of these lengths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// Query heads.
    pub(super) heads: usize,
    /// Tokens of each sequence, the newest included.
    pub(super) lengths: Vec<usize>,
    /// Tokens of a page: a power of two times 16.
    pub(super) page: usize,
    /// What scores are multiplied with besides 1/√192: above one, the maximum moves more often.
    pub(super) sharpness: f64,
}

impl Shape {
    /// Sequences of equal length.
    pub(super) fn even(heads: usize, sequences: usize, length: usize) -> Self {
        Self { heads, lengths: vec![length; sequences], page: TILE, sharpness: 1.0 }
    }

    /// Pages of the longest sequence: entries of a row of the page table.
    pub(super) fn row(&self) -> usize {
        self.lengths.iter().max().map_or(0, |longest| longest.div_ceil(self.page))
    }

    /// Bytes that a step must read and write: latent rows, queries, outputs.
    pub(super) fn bytes(&self) -> usize {
        let tokens: usize = self.lengths.iter().sum();
        2 * (tokens * VALUES + self.lengths.len() * self.heads * (VALUES + LATENT))
    }

    /// Floating-point operations of a step: scores with all values, outputs of the latent.
    pub(super) fn flops(&self) -> u64 {
        let tokens: usize = self.lengths.iter().sum();
        2 * (tokens * self.heads * (VALUES + LATENT)) as u64
    }

    fn scale(&self) -> f64 {
        self.sharpness / QUERY.sqrt()
    }

    /// `Shape` of `tile_list.cuh`: six 32-bit integers and two floats, then one stride of 64 and two of 32 bits.
    pub(super) fn argument(&self) -> Argument {
        let scale = (self.scale() * std::f64::consts::LOG2_E) as f32;
        let shift = (self.page / TILE).trailing_zeros() as usize;
        let pair = |low: usize, high: usize| low as u64 | (high as u64) << 32;
        Argument::Structure([
            pair(self.heads, 1),
            pair(self.lengths.len(), self.row()),
            pair(shift, scale.to_bits() as usize),
            pair(1_f32.to_bits() as usize, 0),
            (self.page * VALUES) as u64,
            pair(VALUES, 0),
        ])
    }
}

/// What a step reads besides the shape.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) rows: Data,
    pub(super) queries: Data,
    /// The page table, row by row.
    pub(super) table: Vec<i32>,
}

/// How far `output` is from the reference for these pairs of a sequence and a head. No output may be unwritten.
pub(super) fn check(shape: &Shape, content: &Content, output: &[u16], pairs: &[(usize, usize)]) -> Deviation {
    let failed = || Deviation::fault("the reference could not be computed");
    let mut worst = Deviation::default();
    let mut sequences: Vec<usize> = pairs.iter().map(|(sequence, _)| *sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    for sequence in sequences {
        let Some(rows) = rows(shape, content, sequence) else { return failed() };
        let heads: Vec<usize> = pairs.iter().filter(|(of, _)| *of == sequence).map(|(_, head)| *head).collect();
        let of = |head: &usize| {
            let wanted = reference(shape, content, &rows, sequence * shape.heads + head);
            let found = output.iter().skip((sequence * shape.heads + head) * LATENT).map(|bits| Format::Bf16.value(*bits));
            Deviation::of(&found.zip(wanted).collect::<Vec<(f64, f64)>>())
        };
        let Some(deviations) = on_all(&heads, of) else { return failed() };
        worst = deviations.into_iter().fold(worst, Deviation::worse);
    }
    let unwritten = output.iter().filter(|bits| Format::Bf16.value(**bits).is_nan()).count();
    if unwritten == 0 { worst } else { worst.worse(Deviation::fault(&format!("{unwritten} of {} outputs are not numbers", output.len()))) }
}

/// The latent rows of a sequence, as they are: 32 bits hold every value.
fn rows(shape: &Shape, content: &Content, sequence: usize) -> Option<Vec<Vec<f32>>> {
    let tokens: Vec<usize> = (0..shape.lengths.get(sequence).copied()?).collect();
    on_all(&tokens, |token| {
        let page = content.table.get(sequence * shape.row() + token / shape.page).copied().unwrap_or(0);
        let at = (usize::try_from(page).unwrap_or(0) * shape.page + token % shape.page) * VALUES;
        (at..at + VALUES).map(|index| content.rows.value(Format::Bf16, index) as f32).collect()
    })
}

/// The output of one query head.
fn reference(shape: &Shape, content: &Content, rows: &[Vec<f32>], query: usize) -> Vec<f64> {
    let query: Vec<f64> = (query * VALUES..(query + 1) * VALUES).map(|index| content.queries.value(Format::Bf16, index)).collect();
    let score = |row: &Vec<f32>| query.iter().zip(row).map(|(q, k)| q * f64::from(*k)).sum::<f64>() * shape.scale();
    let scores: Vec<f64> = rows.iter().map(score).collect();
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    let mut output = vec![0.0; LATENT];
    for (score, row) in scores.iter().zip(rows) {
        let weight = (score - highest).exp();
        sum += weight;
        output.iter_mut().zip(row).for_each(|(out, value)| *out += weight * f64::from(*value));
    }
    output.iter_mut().for_each(|out| *out /= sum);
    output
}
