//! What was measured between the devices of a machine, and what a launch over several of them needs for it.

use indexmap::IndexMap;

use crate::engine::arguments::Arguments;
use crate::engine::launch::Launch;
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::model::spec::ModelSpec;
use crate::plan::outcome::{Decision, EnvironmentVariable};
use crate::units::{Bytes, Milliseconds};

/// The flag that leaves all-reduces to NCCL, and NCCL's switch for peer access.
const FLAG: &str = "disable-custom-all-reduce";
const SWITCH: &str = "NCCL_P2P_DISABLE";
/// All-reduces of a layer of a decoder: after attention, and after the MLP or the experts (vLLM `RowParallelLinear`).
const REDUCTIONS_OF_LAYER: u64 = 2;
/// Tensors that a pipeline stage hands to the next: hidden states and the residual (vLLM `IntermediateTensors` of a decoder).
const TENSORS_HANDED_OVER: u64 = 2;
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
    /// Whether copies between them without NCCL arrived whole; `None` where none was made.
    pub copies_arrive: Option<bool>,
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

/// How a time follows from those that were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It lies between two measured sizes.
    Between,
    /// It is that of the smallest measured size, which is this one: smaller ones wait as long.
    Smallest(Bytes),
    /// It is at the rate of the largest measured size, which is this one.
    Largest(Bytes),
}

impl Reach {
    /// As a phrase that follows a size; empty between measured ones.
    pub fn phrase(self) -> String {
        match self {
            Self::Between => String::new(),
            Self::Smallest(bytes) => format!(", as long as the smallest measured, {bytes}"),
            Self::Largest(bytes) => format!(", at the rate of the largest measured, {bytes}"),
        }
    }
}

/// The time of one exchange between devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange {
    /// Its time.
    pub time: Milliseconds,
    /// How that follows from what was measured.
    pub reach: Reach,
}

impl Interconnect {
    /// The time of an all-reduce of `bytes` between `ranks` devices, between the two measured sizes around it. Launched by a graph
    /// where `graph` says so, as far as such were measured.
    ///
    /// Fewer devices than took part move less over each link, by the ratio that defines the bus bandwidth of nccl-tests. `None` for
    /// more: their links are others.
    pub fn all_reduce(&self, ranks: u64, bytes: Bytes, graph: bool) -> Option<Exchange> {
        if ranks < 2 || ranks > self.devices {
            return None;
        }
        // Each rank of a ring sends this part of the data twice.
        let moved = |ranks: u64| (ranks - 1) as f64 / ranks as f64;
        let measured = self.between_samples(bytes, graph)?;
        Some(Exchange { time: Milliseconds(measured.time.0 * (moved(ranks) / moved(self.devices))), ..measured })
    }

    fn between_samples(&self, bytes: Bytes, graph: bool) -> Option<Exchange> {
        // Large ones are measured without graphs alone: how they are launched does not count there.
        let largest = self.all_reduce.iter().filter(|sample| sample.graph == graph).map(|sample| sample.bytes).max();
        let fits = |sample: &&AllReduceSample| sample.graph == graph || largest.is_none_or(|largest| sample.bytes > largest);
        let mut samples: Vec<&AllReduceSample> = self.all_reduce.iter().filter(fits).collect();
        samples.sort_by_key(|sample| sample.bytes);
        let below = samples.iter().rev().find(|sample| sample.bytes <= bytes);
        let above = samples.iter().find(|sample| sample.bytes >= bytes);
        let (time, reach) = match (below, above) {
            (Some(from), Some(to)) => {
                let span = (to.bytes - from.bytes).0 as f64;
                let share = if span > 0.0 { (bytes - from.bytes).0 as f64 / span } else { 0.0 };
                (from.time.0 + share * (to.time.0 - from.time.0), Reach::Between)
            }
            (None, Some(smallest)) => (smallest.time.0, Reach::Smallest(smallest.bytes)),
            (Some(largest), None) => (largest.time.0 * bytes.0 as f64 / largest.bytes.0.max(1) as f64, Reach::Largest(largest.bytes)),
            (None, None) => return None,
        };
        Some(Exchange { time: Milliseconds(time), reach })
    }

    /// The all-reduces of `layers` layers for `tokens` tokens: how many, of how many bytes, and the time of each.
    pub fn reductions(&self, model: &ModelSpec, ranks: u64, layers: u64, tokens: u64, graph: bool) -> Option<Reductions> {
        let bytes = activations(model, tokens);
        let each = self.all_reduce(ranks, bytes, graph)?;
        Some(Reductions { count: REDUCTIONS_OF_LAYER * layers, bytes, each })
    }

