//! A model on a hub: from the local cache where it is complete, else by the beginnings of its files.

use super::client::Client;
use super::local::{CONFIG_LIMIT, INDEX_LIMIT, without_consolidated};
use super::prefix::utf8;
use super::remote::Repository;
use super::settings::HubSettings;
use super::{Checkpoint, FetchError, HubId, cache, gguf, shards};
use crate::model::headers::TensorHeader;
use crate::model::safetensors::parse_index;

/// Shards that are asked for at once.
pub(super) const WORKERS: usize = 16;

/// Bytes asked for at first: covers the header of nearly every shard.
const SHARD_READ: u64 = 1 << 20;

/// Bytes asked for at first: covers the tokenizer of most GGUF files.
const GGUF_READ: u64 = 8 << 20;

/// Reads a model's config and tensor headers from the local cache, else from the hub. Each use of the network is
/// announced through `progress`, and ends by the deadlines of `settings`.
pub fn hub(id: &HubId, settings: &HubSettings, progress: &mut dyn FnMut(&str)) -> Result<Checkpoint, FetchError> {
    let cached = cache::find(id, settings);
    if let Some(directory) = &cached
        && let Ok(checkpoint) = cache::read(id, directory)
        && checkpoint.headers.is_some()
    {
        return Ok(checkpoint);
    }
    let partial = || cached.as_ref().and_then(|directory| cache::read_config(id, directory).ok());
    if settings.offline {
        return partial().ok_or_else(|| FetchError::NotCached { id: id.to_string(), caches: settings.caches.clone() });
    }
    progress(&format!("reading {id} from {} (headers only)…", settings.host()));
    match online(id, settings) {
        Err(problem) if problem.is_network() => partial().ok_or(problem),
        result => result,
    }
}

fn online(id: &HubId, settings: &HubSettings) -> Result<Checkpoint, FetchError> {
    let client = Client::new(settings)?;
    let repository = Repository { client: &client, id };
    if id.file.is_some() {
        let names = match &id.file {
            Some(file) if file.ends_with(".gguf") => vec![file.clone()],
            _ => repository.file_names()?.unwrap_or_default(),
        };
        return read_gguf(repository, &gguf::chosen(&id.name, &names, id.file.as_deref())?);
    }
    let mut checkpoint = Checkpoint { place: format!("{id} at {}", settings.host()), ..Checkpoint::default() };
    checkpoint.config = text(repository, "config.json")?;
    if checkpoint.config.as_ref().is_some_and(|config| !config.contains("\"quantization_config\"")) {
        checkpoint.hf_quant_config = text(repository, "hf_quant_config.json")?;
    }
    match headers(repository, &mut checkpoint) {
        Ok(Weights::Safetensors(tensors)) => checkpoint.headers = Some(tensors),
        Ok(Weights::Gguf(file)) => return read_gguf(repository, &file),
        Ok(Weights::Unreadable) if checkpoint.config.is_some() => {
            checkpoint.notes.push("the repository has no safetensors: sizes are computed from `config.json`".to_owned());
        }
        Ok(Weights::Unreadable) => return Err(FetchError::MissingModel { id: id.name.clone(), host: settings.host().to_owned() }),
        Err(problem) if problem.is_network() && checkpoint.config.is_some() => {
            checkpoint.notes.push(format!("the tensor headers could not be read ({problem}): sizes are computed from `config.json`"));
        }
        Err(problem) => return Err(problem),
    }
    Ok(checkpoint)
}

enum Weights {
    Safetensors(Vec<TensorHeader>),
    Gguf(String),
    Unreadable,
}

/// The usual names are tried before the hub is asked for a list, which a mirror may not have.
fn headers(repository: Repository<'_>, checkpoint: &mut Checkpoint) -> Result<Weights, FetchError> {
    const INDEX: &str = "model.safetensors.index.json";
    if let Some(bytes) = repository.small_file(INDEX, INDEX_LIMIT)? {
        let place = format!("{INDEX} of {}", repository.id.name);
        let index = parse_index(&bytes).map_err(|problem| FetchError::InvalidSafetensors { place, problem })?;
        let tensors = read_shards(repository, &index.shards)?;
        return Ok(Weights::Safetensors(shards::join(tensors, Some(&index), &mut checkpoint.notes)));
    }
    match shards::read(&mut repository.large_file("model.safetensors"), SHARD_READ) {
        Ok(tensors) => return Ok(Weights::Safetensors(tensors)),
        Err(FetchError::MissingFile { .. }) => {}
        Err(problem) => return Err(problem),
    }
    let names = repository.file_names()?.unwrap_or_default();
    let top_level = names.iter().filter(|name| name.ends_with(".safetensors") && !name.contains('/'));
    let safetensors = without_consolidated(top_level.cloned().collect());
    if !safetensors.is_empty() {
        let tensors = read_shards(repository, &safetensors)?;
        return Ok(Weights::Safetensors(shards::join(tensors, None, &mut checkpoint.notes)));
    }
    if gguf::models(&names).is_empty() {
        return Ok(Weights::Unreadable);
    }
    gguf::chosen(&repository.id.name, &names, None).map(Weights::Gguf)
}

fn read_shards(repository: Repository<'_>, names: &[String]) -> Result<Vec<Vec<TensorHeader>>, FetchError> {
    shards::read_all(names, WORKERS, &|name| shards::read(&mut repository.large_file(name), SHARD_READ))
}

fn read_gguf(repository: Repository<'_>, file: &str) -> Result<Checkpoint, FetchError> {
    let mut parts = Vec::new();
    for name in gguf::set_of(file) {
        let mut part = repository.large_file(&name);
        parts.push((format!("{name} of {}", repository.id.name), gguf::read(&mut part, GGUF_READ)?));
    }
    gguf::assemble(format!("{file} of {} at {}", repository.id.name, repository.client.settings().host()), parts)
}

fn text(repository: Repository<'_>, file: &str) -> Result<Option<String>, FetchError> {
    let bytes = repository.small_file(file, CONFIG_LIMIT)?;
    bytes.map(|bytes| utf8(&format!("{file} of {}", repository.id.name), bytes)).transpose()
}
