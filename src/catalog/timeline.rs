//! Values that hold for a range of engine versions.

use serde::{Deserialize, Serialize};

use crate::version::{Version, VersionRange};

/// A value, the versions it holds for, and where that was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranged<T> {
    /// The first version it holds for; absent for all older ones.
    pub since: Option<Version>,
    /// The first version it no longer holds for; absent when it still does.
    pub until: Option<Version>,
    /// The value.
    pub value: T,
    /// How well it is known, and under which conditions.
    pub note: Option<String>,
    /// Where this comes from: a source file and the version of it, a log, a measurement.
    pub sources: Vec<String>,
}

impl<T> Ranged<T> {
    /// The versions it holds for.
    pub fn range(&self) -> VersionRange {
        VersionRange { since: self.since.clone(), until: self.until.clone() }
    }

    /// Whether it holds for `version`.
    pub fn holds_for(&self, version: &Version) -> bool {
        self.since.as_ref().is_none_or(|since| version >= since) && self.until.as_ref().is_none_or(|until| version < until)
    }
}

/// One quantity through all versions: rows whose ranges do not overlap.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeline<T>(pub Vec<Ranged<T>>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Timeline<T> {
    /// The row that holds for `version`. Of several the last wins, so that an overlay can add one.
    pub fn at(&self, version: &Version) -> Option<&Ranged<T>> {
        self.0.iter().rev().find(|row| row.holds_for(version))
    }

    /// The value that holds for `version`.
    pub fn value(&self, version: &Version) -> Option<&T> {
        self.at(version).map(|row| &row.value)
    }

    /// Adds the rows of an overlay behind these.
    pub(super) fn extend(&mut self, overlay: Self) {
        self.0.extend(overlay.0);
    }
}
