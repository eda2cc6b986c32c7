//! How fast a decode step and a prompt are, and what bounds them: a roofline of the device's memory, the host link and
//! arithmetic, plus what launching the kernels costs and what devices wait for each other.

use crate::catalog::Constants;
use crate::engine::launch::{GraphMode, Launch, Offload};
use crate::model::spec::{Mlp, ModelSpec};
use crate::plan::interconnect::{Exchange, Reductions};
use crate::plan::outcome::{Bound, Decode, Devices};
use crate::plan::rates::Rates;
use crate::plan::stage::StageLoad;
use crate::plan::weights::Weights;
use crate::units::{Bytes, BytesPerSecond, Milliseconds};

/// A PCIe generation and the rate that pinned copies reach on 16 lanes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HostLink {
    /// Such as "PCIe 4.0 x16".
    pub name: String,
    /// The rate.
    pub rate: BytesPerSecond,
}

/// What one decode step of a launch is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// The launch.
    pub launch: &'a Launch,
    /// The pipeline stages, first to last; one without pipeline parallelism.
    pub stages: &'a [StageLoad],
    /// The devices.
    pub devices: &'a Devices,
    /// The constants of the speed model.
    pub constants: &'a Constants,
}

/// The formula, for `explain`.
pub const FORMULA: &str =
    "step = max(device reads / HBM rate, host reads / link rate, operations / arithmetic rate) + layers × launch overhead";

/// The constant of what the hosts of two stages do to hand over.
pub const HAND_OVER: &str = "speed.stage_hand_over_ms";

/// The constant of what sends of one batch wait for kernels of the next, as a share of the time of a stage.
pub const SEND_WAIT: &str = "speed.full_pipeline_wait";

/// What measured all-reduces between tensor-parallel ranks add.
pub const REDUCED_FORMULA: &str = " + all-reduces × time of one";

/// The same with measured rates.
pub const MEASURED_FORMULA: &str = "step = max(16-bit and 8-bit weights / (read rate × GEMM share) + 4-bit products, each a fixed time and its bytes, \
                                    / engine share + KV cache / attention rate, host reads / link rate, operations / arithmetic rate) \
                                    + layers × launch overhead";

/// What pipeline parallelism makes of the step of a stage.
pub const PIPELINED_FORMULA: &str = "; of a pipeline, for micro-batches of requests / stages: \
                                     max(sum of all stages + hand-overs, micro-batches × slowest stage), \
                                     of several micro-batches with each stage × (1 + what sends wait for kernels)";

/// What one stage takes for the tokens that it computes at once.
#[derive(Clone, Copy, Debug)]
struct Pass {
    time: Milliseconds,
    /// Of it, all-reduces.
    reduced: Milliseconds,
    bound: Bound,
    /// Whether weights came over the host link.
    from_host: bool,
}

/// What all stages take for so many batches in flight.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// From the start of one batch to the next start of the same.
    cycle: Milliseconds,
    /// What all-reduces and hand-overs add to it.
    exchange: Milliseconds,
    /// The slowest stage.
    slowest: Pass,
}

/// From the start of one of `batches` batches to its next, through stages that take `times` and hand over in `hops`: a batch passes
/// one stage after the other, and a stage takes one batch after the other.
fn cycle(times: &[Milliseconds], hops: Milliseconds, batches: u64) -> Milliseconds {
    let through = times.iter().fold(hops, |sum, time| sum + *time);
    let slowest = times.iter().map(|time| time.0).fold(0.0, f64::max);
    Milliseconds(through.0.max(slowest * batches as f64))
}

