//! Why a model could not be read.

use std::io;

use crate::hint::Hint;
use crate::model::gguf::GgufError;
use crate::model::safetensors::SafetensorsError;

/// A model that could not be read. Each variant names the file or address; none holds a token.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A path that does not exist.
    #[error("`{path}` does not exist")]
    MissingPath {
        /// The path as given.
        path: String,
    },
    /// A path to a pipe, device or socket.
    #[error("`{path}` is neither a file nor a directory")]
    SpecialFile {
        /// The path.
        path: String,
    },
    /// A file that is no part of a model.
    #[error("`{path}` is not a model: expected a directory, `config.json`, `*.safetensors`, `*.safetensors.index.json` or `*.gguf`")]
    UnknownFile {
        /// The path.
        path: String,
    },
    /// A directory without config or weights.
    #[error("`{path}` holds no model: it has no `config.json`, `*.safetensors` or `*.gguf`")]
    EmptyDirectory {
        /// The directory.
        path: String,
        /// Whether it is a LoRA adapter.
        adapter: bool,
    },
    /// Several GGUF models where one was meant.
    #[error("`{place}` holds {} GGUF models: {}", files.len(), listed(files))]
    SeveralGguf {
        /// The directory or repository.
        place: String,
        /// The models, by their (first) file.
        files: Vec<String>,
    },
    /// Shards that the index or their numbering promises.
    #[error("`{place}` lacks {} of {total} shards: {}", missing.len(), listed(missing))]
    MissingShards {
        /// The directory or index.
        place: String,
        /// Their names.
        missing: Vec<String>,
        /// Shards there should be.
        total: usize,
    },
    /// A file larger than any of its kind.
    #[error("`{place}` is larger than {limit} bytes, which no file of its kind is")]
    OversizeFile {
        /// The file.
        place: String,
        /// The size above which it is not read.
        limit: u64,
    },
    /// A text file that is not UTF-8.
    #[error("`{place}` is not UTF-8 text: byte {at} is invalid")]
    InvalidText {
        /// The file.
        place: String,
        /// Where the first invalid byte stands.
        at: usize,
    },
    /// A safetensors file or index that cannot be one.
    #[error("`{place}` is not usable: {problem}")]
    InvalidSafetensors {
        /// The file or address.
        place: String,
        /// What is wrong with it.
        problem: SafetensorsError,
    },
    /// A GGUF file that cannot be one, or that describes no language model.
    #[error("`{place}` is not usable: {problem}")]
    InvalidGguf {
        /// The file or address.
        place: String,
        /// What is wrong with it.
        problem: GgufError,
    },
    /// A file that could not be read.
    #[error("{problem}")]
    UnreadableFile {
        /// The system's error, which names the file.
        problem: io::Error,
    },
}

impl From<io::Error> for FetchError {
    fn from(problem: io::Error) -> Self {
        Self::UnreadableFile { problem }
    }
}

impl Hint for FetchError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::MissingPath { .. } => "check the path, or name a model on a hub as `org/name`",
            Self::SpecialFile { .. } | Self::UnknownFile { .. } => "name the directory that holds `config.json`",
            Self::EmptyDirectory { adapter: true, .. } => "it is a LoRA adapter: name the base model instead",
            Self::EmptyDirectory { .. } => "name the directory that holds `config.json`",
            Self::SeveralGguf { .. } => "name one of them by its full path",
            Self::MissingShards { .. } => "finish the download, or name `config.json` itself to plan without the weights",
            Self::OversizeFile { .. } | Self::InvalidText { .. } => "download the file again",
            Self::InvalidSafetensors { problem, .. } => return problem.hint(),
            Self::InvalidGguf { problem, .. } => return problem.hint(),
            Self::UnreadableFile { problem } if problem.kind() == io::ErrorKind::PermissionDenied => {
                "run as a user who may read the file, or copy `config.json` elsewhere and name it"
            }
            Self::UnreadableFile { .. } => return None,
        };
        Some(text.to_owned())
    }
}

/// The first names of a list that may be long.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}
