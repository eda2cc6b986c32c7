//! From a request, with everything it names looked up and read, to a plan.

use indexmap::IndexMap;

use crate::catalog::Catalog;
use crate::engine::arguments::Arguments;
use crate::engine::era::{Era, MissingRule};
use crate::engine::resolve::asks_for_offload;
use crate::finding::{Finding, Severity};
use crate::model::spec::ModelSpec;
use crate::plan::alternatives::{alternative, alternatives, changes_that_fit};
use crate::plan::divide::{Divided, beside, divided};
use crate::plan::evaluate::{Evaluation, Setting, evaluate};
use crate::plan::measured::Measured;
use crate::plan::outcome::{Alternative, Devices, EnvironmentVariable, Interpretation, Performance, Plan, Reason, Validation, Verdict};
use crate::plan::parallel::compare;
use crate::plan::pieces::PieceCache;
use crate::plan::release::Chosen;
use crate::plan::request::PlanRequest;
use crate::plan::search::{Settings, Wish};
use crate::plan::speed;
use crate::plan::validation::validations;
use crate::plan::variant::{VariantError, variants};
use crate::plan::ways::Comparison;

/// A request with everything that it names.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The request.
    pub request: &'a PlanRequest,
    /// The catalogue.
    pub catalog: &'a Catalog,
    /// The devices.
    pub devices: Devices,
    /// The engine release.
    pub chosen: Chosen<'a>,
    /// The model.
    pub model: ModelSpec,
    /// The arguments of the configuration to judge; `None` to search.
    pub given: Option<Arguments>,
    /// How the request's words were understood so far.
    pub said: Vec<Interpretation>,
    /// How lines are read and judged.
    pub judging: Judging,
    /// Terms that were measured on such devices before; empty for none.
    pub measured: &'a [Measured],
}

/// Reading and judging the lines of a configuration: the stage after this one, handed in.
#[derive(Clone, Copy, Debug)]
pub struct Judging {
    /// The arguments under the flags' own names, as the engine's parser reads them.
    pub parse: fn(&Arguments, &Chosen<'_>) -> Arguments,
    /// The findings on arguments as they were written.
    pub judge: fn(&Arguments, &IndexMap<String, String>, &Judged<'_>) -> Vec<Finding>,
}

/// What judging arguments needs beside them.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The engine release.
    pub chosen: &'a Chosen<'a>,
    /// The model.
    pub model: &'a ModelSpec,
    /// The devices.
    pub devices: &'a Devices,
    /// The evaluation, whose launch has the effective values.
    pub evaluation: &'a Evaluation,
    /// The catalogue.
    pub catalog: &'a Catalog,
}

/// A request that no plan can be made for although all its names are known.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The quantisation cannot be had.
    #[error(transparent)]
    Variant(#[from] VariantError),
    /// The rules are incomplete.
    #[error(transparent)]
    MissingRule(#[from] MissingRule),
    /// The model has no layers, so that there is nothing to plan.
    #[error("{0} has nothing that an engine could serve")]
    EmptyModel(String),
}

impl crate::hint::Hint for MakeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Variant(error) => error.hint(),
            Self::MissingRule(_) | Self::EmptyModel(_) => None,
        }
    }
}

/// The variable that selects the model runner.
const RUNNER: &str = "VLLM_USE_V2_MODEL_RUNNER";

/// Makes the plan.
///
/// # Errors
/// When the quantisation cannot be had, or the rules have a gap.
pub fn make(inputs: Inputs<'_>) -> Result<Plan, MakeError> {
    let era = Era::of(inputs.chosen.engine, &inputs.chosen.behaviour)?;
    let batch = era.batch_defaults(inputs.request.usage, inputs.devices.cuda_total, &inputs.devices.name);
    let mut offload_env = inputs.request.env.clone();
    let needs_first_runner = !era.v2_runner_offloads && !offload_env.contains_key(RUNNER);
    if needs_first_runner {
        offload_env.insert(RUNNER.to_owned(), "0".to_owned());
    }
    let pieces = PieceCache::default();
    let setting = Setting {
        model: &inputs.model,
        pieces: &pieces,
        devices: &inputs.devices,
        version: &inputs.chosen.behaviour,
        era: &era,
        constants: inputs.chosen.engine.constants(),
        batch,
        usage: inputs.request.usage,
        env: &inputs.request.env,
        host_memory: inputs.request.host_memory,
        measured: inputs.measured,
    };
    let settings = Settings { device: setting, offload: Setting { env: &offload_env, ..setting } };
    match &inputs.given {
        Some(given) => Ok(judged(&inputs, &setting, given.clone())),
        None => searched(&inputs, &settings, needs_first_runner),
    }
}

