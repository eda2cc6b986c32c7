//! A start computed anew: the launch that the log describes, evaluated by the planner, with the figures that the engine
//! printed in place of those that it would compute.

use indexmap::IndexMap;
use serde_json::Value;

use crate::catalog::{AccountingEra, Catalog, RunnerRule};
use crate::engine::arguments::Arguments;
use crate::engine::era::{BatchDefaults, Era};
use crate::engine::launch::{GraphMode, Launch, UsageContext};
use crate::judge::as_parsed;
use crate::model::spec::ModelSpec;
use crate::plan::budget::{Band, TermName};
use crate::plan::evaluate::{Evaluation, Setting, evaluate};
use crate::plan::kv_cache::{Layout, layout};
use crate::plan::measured::{Measured, Settings};
use crate::plan::outcome::Devices;
use crate::plan::overhead::persistent;
use crate::plan::pieces::PieceCache;
use crate::plan::release::{Chosen, choose};
use crate::plan::request::EngineRequest;
use crate::plan::sharding::stages;
use crate::plan::variant::as_checkpoint;
use crate::startup::figures::{Rank, Run};
use crate::startup::subject;
use crate::units::Bytes;
use crate::version::Version;

/// What is known beside the log.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// The model, where it was named or could be read; else the catalogue is asked.
    pub model: Option<ModelSpec>,
    /// The devices, where they were named or read from the machine.
    pub devices: Option<Devices>,
}

/// A start that the planner computed again.
#[derive(Debug)]
pub struct Rebuilt<'a> {
    /// The model.
    pub model: ModelSpec,
    /// The devices, less what others hold of them.
    pub devices: Devices,
    /// The engine release.
    chosen: Chosen<'a>,
    /// Its behaviours.
    pub era: Era,
    usage: UsageContext,
    env: IndexMap<String, String>,
    /// The arguments.
    pub args: Arguments,
    pieces: PieceCache,
    measured: Vec<Measured>,
    /// Whether the utilisation is that of the run, and not assumed.
    pub utilization_known: bool,
    /// What was assumed, as sentences.
    pub assumed: Vec<String>,
}

/// The switch of the model runner.
pub const RUNNER: &str = "VLLM_USE_V2_MODEL_RUNNER";

/// How far the engine's weights may lie from the planner's before it is another model: what torch keeps beside its tensors
/// is less than that of anything that is served.
const SAME_WEIGHTS: f64 = 0.1;

impl<'a> Rebuilt<'a> {
    /// Computes `run` anew.
    ///
    /// # Errors
    /// A sentence that says what is missing for it.
    pub fn new(run: &Run, known: &Known<'a>) -> Result<Self, String> {
        let version = run.version.clone().ok_or("the log does not show which version of vLLM it is of")?;
        if run.legacy {
            return Err(format!("vLLM {version} ran its legacy engine (V0), whose memory is not computed here"));
        }
        if run.configuration.speculative {
            return Err("a draft model speculates, whose weights and cache are not computed here".to_owned());
        }
        let model = known.model.clone().or_else(|| subject::catalogued(run, known.catalog));
        let model = model.map(|model| as_quantised(model, run, known.catalog));
        let model = model.ok_or_else(|| match run.model() {
            Some(name) => format!("`{name}` is not in the catalogue; `--model DIR` names its folder or its hub id"),
            None => "the log does not name the model; `--model` does".to_owned(),
        })?;
        let devices = subject::devices(run, known.devices.as_ref(), known.catalog)
            .ok_or("the log does not show the card's memory; `--gpu` names the card")?;
        let request = EngineRequest { name: "vllm".to_owned(), version: Some(version) };
        let chosen = choose(&request, &devices, known.catalog).map_err(|error| error.to_string())?;
        let era = Era::of(chosen.engine, &chosen.behaviour).map_err(|error| error.to_string())?;
        let usage = if run.server { UsageContext::Serve } else { UsageContext::LlmClass };
        let mut assumed: Vec<String> = model.assumed.iter().chain(&devices.assumed).cloned().chain(chosen.note.clone()).collect();
        let (args, utilization_known) = arguments(run, &model, &chosen, &era, &mut assumed);
        let env = environment(run, &era);
        let mut rebuilt = Self {
            model,
            devices,
            chosen,
            era,
            usage,
            env,
            args,
            pieces: PieceCache::default(),
            measured: Vec::new(),
            utilization_known,
            assumed,
        };
        rebuilt.keep_captured_sizes(run);
        rebuilt.same_model(run)?;
        rebuilt.take_off_others(run);
        rebuilt.measured = rebuilt.figures(run).into_iter().collect();
        Ok(rebuilt)
    }

