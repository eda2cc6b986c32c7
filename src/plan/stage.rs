//! What a pipeline stage has to do for a token, for the speed of a launch.

use crate::plan::weights::Weights;
use crate::units::Bytes;

/// One pipeline stage, as each of its ranks sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageLoad {
    /// Its decoder layers.
    pub layers: u64,
    /// The weights of one of its ranks.
    pub weights: Weights,
    /// Bytes of KV cache a token and rank.
    pub kv_bytes_per_token: Bytes,
}
