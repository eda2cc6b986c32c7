//! Sizes of the fixed state that a recurrent layer keeps for a request.
//!
//! The formulas are those of `MambaStateShapeCalculator` in vLLM's
//! `vllm/model_executor/layers/mamba/mamba_utils.py`, for all tensor-parallel ranks together and without
//! the extra positions of speculative decoding.

/// Elements of the two parts of a recurrent state, a request and layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The last inputs of the convolution.
    pub convolution: u64,
    /// The recurrent state itself.
    pub recurrent: u64,
}

/// Mamba 1: `inner` channels of `state` elements, and a convolution of `taps`.
pub const fn mamba1(inner: u64, state: u64, taps: u64) -> State {
    State { convolution: inner.saturating_mul(taps.saturating_sub(1)), recurrent: inner.saturating_mul(state) }
}

/// Mamba 2: `heads` of `head_dim` × `state` elements; the convolution also runs over B and C of every group.
pub const fn mamba2(heads: u64, head_dim: u64, groups: u64, state: u64, taps: u64) -> State {
    let inner = heads.saturating_mul(head_dim);
    let channels = inner.saturating_add(groups.saturating_mul(state).saturating_mul(2));
    State { convolution: channels.saturating_mul(taps.saturating_sub(1)), recurrent: inner.saturating_mul(state) }
}

/// Gated delta net: a matrix of value × key elements for each value head.
pub const fn gated_delta(key_heads: u64, value_heads: u64, key_dim: u64, value_dim: u64, taps: u64) -> State {
    let channels = key_dim.saturating_mul(key_heads).saturating_mul(2).saturating_add(value_dim.saturating_mul(value_heads));
    State {
        convolution: channels.saturating_mul(taps.saturating_sub(1)),
        recurrent: value_heads.saturating_mul(value_dim).saturating_mul(key_dim),
    }
}

/// Kimi delta attention: convolutions over queries, keys and values, and a square matrix for each head.
pub const fn kimi_delta(heads: u64, head_dim: u64, taps: u64) -> State {
    gated_delta(heads, heads, head_dim, head_dim, taps)
}

/// Lightning attention: a square matrix for each head, no convolution.
pub const fn linear(heads: u64, head_dim: u64) -> State {
    State { convolution: 0, recurrent: heads.saturating_mul(head_dim).saturating_mul(head_dim) }
}

/// Short convolution: its last inputs, no recurrent state.
pub const fn short_convolution(channels: u64, taps: u64) -> State {
    State { convolution: channels.saturating_mul(taps.saturating_sub(1)), recurrent: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mamba 2.8B: 2 × 2560 channels, 16 state elements, 4 taps.
    #[test]
    fn mamba1_keeps_three_inputs_and_sixteen_states_a_channel() {
        assert_eq!(mamba1(5120, 16, 4), State { convolution: 15_360, recurrent: 81_920 });
    }

    /// Nemotron-H 8B: 128 heads of 64, 8 groups, 128 state elements, 4 taps: 8192 + 2·8·128 = 10240 channels.
    #[test]
    fn mamba2_convolves_the_groups_too() {
        assert_eq!(mamba2(128, 64, 8, 128, 4), State { convolution: 30_720, recurrent: 1_048_576 });
    }

    /// Qwen3-Next 80B: 16 key and 32 value heads of 128, 4 taps: 2·2048 + 4096 = 8192 channels.
    #[test]
    fn gated_delta_net_keeps_a_matrix_for_each_value_head() {
        assert_eq!(gated_delta(16, 32, 128, 128, 4), State { convolution: 24_576, recurrent: 524_288 });
    }

    /// Kimi Linear: 32 heads of 128, 4 taps: 3·4096 channels.
    #[test]
    fn kimi_delta_attention_convolves_queries_keys_and_values() {
        assert_eq!(kimi_delta(32, 128, 4), State { convolution: 36_864, recurrent: 524_288 });
    }

    /// MiniMax Text 01: 64 heads of 128.
    #[test]
    fn lightning_attention_has_no_convolution() {
        assert_eq!(linear(64, 128), State { convolution: 0, recurrent: 1_048_576 });
    }

    /// LFM2 1.2B: 2048 channels, 3 taps.
    #[test]
    fn short_convolution_has_no_recurrent_state() {
        assert_eq!(short_convolution(2048, 3), State { convolution: 4096, recurrent: 0 });
    }
}
