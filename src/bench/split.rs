//! How many parts a decode step's tokens are cut into.

/// What beginning and ending a part of a sequence costs, in steps of its tokens: queries come in, and accumulators go out.
const OVERHEAD: usize = 2;

/// The number of equal parts, at most `most`, with which the longest takes least, as an engine plans before it launches. Parts that
/// end where sequences do leave nothing to combine. `lengths` in tiles of tokens, of which a step has `step`.
pub(super) fn parts(lengths: &[usize], step: usize, most: usize) -> usize {
    let least = (most / 2).max(1);
    (least..=most).min_by_key(|parts| longest(lengths, step, *parts)).unwrap_or(most)
}

/// Steps of the longest of so many parts.
fn longest(lengths: &[usize], step: usize, parts: usize) -> usize {
    let total: usize = lengths.iter().sum();
    let (each, longer) = (total / parts, total % parts);
    let mut sequences = lengths.iter().copied().filter(|length| *length > 0);
    let (mut left, mut worst) = (0, 0);
    for part in 0..parts {
        let (mut room, mut cost) = (each + usize::from(part < longer), 0);
        while room > 0 {
            if left == 0 {
                left = sequences.next().unwrap_or(room);
            }
            let taken = room.min(left);
            cost += taken.div_ceil(step) + OVERHEAD;
            (room, left) = (room - taken, left - taken);
        }
        worst = worst.max(cost);
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty-four sequences on sixty-six blocks: one each is better than parts that all begin and end inside sequences.
    #[test]
    fn parts_end_where_sequences_do() {
        assert_eq!(parts(&[128; 64], 2, 66), 64);
        assert_eq!(parts(&[256; 16], 2, 66), 64);
    }

    /// One sequence is shared by all, as far as that makes the longest part shorter.
    #[test]
    fn one_sequence_is_cut_into_as_many_parts_as_help() {
        assert_eq!(parts(&[1000], 1, 100), 100);
        assert_eq!(parts(&[3], 1, 8), 4);
    }

    /// Sequences of no tokens are no part of anything.
    #[test]
    fn empty_sequences_cost_nothing() {
        assert_eq!(longest(&[0, 4, 0, 4], 1, 2), 4 + OVERHEAD);
    }
}
