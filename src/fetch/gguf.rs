//! GGUF models: one file, or a numbered set of them.

use std::path::Path;

use super::local::missing_in;
use super::prefix::{LocalFile, Prefix};
use super::{Checkpoint, FetchError};
use crate::model::gguf::{self, Gguf, GgufError, HEADER_LIMIT};

/// Reads a model on disk, given its (first) file.
pub(super) fn read_local(directory: &Path, file: &str) -> Result<Checkpoint, FetchError> {
    /// Covers a small vocabulary; more is read as the header turns out to need it.
    const FIRST_READ: u64 = 4 << 20;
    let files = set_of(file);
    missing_in(directory, &files)?;
    let parts = files.iter().map(|name| {
        let path = directory.join(name);
        read(&mut LocalFile::open(&path)?, FIRST_READ).map(|part| (path.display().to_string(), part))
    });
    assemble(directory.join(file).display().to_string(), parts.collect::<Result<_, _>>()?)
}

/// The header of a GGUF file, of which `first` bytes are asked for at once.
pub(super) fn read(file: &mut dyn Prefix, first: u64) -> Result<Gguf, FetchError> {
    let mut length = first;
    loop {
        file.grow(length)?;
        let known = file.bytes().len() as u64;
        match gguf::parse(file.bytes(), file.size()) {
            Ok(header) => return Ok(header),
            Err(GgufError::Incomplete { needed }) if known >= length => length = needed.max(length * 2).min(HEADER_LIMIT),
            Err(GgufError::Incomplete { needed }) => {
                let problem = GgufError::TruncatedHeader { at: 0, what: "the header", needed, size: known };
                return Err(FetchError::InvalidGguf { place: file.place().to_owned(), problem });
            }
            Err(problem) => return Err(FetchError::InvalidGguf { place: file.place().to_owned(), problem }),
        }
    }
}

/// One checkpoint from the parts of a set. The first part holds the metadata; tensors take the names that the engine
/// knows.
pub(super) fn assemble(place: String, parts: Vec<(String, Gguf)>) -> Result<Checkpoint, FetchError> {
    let mut metadata = None;
    let mut tensors = Vec::new();
    for (part, header) in parts {
        metadata.get_or_insert((part, header.metadata));
        tensors.extend(header.tensors);
    }
    let Some((first, metadata)) = metadata else { return Err(FetchError::MissingPath { path: place }) };
    let config = gguf::gguf_config(&metadata, &tensors).map_err(|problem| FetchError::InvalidGguf { place: first, problem })?;
    let architecture = metadata.text("general.architecture").unwrap_or_default();
    for tensor in &mut tensors {
        if let Some(name) = gguf::hf_name(&tensor.name, architecture) {
            tensor.name = name;
        }
    }
    let notes = vec!["the config is derived from GGUF metadata".to_owned()];
    Ok(Checkpoint { place, config: Some(config.to_string()), headers: Some(tensors), notes, ..Checkpoint::default() })
}

/// The models among file names, each by its first file: numbered sets count once, image projectors not at all.
pub(super) fn models(names: &[String]) -> Vec<String> {
    let is_model = |name: &&String| {
        let file = name.rsplit('/').next().unwrap_or_default();
        let first = numbered(file).is_none_or(|(_, number, _, _)| number == 1);
        file.ends_with(".gguf") && first && !file.starts_with("mmproj") && !file.contains("imatrix")
    };
    names.iter().filter(is_model).cloned().collect()
}

/// All files of the numbered set that `name` belongs to (`…-00002-of-00005.…`), or `name` alone.
pub(super) fn set_of(name: &str) -> Vec<String> {
    match numbered(name) {
        Some((stem, _, total, suffix)) => (1..=total).map(|number| format!("{stem}-{number:05}-of-{total:05}{suffix}")).collect(),
        None => vec![name.to_owned()],
    }
}

/// Takes `model-00002-of-00005.gguf` apart: stem, number, total, suffix.
fn numbered(name: &str) -> Option<(&str, usize, usize, &str)> {
    let (rest, suffix) = name.split_at(name.rfind('.')?);
    let (rest, total) = rest.rsplit_once("-of-")?;
    let (stem, number) = rest.rsplit_once('-')?;
    let counted = |digits: &str| (digits.len() == 5).then(|| digits.parse::<usize>().ok()).flatten().filter(|&count| count > 0);
    Some((stem, counted(number)?, counted(total)?, suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_set_is_found_from_any_part() {
        assert_eq!(set_of("m-00002-of-00003.gguf"), ["m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"]);
        assert_eq!(set_of("m-2-of-3.gguf"), ["m-2-of-3.gguf"]);
        assert_eq!(set_of("model.safetensors"), ["model.safetensors"]);
    }

    #[test]
    fn parts_and_projectors_are_not_models() {
        let names = ["q/a-00001-of-00002.gguf", "q/a-00002-of-00002.gguf", "b.gguf", "mmproj-F16.gguf", "config.json"].map(str::to_owned);
        assert_eq!(models(&names), ["q/a-00001-of-00002.gguf", "b.gguf"]);
    }
}
