//! One version type for engines, drivers, CUDA, torch and wheels, and half-open ranges of it.
//!
//! PEP 440 is the only scheme that accepts them all: `semver` rejects `550.144.03` (leading zero),
//! `12.8` (two segments) and `0.10.1.1` (four).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A version such as `0.8.5.post1`, `550.144.03`, `12.8` or `2.11.0+cu130`, ordered by PEP 440 and printed as it
/// was written: NVIDIA's drivers have leading zeros.
#[derive(Clone, Debug)]
pub struct Version {
    parsed: pep440_rs::Version,
    text: String,
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parsed == other.parsed
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.parsed.cmp(&other.parsed)
    }
}

impl std::hash::Hash for Version {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parsed.hash(state);
    }
}

impl Version {
    /// The release segments, `[0, 8, 5]` for `0.8.5.post1`.
    pub fn release(&self) -> &[u64] {
        self.parsed.release()
    }

    /// The first release segment: the CUDA major, the driver branch.
    pub fn major(&self) -> u64 {
        self.parsed.release().first().copied().unwrap_or(0)
    }

    /// The second release segment, or zero.
    pub fn minor(&self) -> u64 {
        self.parsed.release().get(1).copied().unwrap_or(0)
    }

    /// Whether a driver of this version is at least `minimum`. A branch alone, `580`, stands for any driver of it: its user
    /// has the newest one or can have it without changing the branch.
    pub fn reaches(&self, minimum: &Self) -> bool {
        if self.release().len() == 1 { self.major() >= minimum.major() } else { self >= minimum }
    }

    /// The version without its local part: `2.11.0` for `2.11.0+cu130`.
    pub fn public(&self) -> Self {
        let text = self.text.split('+').next().unwrap_or(&self.text).to_owned();
        Self { parsed: self.parsed.clone().without_local(), text }
    }
}

/// A text that is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version; write for example `0.25.1` or `580.65.06`")]
pub struct InvalidVersion(pub String);

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let bare = text.trim().trim_start_matches('v');
        bare.parse().map(|parsed| Self { parsed, text: bare.to_owned() }).map_err(|_| InvalidVersion(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A half-open range of versions: from `since` (included) until `until` (excluded). Either end may be open.
///
/// In rule files the two keys stand beside the fact they bound: `since = "0.11.0"`, `until = "0.18.0"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// The first version that belongs to the range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Version>,
    /// The first version after it that does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Version>,
}

impl VersionRange {
    /// Whether `version` lies in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.since.as_ref().is_none_or(|since| version >= since) && self.until.as_ref().is_none_or(|until| version < until)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.since, &self.until) {
            (None, None) => f.write_str("every version"),
            (Some(since), None) => write!(f, "{since} and newer"),
            (None, Some(until)) => write!(f, "before {until}"),
            (Some(since), Some(until)) => write!(f, "from {since} until {until}"),
        }
    }
}

/// A PEP 440 specifier such as `>=3.10,<3.15` or `==2.11.0`, as packages write what they require.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specifier(pep440_rs::VersionSpecifiers);

impl Specifier {
    /// Whether `version` is one of those required. A local part, `+cu130`, counts only where the specifier has one.
    pub fn allows(&self, version: &Version) -> bool {
        self.0.contains(&version.parsed)
    }

    /// The version that is required alone, `2.11.0` of `==2.11.0`.
    pub fn pinned(&self) -> Option<Version> {
        let mut specifiers = self.0.iter();
        let only = specifiers.next().filter(|_| specifiers.next().is_none())?;
        let exact = matches!(only.operator(), pep440_rs::Operator::Equal | pep440_rs::Operator::ExactEqual);
        exact.then(|| Version { parsed: only.version().clone(), text: only.version().to_string() })
    }
}

impl FromStr for Specifier {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        text.parse().map(Self).map_err(|_| InvalidVersion(text.to_owned()))
    }
}

impl fmt::Display for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version of the test")
    }

    #[test]
    fn a_driver_branch_stands_for_its_newest_driver() {
        let minimum = version("580.65.06");
        assert!(version("580").reaches(&minimum) && version("590").reaches(&minimum) && version("580.95.05").reaches(&minimum));
        assert!(!version("575").reaches(&minimum) && !version("580.0").reaches(&minimum) && !version("580.65.05").reaches(&minimum));
    }

    #[test]
    fn every_scheme_of_the_field_parses() {
        for text in ["550.144.03", "12.8", "0.10.1.1", "0.11.0rc2.post1+cu129", "0.8.5.post1", "v0.25.1"] {
            assert!(text.parse::<Version>().is_ok(), "{text}");
        }
        assert!("latest".parse::<Version>().is_err());
    }

    #[test]
    fn drivers_order_by_their_numbers() {
        assert!(version("580.65.06") > version("550.144.03"));
        assert!(version("0.8.5.post1") > version("0.8.5"));
        assert!(version("0.9.0") > version("0.8.5.post1"));
    }

    #[test]
    fn a_pin_allows_every_build_of_its_version() {
        let pin: Specifier = "==2.11.0".parse().expect("a specifier of the test");
        assert!(pin.allows(&version("2.11.0+cu130")) && !pin.allows(&version("2.10.0+cu130")));
        assert_eq!(pin.pinned(), Some(version("2.11.0")));
        let range: Specifier = ">=3.10,<3.15".parse().expect("a specifier of the test");
        assert!(range.allows(&version("3.12")) && !range.allows(&version("3.9")) && range.pinned().is_none());
        assert!("newest".parse::<Specifier>().is_err());
    }

    #[test]
    fn a_range_includes_its_start_and_excludes_its_end() {
        let range = VersionRange { since: Some(version("0.11.0")), until: Some(version("0.18.0")) };
        assert!(range.contains(&version("0.11.0")));
        assert!(!range.contains(&version("0.18.0")));
        assert_eq!(range.to_string(), "from 0.11.0 until 0.18.0");
    }
}
