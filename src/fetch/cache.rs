//! Where the hubs' own tools have put a model.

use std::path::{Path, PathBuf};

use super::prefix::read_text;
use super::settings::{Hub, HubSettings};
use super::{Checkpoint, FetchError, HubId, gguf, local};

/// The directory of a downloaded model, complete or not.
pub(super) fn find(id: &HubId, settings: &HubSettings) -> Option<PathBuf> {
    settings.caches.iter().find_map(|cache| match settings.hub {
        Hub::HuggingFace => snapshot(cache, id),
        Hub::ModelScope => modelscope_directory(cache, id),
    })
}

/// Reads a model from the directory that [`find`] found.
pub(super) fn read(id: &HubId, directory: &Path) -> Result<Checkpoint, FetchError> {
    let mut checkpoint = match &id.file {
        Some(file) if file.ends_with(".gguf") => local(&directory.join(file))?,
        Some(quantization) => {
            let names = local::file_names(directory)?;
            gguf::read_local(directory, &gguf::chosen(&id.name, &names, Some(quantization))?)?
        }
        None => local(directory)?,
    };
    checkpoint.place = format!("{id} in {}", directory.display());
    Ok(checkpoint)
}

/// What a directory without all its weights still tells: its config.
pub(super) fn read_config(id: &HubId, directory: &Path) -> Result<Checkpoint, FetchError> {
    let mut checkpoint = local(&directory.join("config.json"))?;
    checkpoint.place = format!("{id} in {}", directory.display());
    checkpoint.notes.push("the weights are not in the cache: sizes are computed from `config.json`".to_owned());
    Ok(checkpoint)
}

/// `models--org--name/snapshots/<commit>`, where a branch or tag names its commit in `refs/`.
fn snapshot(cache: &Path, id: &HubId) -> Option<PathBuf> {
    const REFERENCE_LIMIT: u64 = 256;
    let model = cache.join(format!("models--{}", id.name.replace('/', "--")));
    let revision = id.revision.as_deref().unwrap_or("main");
    let commit = read_text(&model.join("refs").join(revision), REFERENCE_LIMIT).ok();
    let commit = commit.as_deref().map_or(revision, str::trim);
    let is_plain =
        !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) && !commit.starts_with('.');
    Some(model.join("snapshots").join(commit)).filter(|path| is_plain && path.is_dir())
}

/// `org/name`, with the dots of the name written as `___`.
fn modelscope_directory(cache: &Path, id: &HubId) -> Option<PathBuf> {
    let (organisation, name) = id.name.split_once('/')?;
    let names = [name.to_owned(), name.replace('.', "___")];
    names.into_iter().map(|name| cache.join(organisation).join(name)).find(|path| path.is_dir())
}
