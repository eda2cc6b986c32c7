//! `plan`: resolve the names, plan or judge, render, write, report.

mod difference;
mod inputs;
mod machine;
mod model;

use std::path::Path;

use indexmap::IndexMap;

use crate::catalog::Catalog;
use crate::cli::{FailOn, Format, OutputOptions, PlanCommand, RequestOptions};
use crate::commands::output;
use crate::engine::arguments::Arguments;
use crate::engine::launch::UsageContext;
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::model::spec::ModelSpec;
use crate::plan::make::Judging;
use crate::plan::outcome::Plan;
use crate::plan::request::{EngineRequest, ModelAccess, PlanRequest, Subject, Target};
use crate::render::options::{RenderOptions, negatable_flags};
use crate::render::validate::{Validated, validate};
use crate::report::{View, WrittenFile, github, json, markdown, text};
use crate::{render, write};

/// How lines are read and judged: what `plan` hands to the planner.
pub const JUDGING: Judging = Judging { parse: inputs::parse, judge: inputs::findings };

/// Runs `gpudoctor plan`.
///
/// # Errors
/// When the request is not understood, something it names cannot be read, or a file cannot be written.
pub fn run(command: &PlanCommand) -> Result<u8, Error> {
    let prepared = inputs::prepare(&command.request)?;
    let mut plan = prepared.plan()?;
    let files = if plan.verdict.is_good() { Some(files(&plan, &prepared)?) } else { None };
    if let Some((files, _)) = &files {
        plan.validation.push(files.validation());
    }
    let written = match (&command.output.emit, &files) {
        (Some(directory), Some((files, _))) => write_all(directory, files)?,
        _ => Vec::new(),
    };
    let steps = files.map(|(_, steps)| steps).unwrap_or_default();
    let view = View {
        width: output::width(),
        judged: command.request.config.is_some(),
        alternatives: command.output.alternatives,
        rejected: command.output.rejected,
        next_steps: true,
        written,
        steps,
    };
    report(&plan, &view, &command.output)
}

/// The plan that these options ask for.
///
/// # Errors
/// When the request is not understood, or when something it names cannot be read.
pub fn make(options: &RequestOptions) -> Result<Plan, Error> {
    inputs::prepare(options)?.plan()
}

/// The built-in rules, with those of `overlay` laid over them.
///
/// # Errors
/// When `overlay` cannot be read, or holds something else than rules.
pub fn catalog(overlay: Option<&Path>) -> Result<Catalog, Error> {
    inputs::catalog(overlay)
}

/// The model called `name`.
///
/// # Errors
/// When it is not known, or cannot be read.
pub fn model(name: &str, offline: bool, catalog: &Catalog) -> Result<ModelSpec, Error> {
    let request = PlanRequest {
        subject: Subject::Model(name.to_owned()),
        target: Target::default(),
        engine: EngineRequest::default(),
        usage: UsageContext::Serve,
        context: None,
        concurrency: None,
        quantization: None,
        fixed: Arguments::default(),
        env: IndexMap::new(),
        bind: None,
        host_memory: None,
        access: ModelAccess { offline, revision: None },
    };
    model::read(name, &request, catalog).map(|named| named.model)
}

/// The files of a plan, read back and found equal to it, and the steps that start the server from them.
fn files(plan: &Plan, prepared: &inputs::Prepared) -> Result<(Validated, Vec<(String, String)>), Error> {
    let mut options = RenderOptions::for_plan(plan);
    if let Some(address) = prepared.request.bind {
        options.bind = address;
    }
    let engine = prepared.catalog.engine(&plan.engine.name).map_err(|error| Error::input(error.to_string()))?;
    options.negatable = negatable_flags(plan, engine);
    let artifacts = render::render(plan, &options).map_err(|error| Error::hinted(&error))?;
    let context = render::vllm::context(plan, &options).map_err(|error| Error::hinted(&error))?;
    let steps = context.steps.into_iter().map(|step| (step.title, step.command)).collect();
    let files = validate(plan, &options, artifacts).map_err(|error| Error::hinted(&error))?;
    Ok((files, steps))
}

fn write_all(directory: &Path, files: &Validated) -> Result<Vec<WrittenFile>, Error> {
    let written = write::write(directory, files).map_err(|error| Error::hinted(&error))?;
    Ok(written.into_iter().map(|file| WrittenFile { path: file.path, kind: file.kind }).collect())
}

/// Prints the report and returns the exit code.
fn report(plan: &Plan, view: &View, options: &OutputOptions) -> Result<u8, Error> {
    let code = exit_code(plan, options.fail_on);
    let text = match options.format {
        Format::Text => text::render(plan, view),
        Format::Json => json::plan::render(plan, view, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?,
        Format::Markdown => markdown::render(plan, view),
        Format::Github => github::render(plan),
    };
    output::print(&text)?;
    Ok(code)
}

/// 1 for a launch that is not good to go, or with a finding at the threshold.
fn exit_code(plan: &Plan, fail_on: FailOn) -> u8 {
    let threshold = fail_on.severity();
    let failed = !plan.verdict.is_good() || plan.findings.iter().any(|finding| finding.severity >= threshold);
    if failed { EXIT_FINDINGS } else { EXIT_GOOD }
}
