//! Compute capabilities, the number by which NVIDIA orders what an architecture can execute.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A compute capability such as `8.9`, ordered by major and minor number. Rule files write it as text, `"8.9"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComputeCapability {
    /// The architecture's number: machine code never runs across majors.
    pub major: u8,
    /// The revision within it: machine code runs on the same and on higher revisions.
    pub minor: u8,
}

impl ComputeCapability {
    /// The capability `major.minor`.
    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// The number in compiler targets and wheel architecture lists: 89 for 8.9, 120 for 12.0.
    pub const fn sm(self) -> u16 {
        self.major as u16 * 10 + self.minor as u16
    }

    /// The capability of a compiler target's number: 8.9 for 89.
    pub const fn from_sm(sm: u16) -> Self {
        Self { major: (sm / 10) as u8, minor: (sm % 10) as u8 }
    }

    /// Whether machine code built for `target` runs here: the same major, and no higher minor.
    pub const fn runs_code_for(self, target: Self) -> bool {
        self.major == target.major && self.minor >= target.minor
    }
}

/// A text that is not a compute capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a compute capability; write for example `8.9`")]
pub struct InvalidCapability(pub String);

impl FromStr for ComputeCapability {
    type Err = InvalidCapability;

    fn from_str(text: &str) -> Result<Self, InvalidCapability> {
        let parsed = text
            .trim()
            .split_once('.')
            .and_then(|(major, minor)| Some(Self { major: major.parse().ok()?, minor: minor.parse().ok().filter(|minor| *minor < 10)? }));
        parsed.ok_or_else(|| InvalidCapability(text.to_owned()))
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for ComputeCapability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ComputeCapability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_runs_upwards_within_a_major_only() {
        let ada = ComputeCapability::new(8, 9);
        assert!(ada.runs_code_for(ComputeCapability::from_sm(86)));
        assert!(!ada.runs_code_for(ComputeCapability::from_sm(75)));
        assert!(!ComputeCapability::new(8, 6).runs_code_for(ada));
        assert!(!ComputeCapability::new(12, 0).runs_code_for(ComputeCapability::from_sm(100)));
    }

    #[test]
    fn a_capability_has_two_numbers() {
        assert_eq!("12.0".parse(), Ok(ComputeCapability::new(12, 0)));
        for text in ["9", "8.10", "sm_89", ""] {
            assert!(text.parse::<ComputeCapability>().is_err(), "{text}");
        }
    }
}
