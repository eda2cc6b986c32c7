//! Rates that were measured on the card of a plan, in place of nominal ones.

use crate::units::{Bytes, BytesPerSecond, Milliseconds};

/// What `gpudoctor bench` measured on one card.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Where the figures are from, as a phrase: `bench.json, NVIDIA H100 80GB HBM3`.
    pub source: String,
    /// Reading of device memory.
    pub read: BytesPerSecond,
    /// Products with 4-bit weights.
    pub packed: Vec<PackedSample>,
    /// Paged attention over 16-bit keys and values.
    pub attention: Option<BytesPerSecond>,
    /// The same over keys and values of 8 bits.
    pub attention_8bit: Option<BytesPerSecond>,
    /// Pinned copies to the device.
    pub host_to_device: Option<BytesPerSecond>,
}

/// One product with 4-bit weights, each launched after the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PackedSample {
    /// Rows that the matrix was multiplied with: tokens of a decode step.
    pub rows: u64,
    /// Bytes that it had to move.
    pub bytes: Bytes,
    /// Time of a launch.
    pub time: Milliseconds,
}

/// A launch of a product takes a fixed time, and the rest is a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PackedCost {
    /// Time of a launch however small.
    pub fixed: Milliseconds,
    /// Rate of the bytes beside it.
    pub rate: BytesPerSecond,
}

impl Rates {
    /// The cost of products with `batch` rows: the line through what was measured with the fewest rows that are enough, and
    /// with the most rows where none are. `None` where no product was measured.
    pub fn packed(&self, batch: u64) -> Option<PackedCost> {
        let enough = self.packed.iter().map(|sample| sample.rows).filter(|rows| *rows >= batch).min();
        let rows = enough.or_else(|| self.packed.iter().map(|sample| sample.rows).max())?;
        let group: Vec<&PackedSample> = self.packed.iter().filter(|sample| sample.rows == rows).collect();
        let smallest = group.iter().min_by_key(|sample| sample.bytes)?;
        let largest = group.iter().max_by_key(|sample| sample.bytes)?;
        let (bytes, time) = (largest.bytes.0 as f64 - smallest.bytes.0 as f64, largest.time.0 - smallest.time.0);
        if bytes <= smallest.bytes.0 as f64 || time <= 0.0 {
            // One size tells no fixed part.
            return Some(PackedCost { fixed: Milliseconds(0.0), rate: BytesPerSecond(largest.bytes.0 as f64 / largest.time.0 * 1e3) });
        }
        let rate = BytesPerSecond(bytes / time * 1e3);
        Some(PackedCost { fixed: Milliseconds((smallest.time.0 - rate.time(smallest.bytes).0).max(0.0)), rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rows: u64, bytes: u64, time: f64) -> PackedSample {
        PackedSample { rows, bytes: Bytes(bytes), time: Milliseconds(time) }
    }

    fn rates(packed: Vec<PackedSample>) -> Rates {
        Rates { source: String::new(), read: BytesPerSecond(3e12), packed, attention: None, attention_8bit: None, host_to_device: None }
    }

    /// Two sizes make a line: 10 µs and 2 TB/s.
    #[test]
    fn two_sizes_tell_the_fixed_part_from_the_rate() {
        let cost =
            rates(vec![sample(1, 20_000_000, 0.02), sample(1, 200_000_000, 0.11)]).packed(1).unwrap_or_else(|| unreachable!("two samples"));
        assert!((cost.fixed.0 - 0.01).abs() < 1e-9 && (cost.rate.0 - 2e12).abs() < 1.0, "{cost:?}");
    }

    /// A batch takes the kernel with the fewest rows that are enough, and the largest where none are.
    #[test]
    fn a_batch_takes_the_next_number_of_rows() {
        let rates = rates(vec![sample(1, 100, 1.0), sample(16, 100, 2.0), sample(32, 100, 4.0)]);
        let times = [1, 2, 16, 64].map(|batch| rates.packed(batch).map(|cost| cost.rate.time(Bytes(100)).0));
        assert_eq!(times, [Some(1.0), Some(2.0), Some(2.0), Some(4.0)]);
    }

    /// Nothing measured is no rate.
    #[test]
    fn without_samples_there_is_no_cost() {
        assert_eq!(rates(Vec::new()).packed(1), None);
    }
}
