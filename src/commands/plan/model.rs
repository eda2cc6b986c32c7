//! The model of a request: from a disk, from a hub, or from the catalogue.

#![expect(clippy::disallowed_methods, reason = "hub settings come from the environment")]

use std::path::Path;
use std::time::Duration;

use crate::catalog::{Catalog, Confidence, Model};
use crate::error::Error;
use crate::fetch::{self, Checkpoint, Deadlines, FetchError, HubSettings, ModelInput};
use crate::model::config::ModelConfig;
use crate::model::spec::{ModelSpec, Origin};
use crate::plan::outcome::Interpretation;
use crate::plan::request::{PlanRequest, Subject};
use crate::plan::variant::{as_checkpoint, known_checkpoint};

/// Reads the model called `name`, and says how the name was understood.
pub(super) fn read(name: &str, request: &PlanRequest, catalog: &Catalog) -> Result<(ModelSpec, Vec<Interpretation>), Error> {
    let model = match ModelInput::classify(name) {
        ModelInput::Local(path) => from_disk(&path, request)?,
        ModelInput::Hub(mut id) => {
            if id.revision.is_none() {
                id.revision.clone_from(&request.access.revision);
            }
            from_hub(&id, name, request, catalog)?
        }
        ModelInput::Name(name) => from_catalogue(&name, catalog)?,
    };
    let said = Interpretation { given: name.to_owned(), meaning: meaning(&model, name), instead: instead(name, catalog) };
    Ok((model, vec![said]))
}

fn meaning(model: &ModelSpec, name: &str) -> String {
    let billions = model.parameters.total as f64 / 1e9;
    let short = if model.id == name { String::new() } else { format!("{}, ", model.id) };
    let source = match &model.origin {
        Origin::Catalogue { .. } => "from the built-in catalogue",
        Origin::Config { .. } => "from its config.json",
        Origin::Checkpoint { .. } => "from its tensor headers",
    };
    format!("{short}{}, {billions:.1} B parameters, {source}", model.architecture)
}

fn instead(name: &str, catalog: &Catalog) -> Option<String> {
    catalog.model_size(name).map(|_| "--model to choose another".to_owned())
}

/// The catalogue's entry. What cannot be verified is not used.
fn from_catalogue(name: &str, catalog: &Catalog) -> Result<ModelSpec, Error> {
    if let Some((base, scheme)) = known_checkpoint(name, catalog) {
        return Ok(as_checkpoint(&from_catalogue(base, catalog)?, scheme, catalog));
    }
    let entry = catalog.model(name).map_err(|error| {
        Error::input(error.to_string()).with_hint("name a directory, a hub id such as `Qwen/Qwen3-8B`, or a size such as `70b`")
    })?;
    let id = if is_short_name(name, entry) { entry.id.as_str() } else { name };
    let mut model = spec_of(entry, id)?;
    match entry.confidence {
        Confidence::Memory => {
            Err(Error::input(format!("the catalogue's entry of {} is not verified, so that no plan rests on it", entry.id))
                .with_hint("name the model's directory or its config.json with `--model`"))
        }
        Confidence::OneSource => {
            model.assumed.push(format!("the shape of {} rests on one source", entry.id));
            Ok(model)
        }
        Confidence::Confirmed => Ok(model),
    }
}

fn is_short_name(name: &str, entry: &Model) -> bool {
    !entry.variants.iter().any(|variant| variant == name)
}

fn spec_of(entry: &Model, id: &str) -> Result<ModelSpec, Error> {
    ModelSpec::from_catalogue(entry, id).map_err(|error| Error::internal(error.to_string()))
}

fn from_disk(path: &Path, request: &PlanRequest) -> Result<ModelSpec, Error> {
    let checkpoint = fetch::local(path).map_err(|error| Error::hinted(&error))?;
    let absolute = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mut model = from_checkpoint(&absolute.display().to_string(), &checkpoint)?;
    let folder = path.is_dir() && checkpoint.headers.is_none();
    if folder && matches!(request.subject, Subject::Configuration { .. }) {
        model.without_tensors = true;
        model.assumed.push(format!("{} holds no tensor files: the engine starts it only with load-format dummy", path.display()));
    }
    Ok(model)
}

/// From the hub when it answers, else from the catalogue if that knows the model.
fn from_hub(id: &fetch::HubId, name: &str, request: &PlanRequest, catalog: &Catalog) -> Result<ModelSpec, Error> {
    let mut settings = HubSettings::from_environment(&|name| std::env::var(name).ok());
    settings.offline |= request.access.offline;
    if catalog.model(name).is_ok() || known_checkpoint(name, catalog).is_some() {
        settings.deadlines = Deadlines { connect: Duration::from_secs(3), total: Duration::from_secs(20), ..settings.deadlines };
    }
    let mut progress = |line: &str| crate::commands::output::progress(line);
    match fetch::hub(id, &settings, &mut progress) {
        Ok(checkpoint) => from_checkpoint(name, &checkpoint),
        Err(error) if error.is_network() || matches!(error, FetchError::NotCached { .. }) => match from_catalogue(name, catalog) {
            Ok(mut model) => {
                model.assumed.push(format!("the hub was not read ({error}); the built-in catalogue's entry stands in"));
                Ok(model)
            }
            Err(_) => Err(Error::hinted(&error)),
        },
        Err(error) => Err(Error::hinted(&error)),
    }
}

fn from_checkpoint(name: &str, checkpoint: &Checkpoint) -> Result<ModelSpec, Error> {
    let Some(text) = &checkpoint.config else {
        return Err(Error::input(format!("{} has no config.json, which says what the tensors are for", checkpoint.place))
            .with_hint("name the model's directory, or put its config.json beside the file"));
    };
    let mut config = ModelConfig::from_json(text, &checkpoint.place).map_err(|error| Error::input(error.to_string()))?;
    if let Some(quantization) = &checkpoint.hf_quant_config {
        config.add_quantization(quantization, &checkpoint.place).map_err(|error| Error::input(error.to_string()))?;
    }
    let mut model = config.spec(name).map_err(|error| Error::input(error.to_string()))?;
    if let Some(headers) = &checkpoint.headers {
        model = model.with_headers(headers, &checkpoint.place);
    }
    model.assumed.extend(checkpoint.notes.iter().cloned());
    Ok(model)
}
