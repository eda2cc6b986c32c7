//! Shapes of paged attention, and where a key or a value stands in the pages.

use std::ops::Range;

use crate::bench::data::{Data, Format};
use crate::bench::driver::Argument;

/// Tokens of a tile; a page is one or more of them.
pub(super) const TILE: usize = 16;

/// How heads and tokens stand in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Token by token, each with all its heads.
    Nhd,
    /// Head by head, each with all its tokens.
    Hnd,
}

/// One decode step over sequences of these lengths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// Tokens of each sequence, the newest included.
    pub(super) lengths: Vec<usize>,
    pub(super) query_heads: usize,
    pub(super) kv_heads: usize,
    /// Values of a head.
    pub(super) head_size: usize,
    /// Tokens of a page: a power of two times [`TILE`].
    pub(super) page: usize,
    pub(super) layout: Layout,
    /// What scores are multiplied with besides 1/√(head size): above one, the maximum moves more often.
    pub(super) sharpness: f64,
}

impl Shape {
    /// Sequences of equal length, with heads of 128, pages of 16 and tokens first, as vLLM's FlashAttention has them.
    pub(super) fn even(sequences: usize, length: usize, query_heads: usize, kv_heads: usize) -> Self {
        Self { lengths: vec![length; sequences], query_heads, kv_heads, head_size: 128, page: TILE, layout: Layout::Nhd, sharpness: 1.0 }
    }

    /// Pages of the longest sequence: entries of a row of the page table.
    pub(super) fn row(&self) -> usize {
        self.lengths.iter().max().map_or(0, |longest| longest.div_ceil(self.page))
    }

    /// Values of a page, of keys alone.
    pub(super) const fn page_values(&self) -> usize {
        self.page * self.kv_heads * self.head_size
    }

    /// Bytes that a step must read and write: keys, values, queries, outputs.
    pub(super) fn bytes(&self, kv: Format) -> usize {
        let tokens: usize = self.lengths.iter().sum();
        2 * tokens * self.kv_heads * self.head_size * kv.size() + 2 * self.lengths.len() * self.query_heads * self.head_size * 2
    }

    /// Floating-point operations of a step: scores and the weighted sum of values. What the softmax takes is not counted.
    pub(super) fn flops(&self) -> u64 {
        let tokens: usize = self.lengths.iter().sum();
        4 * (tokens * self.query_heads * self.head_size) as u64
    }

    /// The factor of scores.
    pub(super) fn scale(&self) -> f64 {
        self.sharpness / (self.head_size as f64).sqrt()
    }

    /// The index of a key's or a value's first element.
    pub(super) const fn place(&self, page: usize, slot: usize, head: usize) -> usize {
        let (token_stride, head_stride) = self.strides();
        page * self.page_values() + slot * token_stride + head * head_stride
    }

    const fn strides(&self) -> (usize, usize) {
        match self.layout {
            Layout::Nhd => (self.kv_heads * self.head_size, self.head_size),
            Layout::Hnd => (self.head_size, self.page * self.head_size),
        }
    }

    /// `Shape` of `tile_list.cuh`: six 32-bit integers and two floats, then one stride of 64 and two of 32 bits.
    pub(super) fn argument(&self) -> Argument {
        let scale = (self.scale() * std::f64::consts::LOG2_E) as f32;
        let (token_stride, head_stride) = self.strides();
        let shift = (self.page / TILE).trailing_zeros() as usize;
        let pair = |low: usize, high: usize| low as u64 | (high as u64) << 32;
        let bits = |float: f32| float.to_bits() as usize;
        Argument::Structure([
            pair(self.query_heads, self.kv_heads),
            pair(self.lengths.len(), self.row()),
            pair(shift, bits(scale)),
            pair(bits(1.0), 0),
            self.page_values() as u64,
            pair(token_stride, head_stride),
        ])
    }
}

