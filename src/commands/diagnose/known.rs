//! What is known beside a log: the model and the cards that were named, the cards of its machine, or a model's folder that the
//! log names and that is here.

use std::path::Path;

use crate::catalog::Catalog;
use crate::cli::DiagnoseCommand;
use crate::commands::plan;
use crate::error::Error;
use crate::facts::Facts;
use crate::model::spec::ModelSpec;
use crate::plan::request::Target;
use crate::plan::target;
use crate::startup::{Figures, Known};

/// What `command` names, looked up and read.
///
/// # Errors
/// When a model or a card was named that is not known. What only the log names is no error.
pub(super) fn known<'a>(
    command: &DiagnoseCommand,
    facts: Option<&Facts>,
    figures: &Figures,
    catalog: &'a Catalog,
) -> Result<Known<'a>, Error> {
    let target = match &command.gpu {
        Some(name) => Some(Target { gpu: Some(name.clone()), count: command.gpus, ..Target::default() }),
        None => facts.and_then(cards),
    };
    let devices = match target {
        Some(target) => Some(target::devices(&target, catalog).map_err(|error| Error::hinted(&error))?.0),
        None => None,
    };
    let model = match &command.model {
        Some(name) => Some(plan::model(name, command.offline, catalog)?),
        None => figures.last().and_then(|run| run.model()).and_then(|name| from_folder(name, catalog)),
    };
    Ok(Known { catalog, model, devices })
}

/// The cards of a machine that has one kind of them.
fn cards(facts: &Facts) -> Option<Target> {
    let mut ids: Vec<&String> = facts.gpus.iter().filter_map(|gpu| gpu.id.known()).collect();
    let count = ids.len() as u64;
    ids.dedup();
    let [id] = ids.as_slice() else { return None };
    Some(Target { gpu: Some((*id).clone()), count, ..Target::default() })
}

/// The model in a folder of this machine. A log of another machine may name one that is not here, or not the same: what the
/// engine printed of its weights is compared with it later.
fn from_folder(name: &str, catalog: &Catalog) -> Option<ModelSpec> {
    let path = Path::new(name);
    (path.is_absolute() && path.is_dir()).then(|| plan::model(name, true, catalog).ok()).flatten()
}