    /// The launch as it was, by the planner alone.
    pub fn predicted(&self) -> Evaluation {
        evaluate(&self.args, &self.setting(&self.env, &[]))
    }

    /// The launch with `changes`, with what the engine printed where they leave it true.
    pub fn with(&self, changes: &[(&str, Value)]) -> Evaluation {
        let mut args = self.args.clone();
        for (flag, value) in changes {
            args.set(flag, value.clone());
        }
        evaluate(&args, &self.setting(&self.env, &self.measured))
    }

    /// The launch divided among `cards` such cards.
    pub fn on_more_cards(&self, cards: u64) -> Evaluation {
        let mut args = self.args.clone();
        args.set("tensor-parallel-size", cards);
        let pipeline = args.count("pipeline-parallel-size").unwrap_or(1);
        let devices = Devices { count: self.devices.count.max(cards * pipeline), ..self.devices.clone() };
        let setting = self.setting(&self.env, &[]);
        evaluate(&args, &Setting { devices: &devices, ..setting })
    }

    /// The launch with the model runner that honours offload.
    pub fn with_first_runner(&self) -> Evaluation {
        let mut env = self.env.clone();
        env.insert(RUNNER.to_owned(), "0".to_owned());
        evaluate(&self.args, &self.setting(&env, &[]))
    }

    /// What one rank's cache is made of; `None` where the model keeps none.
    pub fn layout(&self, launch: &Launch) -> Option<Layout> {
        let stages = stages(self.model.layers.len() as u64, launch.parallel.pipeline);
        layout(&self.model, launch, &self.era, stages.first()?)
    }

    /// What the engine printed, with the settings that it is true of.
    pub fn measured(&self) -> Option<&Measured> {
        self.measured.first()
    }

    /// The version of the engine.
    pub fn version(&self) -> &Version {
        &self.chosen.version
    }