/// A configuration, exactly as it is.
fn judged(inputs: &Inputs<'_>, setting: &Setting<'_>, mut args: Arguments) -> Plan {
    for (flag, argument) in &inputs.request.fixed.0 {
        args.0.insert(flag.clone(), argument.clone());
    }
    let parsed = (inputs.judging.parse)(&args, &inputs.chosen);
    let evaluation = evaluate(&parsed, setting);
    let ways = compare(&parsed, &evaluation, setting);
    let mut plan = assemble(inputs, setting, args, evaluation);
    plan.findings.extend(between_devices(&plan));
    plan.findings.extend(ways.as_ref().and_then(Comparison::finding));
    plan.performance.ways = ways;
    plan.alternatives = match plan.verdict {
        Verdict::DoesNotFit => changes_that_fit(&plan, setting),
        Verdict::Invalid => mended(&plan, inputs, setting).into_iter().collect(),
        Verdict::Fits | Verdict::FitsWithOffload => Vec::new(),
    };
    plan
}

/// What was measured between the devices and speaks against the launch.
fn between_devices(plan: &Plan) -> Option<Finding> {
    plan.devices.interconnect.as_ref()?.finding(plan.launch.as_ref()?, &plan.env)
}

/// The same configuration without the lines that the engine refuses, and with the runner that honours offload.
fn mended(plan: &Plan, inputs: &Inputs<'_>, setting: &Setting<'_>) -> Option<Alternative> {
    let mut args = plan.args.clone();
    let mut changes = Vec::new();
    for finding in plan.findings.iter().filter(|finding| finding.severity == Severity::Error && finding.id.starts_with("flag-")) {
        let flag = finding.message.split(':').next().unwrap_or_default();
        if args.get(flag).is_some() {
            args.remove(flag);
            changes.push(format!("without {flag}"));
        }
    }
    let mut env = setting.env.clone();
    if plan.reasons.iter().any(|reason| reason.code == "offload-ignored") {
        env.insert(RUNNER.to_owned(), "0".to_owned());
        changes.push(format!("with {RUNNER}=0"));
    }
    if changes.is_empty() {
        return None;
    }
    let setting = Setting { env: &env, ..*setting };
    let evaluation = evaluate(&(inputs.judging.parse)(&args, &inputs.chosen), &setting);
    Some(alternative(changes.join(", "), args, &evaluation, &setting))
}

