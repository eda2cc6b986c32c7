//! How fast a decode step is, and what bounds it: a roofline of the device's memory, the host link and
//! arithmetic, plus what launching the kernels costs.

use crate::catalog::Constants;
use crate::engine::launch::{GraphMode, Launch, Offload};
use crate::model::spec::{Mlp, ModelSpec};
use crate::plan::interconnect::Reductions;
use crate::plan::outcome::{Bound, Decode, Devices};
use crate::plan::rates::Rates;
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
    /// The rank's weights.
    pub weights: &'a Weights,
    /// Bytes of KV cache a token and rank.
    pub kv_bytes_per_token: Bytes,
    /// The devices.
    pub devices: &'a Devices,
    /// The constants of the speed model.
    pub constants: &'a Constants,
}

/// The formula, for `explain`.
pub const FORMULA: &str =
    "step = max(device reads / HBM rate, host reads / link rate, operations / arithmetic rate) + layers × launch overhead";

/// What measured all-reduces between tensor-parallel ranks add.
pub const REDUCED_FORMULA: &str = " + all-reduces × time of one";

/// The same with measured rates.
pub const MEASURED_FORMULA: &str = "step = max(16-bit and 8-bit weights / (read rate × GEMM share) + 4-bit products, each a fixed time and its bytes, \
                                    / engine share + KV cache / attention rate, host reads / link rate, operations / arithmetic rate) \
                                    + layers × launch overhead";

impl Step<'_> {
    /// The step of `batch` requests with `context` tokens each. `None` where the device's rates are not known
    /// and the host link does not bound it either.
    pub fn decode(&self, batch: u64, context: u64, link: Option<&HostLink>) -> Option<Decode> {
        let constant = |name: &str| self.constants.get(name, &self.launch.version, self.devices.capability()).value;
        let kv = self.kv_bytes_per_token * context * batch;
        let touched = self.experts_touched(batch);
        let experts = self.weights.experts_per_token;
        let read = self.weights.read_per_step + experts.scale(touched) - experts + kv;
        let nominal = || self.devices.memory_bandwidth.map(|rate| BytesPerSecond(rate.0 * constant("speed.hbm_share")).time(read));
        let hbm = self.devices.rates.as_ref().map(|rates| self.measured(rates, batch, read - kv, kv, constant)).or_else(nominal);
        let host = link.filter(|_| self.weights.read_from_host > Bytes::ZERO).map(|link| {
            let share = match self.launch.offload {
                Some(Offload::Uva { .. }) => constant("speed.uva_share_of_link"),
                _ => 1.0,
            };
            BytesPerSecond(link.rate.0 * share).time(self.weights.read_from_host)
        });
        let compute = self.devices.tflops_16bit.filter(|tflops| *tflops > 0.0).map(|tflops| {
            let operations = 2.0 * self.model.parameters.active as f64 * batch as f64 / self.launch.parallel.devices() as f64;
            Milliseconds(operations / (tflops * 1e12 * constant("speed.tensor_core_share")) * 1e3)
        });
        let bounds = [(Bound::Hbm, hbm), (Bound::HostLink, host), (Bound::Compute, compute)];
        let (bound, time) = bounds
            .into_iter()
            .filter_map(|(bound, time)| time.map(|time| (bound, time)))
            .max_by(|(_, left), (_, right)| left.0.total_cmp(&right.0))?;
        let launches = self.launch_overhead(constant);
        let hidden = self.launch.graph_mode == GraphMode::None && bound != Bound::HostLink;
        // Kernels after an all-reduce wait for it.
        let reduced = self.reductions(batch).map_or(Milliseconds(0.0), |reductions| reductions.time());
        let time = time + reduced;
        let step = if hidden { Milliseconds(time.0.max(launches.0)) } else { time + launches };
        let bound_by = if launches.0 > time.0 { Bound::Launch } else { bound };
        Some(Decode {
            batch,
            context,
            step,
            tokens_per_second: batch as f64 * 1e3 / step.0,
            bound_by,
            host_link: host.and(link).map(|link| link.name.clone()),
        })
    }

    /// The time that the device's memory takes of a step, from measured rates: each class of bytes by its own kernels.
    fn measured(&self, rates: &Rates, batch: u64, weights: Bytes, kv: Bytes, constant: impl Fn(&str) -> f64) -> Milliseconds {
        let cost = rates.packed(batch).filter(|_| self.has_packed_products());
        let packed = cost.map_or(Bytes::ZERO, |_| self.weights.read_packed);
        let products = cost.map_or(Milliseconds(0.0), |cost| {
            // Layers that were not offloaded; fused projections are one product.
            let launches = self.weights.repacked_layers.0 as f64;
            Milliseconds((cost.rate.time(packed).0 + launches * cost.fixed.0) / constant("speed.packed_engine_share"))
        });
        let eight_bit = self.launch.kv_cache_dtype.starts_with("fp8");
        let attention = if eight_bit { rates.attention_8bit.or(rates.attention) } else { rates.attention };
        let dense = BytesPerSecond(rates.read.0 * constant("speed.gemm_share_of_read"));
        dense.time(weights - packed) + products + attention.unwrap_or(dense).time(kv)
    }

    /// The all-reduces of a step, where they were measured.
    pub fn reductions(&self, batch: u64) -> Option<Reductions> {
        self.devices.interconnect.as_ref()?.step(self.launch, self.model, batch)
    }

    /// Whether weights of four bits are multiplied by a kernel that repacks them.
    pub fn has_packed_products(&self) -> bool {
        self.weights.read_packed > Bytes::ZERO && self.model.quantization.as_ref().is_some_and(|quantization| quantization.bits == 4)
    }

    /// The constant of what launching costs.
    pub const fn launch_constant(&self) -> &'static str {
        if matches!(self.launch.graph_mode, GraphMode::None) { "speed.eager_ms_per_layer" } else { "speed.graph_ms_per_layer" }
    }

    /// Eager steps wait for the host to launch each kernel; graphs leave the gaps between kernels.
    fn launch_overhead(&self, constant: impl Fn(&str) -> f64) -> Milliseconds {
        let layers = self.model.layers.len() as f64;
        let hidden_by_transfer = if self.launch.offload.is_some() { 0.0 } else { 1.0 };
        Milliseconds(layers * constant(self.launch_constant()) * hidden_by_transfer)
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
