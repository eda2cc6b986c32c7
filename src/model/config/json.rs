//! JSON as Python writes it.

use std::borrow::Cow;

/// The words that Python's `json` writes for numbers that JSON has none for.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Turns `NaN`, `Infinity` and `-Infinity` outside of strings into strings: files that hold them in a field
/// that is not read are legal for transformers, and in one that is read the error can name them.
pub(super) fn without_python_numbers(text: &str) -> Cow<'_, str> {
    if !WORDS.iter().any(|word| text.contains(word)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let (mut quoted, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let word = if quoted { None } else { WORDS.iter().find(|word| rest.starts_with(**word)) };
        if let Some(word) = word {
            out.push('"');
            out.push_str(word);
            out.push('"');
            rest = rest.get(word.len()..).unwrap_or_default();
            continue;
        }
        (quoted, escaped) = match next {
            '"' if !escaped => (!quoted, false),
            '\\' if quoted => (quoted, !escaped),
            _ => (quoted, false),
        };
        out.push(next);
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A string may say anything.
    #[test]
    fn only_bare_words_change() {
        let text = r#"{"a": [0.0, Infinity], "b": "NaN \" NaN", "c": -Infinity}"#;
        let expected = r#"{"a": [0.0, "Infinity"], "b": "NaN \" NaN", "c": "-Infinity"}"#;
        assert_eq!(without_python_numbers(text), expected);
        assert_eq!(without_python_numbers("{}"), "{}");
    }
}
