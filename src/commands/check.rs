//! `check`: read the image, judge it, report.

use std::time::Duration;

use crate::catalog::Catalog;
use crate::check::{self, Question};
use crate::cli::{CheckCommand, CheckFormat};
use crate::commands::output;
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::probe;
use crate::report::{self, github, json};

/// Runs `gpudoctor check`.
///
/// # Errors
/// When the question is not understood, or when what it names does not exist.
pub fn run(command: &CheckCommand) -> Result<u8, Error> {
    if !command.image {
        return Err(Error::usage("`gpudoctor check` examines images; `--image` is needed")
            .with_hint("add `--image`: it reads the Python packages installed here, and needs no GPU")
            .with_hint(
                "the machine's own driver and GPUs are not examined; name those to run on with `--target-driver` and `--target-gpu`",
            ));
    }
    let catalog = Catalog::builtin();
    if let Some(name) = &command.target_gpu {
        catalog.gpu(name).map_err(|unknown| Error::input(unknown.to_string()))?;
    }
    let question = Question {
        engine: command.engine.clone(),
        driver: command.target_driver.clone(),
        gpu: command.target_gpu.clone(),
        python: command.python.as_ref().map(|path| path.display().to_string()),
        only: command.only.clone(),
        skip: command.skip.clone(),
    };
    let mut image = probe::image(command.python.as_deref(), catalog.libraries()).map_err(|error| Error::hinted(&error))?;
    if let Some(seconds) = command.deep {
        let engines: Vec<&str> = match &command.engine {
            Some(engine) => vec![engine.name.as_str()],
            None => catalog.engines().iter().map(crate::catalog::Engine::name).collect(),
        };
        probe::import(&mut image, &engines, catalog.libraries(), Duration::from_secs(seconds));
    }
    let diagnosis = check::diagnose(&image, &question, &catalog);
    let failed = diagnosis.worst().is_some_and(|worst| worst >= command.fail_on.severity());
    let code = if failed { EXIT_FINDINGS } else { EXIT_GOOD };
    let text = match command.format {
        CheckFormat::Text => report::check::render(&diagnosis, output::width()),
        CheckFormat::Json => json::check::render(&diagnosis, code).map_err(|error| Error::internal(format!("no JSON form: {error}")))?,
        CheckFormat::Github => github::check(&diagnosis),
    };
    output::print(&text)?;
    Ok(code)
}
