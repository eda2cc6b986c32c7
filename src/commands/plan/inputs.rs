//! Everything that a request names, looked up and read.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde_json::Value;

use super::model::{self, Named};
use crate::catalog::{Catalog, FlagStatus};
use crate::cli::RequestOptions;
use crate::commands::benched::{self, Benched};
use crate::commands::measured;
use crate::engine::arguments::{Arguments, Place};
use crate::engine::yaml;
use crate::error::Error;
use crate::finding::Finding;
use crate::judge::{self, JudgeContext};
use crate::model::spec::ModelSpec;
use crate::plan::make::{Inputs, Judged, make};
use crate::plan::measured::Measured;
use crate::plan::outcome::{Interpretation, Plan};
use crate::plan::release::{self, Chosen};
use crate::plan::request::{PlanRequest, Subject};
use crate::plan::target;

/// A request with its files read.
pub(super) struct Prepared {
    /// The request.
    pub(super) request: PlanRequest,
    /// The catalogue, with the user's rules laid over it.
    pub(super) catalog: Catalog,
    model: ModelSpec,
    given: Option<Arguments>,
    said: Vec<Interpretation>,
    findings: Vec<Finding>,
    measured: Vec<Measured>,
    benched: Option<Benched>,
}

/// Reads what `options` name.
pub(super) fn prepare(options: &RequestOptions) -> Result<Prepared, Error> {
    let catalog = catalog(options.rules.as_deref())?;
    let request = options.request(super::machine::target(options, &catalog)?)?;
    // Names are checked before anything is read from a disk or a hub.
    let (devices, _) = target::devices(&request.target, &catalog).map_err(|error| Error::hinted(&error))?;
    let chosen = release::choose(&request.engine, &devices, &catalog).map_err(|error| Error::hinted(&error))?;
    flags_exist(&request.fixed, &chosen)?;
    let given = match &request.subject {
        Subject::Model(_) => None,
        Subject::Configuration { file, .. } => Some(laid_over(configuration(file)?, &request)),
    };
    let name = model_name(&request, given.as_ref())?;
    let Named { model, said, findings } = model::read(&name, &request, &catalog)?;
    let measured = measured::read_or_tell();
    let benched = options.bench.as_deref().map(benched::read).transpose()?.or_else(benched::kept);
    Ok(Prepared { request, catalog, model, given, said, findings, measured, benched })
}

/// A name that no version knows is a slip of the pen; what became of a flag that others know is for the findings.
fn flags_exist(fixed: &Arguments, chosen: &Chosen<'_>) -> Result<(), Error> {
    for flag in parse(fixed, chosen).0.keys() {
        let name = flag.split('.').next().unwrap_or(flag);
        if let FlagStatus::Unknown { nearest } = chosen.engine.flag(name, &chosen.behaviour) {
            let engine = format!("{} {}", chosen.engine.name(), chosen.version);
            let error = Error::usage(format!("`--set {flag}`: {engine} has no such flag"));
            return Err(match nearest.first() {
                Some(first) => error.with_hint(format!("the nearest is `--set {first}=…`")),
                None => error,
            });
        }
    }
    Ok(())
}

impl Prepared {
    /// The plan.
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        let (mut devices, target_said) = target::devices(&self.request.target, &self.catalog).map_err(|error| Error::hinted(&error))?;
        let chosen = release::choose(&self.request.engine, &devices, &self.catalog).map_err(|error| Error::hinted(&error))?;
        if let Some(benched) = &self.benched {
            devices.rates = benched.rates(&devices, &self.catalog)?;
            devices.interconnect = benched.interconnect(&devices, &self.catalog);
        }
        let inputs = Inputs {
            request: &self.request,
            catalog: &self.catalog,
            devices,
            chosen,
            model: self.model.clone(),
            given: self.given.clone(),
            said: self.said.iter().cloned().chain(target_said).collect(),
            judging: super::JUDGING,
            measured: &self.measured,
        };
        let mut plan = make(inputs).map_err(|error| Error::hinted(&error))?;
        plan.findings.extend(self.findings.iter().cloned());
        Ok(plan)
    }
}

