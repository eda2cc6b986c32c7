//! One launch, exactly as given: its budget, whether it fits, and why not.

use indexmap::IndexMap;

use crate::catalog::{AccountingEra, Bounded, Constants};
use crate::engine::arguments::Arguments;
use crate::engine::era::{BatchDefaults, Era};
use crate::engine::launch::{Launch, UsageContext};
use crate::engine::resolve::{Context, Machine, asks_for_offload, resolve};
use crate::model::spec::ModelSpec;
use crate::plan::activations::activation_peak;
use crate::plan::budget::{Band, Budget, Input, KvCache, Part, Term, TermName};
use crate::plan::graphs::{cuda_graphs, estimate};
use crate::plan::kv_cache::{Layout, layout};
use crate::plan::measured::{Measured, RankTerms, replace};
use crate::plan::outcome::{Devices, Reason, Verdict};
use crate::plan::overhead::{context, non_torch, persistent, retained};
use crate::plan::pieces::{PieceCache, effective_quantization};
use crate::plan::sharding::{Stage, misfits, stages};
use crate::plan::stage::StageLoad;
use crate::plan::storage::Loader;
use crate::plan::weights::{Weights, weights};
use crate::units::Bytes;
use crate::version::Version;

/// What a launch is evaluated against: everything but its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// Its tensors as ranks load them; one cache a model.
    pub pieces: &'a PieceCache,
    /// The devices.
    pub devices: &'a Devices,
    /// The engine's version.
    pub version: &'a Version,
    /// Its behaviours.
    pub era: &'a Era,
    /// The constants of the memory and speed model.
    pub constants: &'a Constants,
    /// Batch defaults for this version, usage context and device.
    pub batch: BatchDefaults,
    /// How the engine is started.
    pub usage: UsageContext,
    /// The environment of the engine's process.
    pub env: &'a IndexMap<String, String>,
    /// Host memory that the launch may take, if limited.
    pub host_memory: Option<Bytes>,
    /// Terms that were measured before; empty for none.
    pub measured: &'a [Measured],
}

impl Setting<'_> {
    /// The constant `name` for this version and device.
    pub fn constant(&self, name: &str) -> Bounded {
        self.constants.get(name, self.version, self.devices.capability())
    }

    /// The constant `name`, in MiB, as bytes with its band.
    pub fn mebibytes(&self, name: &str) -> Band {
        let bounded = self.constant(name);
        let bytes = |mib: f64| Bytes::from_f64(mib * 1_048_576.0);
        Band { low: bytes(bounded.low), expected: bytes(bounded.value), high: bytes(bounded.high) }
    }

    /// The constant `name` as an input of a formula.
    pub fn constant_input(&self, name: &str) -> Input {
        match self.constants.row(name, self.version, self.devices.capability()) {
            Some(row) => Input { name: name.to_owned(), value: format!("{} {}", row.value, row.unit), source: row.source.clone() },
            None => Input { name: name.to_owned(), value: "0".to_owned(), source: "no rule for this version and device".to_owned() },
        }
    }
}

/// A launch with its budget and verdict.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The effective launch.
    pub launch: Launch,
    /// The budget of the rank that needs most.
    pub budget: Budget,
    /// The weights of that rank.
    pub weights: Weights,
    /// Every pipeline stage, first to last.
    pub stages: Vec<StageLoad>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why not, or what it costs.
    pub reasons: Vec<Reason>,
    /// The longest request that the cache holds, in tokens.
    pub longest_request: u64,
    /// The KV cache if every term is at its high band: what is promised.
    pub guaranteed_kv_tokens: u64,
}

/// Evaluates `args` as they are.
pub fn evaluate(args: &Arguments, setting: &Setting<'_>) -> Evaluation {
    let machine = Machine { compute_capability: setting.devices.compute_capability };
    let context = Context {
        version: setting.version,
        era: setting.era,
        batch: setting.batch,
        model: setting.model,
        machine: &machine,
        usage: setting.usage,
        env: setting.env,
    };
    let mut evaluation = evaluate_launch(resolve(args, &context), setting);
    if let Some(reason) = broken_promise(args, &evaluation, setting) {
        evaluation.verdict = Verdict::Invalid;
        evaluation.reasons.insert(0, reason);
    }
    evaluation
}