    fn setting<'s>(&'s self, env: &'s IndexMap<String, String>, measured: &'s [Measured]) -> Setting<'s> {
        let batch: BatchDefaults = self.era.batch_defaults(self.usage, self.devices.cuda_total, &self.devices.name);
        Setting {
            model: &self.model,
            pieces: &self.pieces,
            devices: &self.devices,
            version: &self.chosen.behaviour,
            era: &self.era,
            constants: self.chosen.engine.constants(),
            batch,
            usage: self.usage,
            env,
            host_memory: None,
            measured,
        }
    }

    /// Where the log's graphs are not the version's defaults, they were asked for.
    fn keep_captured_sizes(&mut self, run: &Run) {
        let launch = self.predicted().launch;
        if launch.graph_mode == GraphMode::None || run.configuration.capture_sizes.is_empty() {
            return;
        }
        if let Some(mode) = run.configuration.graph_mode.as_ref().filter(|mode| *mode != launch.graph_mode.name()) {
            self.args.set("compilation-config.cudagraph-mode", mode.clone());
        }
        if run.configuration.capture_sizes != launch.capture_sizes {
            self.args.set("cudagraph-capture-sizes", run.configuration.capture_sizes.clone());
        }
    }

    /// The engine's weights must be the planner's, or this is another model than its name says.
    fn same_model(&mut self, run: &Run) -> Result<(), String> {
        let Some(weights) = run.tightest().and_then(|rank| rank.weights?.size()) else { return Ok(()) };
        let off = |evaluation: &Evaluation| {
            let expected = evaluation.budget.term(TermName::Weights).map_or(Bytes::ZERO, |term| term.size.expected);
            if expected == Bytes::ZERO { 1.0 } else { (weights.gib() / expected.gib() - 1.0).abs() }
        };
        let predicted = self.predicted();
        if off(&predicted) <= SAME_WEIGHTS {
            return Ok(());
        }
        // Offload that the engine ignores is its own answer, not another model.
        if let Some(quantization) = self.args.text("quantization").map(str::to_owned) {
            self.args.remove("quantization");
            if off(&self.predicted()) <= SAME_WEIGHTS {
                self.assumed.push(format!("{weights} are the weights without `{quantization}`, which was not in effect"));
                return Ok(());
            }
        }
        let expected = predicted.budget.term(TermName::Weights).map_or(Bytes::ZERO, |term| term.size.expected);
        Err(format!(
            "the log's weights of {weights} are not those of {}, which would be {expected}; `--model DIR` names the folder",
            self.model.id
        ))
    }

    /// What other processes hold is not for this one.
    fn take_off_others(&mut self, run: &Run) {
        let context = self.predicted().budget.term(TermName::Context).map_or(Bytes::ZERO, |term| term.size.high);
        let held = super::failure::held_by_others(run).or_else(|| run.held_by_others(context)).unwrap_or(Bytes::ZERO);
        self.devices.limit = self.devices.limit - held;
    }

    /// The figures that the engine printed, as terms of this launch.
    fn figures(&self, run: &Run) -> Option<Measured> {
        let rank = run.tightest()?;
        let evaluation = self.predicted();
        let setting = self.setting(&self.env, &[]);
        let stages = stages(self.model.layers.len() as u64, evaluation.launch.parallel.pipeline);
        let consumed_era = self.era.accounting == AccountingEra::ConsumedSinceSnapshot;
        let kept = if consumed_era { persistent(&evaluation.launch, &setting, stages.first()?, &evaluation.weights) } else { Bytes::ZERO };
        let subtracts =
            run.graphs_subtracted.unwrap_or_else(|| evaluation.budget.term(TermName::CudaGraphs).is_some_and(|term| term.inside_requested));
        let estimate = rank.graph_estimate.map(|printed| printed.band()).filter(|_| subtracts);
        let peak = rank.activation_peak.map(|printed| printed.band());
        let activation_peak = match (peak, estimate) {
            (Some(peak), Some(estimate)) if consumed_era && rank.peak_of_usage => Some(less(peak, estimate)),
            // The estimate is in it, and was not printed: what it is without is not known.
            (Some(_), None) if consumed_era && rank.peak_of_usage && subtracts => None,
            (peak, _) => peak,
        };
        let consumed = rank.consumed.zip(rank.weights).map(|(all, weights)| less(less(all.band(), weights.band()), Band::exact(kept)));
        let non_torch = rank.non_torch.map(|printed| printed.band()).or(consumed);
        Some(Measured {
            settings: Settings::of(&evaluation.launch, &setting),
            weights: rank.weights.map(|printed| printed.band()),
            activation_peak,
            non_torch,
            cuda_graphs: rank.graphs.map(|printed| printed.band()),
            graph_estimate: estimate,
            rest: if activation_peak.is_some() && non_torch.is_some() { None } else { self.rest(run, rank, &evaluation, estimate) },
            source: format!("a start of vLLM {}", self.chosen.version),
        })
    }

    /// What the requested size lost beside weights, cache and the estimate of graphs.
    fn rest(&self, run: &Run, rank: &Rank, evaluation: &Evaluation, estimate: Option<Band>) -> Option<Band> {
        let subtracts = evaluation.budget.term(TermName::CudaGraphs).is_some_and(|term| term.inside_requested);
        if !self.utilization_known && rank.requested.is_none()
            || subtracts && estimate.is_none()
            || evaluation.launch.kv_cache_memory.is_some()
        {
            return None;
        }
        let requested = rank.requested.map_or_else(|| Band::exact(evaluation.budget.requested), |printed| printed.band());
        // Where the card's total is not known to the byte, its product is not better than what was printed.
        let requested = if self.devices.cuda_total == self.devices.cuda_total_high { requested } else { rank.requested?.band() };
        let weights = rank.weights?.band();
        let short = run.available().and_then(|printed| printed.shortage()).unwrap_or(Bytes::ZERO);
        let cache = self.cache(run, evaluation)?;
        let taken = cache + weights + estimate.unwrap_or_default();
        let expected = (requested.expected + short).checked_sub(taken.expected)?;
        Some(Band { low: (requested.low + short) - taken.high, expected, high: (requested.high + short) - taken.low })
    }

    /// The cache's size: as printed, or from its tokens, which leave up to a block over.
    pub fn cache(&self, run: &Run, evaluation: &Evaluation) -> Option<Band> {
        if let Some(printed) = run.available() {
            return Some(printed.band());
        }
        let layout = self.layout(&evaluation.launch)?;
        let cache = &evaluation.budget.kv_cache;
        let whole = layout.pool_block == cache.bytes_per_token * cache.block_size;
        let blocks = run.kv_tokens.filter(|_| whole && cache.block_size > 0)? / cache.block_size;
        let bytes = layout.pool_block * blocks;
        Some(Band { low: bytes, expected: bytes, high: bytes + layout.pool_block })
    }
}

