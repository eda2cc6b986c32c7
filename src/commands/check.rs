//! `check`: read the machine or the image, judge it, report.

use std::time::Duration;

use crate::capture::{Capture, redact};
use crate::catalog::Catalog;
use crate::check::{self, Question};
use crate::cli::{CheckCommand, CheckFormat};
use crate::commands::{host, output, plan};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error, nearest};
use crate::probe;
use crate::reading::Reading;
use crate::report::{self, github, json, junit, markdown};

/// Runs `gpudoctor check`.
///
/// # Errors
/// When the question is not understood, or when what it names does not exist.
pub fn run(command: &CheckCommand) -> Result<u8, Error> {
    let catalog = plan::catalog(command.rules.as_deref())?;
    let question = question(command, &catalog)?;
    let mut capture = std::thread::scope(|scope| {
        // Whatever else a check takes gets ready while the machine answers.
        if command.from.is_none() {
            scope.spawn(|| check::ids(&catalog).len());
            scope.spawn(redact::prepare);
        }
        capture(command, &catalog)
    })?;
    if let (Some(seconds), Reading::Known(image)) = (command.deep, &mut capture.image) {
        let engines: Vec<&str> = match &command.engine {
            Some(engine) => vec![engine.name.as_str()],
            None => catalog.engines().iter().map(crate::catalog::Engine::name).collect(),
        };
        probe::import(image, &engines, catalog.libraries(), Duration::from_secs(seconds));
    }
    let diagnosis = check::diagnose(&capture, &question, &catalog);
    let failed = diagnosis.worst().is_some_and(|worst| worst >= command.fail_on.severity());
    let code = if failed { EXIT_FINDINGS } else { EXIT_GOOD };
    let text = match command.format {
        CheckFormat::Text => report::check::render(&diagnosis, output::width(), command.skipped),
        CheckFormat::Json => json::check::render(&diagnosis, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?,
        CheckFormat::Markdown => markdown::check(&diagnosis),
        CheckFormat::Junit => junit::check(&diagnosis).map_err(|error| Error::internal(format!("no XML form: {error}")))?,
        CheckFormat::Github => github::check(&diagnosis),
    };
    output::print(&text)?;
    Ok(code)
}

fn question(command: &CheckCommand, catalog: &Catalog) -> Result<Question, Error> {
    if let Some(name) = &command.target_gpu {
        catalog.gpu(name).map_err(|unknown| Error::input(unknown.to_string()))?;
    }
    let known = check::ids(catalog);
    for id in command.only.iter().chain(&command.skip) {
        if !known.contains(&id.trim()) {
            let error = Error::usage(format!("no check is called `{id}`"));
            return Err(match nearest(id, known.iter().copied()) {
                Some(name) => error.with_hint(format!("the nearest is `{name}`")),
                None => error.with_hint("list the checks with `gpudoctor explain`"),
            });
        }
    }
    let trimmed = |ids: &[String]| ids.iter().map(|id| id.trim().to_owned()).collect();
    Ok(Question {
        engine: command.engine.clone(),
        driver: command.target_driver.clone(),
        gpu: command.target_gpu.clone(),
        image: command.image,
        require_gpu: command.require_gpu,
        dtype: command.dtype.clone(),
        quantization: command.quantization.clone(),
        python: command.python.as_ref().map(|path| path.display().to_string()),
        only: trimmed(&command.only),
        skip: trimmed(&command.skip),
    })
}

fn capture(command: &CheckCommand, catalog: &Catalog) -> Result<Capture, Error> {
    match &command.from {
        Some(path) => host::recorded(path),
        None if command.image => host::image(command.python.as_deref(), catalog),
        None => host::here(command.python.as_deref(), command.online, Duration::from_secs(command.timeout)),
    }
}