/// Offload that was asked for and does not happen.
fn broken_promise(args: &Arguments, evaluation: &Evaluation, setting: &Setting<'_>) -> Option<Reason> {
    let moves = evaluation.weights.offloaded > Bytes::ZERO && evaluation.weights.came_back == Bytes::ZERO;
    if !asks_for_offload(args) || moves {
        return None;
    }
    let (code, message) = if evaluation.launch.offload.is_none() {
        (
            "offload-ignored",
            format!(
                "vLLM {} runs this model with the V2 model runner, which ignores offload: all weights go to the device; \
                 VLLM_USE_V2_MODEL_RUNNER=0 selects the runner that honours it",
                setting.version
            ),
        )
    } else {
        (
            "offload-lost-on-repack",
            format!(
                "vLLM {} replaces quantised weights after loading, which puts them back on the device; their offload is kept from 0.17.0 on",
                setting.version
            ),
        )
    };
    Some(Reason { code: code.to_owned(), message, short_by: None })
}

/// Evaluates an effective launch.
pub fn evaluate_launch(launch: Launch, setting: &Setting<'_>) -> Evaluation {
    let stages = stages(setting.model.layers.len() as u64, launch.parallel.pipeline);
    let ranks: Vec<Rank<'_>> = stages.iter().map(|stage| Rank::new(stage, &launch, setting)).collect();
    let blocks = ranks.iter().map(|rank| rank.blocks(rank.available.expected)).min().unwrap_or(0);
    let blocks_low = ranks.iter().map(|rank| rank.blocks(rank.available.low)).min().unwrap_or(0);
    let pinned: Bytes = ranks.iter().map(|rank| rank.weights.pinned * launch.parallel.tensor).sum();
    let offloaded: Bytes = ranks.iter().map(|rank| rank.weights.offloaded * launch.parallel.tensor).sum();
    let device_used =
        ranks.iter().map(|rank| rank.device_used(&launch, setting, blocks)).max_by_key(|used| used.expected).unwrap_or_default();
    let loads = ranks.iter().map(Rank::load).collect();
    let Some(tightest) = ranks.into_iter().min_by_key(|rank| (rank.blocks(rank.available.expected), rank.available.expected)) else {
        return Evaluation::empty(launch, setting);
    };
    let mut reasons = tightest.reasons(&launch, setting);
    let layout = tightest.layout.as_ref();
    let kv = layout.map_or_else(no_cache, |layout| layout.cache_of_blocks(blocks, &launch, setting.era));
    let guaranteed = layout.map_or(0, |layout| layout.cache_of_blocks(blocks_low, &launch, setting.era).tokens);
    let longest_request =
        layout.map_or(setting.model.context_length, |layout| layout.longest_request(tightest.available.low, setting.model.context_length));
    let weights = tightest.weights.clone();
    let budget = tightest.into_budget(&launch, setting, kv, device_used, (offloaded, pinned));
    reasons.extend(limits(&budget, setting));
    let structure = misfits(setting.model, launch.parallel);
    let invalid = !structure.is_empty() || launch.parallel.devices() > setting.devices.count;
    reasons.extend(structure.into_iter().map(|(code, message)| Reason { code: code.to_owned(), message, short_by: None }));
    if launch.parallel.devices() > setting.devices.count {
        reasons.push(Reason {
            code: "too-few-devices".to_owned(),
            message: format!("the launch takes {} devices and there are {}", launch.parallel.devices(), setting.devices.count),
            short_by: None,
        });
    }
    let verdict = match (invalid, reasons.is_empty(), pinned > Bytes::ZERO) {
        (true, ..) => Verdict::Invalid,
        (false, false, _) => Verdict::DoesNotFit,
        (false, true, true) => Verdict::FitsWithOffload,
        (false, true, false) => Verdict::Fits,
    };
    Evaluation { verdict, reasons, weights, stages: loads, budget, longest_request, guaranteed_kv_tokens: guaranteed, launch }
}

impl Evaluation {
    /// By how much the device memory is short, if it is.
    pub fn short_by(&self) -> Option<Bytes> {
        self.reasons.iter().filter_map(|reason| reason.short_by).max()
    }

    fn empty(launch: Launch, setting: &Setting<'_>) -> Self {
        let total = setting.devices.cuda_total;
        let budget = Budget {
            memory_total: total,
            requested: Bytes::ZERO,
            terms: Vec::new(),
            kv_cache: no_cache(),
            device_used: Band::default(),
            offloaded: Bytes::ZERO,
            host_memory: Bytes::ZERO,
        };
        Self {
            launch,
            budget,
            weights: Weights::default(),
            stages: Vec::new(),
            verdict: Verdict::Invalid,
            reasons: Vec::new(),
            longest_request: 0,
            guaranteed_kv_tokens: 0,
        }
    }
}