/// What a step reads besides the shape.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) keys: Data,
    pub(super) values: Data,
    pub(super) queries: Data,
    /// Keys and values.
    pub(super) kv: Format,
    /// Queries and outputs.
    pub(super) format: Format,
    /// The page table, row by row.
    pub(super) table: Vec<i32>,
}

impl Shape {
    /// What some tokens of a sequence bring to the output of one query head, in 64-bit floats.
    pub(super) fn part(&self, content: &Content, sequence: usize, head: usize, tokens: Range<usize>) -> Part {
        let kv_head = head / (self.query_heads / self.kv_heads);
        let query_at = (sequence * self.query_heads + head) * self.head_size;
        let query: Vec<f64> = (0..self.head_size).map(|d| content.queries.value(content.format, query_at + d)).collect();
        let place = |token: usize| {
            let page = content.table.get(sequence * self.row() + token / self.page).copied().unwrap_or(0);
            self.place(usize::try_from(page).unwrap_or(0), token % self.page, kv_head)
        };
        let score = |token: usize| {
            let at = place(token);
            query.iter().enumerate().map(|(d, q)| q * content.keys.value(content.kv, at + d)).sum::<f64>() * self.scale()
        };
        let scores: Vec<f64> = tokens.clone().map(score).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sum = 0.0;
        let mut output = vec![0.0; self.head_size];
        for (token, score) in tokens.zip(&scores) {
            let (weight, at) = ((score - highest).exp(), place(token));
            sum += weight;
            output.iter_mut().enumerate().for_each(|(d, out)| *out += weight * content.values.value(content.kv, at + d));
        }
        Part { highest, sum, output }
    }
}

/// What some tokens bring to an output: their highest score, and what their weights relative to it add up to, alone and with the values.
#[derive(Clone, Debug)]
pub(super) struct Part {
    highest: f64,
    sum: f64,
    output: Vec<f64>,
}

/// The output of a query head that these parts make.
pub(super) fn whole(parts: &[Part]) -> Vec<f64> {
    let highest = parts.iter().map(|part| part.highest).fold(f64::NEG_INFINITY, f64::max);
    let factors: Vec<f64> = parts.iter().map(|part| (part.highest - highest).exp()).collect();
    let sum: f64 = parts.iter().zip(&factors).map(|(part, factor)| part.sum * factor).sum();
    let values = parts.first().map_or(0, |part| part.output.len());
    let of = |d: usize| {
        parts.iter().zip(&factors).map(|(part, factor)| part.output.get(d).map_or(0.0, |value| value * factor)).sum::<f64>() / sum
    };
    (0..values).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens taken in shares make the output that all at once make, also where the highest score is in a later share.
    #[test]
    fn shares_of_a_sequence_make_the_whole() {
        let part = |highest: f64, sum: f64, output: [f64; 2]| Part { highest, sum, output: output.to_vec() };
        // Two tokens with scores 0 and ln 3, which weigh 1 to 3.
        let together = whole(&[part(3_f64.ln(), 4.0 / 3.0, [(1.0 + 3.0 * 5.0) / 3.0, 2.0 / 3.0])]);
        let shares = whole(&[part(0.0, 1.0, [1.0, 2.0]), part(3_f64.ln(), 1.0, [5.0, 0.0])]);
        assert!(together.iter().zip(&shares).all(|(one, other)| (one - other).abs() < 1e-12), "{together:?} {shares:?}");
        assert!((shares[0] - 4.0).abs() < 1e-12 && (shares[1] - 0.5).abs() < 1e-12, "{shares:?}");
    }

    /// Every key of every page has a place of its own, in either layout.
    #[test]
    fn places_are_a_permutation() {
        for layout in [Layout::Nhd, Layout::Hnd] {
            let shape = Shape { page: 32, layout, ..Shape::even(1, 64, 4, 2) };
            let mut places: Vec<usize> = (0..2 * 32 * 2).map(|i| shape.place(i / 64, i / 2 % 32, i % 2)).collect();
            places.sort_unstable();
            assert!(places.iter().enumerate().all(|(index, place)| *place == index * shape.head_size));
        }
    }
}