fn less(from: Band, taken: Band) -> Band {
    Band { low: from.low - taken.high, expected: from.expected - taken.expected, high: from.high - taken.low }
}

/// The arguments of the run: as given, with what the engine made of them. Says what it assumes. The second value tells whether
/// the utilisation is known.
fn arguments(run: &Run, model: &ModelSpec, chosen: &Chosen<'_>, era: &Era, assumed: &mut Vec<String>) -> (Arguments, bool) {
    let mut args = as_parsed(&run.given, chosen.engine, &chosen.behaviour);
    for (flag, argument) in &run.configuration.effective.0 {
        if flag != "quantization" && flag != "model" {
            args.0.insert(flag.clone(), argument.clone());
        }
    }
    args.set("model", model.id.clone());
    quantization(run, model, &mut args);
    for flag in ["max-model-len", "max-num-batched-tokens", "max-num-seqs"] {
        match run.count(flag) {
            Some(value) => args.set(flag, value),
            None if !run.arguments_seen => assumed.push(format!("`{flag}` is not in the log and taken at its default")),
            None => {}
        }
    }
    let known = run.utilization().is_some() || run.arguments_seen;
    match run.utilization() {
        Some(utilization) => args.set("gpu-memory-utilization", utilization),
        None if known => {}
        None => {
            assumed.push(format!("`gpu-memory-utilization` is not in the log and taken at its default, {}", era.gpu_memory_utilization))
        }
    }
    (args, known)
}

/// A 16-bit entry of the catalogue as the 4-bit checkpoint that the engine found: these methods read checkpoints only.
fn as_quantised(model: ModelSpec, run: &Run, catalog: &Catalog) -> ModelSpec {
    let method = run.configuration.effective.text("quantization").or_else(|| run.given.text("quantization")).unwrap_or_default();
    let scheme = ["awq", "gptq"].into_iter().find(|scheme| method.starts_with(scheme));
    match scheme.filter(|_| model.quantization.is_none()) {
        Some(scheme) => {
            let id = model.id.clone();
            let mut model = as_checkpoint(&model, scheme, catalog);
            model.assumed = vec![format!(
                "the {method} checkpoint of {id} is taken to be in 4 bits, in groups of 128; `--model DIR` reads its headers"
            )];
            model
        }
        None => model,
    }
}

/// A checkpoint's own quantisation needs no flag; another is applied while loading.
fn quantization(run: &Run, model: &ModelSpec, args: &mut Arguments) {
    let effective = run.configuration.effective.text("quantization").or_else(|| run.given.text("quantization"));
    match effective {
        Some(method) if model.quantization.is_none() => args.set("quantization", method.to_owned()),
        _ => args.remove("quantization"),
    }
}

/// The environment that the log shows.
fn environment(run: &Run, era: &Era) -> IndexMap<String, String> {
    let mut env = IndexMap::new();
    // Where only the first runner installs an offloader, one that was installed tells the runner.
    let first = (run.offloader.is_some() && !era.v2_runner_offloads).then_some(false);
    if let Some(second) = run.second_runner.or(first).filter(|_| era.v2_runner != RunnerRule::Never) {
        env.insert(RUNNER.to_owned(), if second { "1" } else { "0" }.to_owned());
    }
    if run.graphs_subtracted == Some(false) {
        env.insert("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS".to_owned(), "0".to_owned());
    }
    env
}
