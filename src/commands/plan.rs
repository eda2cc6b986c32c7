//! `plan`: resolve the names, plan or judge, write the files, report.

use crate::catalog::Catalog;
use crate::cli::{FailOn, Format, OutputOptions, PlanCommand, RequestOptions};
use crate::commands::output;
use crate::commands::resolve::model::Named;
use crate::commands::resolve::{configuration, model, rules};
use crate::engine::arguments::Arguments;
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::finding::Severity;
use crate::plan::outcome::Plan;
use crate::plan::request::{PlanRequest, Subject};
use crate::report::{View, github, json, markdown, text};

/// Runs `gpudoctor plan`.
///
/// # Errors
/// When the request is not understood, something it names cannot be read, or a file cannot be written.
pub fn run(command: &PlanCommand) -> Result<u8, Error> {
    let plan = make(&command.request)?;
    let view = View {
        width: output::width(),
        judged: command.request.config.is_some(),
        alternatives: command.output.alternatives,
        rejected: command.output.rejected,
        next_steps: true,
        written: Vec::new(),
    };
    report(&plan, &view, &command.output)
}

/// The plan that these options ask for.
///
/// # Errors
/// When the request is not understood, or when something it names cannot be read.
pub fn make(options: &RequestOptions) -> Result<Plan, Error> {
    let request = options.request()?;
    let catalog = rules::catalog(options.rules.as_deref())?;
    let (word, arguments) = match &request.subject {
        Subject::Model(word) => (word.clone(), None),
        Subject::Configuration { file, model } => {
            let arguments = configuration::configuration(file, &request)?;
            let word = model.clone().map_or_else(|| configuration::model(&arguments, file), Ok)?;
            (word, Some(arguments))
        }
    };
    let named = model::model(&word, &request.access, &catalog)?;
    compute(&request, &catalog, named, arguments)
}

/// From values to a plan: judges `arguments` where they are given, else searches. Pure.
fn compute(_request: &PlanRequest, _catalog: &Catalog, named: Named, _arguments: Option<Arguments>) -> Result<Plan, Error> {
    Err(Error::internal(format!("no plan can be computed for {} yet", named.model.id)))
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
    let threshold = match fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
    };
    let failed = !plan.verdict.is_good() || plan.findings.iter().any(|finding| finding.severity >= threshold);
    if failed { EXIT_FINDINGS } else { EXIT_GOOD }
}
