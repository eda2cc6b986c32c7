//! Named constants of the memory and speed model: each with a unit, a band, the versions and devices it holds
//! for, and its source (`rules/engines/<engine>/constants.toml`).

use serde::{Deserialize, Serialize};

use super::capability::ComputeCapability;
use crate::version::Version;

/// The file of constants of one engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// The rows; of those with one name the first that matches counts.
    #[serde(default)]
    pub constant: Vec<Constant>,
}

/// One constant, for a range of versions and devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Its name, dotted: `sampler.bytes_per_logit`.
    pub name: String,
    /// Its unit: `MiB`, `bytes/logit`, `share`, `ms/layer`.
    pub unit: String,
    /// The expected value.
    pub value: f64,
    /// The least it can be; the value itself if left out.
    pub low: Option<f64>,
    /// The most it can be; the value itself if left out.
    pub high: Option<f64>,
    /// The first engine version it holds for.
    pub since: Option<Version>,
    /// The first engine version it no longer holds for.
    pub until: Option<Version>,
    /// The lowest compute capability it holds for.
    pub min_capability: Option<ComputeCapability>,
    /// The first compute capability it no longer holds for.
    pub below_capability: Option<ComputeCapability>,
    /// Where it comes from: engine source with its function, or a measurement of ours.
    pub source: String,
    /// Why it is what it is, for `explain`.
    pub why: String,
}

/// A constant's value with its band.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounded {
    /// The least it can be.
    pub low: f64,
    /// What is expected.
    pub value: f64,
    /// The most it can be.
    pub high: f64,
}

impl Constant {
    fn holds_for(&self, version: &Version, capability: Option<ComputeCapability>) -> bool {
        let current = self.since.as_ref().is_none_or(|since| version >= since) && self.until.as_ref().is_none_or(|until| version < until);
        let bounded = self.min_capability.is_some() || self.below_capability.is_some();
        let capable = match capability {
            Some(capability) => {
                self.min_capability.is_none_or(|least| capability >= least) && self.below_capability.is_none_or(|end| capability < end)
            }
            None => !bounded,
        };
        capable && current
    }

    /// The value with its band.
    pub fn bounded(&self) -> Bounded {
        Bounded { low: self.low.unwrap_or(self.value), value: self.value, high: self.high.unwrap_or(self.value) }
    }
}

impl Constants {
    /// The row of `name` for `version` on a device of `capability`. Where the capability is not known, only
    /// rows for every device match.
    pub fn row(&self, name: &str, version: &Version, capability: Option<ComputeCapability>) -> Option<&Constant> {
        self.constant.iter().find(|row| row.name == name && row.holds_for(version, capability))
    }

    /// The value of `name` with its band; zero where no row matches, which `tests/rules.rs` rules out.
    pub fn get(&self, name: &str, version: &Version, capability: Option<ComputeCapability>) -> Bounded {
        self.row(name, version, capability).map_or(Bounded::default(), Constant::bounded)
    }
}
