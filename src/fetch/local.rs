//! A model on disk.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::prefix::{read_small, read_text};
use super::{Checkpoint, FetchError, gguf, shards};
use crate::model::headers::TensorHeader;
use crate::model::safetensors;

/// The largest `config.json` that is read, in bytes; real ones stay below 1 MiB.
pub(super) const CONFIG_LIMIT: u64 = 16 << 20;

/// The largest shard index that is read, in bytes; DeepSeek-V3's, of 91,991 tensors, has 9 MB.
pub(super) const INDEX_LIMIT: u64 = 256 << 20;

/// Reads a model directory, or a single file of one: `config.json`, safetensors, their index, or GGUF.
pub fn local(path: &Path) -> Result<Checkpoint, FetchError> {
    let place = path.display().to_string();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Err(FetchError::MissingPath { path: place }),
        Err(problem) => return Err(problem.into()),
    };
    if metadata.is_dir() {
        return directory(path);
    }
    if !metadata.is_file() {
        return Err(FetchError::SpecialFile { path: place });
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut checkpoint = Checkpoint { place, ..Checkpoint::default() };
    if name.ends_with(".safetensors.index.json") {
        read_configs(parent, &mut checkpoint)?;
        read_index(path, &mut checkpoint)?;
    } else if name.ends_with(".json") {
        checkpoint.config = Some(read_text(path, CONFIG_LIMIT)?);
    } else if name.ends_with(".safetensors") {
        read_configs(parent, &mut checkpoint)?;
        read_shards(parent, &gguf::set_of(&name), &mut checkpoint)?;
    } else if name.ends_with(".gguf") {
        return gguf::read_local(parent, &name);
    } else {
        return Err(FetchError::UnknownFile { path: checkpoint.place });
    }
    Ok(checkpoint)
}

fn directory(path: &Path) -> Result<Checkpoint, FetchError> {
    let mut checkpoint = Checkpoint { place: path.display().to_string(), ..Checkpoint::default() };
    let names = file_names(path)?;
    let with_suffix = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).cloned().collect::<Vec<_>>();
    read_configs(path, &mut checkpoint)?;

    let indices = with_suffix(".safetensors.index.json");
    let index = indices.iter().find(|name| *name == "model.safetensors.index.json").or(indices.first());
    let safetensors = without_consolidated(with_suffix(".safetensors"));
    if let Some(index) = index {
        read_index(&path.join(index), &mut checkpoint)?;
    } else if !safetensors.is_empty() {
        read_shards(path, &safetensors, &mut checkpoint)?;
    } else if !gguf::models(&names).is_empty() {
        return gguf::read_local(path, &gguf::chosen(&checkpoint.place, &names, None)?);
    } else if checkpoint.config.is_some() {
        checkpoint.notes.push(without_headers(&names));
    } else {
        let adapter = names.iter().any(|name| name == "adapter_config.json");
        return Err(FetchError::EmptyDirectory { path: checkpoint.place, adapter });
    }
    Ok(checkpoint)
}

fn without_headers(names: &[String]) -> String {
    match names.iter().find(|name| name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth")) {
        Some(name) => format!("`{name}` has no readable headers: sizes are computed from `config.json`"),
        None => "there are no weight files: sizes are computed from `config.json`".to_owned(),
    }
}

/// Mistral repositories hold the same weights twice; the engine reads the `model-…` files.
pub(super) fn without_consolidated(names: Vec<String>) -> Vec<String> {
    let is_consolidated = |name: &String| name.starts_with("consolidated");
    if names.iter().all(is_consolidated) { names } else { names.into_iter().filter(|name| !is_consolidated(name)).collect() }
}

fn read_configs(directory: &Path, checkpoint: &mut Checkpoint) -> Result<(), FetchError> {
    let read_if_there = |name: &str| match directory.join(name) {
        path if path.exists() => read_text(&path, CONFIG_LIMIT).map(Some),
        _ => Ok(None),
    };
    checkpoint.config = read_if_there("config.json")?;
    checkpoint.hf_quant_config = read_if_there("hf_quant_config.json")?;
    Ok(())
}

fn read_index(path: &Path, checkpoint: &mut Checkpoint) -> Result<(), FetchError> {
    let text = read_small(path, INDEX_LIMIT)?;
    let place = path.display().to_string();
    let index = match safetensors::parse_index(&text) {
        Ok(index) => index,
        Err(problem) => return Err(FetchError::InvalidSafetensors { place, problem }),
    };
    let parent = path.parent().unwrap_or(Path::new("."));
    let headers = read_local_shards(parent, &index.shards)?;
    checkpoint.headers = Some(shards::join(headers, Some(&index), &mut checkpoint.notes));
    Ok(())
}

fn read_shards(directory: &Path, names: &[String], checkpoint: &mut Checkpoint) -> Result<(), FetchError> {
    let headers = read_local_shards(directory, names)?;
    checkpoint.headers = Some(shards::join(headers, None, &mut checkpoint.notes));
    Ok(())
}

/// Looking for missing files only once one could not be read saves a system call a shard.
fn read_local_shards(directory: &Path, names: &[String]) -> Result<Vec<Vec<TensorHeader>>, FetchError> {
    let workers = std::thread::available_parallelism().map_or(1, |number| number.get().min(8));
    let result = shards::read_all(names, workers, &|name| shards::read_local(&directory.join(name)));
    if result.is_err() {
        missing_in(directory, names)?;
    }
    result
}

/// Refuses a set of files of which some are not there.
pub(super) fn missing_in(directory: &Path, names: &[String]) -> Result<(), FetchError> {
    let missing: Vec<String> = names.iter().filter(|name| !directory.join(name).exists()).cloned().collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(FetchError::MissingShards { place: directory.display().to_string(), missing, total: names.len() }),
    }
}

/// The names of a directory's entries, sorted.
pub(super) fn file_names(path: &Path) -> Result<Vec<String>, FetchError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry: PathBuf = entry?.path();
        names.extend(entry.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    Ok(names)
}