pub(super) fn parse(args: &Arguments, chosen: &Chosen<'_>) -> Arguments {
    judge::as_parsed(args, chosen.engine, &chosen.behaviour)
}

pub(super) fn findings(args: &Arguments, env: &IndexMap<String, String>, judged: &Judged<'_>) -> Vec<Finding> {
    let launch = &judged.evaluation.launch;
    let context = JudgeContext {
        catalog: judged.catalog,
        engine: judged.chosen.engine,
        model: Some(judged.model),
        devices: Some(judged.devices),
        usage: launch.usage,
        runner: Some(launch.runner),
        offloaded: Some(judged.evaluation.weights.read_from_host),
    };
    judge::judge(args, env, &judged.chosen.behaviour, &context)
}

/// The built-in rules, with those of `overlay` laid over them.
pub(super) fn catalog(overlay: Option<&Path>) -> Result<Catalog, Error> {
    let Some(folder) = overlay else { return Ok(Catalog::builtin()) };
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(Error::input(format!("`{}` holds no `.toml` file", folder.display()))
            .with_hint("name a directory laid out like `rules/`, such as one with `gpus/our-sku.toml`"));
    }
    Catalog::with_overlay(files).map_err(|error| Error::input(error.to_string()))
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) -> Result<(), Error> {
    let unreadable =
        |error: std::io::Error| Error::input(error.to_string()).with_hint("name a directory laid out like `rules/` with `--rules`");
    for entry in fs_err::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs_err::read_to_string(&path).map_err(unreadable)?;
            files.push((path, text));
        }
    }
    Ok(())
}

/// The largest engine configuration that is read; the reader says so for a larger one.
const LARGEST: u64 = 1 << 20;

fn configuration(file: &Path) -> Result<Arguments, Error> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("`{}` does not exist", file.display()),
            std::io::ErrorKind::IsADirectory => format!("`{}` is a directory", file.display()),
            _ => error.to_string(),
        };
        Error::input(message).with_hint("name the engine's YAML file with `--config`")
    };
    let mut bytes = Vec::new();
    let opened = fs_err::File::open(file).map_err(unreadable)?;
    opened.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    yaml::read_arguments(&bytes, &file.display().to_string()).map_err(|error| Error::input(error.to_string()))
}

/// What the command line gives stands over what the file says.
fn laid_over(mut given: Arguments, request: &PlanRequest) -> Arguments {
    let options: [(&str, &str, Option<Value>); 4] = [
        ("max-model-len", "--context", request.context.map(Value::from)),
        ("max-num-seqs", "--concurrency", request.concurrency.map(Value::from)),
        ("quantization", "--quantization", request.quantization.clone().map(Value::from)),
        ("host", "--bind", request.bind.map(|address| address.to_string().into())),
    ];
    for (flag, option, value) in options {
        if let Some(value) = value {
            given.set_at(flag, value, Place { file: option.to_owned(), line: 0, column: 0 });
        }
    }
    given
}

/// The model: the one that was asked for, or the one that the configuration names.
fn model_name(request: &PlanRequest, given: Option<&Arguments>) -> Result<String, Error> {
    match &request.subject {
        Subject::Model(name) | Subject::Configuration { model: Some(name), .. } => Ok(name.clone()),
        Subject::Configuration { file, model: None } => {
            let named =
                request.fixed.text("model").or_else(|| given.and_then(|args| args.text("model").or_else(|| args.text("model-tag"))));
            named.map(str::to_owned).ok_or_else(|| {
                Error::input(format!("{} names no model", file.display()))
                    .with_hint("add a line such as `model: Qwen/Qwen3-8B`, or name the model with `--model`")
            })
        }
    }
}
