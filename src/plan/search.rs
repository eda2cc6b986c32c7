//! The search: what the user fixed stays fixed, the rest is chosen so that it fits at the high band, in this
//! order of sacrifice: graphs and batch size, context, quantisation, and weights in host memory last.

use crate::engine::arguments::Arguments;
use crate::engine::launch::GraphMode;
use crate::model::spec::ModelSpec;
use crate::plan::budget::{Budget, TermName};
use crate::plan::evaluate::{Evaluation, Setting, evaluate};
use crate::plan::outcome::{Decision, Reason, Rejected, Verdict};
use crate::plan::parallel::served;
use crate::plan::pieces::PieceCache;
use crate::plan::ways::{Comparison, PIPELINE, TENSOR, Way};
use crate::units::Bytes;

/// What the user fixed; `None` leaves it to the search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// Longest request, in tokens.
    pub context: Option<u64>,
    /// Requests at once.
    pub concurrency: Option<u64>,
    /// Flags that stay as given.
    pub fixed: Arguments,
}

/// The model in one quantisation that may be launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The model as that checkpoint has it.
    pub model: ModelSpec,
    /// What to call it: `AWQ 4-bit, group 128`.
    pub label: String,
    /// Flags that it needs, such as `quantization: fp8` on a 16-bit checkpoint.
    pub flags: Vec<(&'static str, String)>,
    /// Why one would choose it, as a phrase.
    pub why: String,
}

/// What the search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Index of the chosen variant.
    pub variant: usize,
    /// The chosen arguments.
    pub args: Arguments,
    /// Their evaluation. It fits, or it is the candidate that misses least.
    pub evaluation: Evaluation,
    /// Why each value was chosen.
    pub decisions: Vec<Decision>,
    /// What was considered and refused, in the order tried.
    pub rejected: Vec<Rejected>,
    /// The ways of sharing the model that were compared; `None` where what devices exchange was not measured.
    pub ways: Option<Comparison>,
}

/// Contexts that people ask for; the search offers the largest that fits.
const CONTEXTS: [u64; 10] = [131_072, 65_536, 32_768, 16_384, 8192, 4096, 2048, 1024, 512, 256];
/// The context below which a model is of no use in a conversation: the search gives up better weights first.
pub const LEAST_CONTEXT: u64 = 4096;
/// The context that is enough unless more is asked for: what is left then serves more requests.
const ENOUGH_CONTEXT: u64 = 32_768;
/// Largest utilisation that the search chooses: the rest covers what other processes take for a moment.
pub const MOST_UTILIZATION: f64 = 0.95;

/// One way of running, before utilisation and context are solved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Style {
    graphs: Graphs,
    batched_tokens: u64,
    sequences: u64,
    fp8_cache: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Graphs {
    Default,
    Eager,
}

/// The settings to search in: weights in host memory may need another environment.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// For launches with all weights on the device.
    pub device: Setting<'a>,
    /// For launches with weights in host memory.
    pub offload: Setting<'a>,
}

