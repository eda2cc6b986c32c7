//! Which batch sizes CUDA graphs are captured for (`VllmConfig._set_cudagraph_sizes`).

use crate::engine::era::CaptureRule;

/// The sizes in ascending order.
///
/// `limit` is the user's largest size (`--max-cudagraph-capture-size`), or `None`; `speculative_tokens` widens
/// a decode step to `1 + speculative_tokens` tokens a request.
pub fn default_capture_sizes(
    rule: CaptureRule,
    max_num_seqs: u64,
    max_num_batched_tokens: u64,
    speculative_tokens: u64,
    limit: Option<u64>,
    largest_default: u64,
) -> Vec<u64> {
    let twice = max_num_seqs.saturating_mul(2).saturating_mul(1 + speculative_tokens);
    let largest = match rule {
        CaptureRule::Every8To512 => 512,
        CaptureRule::Every8ToTwiceSeqs | CaptureRule::Every16ToTwiceSeqs => limit.unwrap_or(twice.min(largest_default)),
    };
    let largest = if rule == CaptureRule::Every16ToTwiceSeqs { largest.min(max_num_batched_tokens) } else { largest };
    let mut sizes: Vec<u64> = [1, 2, 4].into_iter().filter(|size| *size <= largest).collect();
    match rule {
        CaptureRule::Every8To512 | CaptureRule::Every8ToTwiceSeqs => sizes.extend((8..=largest).step_by(8)),
        CaptureRule::Every16ToTwiceSeqs => {
            sizes.extend((8..=largest.min(255)).step_by(8));
            sizes.extend((256..=largest).step_by(16));
            if max_num_batched_tokens <= largest && !sizes.contains(&max_num_batched_tokens) {
                sizes.push(max_num_batched_tokens);
            }
        }
    }
    sizes.retain(|size| *size <= max_num_batched_tokens);
    sizes.sort_unstable();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rule: CaptureRule, seqs: u64, tokens: u64) -> usize {
        default_capture_sizes(rule, seqs, tokens, 0, None, 512).len()
    }

    #[test]
    fn the_counts_are_those_of_real_logs() {
        assert_eq!(count(CaptureRule::Every8To512, 8, 8192), 67);
        assert_eq!(count(CaptureRule::Every16ToTwiceSeqs, 1024, 16384), 51);
        assert_eq!(count(CaptureRule::Every16ToTwiceSeqs, 8, 512), 5);
    }

    #[test]
    fn an_odd_batch_limit_is_captured_where_it_is_reached() {
        let sizes = default_capture_sizes(CaptureRule::Every16ToTwiceSeqs, 256, 500, 0, None, 512);
        assert_eq!(sizes.last(), Some(&500));
    }

    #[test]
    fn sizes_above_the_batch_limit_are_dropped() {
        let sizes = default_capture_sizes(CaptureRule::Every8To512, 256, 100, 0, None, 512);
        assert_eq!(sizes.last(), Some(&96));
    }
}
