//! Named constants of the memory and speed model: each with a unit, a band, the versions and devices it holds
//! for, and its source. They stand in `rules/engines/vllm/constants.toml`.

use serde::Deserialize;

use crate::version::{Version, VersionRange};

/// One constant, for a range of versions and devices.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Its name, dotted: `sampler.bytes_per_logit`.
    pub name: String,
    /// Its unit: `MiB`, `bytes/logit`, `share`, `us/layer`.
    pub unit: String,
    /// The expected value.
    pub value: f64,
    /// The least it can be; the value itself if left out.
    pub low: Option<f64>,
    /// The most it can be; the value itself if left out.
    pub high: Option<f64>,
    /// The engine versions it holds for.
    #[serde(default)]
    pub versions: VersionRange,
    /// Compute capabilities × 10 it holds for, first and last; all if left out.
    pub compute_capability: Option<(u32, u32)>,
    /// Where it comes from: engine source with function, or a measurement of ours.
    pub source: String,
    /// Why it is what it is, for `explain`.
    pub why: String,
}

/// A constant's value with its band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    /// The least it can be.
    pub low: f64,
    /// What is expected.
    pub value: f64,
    /// The most it can be.
    pub high: f64,
}

/// The constants of one engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constants(pub Vec<Constant>);

impl Constants {
    /// The constant `name` for `version` on a device of `compute_capability`: the first row that matches.
    pub fn row(&self, name: &str, version: &Version, compute_capability: Option<u32>) -> Option<&Constant> {
        self.0.iter().find(|row| {
            let capable = match (row.compute_capability, compute_capability) {
                (Some((first, last)), Some(capability)) => (first..=last).contains(&capability),
                (Some(_), None) => false,
                (None, _) => true,
            };
            row.name == name && capable && row.versions.contains(version)
        })
    }

    /// The value of `name` with its band. A constant that no rule file has is zero: `tests/rules.rs` proves
    /// that none is missing.
    pub fn get(&self, name: &str, version: &Version, compute_capability: Option<u32>) -> Bounded {
        self.row(name, version, compute_capability).map_or(Bounded { low: 0.0, value: 0.0, high: 0.0 }, |row| Bounded {
            low: row.low.unwrap_or(row.value),
            value: row.value,
            high: row.high.unwrap_or(row.value),
        })
    }
}
