//! Which batch sizes CUDA graphs are captured for (`VllmConfig._set_cudagraph_sizes`).

use crate::catalog::CaptureSizes;

/// What bounds the sizes beside the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests a step.
    pub max_num_seqs: u64,
    /// Tokens a step.
    pub max_num_batched_tokens: u64,
    /// Speculative tokens a request and step.
    pub speculative_tokens: u64,
    /// The user's largest size (`--max-cudagraph-capture-size`).
    pub largest: Option<u64>,
    /// Whether the compute capability is 10.x, for which some versions capture larger sizes.
    pub sm100: bool,
}

/// The default sizes in ascending order.
pub fn default_capture_sizes(rule: &CaptureSizes, limits: Limits) -> Vec<u64> {
    let tokens_a_request = if rule.counts_speculation { 1 + limits.speculative_tokens } else { 1 };
    let rule_largest = rule.max_sm100.filter(|_| limits.sm100).unwrap_or(rule.max);
    let by_requests = rule.max_per_sequence.map(|each| each.saturating_mul(limits.max_num_seqs).saturating_mul(tokens_a_request));
    let largest = match by_requests {
        Some(by_requests) => limits.largest.unwrap_or(by_requests.min(rule_largest)),
        None => rule_largest,
    };
    // Versions with a coarse step above some size also cut at the batch limit and add it when it is off the grid.
    let cuts = rule.coarse_from.is_some();
    let largest = if cuts { largest.min(limits.max_num_batched_tokens) } else { largest };
    let fine_end = rule.coarse_from.map_or(largest, |coarse| largest.min(coarse.saturating_sub(1)));
    let mut sizes: Vec<u64> = rule.first.iter().copied().filter(|size| *size <= largest).collect();
    sizes.extend((rule.from..=fine_end).step_by(step(rule.step)));
    if let (Some(coarse), Some(coarse_step)) = (rule.coarse_from, rule.coarse_step) {
        sizes.extend((coarse..=largest).step_by(step(coarse_step)));
    }
    if cuts && limits.max_num_batched_tokens <= largest && !sizes.contains(&limits.max_num_batched_tokens) {
        sizes.push(limits.max_num_batched_tokens);
    }
    sizes.retain(|size| *size <= limits.max_num_batched_tokens);
    sizes.sort_unstable();
    sizes
}

fn step(step: u64) -> usize {
    usize::try_from(step).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_8() -> CaptureSizes {
        CaptureSizes {
            first: vec![1, 2, 4],
            from: 8,
            step: 8,
            coarse_from: None,
            coarse_step: None,
            max: 512,
            max_sm100: None,
            max_per_sequence: None,
            counts_speculation: false,
        }
    }

    fn every_16() -> CaptureSizes {
        CaptureSizes { coarse_from: Some(256), coarse_step: Some(16), max_per_sequence: Some(2), counts_speculation: true, ..every_8() }
    }

    fn limits(max_num_seqs: u64, max_num_batched_tokens: u64) -> Limits {
        Limits { max_num_seqs, max_num_batched_tokens, speculative_tokens: 0, largest: None, sm100: false }
    }

    #[test]
    fn the_counts_are_those_of_real_logs() {
        assert_eq!(default_capture_sizes(&every_8(), limits(8, 8192)).len(), 67);
        assert_eq!(default_capture_sizes(&every_16(), limits(1024, 16384)).len(), 51);
        assert_eq!(default_capture_sizes(&every_16(), limits(8, 512)), [1, 2, 4, 8, 16]);
    }

    #[test]
    fn an_odd_batch_limit_is_captured_where_it_is_reached() {
        let sizes = default_capture_sizes(&every_16(), limits(256, 500));
        assert_eq!(sizes.last(), Some(&500));
    }

    #[test]
    fn sizes_above_the_batch_limit_are_dropped() {
        let sizes = default_capture_sizes(&every_8(), limits(256, 100));
        assert_eq!(sizes.last(), Some(&96));
    }
}