impl Step<'_> {
    /// The step of `batch` requests with `context` tokens each. `None` where the device's rates are not known
    /// and the host link does not bound it either.
    ///
    /// The stages of a pipeline work on as many batches as there are of them; requests divide evenly among these. A single
    /// request passes one stage after the other.
    pub fn decode(&self, batch: u64, context: u64, link: Option<&HostLink>) -> Option<Decode> {
        let batches = (self.stages.len() as u64).min(batch).max(1);
        let round = self.round(batch.div_ceil(batches), Some(context), batches, link)?;
        Some(Decode {
            batch,
            context,
            step: round.cycle,
            exchange: round.exchange,
            tokens_per_second: batch as f64 * 1e3 / round.cycle.0,
            bound_by: round.slowest.bound,
            host_link: link.filter(|_| round.slowest.from_host).map(|link| link.name.clone()),
        })
    }

    /// The time that each of `prompts` prompts of `length` tokens takes of the engine, with as many tokens at once as the launch
    /// allows. `None` as with [`Self::decode`].
    pub fn prefill(&self, prompts: u64, length: u64, link: Option<&HostLink>) -> Option<Milliseconds> {
        let tokens = prompts * length;
        let chunk = self.launch.max_num_batched_tokens.min(tokens).max(1);
        let batches = (self.stages.len() as u64).min(tokens.div_ceil(chunk)).max(1);
        let round = self.round(chunk, None, batches, link)?;
        Some(Milliseconds(round.cycle.0 / batches as f64 * length as f64 / chunk as f64))
    }

    /// All stages for `batches` batches in flight, of `tokens` tokens each, which attend to `context` tokens; `None` for a prompt.
    fn round(&self, tokens: u64, context: Option<u64>, batches: u64, link: Option<&HostLink>) -> Option<Round> {
        let passes: Vec<Pass> = self.stages.iter().map(|stage| self.pass(stage, tokens, context, link)).collect::<Option<_>>()?;
        let slowest = *passes.iter().max_by(|left, right| left.time.0.total_cmp(&right.time.0))?;
        let hops = self.hand_overs(tokens);
        let wait = if batches > 1 { self.constant(SEND_WAIT) } else { 0.0 };
        let times: Vec<Milliseconds> = passes.iter().map(|pass| Milliseconds(pass.time.0 * (1.0 + wait))).collect();
        let reduced = Milliseconds(passes.iter().map(|pass| pass.reduced.0).sum());
        Some(Round { cycle: cycle(&times, hops, batches), exchange: reduced + hops, slowest })
    }

    /// One stage for `tokens` tokens that attend to `context` tokens each; `None` for a prompt.
    fn pass(&self, stage: &StageLoad, tokens: u64, context: Option<u64>, link: Option<&HostLink>) -> Option<Pass> {
        let constant = |name: &str| self.constant(name);
        let weights = &stage.weights;
        let kv = stage.kv_bytes_per_token * context.unwrap_or(0) * tokens;
        let touched = self.experts_touched(tokens);
        let experts = weights.experts_per_token;
        let read = weights.read_per_step + experts.scale(touched) - experts + kv;
        let nominal = || self.devices.memory_bandwidth.map(|rate| BytesPerSecond(rate.0 * constant("speed.hbm_share")).time(read));
        let hbm = self.devices.rates.as_ref().map(|rates| self.measured(rates, weights, tokens, read - kv, kv)).or_else(nominal);
        let host = link.filter(|_| weights.read_from_host > Bytes::ZERO).map(|link| {
            let share = match self.launch.offload {
                Some(Offload::Uva { .. }) => constant("speed.uva_share_of_link"),
                _ => 1.0,
            };
            BytesPerSecond(link.rate.0 * share).time(weights.read_from_host)
        });
        let compute = self.devices.tflops_16bit.filter(|tflops| *tflops > 0.0).map(|tflops| {
            let operations = 2.0 * self.model.parameters.active as f64 * self.share(stage) * tokens as f64 / self.tensor() as f64;
            Milliseconds(operations / (tflops * 1e12 * constant("speed.tensor_core_share")) * 1e3)
        });
        let bounds = [(Bound::Hbm, hbm), (Bound::HostLink, host), (Bound::Compute, compute)];
        let (bound, time) = bounds
            .into_iter()
            .filter_map(|(bound, time)| time.map(|time| (bound, time)))
            .max_by(|(_, left), (_, right)| left.0.total_cmp(&right.0))?;
        let launches = self.launch_overhead(stage);
        let hidden = self.launch.graph_mode == GraphMode::None && bound != Bound::HostLink;
        // Kernels after an all-reduce wait for it.
        let reduced = self.reductions(stage, tokens, context.is_some()).map_or(Milliseconds(0.0), |reductions| reductions.time());
        let bound = if reduced > time { Bound::Interconnect } else { bound };
        let time = time + reduced;
        let bound = if launches > time { Bound::Launch } else { bound };
        let time = if hidden { Milliseconds(time.0.max(launches.0)) } else { time + launches };
        Some(Pass { time, reduced, bound, from_host: host.is_some() })
    }

    fn constant(&self, name: &str) -> f64 {
        self.constants.get(name, &self.launch.version, self.devices.capability()).value
    }

    /// Ranks that divide the tensors of a stage.
    fn tensor(&self) -> u64 {
        self.launch.parallel.tensor.max(1)
    }

    /// The part of the model's arithmetic that a stage does.
    fn share(&self, stage: &StageLoad) -> f64 {
        if self.stages.len() < 2 { 1.0 } else { stage.layers as f64 / self.model.layers.len().max(1) as f64 }
    }

    /// The time that the device's memory takes of a step, from measured rates: each class of bytes by its own kernels.
    fn measured(&self, rates: &Rates, weights: &Weights, tokens: u64, read: Bytes, kv: Bytes) -> Milliseconds {
        let cost = rates.packed(tokens).filter(|_| self.has_packed_products());
        let packed = cost.map_or(Bytes::ZERO, |_| weights.read_packed);
        let products = cost.map_or(Milliseconds(0.0), |cost| {
            // Layers that were not offloaded; fused projections are one product.
            let launches = weights.repacked_layers.0 as f64;
            Milliseconds((cost.rate.time(packed).0 + launches * cost.fixed.0) / self.constant("speed.packed_engine_share"))
        });
        let eight_bit = self.launch.kv_cache_dtype.starts_with("fp8");
        let attention = if eight_bit { rates.attention_8bit.or(rates.attention) } else { rates.attention };
        let dense = BytesPerSecond(rates.read.0 * self.constant("speed.gemm_share_of_read"));
        dense.time(read - packed) + products + attention.unwrap_or(dense).time(kv)
    }

    /// The all-reduces of a stage for `tokens` tokens, where they were measured; `decodes` tells a decode step, which graphs launch,
    /// from a prompt, which is larger than what they are captured for.
    pub fn reductions(&self, stage: &StageLoad, tokens: u64, decodes: bool) -> Option<Reductions> {
        let graph = decodes && self.launch.graph_mode != GraphMode::None;
        self.devices.interconnect.as_ref()?.reductions(self.model, self.launch.parallel.tensor, stage.layers, tokens, graph)
    }

    /// What handing `tokens` tokens from stage to stage takes: each transfer, where links were measured, and what the hosts do, also
    /// for the way of the new tokens back to the first stage.
    fn hand_overs(&self, tokens: u64) -> Milliseconds {
        let stages = self.stages.len();
        if stages < 2 {
            return Milliseconds(0.0);
        }
        let transfer = self.transfer(tokens).map_or(0.0, |exchange| exchange.time.0);
        Milliseconds(transfer * (stages - 1) as f64 + self.constant(HAND_OVER) * stages as f64)
    }

    /// The transfer of `tokens` tokens from one stage to the next, where links were measured.
    pub fn transfer(&self, tokens: u64) -> Option<Exchange> {
        self.devices.interconnect.as_ref()?.hand_over(self.model, tokens)
    }

    /// Whether weights of four bits are multiplied by a kernel that repacks them.
    pub fn has_packed_products(&self) -> bool {
        self.stages.iter().any(|stage| stage.weights.read_packed > Bytes::ZERO)
            && self.model.quantization.as_ref().is_some_and(|quantization| quantization.bits == 4)
    }

    /// The constant of what launching costs.
    pub const fn launch_constant(&self) -> &'static str {
        if matches!(self.launch.graph_mode, GraphMode::None) { "speed.eager_ms_per_layer" } else { "speed.graph_ms_per_layer" }
    }

    /// Eager steps wait for the host to launch each kernel; graphs leave the gaps between kernels.
    fn launch_overhead(&self, stage: &StageLoad) -> Milliseconds {
        let hidden_by_transfer = if self.launch.offload.is_some() { 0.0 } else { 1.0 };
        Milliseconds(stage.layers as f64 * self.constant(self.launch_constant()) * hidden_by_transfer)
    }

    /// How many times the expert bytes of one token a batch reads. Tokens choose experts apart from each
    /// other, so that a batch of `b` touches `1 − (1 − k/n)^b` of `n` experts where one token touches `k/n`.
    fn experts_touched(&self, batch: u64) -> f64 {
        let experts = self.model.layers.iter().find_map(|layer| match layer.mlp {
            Mlp::Experts { count, per_token, .. } if count > 0 => Some((count as f64, per_token as f64)),
            _ => None,
        });
        let Some((count, per_token)) = experts else { return 1.0 };
        let share = (per_token / count).clamp(f64::MIN_POSITIVE, 1.0);
        (1.0 - (1.0 - share).powf(batch as f64)) / share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[f64], hops: f64, batches: u64) -> f64 {
        cycle(&times.iter().map(|time| Milliseconds(*time)).collect::<Vec<_>>(), Milliseconds(hops), batches).0
    }

    /// Without stages there is nothing to wait for but the step.
    #[test]
    fn one_stage_takes_its_time() {
        assert_eq!(of(&[7.0], 0.0, 1), 7.0);
    }

    /// One batch alone is in one stage at a time: more stages make it no faster, and hand-overs slower.
    #[test]
    fn one_batch_passes_one_stage_after_the_other() {
        assert_eq!(of(&[5.0, 5.0], 1.0, 1), 11.0);
        assert_eq!(of(&[5.0, 5.0], 1.0, 2), 11.0, "as many batches as stages fill the pipeline in the same time");
    }

    /// The slowest stage is the pace of all: the others wait for it.
    #[test]
    fn the_slowest_stage_bounds_a_full_pipeline() {
        assert_eq!(of(&[3.0, 8.0], 1.0, 1), 12.0);
        assert_eq!(of(&[3.0, 8.0], 1.0, 2), 16.0);
    }
}
