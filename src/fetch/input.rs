//! What the user may mean by a model.

use std::fmt;
use std::path::PathBuf;

/// A model as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelInput {
    /// A file or directory.
    Local(PathBuf),
    /// A model on a hub.
    Hub(HubId),
    /// Anything else: a size such as `70b`, or a name that the catalogue may know.
    Name(String),
}

impl ModelInput {
    /// Reads `text` as an existing path, else as `org/name[@revision]`, else as a name.
    ///
    /// What is written like a path (`./m`, `/m`, `m.gguf`) is one even where it does not exist, so that the error
    /// speaks of the path.
    pub fn classify(text: &str) -> Self {
        let path = PathBuf::from(text);
        if path.exists() || is_written_as_path(text) {
            return Self::Local(path);
        }
        HubId::parse(text).map_or_else(|| Self::Name(text.to_owned()), Self::Hub)
    }
}

fn is_written_as_path(text: &str) -> bool {
    let hub_file = HubId::parse(text).is_some_and(|id| id.file.is_some());
    let path_prefix = ["/", "./", "../", "~"].iter().any(|prefix| text.starts_with(prefix)) || matches!(text, "." | "..");
    let file_suffix = [".json", ".safetensors", ".gguf"].iter().any(|suffix| text.ends_with(suffix));
    path_prefix || (file_suffix && !hub_file)
}

/// A model on Hugging Face or ModelScope: `org/name[@revision]`, for GGUF also `org/name:Q4_K_M` or
/// `org/name/file.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubId {
    /// `org/name`.
    pub name: String,
    /// A branch, tag or commit; the hub's default branch if there is none.
    pub revision: Option<String>,
    /// A GGUF file of the repository, or the quantisation that its file name carries.
    pub file: Option<String>,
}

impl HubId {
    /// Reads an id; `None` when `text` is not written as one.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, revision) = match text.split_once('@') {
            Some((rest, revision)) => (rest, Some(revision)),
            None => (text, None),
        };
        let (rest, quantization) = match rest.split_once(':') {
            Some((rest, quantization)) => (rest, Some(quantization)),
            None => (rest, None),
        };
        let mut parts = rest.splitn(3, '/');
        let (organisation, name, path) = (parts.next()?, parts.next()?, parts.next());
        let file = match (path, quantization) {
            (Some(path), None) if path.ends_with(".gguf") => Some(path),
            (None, quantization) => quantization,
            _ => return None,
        };
        let valid = is_segment(organisation)
            && is_segment(name)
            && file.is_none_or(|file| file.split('/').all(is_segment))
            && revision.is_none_or(|revision| revision.split('/').all(is_segment));
        valid.then(|| Self { name: format!("{organisation}/{name}"), revision: revision.map(str::to_owned), file: file.map(str::to_owned) })
    }
}

/// What a hub allows in names; it also keeps `..` and query strings out of addresses and cache paths.
fn is_segment(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 96 && !text.starts_with(['.', '-']) && text.chars().all(legal)
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.file {
            Some(file) if file.ends_with(".gguf") => write!(f, "/{file}")?,
            Some(file) => write!(f, ":{file}")?,
            None => {}
        }
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(name: &str, revision: Option<&str>, file: Option<&str>) -> ModelInput {
        ModelInput::Hub(HubId { name: name.into(), revision: revision.map(Into::into), file: file.map(Into::into) })
    }

    #[test]
    fn an_existing_path_comes_first() {
        assert_eq!(ModelInput::classify("src/model"), ModelInput::Local("src/model".into()));
    }

    #[test]
    fn org_and_name_make_a_hub_id() {
        assert_eq!(ModelInput::classify("Qwen/Qwen3-8B"), hub("Qwen/Qwen3-8B", None, None));
        assert_eq!(ModelInput::classify("Qwen/Qwen3-8B@refs/pr/3"), hub("Qwen/Qwen3-8B", Some("refs/pr/3"), None));
        assert_eq!(ModelInput::classify("o/n-GGUF:Q4_K_M"), hub("o/n-GGUF", None, Some("Q4_K_M")));
        assert_eq!(ModelInput::classify("o/n/q/m.gguf@v1"), hub("o/n", Some("v1"), Some("q/m.gguf")));
    }

    #[test]
    fn what_is_written_like_a_path_is_one() {
        for text in ["./missing", "/missing/model", "missing.gguf", "a/config.json", "a/../b.gguf"] {
            assert_eq!(ModelInput::classify(text), ModelInput::Local(text.into()), "{text}");
        }
    }

    #[test]
    fn the_rest_is_left_to_the_catalogue() {
        for text in ["70b", "", "a/b/c", "a/../b", "o/n?x=1", "o/n@", "o /n", "o/n:"] {
            assert_eq!(ModelInput::classify(text), ModelInput::Name(text.into()), "{text}");
        }
    }

    #[test]
    fn an_id_prints_as_it_was_written() {
        for text in ["o/n", "o/n@main", "o/n:Q8_0@main", "o/n/m.gguf"] {
            assert_eq!(HubId::parse(text).expect(text).to_string(), text);
        }
    }
}
