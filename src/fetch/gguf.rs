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

/// The one model that is meant: by its path, by the quantisation in its name, or because there is no other.
pub(super) fn chosen(place: &str, names: &[String], wanted: Option<&str>) -> Result<String, FetchError> {
    let mut files = models(names);
    if let Some(wanted) = wanted {
        let wanted = wanted.to_ascii_lowercase();
        let is_wanted =
            |file: &str| file.to_ascii_lowercase().trim_end_matches(".gguf").split(['.', '/']).any(|part| names_it(part, &wanted));
        let found: Vec<String> = files.iter().filter(|file| file.eq_ignore_ascii_case(&wanted) || is_wanted(file)).cloned().collect();
        if found.is_empty() {
            return Err(FetchError::MissingGguf { place: place.to_owned(), wanted, files });
        }
        files = found;
    }
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => Err(FetchError::SeveralGguf { place: place.to_owned(), files }),
    }
}

/// Whether a part of a file name carries a quantisation, as `Qwen3-8B-Q4_K_M` carries `q4_k_m`, but not `q4_k`.
fn names_it(part: &str, wanted: &str) -> bool {
    let stem = numbered_stem(part);
    stem == wanted || stem.strip_suffix(wanted).is_some_and(|rest| rest.ends_with(['-', '_', '.']) && !rest.ends_with("ud-"))
}

/// All files of the numbered set that `name` belongs to (`…-00002-of-00005.…`), or `name` alone.
pub(super) fn set_of(name: &str) -> Vec<String> {
    match numbered(name) {
        Some((stem, _, total, suffix)) => (1..=total).map(|number| format!("{stem}-{number:05}-of-{total:05}{suffix}")).collect(),
        None => vec![name.to_owned()],
    }
}

/// A name without its number in a set.
fn numbered_stem(part: &str) -> &str {
    part.rsplit_once("-of-").and_then(|(rest, _)| rest.rsplit_once('-')).map_or(part, |(stem, _)| stem)
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

    #[test]
    fn a_quantisation_picks_its_file() {
        let names = ["m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-UD-Q4_K_M.gguf", "Q8_0/m-Q8_0-00001-of-00002.gguf"].map(str::to_owned);
        let pick = |wanted| chosen("o/n", &names, Some(wanted)).ok();
        assert_eq!(pick("Q4_K_M").as_deref(), Some("m-Q4_K_M.gguf"));
        assert_eq!(pick("UD-Q4_K_M").as_deref(), Some("m-UD-Q4_K_M.gguf"));
        assert_eq!(pick("q8_0").as_deref(), Some("Q8_0/m-Q8_0-00001-of-00002.gguf"));
        assert_eq!(pick("Q4_K"), None);
        assert!(matches!(chosen("o/n", &names, None), Err(FetchError::SeveralGguf { .. })));
    }
}
