//! Quantities with their unit in the type.
//!
//! `Bytes` is the only size in the budget; it prints as GiB (2^30) because that is what the engines
//! print. Decimal gigabytes exist only as a rate ([`BytesPerSecond`]), where data sheets use them.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of bytes. Arithmetic saturates, so a hostile header can make a size absurd but never wrap it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);
    /// 2^10 bytes.
    pub const KIB: Self = Self(1 << 10);
    /// 2^20 bytes.
    pub const MIB: Self = Self(1 << 20);
    /// 2^30 bytes.
    pub const GIB: Self = Self(1 << 30);

    /// `mib` × 2^20 bytes.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// The nearest whole number of bytes to `gib` × 2^30; negative and non-finite sizes become zero.
    pub fn from_gib(gib: f64) -> Self {
        Self::from_f64(gib * 1_073_741_824.0)
    }

    /// The nearest whole number of bytes; negative and non-finite sizes become zero.
    pub fn from_f64(bytes: f64) -> Self {
        if bytes.is_finite() && bytes > 0.0 { Self(bytes.round() as u64) } else { Self::ZERO }
    }

    /// The size in GiB (2^30).
    pub fn gib(self) -> f64 {
        self.0 as f64 / 1_073_741_824.0
    }

    /// The size in MiB (2^20).
    pub fn mib(self) -> f64 {
        self.0 as f64 / 1_048_576.0
    }

    /// `self - other`, or zero when `other` is larger.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `self - other`, or `None` when `other` is larger.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// `self × factor`, rounded to the nearest byte.
    pub fn scale(self, factor: f64) -> Self {
        Self::from_f64(self.0 as f64 * factor)
    }
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Bytes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl Mul<u64> for Bytes {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Div<u64> for Bytes {
    type Output = Self;
    fn div(self, divisor: u64) -> Self {
        Self(self.0 / divisor.max(1))
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Bytes {
    /// `7 GiB`, `3.95 GiB`, `320 KiB`, `12 B`: the largest binary unit of which there is at least one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, unit) = match self.0 {
            0..1024 => return write!(f, "{} B", self.0),
            1024..1_048_576 => (self.0 as f64 / 1024.0, "KiB"),
            1_048_576..1_073_741_824 => (self.mib(), "MiB"),
            _ => (self.gib(), "GiB"),
        };
        let rounded = (size * 100.0).round() / 100.0;
        if rounded.fract() == 0.0 { write!(f, "{rounded:.0} {unit}") } else { write!(f, "{rounded:.2} {unit}") }
    }
}

/// A text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size: {problem}")]
pub struct InvalidSize {
    /// What was given.
    pub text: String,
    /// What is wrong with it, and what a size looks like.
    pub problem: String,
}

impl FromStr for Bytes {
    type Err = InvalidSize;

    /// Reads `7g`, `7GiB`, `6.5 g`, `512m`, `7168MiB` and plain byte counts. A single letter is binary,
    /// as in `docker --memory`; `GB` and `MB` are decimal, as they are written.
    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let invalid = |problem: &str| InvalidSize { text: text.to_owned(), problem: problem.to_owned() };
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let (number, unit) = (&trimmed[..split], trimmed[split..].trim());
        if trimmed.starts_with('-') {
            return Err(invalid("it is negative; write for example `7g` for 7 GiB"));
        }
        let number: f64 = number.parse().map_err(|_| invalid("write for example `7g` for 7 GiB or `512m` for 512 MiB"))?;
        let scale = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => 1024.0,
            "m" | "mib" => 1_048_576.0,
            "g" | "gib" => 1_073_741_824.0,
            "t" | "tib" => 1_099_511_627_776.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            _ => return Err(invalid(&format!("unknown unit `{unit}`; write for example `7g` for 7 GiB or `512m` for 512 MiB"))),
        };
        let bytes = number * scale;
        if bytes >= 9.0e15 {
            return Err(invalid("it is larger than any device; write for example `7g` for 7 GiB"));
        }
        Ok(Self::from_f64(bytes))
    }
}

/// A transfer rate in bytes a second. Data sheets and links are decimal: 1 GB/s is 10^9 B/s.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BytesPerSecond(pub f64);

impl BytesPerSecond {
    /// `gb` × 10^9 bytes a second.
    pub const fn from_gb(gb: f64) -> Self {
        Self(gb * 1e9)
    }

    /// The rate in GB/s (10^9).
    pub fn gb(self) -> f64 {
        self.0 / 1e9
    }

    /// How long `bytes` take at this rate; infinite at a rate of zero.
    pub fn time(self, bytes: Bytes) -> Milliseconds {
        Milliseconds(bytes.0 as f64 / self.0 * 1e3)
    }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gb = self.gb();
        if gb >= 100.0 { write!(f, "{gb:.0} GB/s") } else { write!(f, "{gb:.1} GB/s") }
    }
}

/// A duration in milliseconds, the unit of a decode step.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Milliseconds(pub f64);

impl Add for Milliseconds {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms >= 10_000.0 => write!(f, "{:.1} s", ms / 1e3),
            ms if ms >= 100.0 => write!(f, "{ms:.0} ms"),
            ms => write!(f, "{ms:.1} ms"),
        }
    }
}

/// A count with thousands separated: `6,384`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_letter_is_binary_and_gb_is_decimal() {
        assert_eq!("7g".parse(), Ok(Bytes(7 << 30)));
        assert_eq!("7GiB".parse(), Ok(Bytes(7 << 30)));
        assert_eq!("6.5 G".parse(), Ok(Bytes(13 << 29)));
        assert_eq!("7GB".parse(), Ok(Bytes(7_000_000_000)));
        assert_eq!("4096".parse(), Ok(Bytes(4096)));
    }

    #[test]
    fn what_is_not_a_size_says_how_to_write_one() {
        for text in ["-1", "7x", "", "g", "1e400g", "9999999999g", "7.5.1g"] {
            let error = text.parse::<Bytes>().expect_err(text);
            assert!(error.problem.contains('`'), "{error}");
        }
    }

    #[test]
    fn sizes_print_in_the_largest_whole_binary_unit() {
        assert_eq!(Bytes(12).to_string(), "12 B");
        assert_eq!((Bytes::KIB * 320).to_string(), "320 KiB");
        assert_eq!(Bytes::from_gib(3.95).to_string(), "3.95 GiB");
        assert_eq!(Bytes(7 << 30).to_string(), "7 GiB");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Bytes(u64::MAX) + Bytes(1), Bytes(u64::MAX));
        assert_eq!(Bytes(1) - Bytes(2), Bytes::ZERO);
    }
}
