//! What to do about each [`FetchError`].

use std::io::ErrorKind;

use super::{FetchError, Hub};
use crate::hint::Hint;

impl Hint for FetchError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::MissingPath { .. } => "check the path, or name a model on a hub as `org/name`",
            Self::SpecialFile { .. } | Self::UnknownFile { .. } => "name the directory that holds `config.json`",
            Self::EmptyDirectory { adapter: true, .. } => "it is a LoRA adapter: name the base model instead",
            Self::EmptyDirectory { .. } => "name the directory that holds `config.json`",
            Self::SeveralGguf { .. } | Self::MissingGguf { .. } => "name one of them: its full path, or `org/name:Q4_K_M` on a hub",
            Self::MissingShards { .. } => "finish the download, or name `config.json` itself to plan without the weights",
            Self::OversizeFile { .. } | Self::InvalidText { .. } | Self::MissingFile { .. } => "download the file again",
            Self::InvalidSafetensors { problem, .. } => return problem.hint(),
            Self::InvalidGguf { problem, .. } => return problem.hint(),
            Self::UnreadableFile { problem } if problem.kind() == ErrorKind::PermissionDenied => {
                "run as a user who may read the file, or copy `config.json` elsewhere and name it"
            }
            Self::UnreadableFile { .. } => return None,
            Self::NotCached { .. } => "unset `HF_HUB_OFFLINE`, download the model first, or name a directory that holds it",
            Self::InvalidEndpoint { .. } => "set `HF_ENDPOINT` to an address such as `https://huggingface.co`",
            Self::InvalidToken => "copy the token again; it is one line without spaces",
            Self::GatedModel { url, hub, token_sent, .. } => return Some(access(url, *hub, *token_sent)),
            Self::RefusedAccess { url, hub, token_sent, .. } => return Some(format!("check the name; {}", access(url, *hub, *token_sent))),
            Self::MissingModel { .. } => "check the name, or set `VLLM_USE_MODELSCOPE=True` for a model on ModelScope",
            Self::MissingRevision { .. } => "name a branch, tag or commit of the model after `@`",
            Self::HtmlAnswer { .. } => "log in to the network if it asks for that, or check `HF_ENDPOINT` and the proxy",
            Self::RateLimit { .. } => "wait a few minutes, or set `HF_TOKEN` for a higher limit",
            Self::UnexpectedStatus { .. } | Self::InsecureRedirect { .. } | Self::EndlessRedirect { .. } => {
                "try again later, or check `HF_ENDPOINT` and the proxy"
            }
            Self::Timeout { .. } | Self::UnknownHost { .. } | Self::BrokenConnection { .. } => {
                "set `HF_ENDPOINT` to a mirror, set `HF_HUB_OFFLINE=1` to use the cache only, or name a directory that holds the model"
            }
            Self::UntrustedConnection { .. } => "set `SSL_CERT_FILE` to the certificates of your network, and check the clock",
            Self::ProxyFailure { .. } => "check `HTTPS_PROXY` (an `http://host:port` address) and `NO_PROXY`",
        };
        Some(text.to_owned())
    }
}

/// How to get access to a model.
fn access(url: &str, hub: Hub, token_sent: bool) -> String {
    let variable = match hub {
        Hub::HuggingFace => "HF_TOKEN",
        Hub::ModelScope => "MODELSCOPE_API_TOKEN",
    };
    match token_sent {
        true => format!("accept the licence at {url} with the account of the token, and let the token read gated models"),
        false => format!("accept the licence at {url}, then set `{variable}` to a token of that account"),
    }
}
