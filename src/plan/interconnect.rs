//! What was measured between the devices of a machine, and what a launch over several of them needs for it.

use indexmap::IndexMap;

use crate::engine::arguments::Arguments;
use crate::engine::launch::{GraphMode, Launch};
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::model::spec::ModelSpec;
use crate::plan::outcome::{Decision, EnvironmentVariable};
use crate::units::{Bytes, Milliseconds};

/// The flag that leaves all-reduces to NCCL, and NCCL's switch for peer access.
const FLAG: &str = "disable-custom-all-reduce";
const SWITCH: &str = "NCCL_P2P_DISABLE";
/// All-reduces of a layer of a decoder: after attention, and after the MLP or the experts (vLLM `RowParallelLinear`).
const REDUCTIONS_OF_LAYER: u64 = 2;
/// Bytes of an activation, which all models here keep in 16 bits between layers.
const ACTIVATION: u64 = 2;

/// What `gpudoctor bench` measured between devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Interconnect {
    /// Where the figures are from, as a phrase.
    pub source: String,
    /// What does not work.
    pub trouble: Option<Trouble>,
    /// All-reduces by NCCL over `devices` of them, as far as they work.
    pub all_reduce: Vec<AllReduceSample>,
    /// How many devices took part.
    pub devices: u64,
    /// Whether the figures are of peer access.
    pub peer_access: bool,
}

/// What does not work between devices, with what was seen, as a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Transfers over peer access; without it, they work.
    PeerAccess(String),
    /// Collectives, in every way that was tried.
    Collectives(String),
}

/// All-reduces of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AllReduceSample {
    /// Bytes that each rank gives.
    pub bytes: Bytes,
    /// Whether a graph launched it.
    pub graph: bool,
    /// Its time.
    pub time: Milliseconds,
}

impl Interconnect {
    /// The time of an all-reduce of `bytes` between `ranks` devices, between the two measured sizes around it. `None` where it was
    /// not measured for so many devices.
    pub fn all_reduce(&self, ranks: u64, bytes: Bytes, graph: bool) -> Option<Milliseconds> {
        if ranks != self.devices {
            return None;
        }
        let mut samples: Vec<&AllReduceSample> = self.all_reduce.iter().filter(|sample| sample.graph == graph).collect();
        samples.sort_by_key(|sample| sample.bytes);
        let below = samples.iter().rev().find(|sample| sample.bytes <= bytes);
        let above = samples.iter().find(|sample| sample.bytes >= bytes);
        let between = |(from, to): (&AllReduceSample, &AllReduceSample)| {
            let span = (to.bytes - from.bytes).0 as f64;
            let share = if span > 0.0 { (bytes - from.bytes).0 as f64 / span } else { 0.0 };
            Milliseconds(from.time.0 + share * (to.time.0 - from.time.0))
        };
        match (below, above) {
            (Some(below), Some(above)) => Some(between((below, above))),
            // A smaller one waits as long, and a larger one goes at the rate of the largest.
            (None, Some(above)) => Some(above.time),
            (Some(below), None) => Some(Milliseconds(below.time.0 * bytes.0 as f64 / below.bytes.0.max(1) as f64)),
            (None, None) => None,
        }
    }

    /// The all-reduces of a decode step of `batch` tokens: how many, of how many bytes, and their time together.
    pub fn step(&self, launch: &Launch, model: &ModelSpec, batch: u64) -> Option<Reductions> {
        let ranks = launch.parallel.tensor;
        if ranks < 2 {
            return None;
        }
        let bytes = Bytes(batch * model.hidden_size * ACTIVATION);
        let each = self.all_reduce(ranks, bytes, launch.graph_mode != GraphMode::None)?;
        let count = REDUCTIONS_OF_LAYER * model.layers.len() as u64 / launch.parallel.pipeline.max(1);
        Some(Reductions { count, bytes, each })
    }

    /// Whether a launch must keep off peer access.
    fn avoids_peer_access(&self) -> Option<&str> {
        match &self.trouble {
            Some(Trouble::PeerAccess(seen)) => Some(seen),
            Some(Trouble::Collectives(_)) | None => None,
        }
    }

