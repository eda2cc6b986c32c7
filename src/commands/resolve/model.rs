//! The model that a word names: from disk, from a hub or its cache, or from the catalogue.
#![expect(clippy::disallowed_methods, reason = "hub settings come from the environment")]

use std::path::Path;
use std::time::Duration;

use crate::catalog::Catalog;
use crate::commands::output;
use crate::error::Error;
use crate::fetch::{self, Checkpoint, Deadlines, FetchError, HubId, HubSettings, ModelInput};
use crate::hint::Hint;
use crate::model::config::ModelConfig;
use crate::model::spec::ModelSpec;
use crate::plan::outcome::Interpretation;
use crate::plan::request::ModelAccess;
use crate::report::layout::parameters;

/// A model, and how the word that named it was understood.
#[derive(Clone, Debug)]
pub struct Named {
    /// The model.
    pub model: ModelSpec,
    /// What the word means, and what is worth knowing of the reading.
    pub interpretations: Vec<Interpretation>,
}

/// The model that `word` names.
///
/// # Errors
/// When nothing is called so, or when what it names cannot be read or understood.
pub fn model(word: &str, access: &ModelAccess, catalog: &Catalog) -> Result<Named, Error> {
    match ModelInput::classify(word) {
        ModelInput::Local(path) => checkpoint(word, &local(&path)?),
        ModelInput::Hub(id) => on_hub(word, id, access, catalog),
        ModelInput::Name(name) => in_catalogue(&name, catalog),
    }
}

fn local(path: &Path) -> Result<Checkpoint, Error> {
    fetch::local(path).map_err(|error| failed(&error))
}

/// A hub id: from the cache or the hub where either answers, else from the catalogue.
fn on_hub(word: &str, mut id: HubId, access: &ModelAccess, catalog: &Catalog) -> Result<Named, Error> {
    let mut settings = HubSettings::from_environment(&|name| std::env::var(name).ok());
    settings.offline |= access.offline;
    id.revision = access.revision.clone().or(id.revision);
    let known = in_catalogue(word, catalog);
    if known.is_ok() {
        settings.deadlines = Deadlines { connect: Duration::from_secs(3), total: Duration::from_secs(20), ..Deadlines::default() };
    }
    match (fetch::hub(&id, &settings, &mut output::progress), known) {
        (Ok(read), known) => match (checkpoint(word, &read), known) {
            (Err(_), Ok(known)) if read.config.is_none() => Ok(known),
            (read, _) => read,
        },
        (Err(error), Ok(mut known)) => {
            if !settings.offline {
                known.model.assumed.push(format!("its shape is the catalogue's, since the hub could not be read: {error}"));
            }
            Ok(known)
        }
        (Err(error), Err(_)) => Err(failed(&error)),
    }
}

/// A catalogue entry by id, alias or size.
fn in_catalogue(name: &str, catalog: &Catalog) -> Result<Named, Error> {
    let entry = catalog.model(name).map_err(|unknown| {
        let error = Error::usage(unknown.to_string());
        match unknown.nearest.first() {
            Some(nearest) => error.with_hint(format!("name it with `--model {nearest}`, or give a directory or a hub id")),
            None => error.with_hint("give a directory, a hub id such as `Qwen/Qwen3-8B`, or a size such as `70b`"),
        }
    })?;
    let size = catalog.model_size(name);
    let model = ModelSpec::from_catalogue(entry, &entry.id).map_err(|error| Error::internal(error.to_string()))?;
    let mut named = Named { interpretations: vec![meaning(name, &model)], model };
    if let (Some(first), Some(_)) = (named.interpretations.first_mut(), size) {
        first.instead = Some("--model to choose another".to_owned());
    }
    Ok(named)
}

/// A checkpoint whose config, and perhaps headers, were read.
fn checkpoint(word: &str, checkpoint: &Checkpoint) -> Result<Named, Error> {
    let Some(text) = &checkpoint.config else {
        return Err(Error::input(format!("{} has no `config.json`, so the model's shape is unknown", checkpoint.place))
            .with_hint("give the directory that holds `config.json`, or the model's hub id"));
    };
    let understood = ModelConfig::from_json(text, &checkpoint.place).and_then(|config| config.spec(word));
    let mut model = understood.map_err(|error| Error::input(error.to_string()))?;
    if let Some(headers) = &checkpoint.headers {
        model = model.with_headers(headers, &checkpoint.place);
    }
    let mut interpretations = vec![meaning(word, &model)];
    let note = |note: &String| Interpretation { given: word.to_owned(), meaning: note.clone(), instead: None };
    interpretations.extend(checkpoint.notes.iter().map(note));
    Ok(Named { model, interpretations })
}

fn meaning(word: &str, model: &ModelSpec) -> Interpretation {
    let name = if word == model.id { String::new() } else { format!("{}, ", model.id) };
    let count = parameters(model.parameters.total);
    Interpretation { given: word.to_owned(), meaning: format!("{name}{}, {count} parameters", model.architecture), instead: None }
}

fn failed(error: &FetchError) -> Error {
    let message = Error::input(error.to_string());
    match error.hint() {
        Some(hint) => message.with_hint(hint),
        None => message,
    }
}