const fn no_cache() -> KvCache {
    KvCache {
        bytes: Bytes::ZERO,
        tokens: 0,
        blocks: 0,
        block_size: 0,
        bytes_per_token: Bytes::ZERO,
        max_concurrency: 0.0,
        request_bytes: Bytes::ZERO,
    }
}

/// What the whole device must hold, whatever the engine asked for.
fn limits(budget: &Budget, setting: &Setting<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let limit = setting.devices.limit;
    if let Some(short) = budget.device_used.high.checked_sub(limit).filter(|short| *short > Bytes::ZERO) {
        reasons.push(Reason {
            code: "device-memory-exceeded".to_owned(),
            message: format!("nvidia-smi would show up to {}, and {limit} are allowed", budget.device_used.high),
            short_by: Some(short),
        });
    }
    if let Some(host) = setting.host_memory
        && let Some(short) = budget.host_memory.checked_sub(host).filter(|short| *short > Bytes::ZERO)
    {
        reasons.push(Reason {
            code: "host-memory-exceeded".to_owned(),
            message: format!("the launch needs {} of host memory, and there are {host}", budget.host_memory),
            short_by: Some(short),
        });
    }
    reasons
}

/// One pipeline rank with its terms.
struct Rank<'a> {
    layout: Option<Layout>,
    weights: Weights,
    terms: Vec<Term>,
    requested: Bytes,
    free_at_start: Band,
    retained: Term,
    /// What is left for the KV cache: low where the other terms are high.
    available: Band,
    /// Whether it is negative, and by how much, in the expected case.
    deficit: Bytes,
    stage: &'a Stage,
}

impl<'a> Rank<'a> {
    fn new(stage: &'a Stage, launch: &Launch, setting: &Setting<'_>) -> Self {
        let loader = Loader { version: setting.version, compute_capability: setting.devices.compute_capability, dtype: launch.dtype };
        let pieces = setting.pieces.pieces(setting.model, launch, setting.era, stage, loader);
        let weights = weights(setting.model, launch, setting.era, stage, &pieces);
        let mut before = context(launch, setting);
        let mut outside = non_torch(launch, setting, &weights, stage);
        let mut peak = activation_peak(launch, setting, stage);
        let mut graphs = cuda_graphs(launch, setting, stage);
        let retained = retained(launch, setting, stage, &weights);
        let total = setting.devices.cuda_total;
        let requested = requested(total, launch, setting.era);
        let free_at_start = Band { low: total - before.size.high, expected: total - before.size.expected, high: total - before.size.low };
        let mut weights_term = weights_term(&weights, launch, setting);
        let mut estimate = estimate(launch, setting, stage);
        let consumed = setting.era.accounting == AccountingEra::ConsumedSinceSnapshot;
        let persistent = if consumed { persistent(launch, setting, stage, &weights) } else { Bytes::ZERO };
        let mut terms = RankTerms {
            weights: &mut weights_term,
            peak: &mut peak,
            outside: &mut outside,
            graphs: &mut graphs,
            before: &mut before,
            estimate: &mut estimate,
            persistent,
        };
        replace(&mut terms, launch, setting);
        let mut inside: Vec<Band> =
            [&weights_term, &peak, &outside, &before].into_iter().filter(|term| term.inside_requested).map(|term| term.size).collect();
        // The engine subtracts its own estimate of the graphs, not what they turn out to take.
        inside.extend(estimate);
        inside.push(Band::exact(persistent));
        let sum = |pick: fn(&Band) -> Bytes| inside.iter().map(pick).sum::<Bytes>();
        let available = match launch.kv_cache_memory {
            Some(fixed) => Band::exact(fixed),
            None => Band {
                low: requested - sum(|band| band.high),
                expected: requested - sum(|band| band.expected),
                high: requested - sum(|band| band.low),
            },
        };
        let deficit = if launch.kv_cache_memory.is_some() { Bytes::ZERO } else { sum(|band| band.high) - requested };
        let layout = layout(setting.model, launch, setting.era, stage);
        Self {
            layout,
            terms: vec![weights_term, peak, outside, graphs, before],
            weights,
            requested,
            free_at_start,
            retained,
            available,
            deficit,
            stage,
        }
    }

