//! `gpus`: the cards as a table, once or again and again.

use std::io::IsTerminal;
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
        let text = gpus::render(&look()?, output::width());
        output::print(&frame(&text, shown, std::io::stdout().is_terminal()))?;
        shown = text.lines().count();
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

/// A picture that is drawn over the last one, of `above` lines: the cursor goes up, each line is replaced and its rest
/// cleared. It is written in one piece and nothing is wiped before, so nothing flickers.
fn frame(text: &str, above: usize, terminal: bool) -> String {
    if !terminal {
        return format!("{text}\n");
    }
    let up = if above > 0 { format!("\u{1b}[{above}A") } else { String::new() };
    let lines: String = text.lines().map(|line| format!("{line}\u{1b}[K\n")).collect();
    format!("{up}\r{lines}\u{1b}[J")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_over_the_last_one() {
        assert_eq!(frame("a\nb\n", 0, true), "\ra\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
        assert_eq!(frame("a\n", 2, true), "\u{1b}[2A\ra\u{1b}[K\n\u{1b}[J");
        assert_eq!(frame("a\n", 2, false), "a\n\n");
    }
}
