//! `pick`: free cards, as a variable for the shell.

use crate::catalog::Catalog;
use crate::cli::PickCommand;
use crate::commands::{host, output};
use crate::error::{EXIT_FINDINGS, EXIT_GOOD, Error};
use crate::facts::{Facts, Question};
use crate::pick::{Picked, Wish, pick};

/// Runs `gpudoctor pick`: exit code 1 where not enough cards are free.
///
/// # Errors
/// When what was named cannot be read.
pub fn run(command: &PickCommand) -> Result<u8, Error> {
    let capture = match &command.from {
        Some(path) => host::recorded(path)?,
        None => host::cards(),
    };
    let facts = Facts::new(&capture, &Question::default(), &Catalog::builtin());
    let count = usize::try_from(command.count).unwrap_or(usize::MAX);
    let wish = Wish { count, free: command.free.as_ref().map(|given| given.bytes) };
    match pick(&facts, &wish) {
        Ok(picked) => {
            output::print(&line(&picked, command)?)?;
            Ok(EXIT_GOOD)
        }
        Err(refusal) => {
            output::refusal(&refusal.message, &refusal.reasons);
            Ok(EXIT_FINDINGS)
        }
    }
}

/// What a shell evaluates: the variable, and that programs shall see it.
fn line(picked: &Picked, command: &PickCommand) -> Result<String, Error> {
    let list = if command.uuid {
        let uuids = picked.uuids.as_ref().ok_or_else(|| Error::input("the UUIDs of the cards are not known"))?;
        uuids.join(",")
    } else {
        picked.indices.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    if command.bare {
        return Ok(format!("{list}\n"));
    }
    // CUDA counts the fastest card first unless it is told to count as nvidia-smi does.
    let order = if picked.order_matters && !command.uuid { "CUDA_DEVICE_ORDER=PCI_BUS_ID; export CUDA_DEVICE_ORDER; " } else { "" };
    Ok(format!("{order}CUDA_VISIBLE_DEVICES={list}; export CUDA_VISIBLE_DEVICES\n"))
}
