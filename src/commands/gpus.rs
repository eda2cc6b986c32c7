//! `gpus`: the cards as a table, once or again and again.

use std::time::Duration;

use crate::catalog::Catalog;
use crate::cli::{GpusCommand, GpusFormat};
use crate::commands::{host, output};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::facts::{Facts, Question};
use crate::report::{gpus, json};

/// Runs `gpudoctor gpus`: exit code 1 where no GPU is seen.
///
/// # Errors
/// When what was named cannot be read.
pub fn run(command: &GpusCommand) -> Result<u8, Error> {
    let catalog = Catalog::builtin();
    let look = || -> Result<Facts, Error> {
        let capture = match &command.from {
            Some(path) => host::recorded(path)?,
            None => host::cards(),
        };
        Ok(Facts::new(&capture, &Question::default(), &catalog))
    };
    let Some(seconds) = command.watch else {
        let facts = look()?;
        let text = match command.format {
            GpusFormat::Text => gpus::render(&facts, output::width()),
            GpusFormat::Json => json::gpus::render(&facts).map_err(|error| Error::internal(format!("no JSON form: {error}")))?,
        };
        output::print(&text)?;
        return Ok(if facts.gpus.is_empty() { EXIT_FINDINGS } else { EXIT_GOOD });
    };
    let mut shown = 0;
    loop {
        shown = output::redraw(&gpus::render(&look()?, output::width()), shown)?;
        std::thread::sleep(Duration::from_secs(seconds));
    }
}