    fn load(&self) -> StageLoad {
        let kv_bytes_per_token = self.layout.as_ref().map_or(Bytes::ZERO, |layout| layout.bytes_per_token);
        StageLoad { layers: self.stage.layers.len() as u64, weights: self.weights.clone(), kv_bytes_per_token }
    }

    fn blocks(&self, available: Bytes) -> u64 {
        self.layout.as_ref().map_or(u64::MAX, |layout| available.0 / layout.pool_block.0.max(1))
    }

    /// The engine's own checks at start, at the high band of what is not known exactly.
    fn reasons(&self, launch: &Launch, setting: &Setting<'_>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let checks_start = setting.era.checks_free_memory;
        if checks_start && self.requested > self.free_at_start.low {
            reasons.push(Reason {
                code: "requested-exceeds-free".to_owned(),
                message: format!(
                    "gpu-memory-utilization {} asks for {} and only {} are free after the CUDA context; the engine refuses to start",
                    launch.gpu_memory_utilization, self.requested, self.free_at_start.low
                ),
                short_by: Some(self.requested - self.free_at_start.low),
            });
        }
        let Some(layout) = &self.layout else { return reasons };
        let need =
            layout.request_bytes(launch.max_model_len) + if setting.era.null_block_reserved { layout.pool_block } else { Bytes::ZERO };
        if self.deficit > Bytes::ZERO || self.available.low == Bytes::ZERO {
            reasons.push(Reason {
                code: "no-memory-for-kv-cache".to_owned(),
                message: format!(
                    "weights, activations and overhead take {} of the requested {}, which leaves nothing for the KV cache; one request of {} tokens needs {need}",
                    self.requested + self.deficit, self.requested, launch.max_model_len
                ),
                short_by: Some(self.deficit + need),
            });
        } else if need > self.available.low && !launch.max_model_len_auto {
            let longest = layout.longest_request(self.available.low, launch.max_model_len);
            reasons.push(Reason {
                code: "kv-cache-too-small".to_owned(),
                message: format!(
                    "one request of {} tokens needs {need} of KV cache and {} are left; the longest that fits is {longest} tokens",
                    launch.max_model_len, self.available.low
                ),
                short_by: Some(need - self.available.low),
            });
        }
        reasons
    }

    /// What nvidia-smi shows for this rank's device once the cache has `blocks` blocks.
    fn device_used(&self, launch: &Launch, setting: &Setting<'_>, blocks: u64) -> Band {
        let cache = self.layout.as_ref().map_or(Bytes::ZERO, |layout| layout.pool_block * blocks);
        let used = |pick: fn(&Band) -> Bytes| {
            let terms = self.terms.iter().filter(|term| term.name != TermName::ActivationPeak);
            terms.map(|term| pick(&term.size)).sum::<Bytes>() + cache + pick(&self.retained.size)
        };
        // Where the device's total is not measured, a larger one makes the engine take more.
        let growth = (setting.devices.cuda_total_high - setting.devices.cuda_total).scale(launch.gpu_memory_utilization.clamp(0.0, 1.0));
        let growth = if launch.kv_cache_memory.is_some() { Bytes::ZERO } else { growth };
        Band { low: used(|band| band.low), expected: used(|band| band.expected), high: used(|band| band.high) + growth }
    }

    fn into_budget(
        self,
        launch: &Launch,
        setting: &Setting<'_>,
        kv: KvCache,
        device_used: Band,
        (offloaded, host_memory): (Bytes, Bytes),
    ) -> Budget {
        let kv_term = kv_term(&kv, &self, launch);
        let headroom = Term {
            name: TermName::Headroom,
            size: Band {
                low: setting.devices.limit - device_used.high,
                expected: setting.devices.limit - device_used.expected,
                high: setting.devices.limit - device_used.low,
            },
            formula: "allowed device memory − device memory after start".to_owned(),
            inputs: vec![Input {
                name: "allowed".to_owned(),
                value: setting.devices.limit.to_string(),
                source: "--vram, or the device's memory".to_owned(),
            }],
            parts: Vec::new(),
            inside_requested: false,
            note: "left of the device".to_owned(),
        };
        let mut terms = self.terms;
        terms.extend([kv_term, headroom]);
        terms.sort_by_key(|term| term.name);
        Budget {
            memory_total: setting.devices.cuda_total,
            requested: self.requested,
            terms,
            kv_cache: kv,
            device_used,
            offloaded,
            host_memory,
        }
    }
}

