//! What a checkpoint says about one tensor before its data.

use crate::units::Bytes;

/// One tensor of a checkpoint, as its header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorHeader {
    /// The name as stored: `model.layers.0.self_attn.q_proj.weight`, or `blk.0.attn_q.weight` in GGUF.
    pub name: String,
    /// The type as stored: `BF16`, `F8_E4M3`, `I32` (packed), `Q4_K` …
    pub dtype: String,
    /// Elements along each dimension, slowest first (GGUF stores them fastest first; they are turned here).
    pub shape: Vec<u64>,
    /// What the tensor occupies in the file.
    pub bytes: Bytes,
}

/// Text from a foreign file as it may stand in a message: on one line, without control characters, not endless.
pub(crate) fn quotable(text: &str) -> String {
    const LIMIT: usize = 160;
    let mut quoted: String = text.chars().take(LIMIT).flat_map(char::escape_debug).collect();
    if text.chars().nth(LIMIT).is_some() {
        quoted.push('…');
    }
    quoted.replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_fill_or_steer_the_terminal() {
        assert_eq!(quotable("model.norm"), "model.norm");
        assert_eq!(quotable("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(quotable(&"x".repeat(1000)).chars().count(), 161);
    }
}
