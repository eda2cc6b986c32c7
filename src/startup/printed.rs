//! Figures as a program prints them: a number with its unit, how far it was rounded, and the line that it stands on.

use crate::plan::budget::Band;
use crate::units::Bytes;

/// A size as it was printed. It may be negative: the memory "available" for a cache is, where nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed {
    /// The size in bytes.
    pub bytes: i64,
    /// How far the true size may lie from it: half of the last printed digit.
    pub rounding: Bytes,
    /// The line of the log, counted from 1.
    pub line: u64,
}

impl Printed {
    /// The size; `None` where it is negative.
    pub const fn size(self) -> Option<Bytes> {
        if self.bytes < 0 { None } else { Some(Bytes(self.bytes.unsigned_abs())) }
    }

    /// By how much the size is below zero.
    pub const fn shortage(self) -> Option<Bytes> {
        if self.bytes < 0 { Some(Bytes(self.bytes.unsigned_abs())) } else { None }
    }

    /// The size with the band that its rounding leaves; a negative size counts as zero.
    pub fn band(self) -> Band {
        let expected = self.size().unwrap_or(Bytes::ZERO);
        Band { low: expected - self.rounding, expected, high: expected + self.rounding }
    }
}

/// The largest size that is taken for one, 16 TiB: torch prints 2^64 bytes for processes that it may not ask about.
const LARGEST: f64 = 16.0 * 1_099_511_627_776.0;

/// What stands behind `words`, if `text` holds them.
pub(super) fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.find(words).and_then(|at| text.get(at + words.len()..))
}

/// What stands between the first `open` and the next `close`.
pub(super) fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let rest = after(text, open)?;
    rest.get(..rest.find(close)?)
}

/// A number at the start of `text` and what follows it. Thousands may be separated by commas, as the engine prints tokens.
pub(super) fn number(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with('-'));
    let body = text.get(sign..)?;
    let digits = body.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(body.len());
    let written = body.get(..digits)?.trim_end_matches(['.', ',']);
    if !written.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let end = sign + written.len();
    Some((text.get(..end)?, text.get(end..)?))
}

/// The value of a number that [`number`] found.
fn value(written: &str) -> Option<f64> {
    written.replace(',', "").parse().ok().filter(|value: &f64| value.is_finite())
}

/// The number at the start of `text`.
pub(super) fn decimal(text: &str) -> Option<f64> {
    number(text).and_then(|(written, _)| value(written))
}

/// The whole number at the start of `text`; none where a fraction follows.
pub(super) fn count(text: &str) -> Option<u64> {
    let (written, _) = number(text)?;
    written.replace(',', "").parse().ok()
}

/// The size at the start of `text`: `5.21 GiB`, `15.34GiB`, `619.88 MiB`, `1024 bytes`. Programs that print `GB` and `MB` here
/// divide by powers of 1024 all the same: vLLM up to 0.6 and Xinference do.
pub(super) fn size(text: &str, line: u64) -> Option<Printed> {
    let (written, rest) = number(text)?;
    let unit = rest.trim_start();
    let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
    let scale = match unit.get(..letters)? {
        "GiB" | "GB" => 1_073_741_824.0,
        "MiB" | "MB" => 1_048_576.0,
        "KiB" | "KB" => 1024.0,
        "bytes" | "B" => 1.0,
        _ => return None,
    };
    scaled(written, scale, line)
}

/// The number of GiB at the start of `text`, where the unit stands elsewhere in the sentence.
pub(super) fn gib(text: &str, line: u64) -> Option<Printed> {
    scaled(number(text)?.0, 1_073_741_824.0, line)
}

fn scaled(written: &str, scale: f64, line: u64) -> Option<Printed> {
    let bytes = value(written)? * scale;
    if bytes.abs() > LARGEST {
        return None;
    }
    let decimals = written.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let step = if scale == 1.0 { 0.0 } else { scale / 10_f64.powi(i32::try_from(decimals).ok()?) };
    Some(Printed { bytes: bytes.round() as i64, rounding: Bytes::from_f64(step / 2.0), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gib_of(text: &str) -> f64 {
        size(text, 1).map_or(f64::NAN, |printed| printed.bytes as f64 / 1_073_741_824.0)
    }

    #[test]
    fn sizes_are_binary_whatever_the_unit_is_called() {
        assert_eq!(gib_of("2 GiB"), 2.0);
        assert_eq!(gib_of("15.5GiB."), 15.5);
        assert_eq!(gib_of(" 14.5 GB"), 14.5);
        assert_eq!(gib_of("512.00 MiB is free"), 0.5);
        assert_eq!(size("12 bytes", 1).map(|printed| printed.bytes), Some(12));
    }

    #[test]
    fn a_size_below_zero_is_a_shortage() {
        let printed = size("-31.2 GiB", 1).expect("a size");
        assert_eq!(printed.size(), None);
        assert_eq!(printed.shortage(), Some(Bytes::from_gib(31.2)));
    }

    // Two decimals of a GiB leave 0.005 GiB either way.
    #[test]
    fn a_band_is_as_wide_as_the_last_digit() {
        let band = size("5.21 GiB", 1).expect("a size").band();
        assert_eq!(band.expected, Bytes::from_gib(5.21));
        assert!(band.low < Bytes::from_gib(5.2051) && band.high > Bytes::from_gib(5.2149), "{band:?}");
    }

    // What torch prints of a process that it cannot ask about is 2^64 bytes.
    #[test]
    fn what_is_no_size_is_none() {
        for text in ["17179869184.00 GiB", "", "GiB", "x 1 GiB", "1 s", "nan GiB", "-", "1e999 GiB", ".5 GiB"] {
            assert_eq!(size(text, 1), None, "{text}");
        }
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        assert_eq!(count("79,040 tokens"), Some(79_040));
        assert_eq!(count(" 4096."), Some(4096));
        assert_eq!(count("4.5"), None);
        assert_eq!(decimal("19.30x"), Some(19.30));
    }
}
