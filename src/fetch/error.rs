//! Why a model could not be read.

use std::io;
use std::path::PathBuf;

use super::Hub;
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
    /// A GGUF model that the repository or directory does not have.
    #[error("`{place}` has no GGUF model `{wanted}`; it has {}", listed(files))]
    MissingGguf {
        /// The directory or repository.
        place: String,
        /// What was asked for.
        wanted: String,
        /// The models there are.
        files: Vec<String>,
    },
    /// A file that the repository should have.
    #[error("{place} does not exist")]
    MissingFile {
        /// The file and its repository.
        place: String,
    },
    /// A model that is not in the cache, where the network must not be used.
    #[error("`{id}` is not in the local cache ({}), and offline mode is on", paths(caches))]
    NotCached {
        /// The model.
        id: String,
        /// Where it was looked for.
        caches: Vec<PathBuf>,
    },
    /// An address that is not one.
    #[error("the address of the hub (`{host}`) is not an http or https address")]
    InvalidEndpoint {
        /// What could be read of it.
        host: String,
    },
    /// A token with characters that a header cannot carry.
    #[error("the hub's token holds characters that no token has")]
    InvalidToken,
    /// A model that must be asked for.
    #[error("`{id}` is gated: {} has not been granted access", who(*token_sent))]
    GatedModel {
        /// The model.
        id: String,
        /// Its page.
        url: String,
        /// The hub.
        hub: Hub,
        /// Whether a token was sent.
        token_sent: bool,
    },
    /// A model that is private, gated, or not there: the hub does not say which.
    #[error("{url} answers {status}: `{id}` is gated, private or does not exist ({} sent)", sent(*token_sent))]
    RefusedAccess {
        /// The model.
        id: String,
        /// Its page.
        url: String,
        /// The hub.
        hub: Hub,
        /// The HTTP status.
        status: u16,
        /// Whether a token was sent.
        token_sent: bool,
    },
    /// A model that the hub does not have.
    #[error("{host} has no model `{id}`")]
    MissingModel {
        /// The model.
        id: String,
        /// The hub's host.
        host: String,
    },
    /// A revision that the model does not have.
    #[error("{host} has no revision `{revision}` of `{id}`")]
    MissingRevision {
        /// The model.
        id: String,
        /// The hub's host.
        host: String,
        /// The branch, tag or commit.
        revision: String,
    },
    /// A web page where a file was asked for.
    #[error("{host} answers with a web page instead of the file")]
    HtmlAnswer {
        /// The host that answered.
        host: String,
    },
    /// Too many requests.
    #[error("{host} refuses more requests for now (429)")]
    RateLimit {
        /// The host that answered.
        host: String,
    },
    /// Any other status.
    #[error("{host} answers with the unexpected status {status}")]
    UnexpectedStatus {
        /// The host that answered.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// A redirect from https to http.
    #[error("{host} redirects to an address without encryption")]
    InsecureRedirect {
        /// The host that answered.
        host: String,
    },
    /// Redirects that do not end.
    #[error("{host} redirects in circles")]
    EndlessRedirect {
        /// The hub's host.
        host: String,
    },
    /// No answer in time.
    #[error("{host} takes more than {seconds} s: {stage}")]
    Timeout {
        /// The host.
        host: String,
        /// What was being waited for.
        stage: &'static str,
        /// The deadline.
        seconds: f64,
    },
    /// A host name that does not resolve.
    #[error("the host name {host} cannot be resolved")]
    UnknownHost {
        /// The host.
        host: String,
    },
    /// A certificate that is not trusted, or TLS that fails otherwise.
    #[error("no trusted connection to {host}: {problem}")]
    UntrustedConnection {
        /// The host.
        host: String,
        /// What TLS says.
        problem: String,
    },
    /// A proxy that cannot be used.
    #[error("the proxy for {host} does not connect, or its address is not valid")]
    ProxyFailure {
        /// The host that was to be reached.
        host: String,
    },
    /// A connection that fails otherwise.
    #[error("the connection to {host} fails: {problem}")]
    BrokenConnection {
        /// The host.
        host: String,
        /// What the system says.
        problem: String,
    },
}

impl From<io::Error> for FetchError {
    fn from(problem: io::Error) -> Self {
        Self::UnreadableFile { problem }
    }
}

impl FetchError {
    /// Whether the network failed rather than the model: the same request may succeed later or elsewhere.
    pub const fn is_network(&self) -> bool {
        matches!(
            self,
            Self::HtmlAnswer { .. }
                | Self::RateLimit { .. }
                | Self::UnexpectedStatus { .. }
                | Self::InsecureRedirect { .. }
                | Self::EndlessRedirect { .. }
                | Self::Timeout { .. }
                | Self::UnknownHost { .. }
                | Self::UntrustedConnection { .. }
                | Self::ProxyFailure { .. }
                | Self::BrokenConnection { .. }
        )
    }
}

const fn who(token_sent: bool) -> &'static str {
    if token_sent { "the account of the token" } else { "a request without a token" }
}

const fn sent(token_sent: bool) -> &'static str {
    if token_sent { "a token was" } else { "no token was" }
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    if shown.is_empty() { "none is configured".to_owned() } else { shown.join(", ") }
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