    /// Sets what a chosen launch over several devices needs, unless it was given.
    pub fn apply(&self, launch: &mut Launch, args: &mut Arguments, env: &mut IndexMap<String, EnvironmentVariable>) -> Vec<Decision> {
        let Some(seen) = self.avoids_peer_access().filter(|_| launch.parallel.devices() > 1) else { return Vec::new() };
        let why = format!("{seen} ({})", self.source);
        env.entry(SWITCH.to_owned()).or_insert_with(|| EnvironmentVariable { value: "1".to_owned(), reason: why.clone() });
        if launch.parallel.tensor < 2 || args.get(FLAG).is_some() {
            return Vec::new();
        }
        args.set(FLAG, true);
        launch.custom_all_reduce = false;
        vec![Decision { flag: FLAG.to_owned(), value: "true".to_owned(), why }]
    }

    /// What is wrong with a launch on these devices as it stands.
    pub fn finding(&self, launch: &Launch, env: &IndexMap<String, EnvironmentVariable>) -> Option<Finding> {
        if launch.parallel.devices() < 2 {
            return None;
        }
        let (seen, id, message, fixes) = match self.trouble.as_ref()? {
            Trouble::PeerAccess(seen) => {
                let reduces = launch.parallel.tensor > 1 && launch.custom_all_reduce;
                if !reduces && env.get(SWITCH).is_some_and(|variable| variable.value != "0") {
                    return None;
                }
                let fixes = vec![
                    Fix::edit("keep the engine's own all-reduce and NCCL from peer access")
                        .with_command(format!("{SWITCH}=1 vllm serve MODEL --{FLAG}")),
                ];
                let text = format!("peer access between these GPUs does not work ({seen}), and the launch uses it");
                (seen, "custom-all-reduce-without-p2p", text, fixes)
            }
            Trouble::Collectives(seen) => {
                let fixes = vec![Fix::edit("mend that first; the bench says what it saw").with_command("gpudoctor bench --only peer,nccl")];
                let text = format!(
                    "NCCL does not work between these GPUs ({seen}), with peer access or without, and a launch over several needs it"
                );
                (seen, "nccl-failed", text, fixes)
            }
        };
        Some(Finding {
            id: id.to_owned(),
            severity: Severity::Warning,
            subject: "host".to_owned(),
            message,
            evidence: vec![Evidence { fact: "bench".to_owned(), value: seen.clone(), source: self.source.clone() }],
            fixes,
        })
    }
}

/// The all-reduces of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reductions {
    /// How many.
    pub count: u64,
    /// Bytes of each.
    pub bytes: Bytes,
    /// Time of each.
    pub each: Milliseconds,
}

impl Reductions {
    /// Time of all of them.
    pub fn time(&self) -> Milliseconds {
        Milliseconds(self.each.0 * self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(samples: &[(u64, bool, f64)]) -> Interconnect {
        let sample =
            |(bytes, graph, time): &(u64, bool, f64)| AllReduceSample { bytes: Bytes(*bytes), graph: *graph, time: Milliseconds(*time) };
        let all_reduce = samples.iter().map(sample).collect();
        Interconnect { source: "a test".to_owned(), trouble: None, all_reduce, devices: 2, peer_access: true }
    }

    /// Between two sizes time grows evenly; a smaller one takes as long as the smallest; a larger one goes at the
    /// rate of the largest.
    #[test]
    fn times_lie_between_those_that_were_measured() {
        let links = measured(&[(8192, true, 0.01), (32768, true, 0.04), (8192, false, 0.02)]);
        let time = |bytes, graph| links.all_reduce(2, Bytes(bytes), graph).map(|time| (time.0 * 1e3).round());
        assert_eq!([1, 8192, 20480, 32768].map(|bytes| time(bytes, true)), [10.0, 10.0, 25.0, 40.0].map(Some));
        assert_eq!((time(65536, true), time(8192, false)), (Some(80.0), Some(20.0)));
    }

    /// Figures of two devices say nothing of four.
    #[test]
    fn figures_are_of_as_many_devices_as_took_part() {
        assert_eq!(measured(&[(8192, true, 0.01)]).all_reduce(4, Bytes(8192), true), None);
    }
}
