//! The model of a request: from a disk, from a hub, or from the catalogue.

#![expect(clippy::disallowed_methods, reason = "hub settings come from the environment")]

use std::path::Path;
use std::time::Duration;

use super::difference;
use crate::catalog::{Catalog, Confidence, Model};
use crate::error::Error;
use crate::fetch::{self, Checkpoint, Deadlines, FetchError, HubSettings, ModelInput};
use crate::finding::Finding;
use crate::model::config::ModelConfig;
use crate::model::spec::{ModelSpec, Origin};
use crate::plan::outcome::Interpretation;
use crate::plan::request::{PlanRequest, Subject};
use crate::plan::variant::{as_checkpoint, known_checkpoint};

/// A model, and what is to be said of reading it.
pub(super) struct Named {
    pub(super) model: ModelSpec,
    /// How the name was understood.
    pub(super) said: Vec<Interpretation>,
    /// What the model's files show.
    pub(super) findings: Vec<Finding>,
}

/// A model as it was read, with what its files show.
type Read = (ModelSpec, Vec<Finding>);

/// Reads the model called `name`.
pub(super) fn read(name: &str, request: &PlanRequest, catalog: &Catalog) -> Result<Named, Error> {
    let (model, findings) = match ModelInput::classify(name) {
        ModelInput::Local(path) => from_disk(&path, request, catalog)?,
        ModelInput::Hub(mut id) => {
            if id.revision.is_none() {
                id.revision.clone_from(&request.access.revision);
            }
            from_hub(&id, name, request, catalog)?
        }
        ModelInput::Name(name) => (from_catalogue(&name, catalog)?, Vec::new()),
    };
    let said = Interpretation { given: name.to_owned(), meaning: meaning(&model, name), instead: instead(name, catalog) };
    Ok(Named { model, said: vec![said], findings })
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

fn from_disk(path: &Path, request: &PlanRequest, catalog: &Catalog) -> Result<Read, Error> {
    let checkpoint = fetch::local(path).map_err(|error| Error::hinted(&error))?;
    let absolute = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let (mut model, findings) = from_checkpoint(&absolute.display().to_string(), &checkpoint, catalog)?;
    let folder = path.is_dir() && checkpoint.headers.is_none();
    if folder && matches!(request.subject, Subject::Configuration { .. }) {
        model.without_tensors = true;
        model.assumed.push(format!("{} holds no tensor files: the engine starts it only with load-format dummy", path.display()));
    }
    Ok((model, findings))
}

/// From the hub when it answers, else from the catalogue if that knows the model.
fn from_hub(id: &fetch::HubId, name: &str, request: &PlanRequest, catalog: &Catalog) -> Result<Read, Error> {
    let mut settings = HubSettings::from_environment(&|name| std::env::var(name).ok());
    settings.offline |= request.access.offline;
    if catalog.model(name).is_ok() || known_checkpoint(name, catalog).is_some() {
        settings.deadlines = Deadlines { connect: Duration::from_secs(3), total: Duration::from_secs(20), ..settings.deadlines };
    }
    let mut progress = |line: &str| crate::commands::output::progress(line);
    match fetch::hub(id, &settings, &mut progress) {
        Ok(checkpoint) => from_checkpoint(name, &checkpoint, catalog),
        Err(error) if error.is_network() || matches!(error, FetchError::NotCached { .. }) => match from_catalogue(name, catalog) {
            Ok(mut model) => {
                model.assumed.push(format!("the hub was not read ({error}); the built-in catalogue's entry stands in"));
                Ok((model, Vec::new()))
            }
            Err(_) => Err(Error::hinted(&error)),
        },
        Err(error) => Err(Error::hinted(&error)),
    }
}

fn from_checkpoint(name: &str, checkpoint: &Checkpoint, catalog: &Catalog) -> Result<Read, Error> {
    let Some(text) = &checkpoint.config else {
        return Err(Error::input(format!("{} has no config.json, which says what the tensors are for", checkpoint.place))
            .with_hint("name the model's directory, or put its config.json beside the file"));
    };
    let place = config_place(&checkpoint.place);
    let mut config = ModelConfig::from_json(text, &place).map_err(|error| Error::input(error.to_string()))?;
    if let Some(quantization) = &checkpoint.hf_quant_config {
        config.add_quantization(quantization, &checkpoint.place).map_err(|error| Error::input(error.to_string()))?;
    }
    let mut model = config.spec(name).map_err(|error| Error::input(error.to_string()))?;
    if let Some(headers) = &checkpoint.headers {
        model = model.with_headers(headers, &checkpoint.place);
    }
    model.assumed.extend(checkpoint.notes.iter().cloned());
    Ok((model, difference::note(&config, name, catalog).into_iter().collect()))
}

/// The config.json of what was read at `place`; metadata of GGUF stand in the file itself.
fn config_place(place: &str) -> String {
    let path = Path::new(place);
    let beside = || path.parent().map(|folder| folder.join("config.json").display().to_string());
    match path.extension().and_then(|extension| extension.to_str()) {
        _ if path.is_dir() => path.join("config.json").display().to_string(),
        Some("json" | "gguf") => place.to_owned(),
        Some("safetensors") => beside().unwrap_or_else(|| place.to_owned()),
        _ => format!("config.json of {place}"),
    }
}