    /// The time of sending what a pipeline stage computed for `tokens` tokens to the next one.
    ///
    /// An all-reduce between two devices moves as many bytes over their link in each direction as sending its data once does, so
    /// that its time is the most that sending takes. No graph launches it.
    pub fn hand_over(&self, model: &ModelSpec, tokens: u64) -> Option<Exchange> {
        let each = self.all_reduce(2, activations(model, tokens), false)?;
        Some(Exchange { time: Milliseconds(each.time.0 * TENSORS_HANDED_OVER as f64), ..each })
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
                let needs = if launch.parallel.tensor > 1 {
                    "a launch over several needs it"
                } else {
                    "the stages of a pipeline send through it, too"
                };
                let text = format!("NCCL does not work between these GPUs ({seen}), with peer access or without, and {needs}");
                (seen, "nccl-failed", text, fixes)
            }
        };
        let evidence = |fact: &str, value: &str| Evidence { fact: fact.to_owned(), value: value.to_owned(), source: self.source.clone() };
        let copies = self.copies_arrive.map(|whole| {
            let value = if whole { "every word arrived; the links carry data, NCCL does not" } else { "damaged" };
            evidence("copies without NCCL", value)
        });
        Some(Finding {
            id: id.to_owned(),
            severity: Severity::Warning,
            subject: "host".to_owned(),
            message,
            evidence: [evidence("bench", seen)].into_iter().chain(copies.filter(|_| id == "nccl-failed")).collect(),
            fixes,
        })
    }

    /// What was seen, where nothing that adds up or sends data between these devices works.
    pub fn collectives_fail(&self) -> Option<&str> {
        match &self.trouble {
            Some(Trouble::Collectives(seen)) => Some(seen),
            Some(Trouble::PeerAccess(_)) | None => None,
        }
    }
}

/// The all-reduces of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reductions {
    /// How many.
    pub count: u64,
    /// Bytes of each.
    pub bytes: Bytes,
    /// Each of them.
    pub each: Exchange,
}

impl Reductions {
    /// Time of all of them.
    pub fn time(&self) -> Milliseconds {
        Milliseconds(self.each.time.0 * self.count as f64)
    }
}

/// Bytes of the activations of `tokens` tokens between two layers.
fn activations(model: &ModelSpec, tokens: u64) -> Bytes {
    Bytes(tokens * model.hidden_size * ACTIVATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(devices: u64, samples: &[(u64, bool, f64)]) -> Interconnect {
        let sample =
            |(bytes, graph, time): &(u64, bool, f64)| AllReduceSample { bytes: Bytes(*bytes), graph: *graph, time: Milliseconds(*time) };
        let all_reduce = samples.iter().map(sample).collect();
        Interconnect { source: "a test".to_owned(), trouble: None, all_reduce, devices, peer_access: true, copies_arrive: None }
    }

    fn microseconds(exchange: Option<Exchange>) -> Option<f64> {
        exchange.map(|exchange| (exchange.time.0 * 1e3).round())
    }

    /// Between two sizes time grows evenly; a smaller one takes as long as the smallest; a larger one goes at the
    /// rate of the largest.
    #[test]
    fn times_lie_between_those_that_were_measured() {
        let links = measured(2, &[(8192, true, 0.01), (32768, true, 0.04), (8192, false, 0.02)]);
        let time = |bytes, graph| microseconds(links.all_reduce(2, Bytes(bytes), graph));
        assert_eq!([1, 8192, 20480, 32768].map(|bytes| time(bytes, true)), [10.0, 10.0, 25.0, 40.0].map(Some));
        assert_eq!((time(65536, true), time(8192, false)), (Some(80.0), Some(20.0)));
    }

    /// What a time rests on is said: the size measured next to it, where it lies beyond all.
    #[test]
    fn an_end_that_is_used_is_named() {
        let links = measured(2, &[(8192, true, 0.01), (32768, true, 0.04)]);
        let reach = |bytes| links.all_reduce(2, Bytes(bytes), true).map(|exchange| exchange.reach);
        assert_eq!(reach(16384), Some(Reach::Between));
        assert_eq!(reach(4096), Some(Reach::Smallest(Bytes(8192))));
        assert_eq!(reach(65536), Some(Reach::Largest(Bytes(32768))));
        assert_eq!(Reach::Largest(Bytes(32768)).phrase(), ", at the rate of the largest measured, 32 KiB");
    }

    /// Beyond what graphs were measured for, launches without one tell the time.
    #[test]
    fn large_all_reduces_are_those_without_graphs() {
        let links = measured(2, &[(8192, true, 0.01), (8192, false, 0.02), (65536, false, 0.05)]);
        let time = |bytes| microseconds(links.all_reduce(2, Bytes(bytes), true));
        assert_eq!([8192, 36864, 65536].map(time), [10.0, 30.0, 50.0].map(Some));
    }

    /// Figures of two devices say nothing of four; those of four say of two what one link carries: a half of the data twice
    /// instead of three quarters.
    #[test]
    fn figures_are_of_as_many_devices_as_took_part_or_fewer() {
        assert_eq!(measured(2, &[(8192, true, 0.01)]).all_reduce(4, Bytes(8192), true), None);
        assert_eq!(microseconds(measured(4, &[(8192, true, 0.03)]).all_reduce(2, Bytes(8192), true)), Some(20.0));
    }
}
