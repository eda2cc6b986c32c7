//! Escape sequences of terminals.

use std::borrow::Cow;

/// `text` without colours, cursor movements and titles, and with backspaces applied.
pub(super) fn strip(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, 0..=8 | 11..=12 | 14..=31 | 127)) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => skip(&mut rest),
            '\u{8}' => drop(plain.pop()),
            '\t' | '\r' | '\n' => plain.push(character),
            character if character.is_ascii_control() => {}
            character => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

/// Appends `bytes` without control sequences, such as colours, to `plain`; `false` where there is an escape of another kind.
pub(super) fn strip_colours(bytes: &[u8], plain: &mut Vec<u8>) -> bool {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        plain.extend_from_slice(&rest[..at]);
        let Some(sequence) = rest[at + 1..].strip_prefix(b"[") else { return false };
        let Some(end) = sequence.iter().take(64).position(|byte| (0x40..=0x7e).contains(byte)) else { return false };
        rest = &sequence[end + 1..];
    }
    plain.extend_from_slice(rest);
    true
}

/// Skips the sequence after an escape.
fn skip(rest: &mut std::str::Chars<'_>) {
    match rest.clone().next() {
        // A control sequence ends with a letter, a command to the terminal with a bell or a string terminator.
        Some('[') => {
            rest.next();
            skip_until(rest, |character| ('@'..='~').contains(&character));
        }
        Some(']' | 'P' | '_' | '^') => {
            rest.next();
            let mut before = ' ';
            skip_until(rest, |character| {
                let ends = character == '\u{7}' || before == '\u{1b}' && character == '\\';
                before = character;
                ends
            });
        }
        Some('(' | ')' | '#' | '%') => {
            rest.next();
            rest.next();
        }
        Some(_) => drop(rest.next()),
        None => {}
    }
}

/// Skips up to the end of a sequence; one that does not end soon was none, and nothing is skipped.
fn skip_until(rest: &mut std::str::Chars<'_>, mut ends: impl FnMut(char) -> bool) {
    let mut ahead = rest.clone();
    for _ in 0..512 {
        match ahead.next() {
            Some(character) if ends(character) => {
                *rest = ahead;
                return;
            }
            Some(_) => {}
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_titles_are_gone() {
        assert_eq!(strip("\u{1b}[1;36m(EngineCore pid=7)\u{1b}[0;0m ERROR"), "(EngineCore pid=7) ERROR");
        assert_eq!(strip("\u{1b}]0;title\u{7}text\u{1b}[K"), "text");
        assert_eq!(strip("abc\u{8}\u{8}d"), "ad");
    }

    #[test]
    fn a_sequence_that_does_not_end_takes_nothing_with_it() {
        assert_eq!(strip("\u{1b}[31"), "31");
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(strip("plain"), Cow::Borrowed(_)));
    }
}