/// The best launch that the search finds.
fn searched(inputs: &Inputs<'_>, settings: &Settings<'_>, needs_first_runner: bool) -> Result<Plan, MakeError> {
    let request = inputs.request;
    let devices = &inputs.devices;
    let variants = variants(
        settings.device.model,
        request.quantization.as_deref(),
        inputs.catalog,
        inputs.chosen.engine,
        &inputs.chosen.behaviour,
        devices,
    )?;
    let wish = Wish { context: request.context, concurrency: request.concurrency, fixed: request.fixed.clone() };
    let Divided { found, other } = divided(&variants, settings, &wish).ok_or_else(|| MakeError::EmptyModel(inputs.model.id.clone()))?;
    let ways = found.ways.clone().or_else(|| beside(&found, &variants, settings, &wish));
    let variant = variants.get(found.variant).map_or(settings.device.model, |variant| &variant.model);
    let offloads = asks_for_offload(&found.args);
    let base = if offloads { settings.offload } else { settings.device };
    let pieces = PieceCache::default();
    let setting = Setting { model: variant, pieces: &pieces, ..base };
    let (mut args, mut evaluation, mut env) = (found.args, found.evaluation, IndexMap::new());
    let links = devices.interconnect.as_ref();
    let avoiding = links.map(|links| links.apply(&mut evaluation.launch, &mut args, &mut env)).unwrap_or_default();
    let mut plan = assemble(inputs, &setting, args, evaluation);
    for (name, variable) in env {
        // What was given stands.
        plan.env.entry(name).or_insert(variable);
    }
    if offloads && needs_first_runner && setting.era.v2_runner != crate::catalog::RunnerRule::Never {
        let reason =
            format!("the V2 model runner of vLLM {} ignores offload and would load all weights onto the device", inputs.chosen.version);
        plan.env.insert(RUNNER.to_owned(), EnvironmentVariable { value: "0".to_owned(), reason });
    }
    // What the planner chose it also explains; findings on it that stop nothing would only repeat that.
    plan.findings.retain(|finding| finding.severity == Severity::Error || concerns_given(finding, &request.fixed));
    plan.findings.extend(between_devices(&plan));
    plan.findings.extend(ways.as_ref().and_then(Comparison::finding));
    plan.performance.ways = ways;
    plan.decisions = found.decisions.into_iter().chain(avoiding).collect();
    plan.rejected = found.rejected;
    // Where the engine itself does not run, no other model does.
    plan.alternatives = if plan.verdict == Verdict::Fits || inputs.chosen.obstacle(devices).is_some() {
        Vec::new()
    } else {
        let mut all = alternatives(inputs, settings, &plan);
        if plan.verdict == Verdict::DoesNotFit {
            all.splice(0..0, changes_that_fit(&plan, &setting));
        }
        all.splice(0..0, other.into_iter().filter(|_| plan.verdict != Verdict::DoesNotFit));
        all
    };
    Ok(plan)
}

/// Whether a finding is about a flag that the user fixed.
fn concerns_given(finding: &Finding, fixed: &Arguments) -> bool {
    finding.severity > Severity::Info
        && fixed.0.keys().any(|flag| finding.subject.ends_with(flag.as_str()) || finding.message.starts_with(&format!("{flag}:")))
}

fn assemble(inputs: &Inputs<'_>, setting: &Setting<'_>, args: Arguments, evaluation: Evaluation) -> Plan {
    let judged =
        Judged { chosen: &inputs.chosen, model: setting.model, devices: setting.devices, evaluation: &evaluation, catalog: inputs.catalog };
    let findings = (inputs.judging.judge)(&args, setting.env, &judged);
    let mut verdict = evaluation.verdict;
    let mut reasons = evaluation.reasons.clone();
    if let Some((code, message)) = inputs.chosen.obstacle(setting.devices) {
        verdict = Verdict::Invalid;
        reasons.insert(0, Reason { code: code.to_owned(), message, short_by: None });
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    for finding in errors {
        verdict = Verdict::Invalid;
        if reasons.iter().all(|reason| reason.code != finding.id) {
            reasons.push(Reason { code: finding.id.clone(), message: finding.message.clone(), short_by: None });
        }
    }
    let validation: Vec<Validation> = validations(&args, &evaluation, &findings, inputs, setting);
    let performance: Performance = speed::performance(setting, &evaluation);
    let env = inputs
        .request
        .env
        .iter()
        .map(|(name, value)| (name.clone(), EnvironmentVariable { value: value.clone(), reason: "it was given".to_owned() }))
        .collect();
    Plan {
        interpretations: inputs.said.clone(),
        verdict,
        reasons,
        findings,
        model: setting.model.clone(),
        devices: setting.devices.clone(),
        engine: inputs.chosen.summary(inputs.catalog, setting.devices),
        args,
        env,
        launch: Some(evaluation.launch),
        budget: Some(evaluation.budget),
        performance,
        decisions: Vec::new(),
        alternatives: Vec::new(),
        rejected: Vec::new(),
        validation,
    }
}