/// Searches `variants` in order, each without and then with weights in host memory.
///
/// The first variant that runs comfortably without host memory wins, else the first that runs at all; host
/// memory is used only when none does.
pub fn search(variants: &[Variant], settings: &Settings<'_>, wish: &Wish, parallel: &[Way]) -> Option<Found> {
    let mut rejected = Vec::new();
    let mut nearest: Option<(Found, Trial<'_>)> = None;
    let mut tight: Option<(Found, Trial<'_>, &[Way])> = None;
    let caches: Vec<PieceCache> = variants.iter().map(|_| PieceCache::default()).collect();
    for offload in [false, true] {
        if offload && (wish.fixed.get("cpu-offload-gb").is_some() || wish.fixed.get("offload-group-size").is_some()) {
            continue;
        }
        for (index, (variant, pieces)) in variants.iter().zip(&caches).enumerate() {
            // Host memory makes any size fit: the smallest weights are the fastest then, and come last in the list.
            if offload && index + 1 < variants.len() {
                continue;
            }
            for (tried, &way) in parallel.iter().enumerate() {
                let setting = if offload { settings.offload } else { settings.device };
                let setting = Setting { model: &variant.model, pieces, ..setting };
                let trial = Trial { setting, wish, variant, way, offload };
                let Some(candidate) = trial.best() else { continue };
                let mut found = candidate.into_found(index, &trial);
                // Where the host link bounds the step, links between devices do not decide.
                let others = parallel.get(tried + 1..).filter(|_| !offload).unwrap_or_default();
                if found.evaluation.verdict.is_good() && (offload || is_comfortable(&found.evaluation, wish)) {
                    found.rejected = rejected;
                    return Some(trial.fastest(found, others));
                }
                if found.evaluation.verdict.is_good() {
                    // Smaller weights may serve better; if none do, this one stands.
                    tight.get_or_insert((found, trial, others));
                    continue;
                }
                rejected.push(refusal(&trial, &found.evaluation));
                let nearer = nearest.as_ref().is_none_or(|(best, _)| shortfall(&found.evaluation) < shortfall(&best.evaluation));
                if nearer {
                    nearest = Some((found, trial));
                }
            }
        }
        if let Some((found, trial, others)) = tight.take() {
            return Some(trial.fastest(Found { rejected, ..found }, others));
        }
    }
    let (mut found, trial) = nearest?;
    // What is short is said of the smallest way to run it, which a hopeless trial did not look at.
    let smallest = trial.smallest()?.into_found(found.variant, &trial);
    if shortfall(&smallest.evaluation) < shortfall(&found.evaluation) {
        found = smallest;
    }
    Some(Found { rejected, ..found })
}

/// Requests of the least useful context that a comfortable cache holds.
const COMFORTABLE_REQUESTS: u64 = 8;

/// Whether a launch leaves room to work in: graphs on, and a cache for several conversations. What the user
/// fixed is comfortable by definition.
fn is_comfortable(evaluation: &Evaluation, wish: &Wish) -> bool {
    let roomy = evaluation.guaranteed_kv_tokens >= COMFORTABLE_REQUESTS * LEAST_CONTEXT;
    let fast = evaluation.launch.graph_mode != GraphMode::None || wish.fixed.flag("enforce-eager");
    (wish.context.is_some() || roomy) && fast
}

fn shortfall(evaluation: &Evaluation) -> Bytes {
    if evaluation.verdict == Verdict::Invalid { Bytes(u64::MAX) } else { evaluation.short_by().unwrap_or(Bytes::ZERO) }
}

fn refusal(trial: &Trial<'_>, evaluation: &Evaluation) -> Rejected {
    let host = if trial.offload { ", weights in host memory" } else { ", all weights on the device" };
    let worst = evaluation.reasons.iter().max_by_key(|reason| reason.short_by).cloned();
    Rejected {
        change: format!("{}{}{host}", trial.variant.label, trial.way.sizes()),
        reason: worst.unwrap_or(Reason { code: "does-not-fit".to_owned(), message: "it does not fit".to_owned(), short_by: None }),
    }
}

/// One variant on one split, with or without host memory.
#[derive(Clone, Copy)]
struct Trial<'a> {
    setting: Setting<'a>,
    wish: &'a Wish,
    variant: &'a Variant,
    way: Way,
    offload: bool,
}

/// A candidate of a trial.
struct Candidate {
    style: Style,
    args: Arguments,
    evaluation: Evaluation,
    context: u64,
}

impl Trial<'_> {
    /// The best candidate that fits, or the one that misses least.
    fn best(&self) -> Option<Candidate> {
        let mut nearest: Option<Candidate> = None;
        for style in self.styles() {
            let candidate = self.candidate(style);
            let enough = self.wish.context.is_some() || candidate.context >= LEAST_CONTEXT.min(self.variant.model.context_length);
            // Where the weights alone are too large, no other style helps.
            let hopeless = candidate.evaluation.weights.resident > self.setting.devices.limit;
            if hopeless || candidate.evaluation.verdict.is_good() && enough {
                return Some(candidate);
            }
            let better = nearest.as_ref().is_none_or(|best| {
                let key = |candidate: &Candidate| {
                    (candidate.evaluation.verdict.is_good(), candidate.context, std::cmp::Reverse(shortfall(&candidate.evaluation)))
                };
                if candidate.evaluation.verdict.is_good() || best.evaluation.verdict.is_good() {
                    key(&candidate) > key(best)
                } else {
                    shortfall(&candidate.evaluation) < shortfall(&best.evaluation)
                }
            });
            if better {
                nearest = Some(candidate);
            }
        }
        nearest
    }

    /// Of `found` and what `others` find for the same weights, the fastest, where what devices exchange was measured: the first
    /// unless another is clearly faster, as comfortable, and has no shorter context.
    fn fastest(&self, mut found: Found, others: &[Way]) -> Found {
        let Some(links) = self.setting.devices.interconnect.as_ref() else { return found };
        let asked = self.wish.concurrency;
        let priced = |found: &Found| served(&self.setting, &found.evaluation, asked.unwrap_or(found.evaluation.launch.max_num_seqs));
        let Some(mut chosen) = priced(&found) else { return found };
        let mut slower = Vec::new();
        for &way in others {
            let trial = Trial { way, ..*self };
            let Some(other) = trial.best().map(|candidate| candidate.into_found(found.variant, &trial)) else { continue };
            let as_good = other.evaluation.verdict.is_good()
                && (is_comfortable(&other.evaluation, self.wish) || !is_comfortable(&found.evaluation, self.wish))
                && other.evaluation.launch.max_model_len >= found.evaluation.launch.max_model_len;
            let Some(price) = priced(&other).filter(|_| as_good) else { continue };
            if price.is_clearly_faster_than(&chosen) {
                slower.push(std::mem::replace(&mut chosen, price));
                found = Found { rejected: found.rejected, ..other };
            } else {
                slower.push(price);
            }
        }
        found.ways = Comparison::of(chosen, slower, &links.source);
        let Some(ways) = &found.ways else { return found };
        for decision in found.decisions.iter_mut().filter(|decision| [TENSOR, PIPELINE].contains(&decision.flag.as_str())) {
            decision.why = ways.why();
        }
        found.rejected.extend(ways.others.iter().map(|other| Rejected {
            change: format!("{}{}, all weights on the device", self.variant.label, other.way.sizes()),
            reason: Reason { code: "slower".to_owned(), message: ways.against(other), short_by: None },
        }));
        found
    }

    /// The candidate of the style that takes least.
    fn smallest(&self) -> Option<Candidate> {
        self.styles().last().map(|style| self.candidate(*style))
    }

    /// Styles from the fastest to the smallest.
    fn styles(&self) -> Vec<Style> {
        let small = self.setting.devices.limit <= Bytes::GIB * 12;
        let sequences = self.wish.concurrency.unwrap_or(if self.offload || small { 8 } else { 64 });
        let style = |graphs, batched_tokens, sequences| Style { graphs, batched_tokens, sequences, fp8_cache: false };
        let fewer = if self.wish.concurrency.is_some() { sequences } else { sequences.min(8) };
        let mut styles = if self.offload {
            vec![style(Graphs::Eager, 512, fewer)]
        } else {
            vec![style(Graphs::Default, 2048, sequences), style(Graphs::Default, 512, fewer), style(Graphs::Eager, 512, fewer)]
        };
        let capability = self.setting.devices.compute_capability;
        if !self.offload && capability.is_some_and(|capability| capability >= 89) && self.wish.fixed.get("kv-cache-dtype").is_none() {
            styles.push(Style { fp8_cache: true, ..style(Graphs::Eager, 512, fewer) });
        }
        styles
    }

    fn candidate(&self, style: Style) -> Candidate {
        let mut args = self.arguments(style);
        let floor = self.wish.context.unwrap_or(LEAST_CONTEXT).min(self.variant.model.context_length);
        self.set_context(&mut args, floor);
        let mut probe = self.evaluate_fullest(&mut args);
        if self.offload {
            probe = self.evaluate_least_offload(&mut args);
        }
        let given = wish_context(&self.wish.fixed);
        let context = self.wish.context.or(given).unwrap_or_else(|| self.choose_context(&probe));
        let evaluation = if context == floor || given.is_some() {
            probe
        } else {
            self.set_context(&mut args, context);
            self.evaluate_fullest(&mut args)
        };
        let evaluation = self.require_concurrency(evaluation, context);
        Candidate { style, args, evaluation, context }
    }

    /// With both context and concurrency fixed, the cache must hold that many full requests.
    fn require_concurrency(&self, mut evaluation: Evaluation, context: u64) -> Evaluation {
        let (Some(_), Some(concurrency)) = (self.wish.context, self.wish.concurrency) else { return evaluation };
        let need = evaluation.budget.kv_cache.request_bytes * concurrency;
        let have = evaluation.budget.term(TermName::KvCache).map_or(Bytes::ZERO, |term| term.size.low);
        if evaluation.verdict.is_good() && need > have {
            evaluation.verdict = Verdict::DoesNotFit;
            evaluation.reasons.push(Reason {
                code: "concurrency-not-reached".to_owned(),
                message: format!("{concurrency} requests of {context} tokens need {need} of KV cache, and {have} are left"),
                short_by: Some(need - have),
            });
        }
        evaluation
    }

    fn arguments(&self, style: Style) -> Arguments {
        let mut args = Arguments::default();
        args.set("model", self.variant.model.id.clone());
        for (flag, value) in &self.variant.flags {
            args.set(flag, value.clone());
        }
        if self.way.tensor > 1 {
            args.set(TENSOR, self.way.tensor);
        }
        if self.way.pipeline > 1 {
            args.set(PIPELINE, self.way.pipeline);
        }
        args.set("max-num-seqs", style.sequences);
        args.set("max-num-batched-tokens", style.batched_tokens.max(style.sequences));
        if style.fp8_cache {
            args.set("kv-cache-dtype", "fp8");
        }
        if style.graphs == Graphs::Eager {
            args.set("enforce-eager", true);
        }
        if self.variant.model.needs_remote_code {
            args.set("trust-remote-code", true);
        }
        for (flag, argument) in &self.wish.fixed.0 {
            args.0.insert(flag.clone(), argument.clone());
        }
        args
    }

    fn set_context(&self, args: &mut Arguments, context: u64) {
        if wish_context(&self.wish.fixed).is_none() {
            args.set("max-model-len", context);
        }
    }

    /// Sets the largest utilisation whose device memory, at its high band, stays within the limit, and evaluates that.
    fn evaluate_fullest(&self, args: &mut Arguments) -> Evaluation {
        let fixed = &self.wish.fixed;
        if fixed.get("gpu-memory-utilization").is_some() || fixed.get("kv-cache-memory-bytes").is_some() {
            return evaluate(args, &self.setting);
        }
        let total = self.setting.devices.cuda_total.0.max(1) as f64;
        // Device memory grows with the requested size byte by byte, but for whole blocks, which only leave more free.
        args.set("gpu-memory-utilization", MOST_UTILIZATION);
        let trial = evaluate(args, &self.setting);
        let beyond = beyond(&trial.budget);
        let context = trial.budget.term(TermName::Context).map_or(0.0, |term| term.size.high.0 as f64);
        let most = ((self.setting.devices.limit.0 as f64 - beyond).min(total - context) / total).min(MOST_UTILIZATION);
        let utilization = ((most * 1e4).floor() / 1e4).max(0.01);
        if utilization == MOST_UTILIZATION {
            return trial;
        }
        args.set("gpu-memory-utilization", utilization);
        evaluate(args, &self.setting)
    }

    /// Sets the least host memory, in half GiB, with which the launch fits, or that of all layers if none does, and
    /// evaluates that.
    fn evaluate_least_offload(&self, args: &mut Arguments) -> Evaluation {
        args.set("cpu-offload-gb", 9999.0);
        let all = self.evaluate_fullest(args).weights.offloaded.gib();
        let most = (all / self.way.tensor as f64 * 2.0).ceil() as u64 + 1;
        let (mut low, mut high) = (1, most);
        while low < high {
            let middle = low + (high - low) / 2;
            args.set("cpu-offload-gb", middle as f64 / 2.0);
            if self.evaluate_fullest(args).verdict.is_good() { high = middle } else { low = middle + 1 }
        }
        args.set("cpu-offload-gb", low as f64 / 2.0);
        self.evaluate_fullest(args)
    }

    /// The longest customary context that one request can have, or, beyond what is enough, that all have.
    fn choose_context(&self, probe: &Evaluation) -> u64 {
        let limit = self.variant.model.context_length;
        let longest = probe.longest_request.min(limit);
        if longest == limit && limit <= ENOUGH_CONTEXT {
            return limit;
        }
        let within = |cap: u64| CONTEXTS.into_iter().find(|context| *context <= cap.min(longest).min(limit));
        within(ENOUGH_CONTEXT).unwrap_or_else(|| LEAST_CONTEXT.min(limit))
    }
}

