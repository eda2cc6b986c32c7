//! What a GPU has to reach when it is measured (`rules/bench.toml`).

use serde::{Deserialize, Serialize};

/// `rules/bench.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Floors; the most specific one that fits a measurement counts.
    #[serde(default)]
    pub floor: Vec<Floor>,
    /// What a lane of each generation of PCI Express carries.
    #[serde(default)]
    pub pcie: Vec<PcieGeneration>,
}

/// The least that is good.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// The kernel, `int4-bf16`.
    pub kernel: String,
    /// The id of the card; without it, for every card.
    pub gpu: Option<String>,
    /// The shape; without it, for every shape.
    pub shape: Option<String>,
    /// Whether for overlapped launches alone, or for others alone; without it, for both.
    pub overlapped: Option<bool>,
    /// What the share is of.
    pub of: FloorOf,
    /// The least share.
    pub share: f64,
    /// Where this comes from.
    pub sources: Vec<String>,
}

/// What a floor is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FloorOf {
    /// The bandwidth of the card's memory on its data sheet.
    Peak,
    /// The read rate that was measured in the same process.
    Read,
    /// What the card's PCI Express link carries at its full width, in one direction.
    Link,
    /// What all NVLinks of the card carry together, in one direction.
    #[serde(rename = "nvlink")]
    NvLink,
}

/// A generation of PCI Express.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcieGeneration {
    /// Its number.
    pub generation: u32,
    /// GB/s (10^9) of one lane in one direction, after the encoding of the line.
    pub lane_gb_s: f64,
    /// Where this comes from.
    pub source: String,
}

impl Floors {
    /// The floor of a measurement; of several that fit, the most specific, and of equals the last.
    pub fn of(&self, kernel: &str, gpu: Option<&str>, shape: &str, overlapped: bool) -> Option<&Floor> {
        let fits = |floor: &&Floor| {
            floor.kernel == kernel
                && floor.gpu.as_deref().is_none_or(|id| Some(id) == gpu)
                && floor.shape.as_deref().is_none_or(|own| own == shape)
                && floor.overlapped.is_none_or(|own| own == overlapped)
        };
        let weight =
            |floor: &Floor| u8::from(floor.gpu.is_some()) * 4 + u8::from(floor.shape.is_some()) * 2 + u8::from(floor.overlapped.is_some());
        self.floor.iter().filter(fits).max_by_key(|floor| weight(floor))
    }

    /// GB/s of a link in one direction.
    pub fn link_gb_s(&self, generation: u32, lanes: u32) -> Option<f64> {
        self.pcie.iter().find(|row| row.generation == generation).map(|row| row.lane_gb_s * f64::from(lanes))
    }
}
