//! Lines and numbers: wrapping, thousands, bars. Nothing here knows what it prints.

use crate::units::Bytes;

/// The widest line of any report.
pub const WIDEST: usize = 100;
/// The narrowest width that reports are wrapped to.
pub const NARROWEST: usize = 60;

/// The width to use on a terminal of `columns`.
pub const fn width(columns: usize) -> usize {
    if columns < NARROWEST {
        NARROWEST
    } else if columns > WIDEST {
        WIDEST
    } else {
        columns
    }
}

/// Columns that `text` takes; styles take none.
pub fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

/// `text` in lines of at most `width` columns. The first starts with `first`, the others with `rest`.
/// A word longer than a line stands alone and is not broken.
pub fn wrap(text: &str, first: &str, rest: &str, width: usize) -> String {
    let mut lines = vec![first.to_owned()];
    let mut fresh = true;
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            let gap = usize::from(!fresh);
            if fresh || columns(line) + gap + columns(word) <= width {
                line.push_str(if fresh { "" } else { " " });
                line.push_str(word);
                fresh = false;
                continue;
            }
        }
        lines.push(format!("{rest}{word}"));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// `text` and spaces up to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// A count with thousands separated: `6,384`.
pub fn count(number: u64) -> String {
    crate::units::thousands(number)
}

/// A count and its noun: `1 error`, `2 errors`.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// GiB for a table: two decimals.
pub fn gib(bytes: Bytes) -> String {
    format!("{:.2}", bytes.gib())
}

/// A size for a sentence: one decimal from 10 GiB on, else as `Bytes` prints.
pub fn size(bytes: Bytes) -> String {
    let gib = bytes.gib();
    if gib >= 10.0 && gib.fract() != 0.0 { format!("{gib:.1} GiB") } else { bytes.to_string() }
}

/// A rate with at most two significant digits: `0.35`, `0.7`, `1.4`, `61`.
pub fn rate(number: f64) -> String {
    if number >= 9.95 {
        format!("{number:.0}")
    } else if number >= 0.995 {
        format!("{number:.1}")
    } else {
        let text = format!("{number:.2}");
        if number >= 0.095 { text.trim_end_matches('0').to_owned() } else { text }
    }
}

/// A count of parameters: `70.6 B`, `596 M`.
pub fn parameters(number: u64) -> String {
    let number = number as f64;
    if number >= 999.5e9 {
        format!("{:.2} T", number / 1e12)
    } else if number >= 999.5e6 {
        format!("{:.1} B", number / 1e9)
    } else {
        format!("{:.0} M", number / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wraps_under_its_first_line() {
        assert_eq!(wrap("one two three", "- ", "  ", 9), "- one two\n  three");
        assert_eq!(wrap("", "- ", "  ", 9), "-");
        assert_eq!(wrap("longer-than-the-line x", "", "", 5), "longer-than-the-line\nx");
    }

    #[test]
    fn styles_take_no_columns() {
        assert_eq!(columns("\u{1b}[31mred\u{1b}[0m"), 3);
    }

    #[test]
    fn numbers_read_easily() {
        assert_eq!([count(0), count(999), count(6384), count(1_234_567)], ["0", "999", "6,384", "1,234,567"]);
        assert_eq!([rate(0.349), rate(1.43), rate(60.7)], ["0.35", "1.4", "61"]);
        assert_eq!([parameters(70_553_706_496), parameters(596_049_920)], ["70.6 B", "596 M"]);
        assert_eq!([counted(1, "error"), counted(2, "error")], ["1 error", "2 errors"]);
        assert_eq!([size(Bytes::from_gib(33.12)), size(Bytes(7 << 30))], ["33.1 GiB", "7 GiB"]);
    }
}
