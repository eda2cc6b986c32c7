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
    /// The ids of the cards; without it, for every card.
    pub gpus: Option<Vec<String>>,
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
                && floor.gpus.as_ref().is_none_or(|ids| gpu.is_some_and(|gpu| ids.iter().any(|id| id == gpu)))
                && floor.shape.as_deref().is_none_or(|own| own == shape)
                && floor.overlapped.is_none_or(|own| own == overlapped)
        };
        let weight =
            |floor: &Floor| u8::from(floor.gpus.is_some()) * 4 + u8::from(floor.shape.is_some()) * 2 + u8::from(floor.overlapped.is_some());
        self.floor.iter().filter(fits).max_by_key(|floor| weight(floor))
    }

    /// GB/s of a link in one direction.
    pub fn link_gb_s(&self, generation: u32, lanes: u32) -> Option<f64> {
        self.pcie.iter().find(|row| row.generation == generation).map(|row| row.lane_gb_s * f64::from(lanes))
    }

    /// What is wrong with the cards that floors name, with the kernel; `known` says whether a card has that id.
    pub fn problems(&self, known: impl Fn(&str) -> bool) -> Vec<(&str, String)> {
        let mut problems = Vec::new();
        for floor in &self.floor {
            let Some(ids) = &floor.gpus else { continue };
            let mut refuse = |problem: String| problems.push((floor.kernel.as_str(), problem));
            if ids.is_empty() {
                refuse("`gpus` names no card; leave it out for every card".to_owned());
            }
            for (place, id) in ids.iter().enumerate() {
                if !known(id) {
                    refuse(format!("no GPU has the id `{id}`"));
                } else if ids.iter().take(place).any(|other| other == id) {
                    refuse(format!("`gpus` names `{id}` twice"));
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(text: &str) -> Floors {
        toml::from_str(text).unwrap()
    }

    fn row(gpus: &str, share: f64) -> String {
        format!("[[floor]]\nkernel = \"peer-copy\"\n{gpus}\nof = \"nvlink\"\nshare = {share}\nsources = [\"a test\"]\n")
    }

    /// A floor counts for each card that it names, before one of every card.
    #[test]
    fn a_floor_names_several_cards() {
        let floors = floors(&(row("gpus = [\"a\", \"b\"]", 0.25) + &row("", 0.1)));
        let share = |gpu: Option<&str>| floors.of("peer-copy", gpu, "", false).map(|floor| floor.share);
        assert_eq!([Some("a"), Some("b"), Some("c"), None].map(share), [0.25, 0.25, 0.1, 0.1].map(Some));
    }

    /// Cards that do not exist, cards named twice and lists of none are problems.
    #[test]
    fn odd_lists_of_cards_are_problems() {
        let problems = |gpus: &str| {
            let floors = floors(&row(gpus, 0.25));
            floors.problems(|id| id == "a").into_iter().map(|(kernel, problem)| format!("{kernel}: {problem}")).collect::<Vec<_>>()
        };
        assert_eq!(problems("gpus = [\"a\"]"), [] as [&str; 0]);
        assert_eq!(problems(""), [] as [&str; 0]);
        assert_eq!(problems("gpus = [\"a\", \"b\"]"), ["peer-copy: no GPU has the id `b`"]);
        assert_eq!(problems("gpus = [\"a\", \"a\"]"), ["peer-copy: `gpus` names `a` twice"]);
        assert_eq!(problems("gpus = []"), ["peer-copy: `gpus` names no card; leave it out for every card"]);
    }
}