/// Device memory beyond the requested size, at the high band. Where not even the weights fit into that, what they
/// take beyond it is no reason to request less.
fn beyond(budget: &Budget) -> f64 {
    let held = budget.terms.iter().filter(|term| term.inside_requested && term.name != TermName::ActivationPeak);
    let held: Bytes = held.map(|term| if term.name == TermName::KvCache { term.size.expected } else { term.size.high }).sum();
    budget.device_used.high.0 as f64 - budget.requested.max(held).0 as f64
}

fn wish_context(fixed: &Arguments) -> Option<u64> {
    fixed.count("max-model-len")
}

impl Candidate {
    fn into_found(self, variant: usize, trial: &Trial<'_>) -> Found {
        let decisions = decisions(&self, trial);
        Found { variant, args: self.args, evaluation: self.evaluation, decisions, rejected: Vec::new(), ways: None }
    }
}

fn decisions(candidate: &Candidate, trial: &Trial<'_>) -> Vec<Decision> {
    let why = |flag: &str, argument: &serde_json::Value| -> Option<String> {
        let cache = &candidate.evaluation.budget.kv_cache;
        let limit = trial.setting.devices.limit;
        Some(match flag {
            "model" if candidate.args.get("quantization").is_some() => "the checkpoint as it is".to_owned(),
            "model" | "quantization" => trial.variant.why.clone(),
            "max-model-len" if trial.wish.context.is_some() => "as asked".to_owned(),
            "max-model-len" => format!("the cache holds {} tokens; the model allows {}", cache.tokens, trial.variant.model.context_length),
            "max-num-seqs" if trial.wish.concurrency.is_some() => "as asked".to_owned(),
            "max-num-seqs" => "each one more costs sampler memory of the whole vocabulary".to_owned(),
            "max-num-batched-tokens" => "bounds the activation peak; prompts longer than it are computed in chunks".to_owned(),
            "gpu-memory-utilization" if argument == &serde_json::json!(MOST_UTILIZATION) => {
                "the most that is chosen: the rest covers what other processes take for a moment".to_owned()
            }
            "gpu-memory-utilization" => {
                format!("the largest with which nvidia-smi stays within {limit} at the high band of every term")
            }
            "cpu-offload-gb" => "the least that fits: every GiB of it is read over the host link for each token".to_owned(),
            "enforce-eager" if trial.offload => "graphs save nothing while the host link bounds the step, and take memory".to_owned(),
            "enforce-eager" => "CUDA graphs would not leave enough for the KV cache".to_owned(),
            "kv-cache-dtype" if candidate.style.fp8_cache => "16-bit KV cache would not reach a useful context".to_owned(),
            TENSOR => format!("divides weights and KV cache among the devices{}", unmeasured(trial)),
            PIPELINE => format!("divides the layers, where tensor parallel sizes do not divide the model{}", unmeasured(trial)),
            "trust-remote-code" => "the engine has no class for this architecture and runs the checkpoint's own code".to_owned(),
            _ => return None,
        })
    };
    candidate
        .args
        .0
        .iter()
        .filter_map(|(flag, argument)| {
            let given = trial.wish.fixed.get(flag).is_some();
            let why = if given { Some("as asked".to_owned()) } else { why(flag, &argument.value) };
            why.map(|why| Decision { flag: flag.clone(), value: plain(&argument.value), why })
        })
        .collect()
}

/// What a choice of parallel sizes rests on, where what devices exchange was not measured.
fn unmeasured(trial: &Trial<'_>) -> &'static str {
    let devices = trial.setting.devices;
    let measured = devices.interconnect.as_ref().is_some_and(|links| !links.all_reduce.is_empty() && links.devices >= devices.count);
    if measured { "" } else { "; by the model's shape: what these GPUs exchange was not measured (`gpudoctor bench --only nccl`)" }
}

/// A value as one writes it in YAML, without quotes.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
