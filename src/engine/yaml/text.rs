//! The text before it is YAML: encoding, size, tabs, and syntax errors in plain words.

use std::ops::Range;

use saphyr_parser::ScanError;

use super::MAX_BYTES;
use super::error::{YamlError, YamlProblem};
use super::tree::error;

/// `bytes` as text without its byte-order mark.
pub(super) fn decode<'a>(bytes: &'a [u8], file: &str) -> Result<&'a str, YamlError> {
    let refused = |problem| error(file, 1, 1, problem);
    let encoding = match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        [0, first, ..] | [first, 0, ..] if first.is_ascii_graphic() => Some("UTF-16"),
        _ => None,
    };
    if let Some(encoding) = encoding {
        return Err(refused(YamlProblem::OtherEncoding(encoding)));
    }
    if bytes.len() > MAX_BYTES {
        return Err(refused(YamlProblem::TooLarge(bytes.len())));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|invalid| {
        let good = &bytes[..invalid.valid_up_to()];
        let line_start = good.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&good[line_start..]).chars().count() + 1;
        error(file, line, column, YamlProblem::NotUtf8)
    })?;
    refuse_control_characters(text, file)?;
    Ok(text)
}

fn refuse_control_characters(text: &str, file: &str) -> Result<(), YamlError> {
    for (line, content) in text.split('\n').enumerate() {
        let control = |c: char| (c.is_control() && !matches!(c, '\t' | '\r' | '\u{85}')) || c == '\u{FFFE}' || c == '\u{FFFF}';
        if let Some((column, found)) = content.chars().enumerate().find(|&(_, c)| control(c)) {
            return Err(error(file, line + 1, column + 1, YamlProblem::ControlCharacter(found as u32)));
        }
    }
    Ok(())
}

/// Refuses tabs outside quoted text, block text and comments, as PyYAML does. `opaque` holds the
/// quoted and block scalars as ranges of characters, in order.
pub(super) fn refuse_tabs(text: &str, file: &str, opaque: &[Range<usize>]) -> Result<(), YamlError> {
    if !text.contains('\t') {
        return Ok(());
    }
    let (mut line, mut column, mut comment, mut before) = (1, 1, false, '\n');
    let mut opaque = opaque.iter().peekable();
    for (index, c) in text.chars().enumerate() {
        while opaque.next_if(|range| range.end <= index).is_some() {}
        let inside = opaque.peek().is_some_and(|range| range.contains(&index));
        comment = !inside && c != '\n' && (comment || (c == '#' && before.is_whitespace()));
        if c == '\t' && !inside && !comment {
            return Err(error(file, line, column, YamlProblem::Tab));
        }
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        before = c;
    }
    Ok(())
}

/// A syntax error in plain words; a tab before it, or one that indents a line beside it, is named as the cause.
pub(super) fn syntax_error(text: &str, file: &str, scan: &ScanError) -> YamlError {
    let marker = scan.marker();
    let (line, column) = (marker.line().max(1), marker.col() + 1);
    let before = text.chars().nth(marker.index().saturating_sub(1));
    if before == Some('\t') && column > 1 {
        return error(file, line, column - 1, YamlProblem::Tab);
    }
    for line in [line, line.saturating_sub(1), line + 1] {
        let Some(content) = line.checked_sub(1).and_then(|index| text.lines().nth(index)) else { continue };
        let indentation = content.len() - content.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = content[..indentation].find('\t') {
            return error(file, line, tab + 1, YamlProblem::Tab);
        }
    }
    error(file, line, column, YamlProblem::Syntax(scan.info().to_owned()))
}
