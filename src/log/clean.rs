//! A line of a stream to the lines that programs printed.

use std::borrow::Cow;

use encoding_rs::GB18030;

use super::{Line, Source, escape, prefix, record};

/// How many records may be packed into each other: Docker in journald in a collector.
pub(super) const DEPTH: usize = 4;

/// The text of `bytes`: UTF-8, else GB18030 where the whole stream or this line is, else UTF-8 with replacements.
pub(super) fn decode(bytes: &[u8], gb18030: bool) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        // A character that is cut at the end of a piece.
        Err(error) if error.error_len().is_none() && !gb18030 => String::from_utf8_lossy(bytes),
        Err(_) => GB18030.decode_without_bom_handling_and_without_replacement(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes)),
    }
}

/// The lines in `text`, which stands at line `number` of the stream and comes from `source`.
pub(super) fn lines(number: u64, text: &str, source: Source) -> Vec<Line> {
    let mut all = Vec::with_capacity(1);
    collect(number, text, &source, DEPTH, &mut all);
    all
}

fn collect(number: u64, text: &str, source: &Source, depth: usize, all: &mut Vec<Line>) {
    let text = escape::strip(text);
    for line in text.split('\n') {
        for state in states(line) {
            let mut source = source.clone();
            let rest = prefix::strip(state, &mut source);
            if depth > 0
                && let Some(inner) = record::unpack(rest, &mut source)
            {
                collect(number, &inner, &source, depth - 1, all);
                continue;
            }
            let text = rest.trim_end();
            if !text.is_empty() {
                all.push(Line { number, text: text.to_owned(), source });
            }
        }
    }
}

/// The states that a line went through by carriage returns, of which earlier states of the same progress bar are left out.
fn states(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim_end_matches('\r');
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        loop {
            let text = rest?;
            let Some(at) = text.find('\r') else {
                rest = None;
                return Some(text);
            };
            let (state, after) = (&text[..at], text[at..].trim_start_matches('\r'));
            rest = Some(after);
            let next = after.split('\r').next().unwrap_or("");
            if !state.trim().is_empty() && !is_overwritten(state, next) {
                return Some(state);
            }
        }
    })
}

/// Whether `next` is a later state of the progress bar `state`: both start alike, or `state` shows a share or a rate.
fn is_overwritten(state: &str, next: &str) -> bool {
    let head = |text: &str| text.trim_start().chars().take(6).collect::<String>();
    head(state) == head(next) || state.contains("%|") || state.contains("it/s") || state.contains("s/it") || state.contains("% Completed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        lines(1, text, Source::default()).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn the_last_state_of_a_progress_bar_counts() {
        assert_eq!(texts("Loading:   0%|  | 0/4\rLoading:  50%|█ | 2/4\rLoading: 100%|██| 4/4\r"), ["Loading: 100%|██| 4/4"]);
    }

    #[test]
    fn a_message_between_two_states_is_kept() {
        assert_eq!(texts("Loading: 50%| | 1/2\rRuntimeError: no\rLoading: 100%| | 2/2"), ["RuntimeError: no", "Loading: 100%| | 2/2"]);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_read_as_gb18030() {
        assert_eq!(decode(&GB18030.encode("显存不足: CUDA out of memory").0, false), "显存不足: CUDA out of memory");
        assert_eq!(decode(b"caf\xe9", false), "caf\u{fffd}");
    }
}