/// `request_memory`: utilisation × total, rounded up from 0.14 on.
fn requested(total: Bytes, launch: &Launch, era: &Era) -> Bytes {
    let exact = total.0 as f64 * launch.gpu_memory_utilization.clamp(0.0, 1.0);
    Bytes(if era.requested_rounds_up { exact.ceil() } else { exact.floor() } as u64)
}

fn weights_term(weights: &Weights, launch: &Launch, setting: &Setting<'_>) -> Term {
    let mut parts = vec![
        Part { name: "decoder layers on the device".to_owned(), bytes: weights.layers - weights.offloaded },
        Part { name: "embedding and head".to_owned(), bytes: weights.embeddings },
        Part { name: "prefetch buffers".to_owned(), bytes: weights.buffers },
        Part { name: "rotary table".to_owned(), bytes: weights.rotary },
    ];
    parts.retain(|part| part.bytes > Bytes::ZERO);
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let scheme = launch.quantization.as_deref().unwrap_or(launch.dtype.name());
    let note = match (weights.offloaded > Bytes::ZERO, weights.offloaded_layers) {
        (false, _) => scheme.to_owned(),
        (true, layers) => format!("{scheme}; {} of {layers} layers are in host memory", weights.offloaded),
    };
    let mut inputs = vec![
        Input::new("parameters", setting.model.parameters.total, "the model's tensors"),
        Input::new("quantisation", scheme, "the checkpoint or --quantization"),
        Input::new("tensor parallel size", launch.parallel.tensor, "the launch"),
    ];
    if weights.offloaded > Bytes::ZERO {
        inputs.push(Input::new("in host memory", weights.offloaded, "cpu-offload-gb or prefetch offload"));
    }
    let extra = allocator_extra(weights, launch, setting);
    Term {
        name: TermName::Weights,
        size: Band::exact(weights.resident) + extra,
        formula: "Σ tensors: packed weights + scales + zero points, divided among ranks, − offloaded + rotary table + allocator remainders"
            .to_owned(),
        inputs,
        parts,
        inside_requested: true,
        note,
    }
}

/// What torch counts beyond the tensors: remainders of blocks that repacking left too small to split, and one
/// block that 8-bit and latent-attention models allocate while loading.
fn allocator_extra(weights: &Weights, launch: &Launch, setting: &Setting<'_>) -> Band {
    let (dense, experts) = weights.repacked_layers;
    let scale = |name: &str, layers: u64| {
        let band = setting.mebibytes(name);
        Band { low: band.low * layers, expected: band.expected * layers, high: band.high * layers }
    };
    let fp8 = effective_quantization(setting.model, launch).is_some_and(|quantization| quantization.bits == 8);
    let early_workspace = fp8 || launch.kv_cache_dtype.starts_with("fp8") || setting.model.uses_latent_attention();
    let workspace = if early_workspace { setting.mebibytes("weights.early_workspace") } else { Band::default() };
    scale("weights.repack_remainder", dense) + scale("weights.expert_repack_remainder", experts) + workspace
}

fn kv_term(kv: &KvCache, rank: &Rank<'_>, launch: &Launch) -> Term {
    let low = rank.layout.as_ref().map_or(Bytes::ZERO, |layout| layout.pool_block * rank.blocks(rank.available.low));
    let high = rank.layout.as_ref().map_or(Bytes::ZERO, |layout| layout.pool_block * rank.blocks(rank.available.high));
    Term {
        name: TermName::KvCache,
        size: Band { low: low.min(kv.bytes), expected: kv.bytes, high: high.max(kv.bytes) },
        formula: "⌊(requested − weights − activation peak − non-torch − subtracted graphs) / block⌋ × block".to_owned(),
        inputs: vec![
            Input::new("requested", rank.requested, "gpu-memory-utilization × total memory"),
            Input::new("block", kv.bytes_per_token * kv.block_size, "tokens a block × bytes a token in all layers"),
            Input::new("bytes a token", kv.bytes_per_token, "layers × key/value heads × head size × 2 × bytes of the cache dtype"),
            Input::new("cache dtype", &launch.kv_cache_dtype, "kv-cache-dtype"),
            Input::new("layers", rank.stage.layers.len(), "the model and pipeline parallel size"),
        ],
        parts: Vec::new(),
        inside_requested: true,
        note: format!("{} tokens, block {}, {} a token", kv.tokens, kv.block_size, kv.bytes_per_token),
    }
}
