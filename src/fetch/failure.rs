//! What went wrong on the network, in the words of [`FetchError`].

use std::io::ErrorKind;

use super::client::{Answer, Client};
use super::settings::{Deadlines, Hub};
use super::{FetchError, HubId};

/// An error below HTTP.
pub(super) fn transport_error(host: &str, deadlines: Deadlines, problem: ureq::Error) -> FetchError {
    let host = host.to_owned();
    match problem {
        ureq::Error::Timeout(stage) => timeout(host, deadlines, stage),
        ureq::Error::HostNotFound => FetchError::UnknownHost { host },
        ureq::Error::Io(problem) if is_lookup(&problem) => FetchError::UnknownHost { host },
        ureq::Error::Io(problem) if problem.kind() == ErrorKind::TimedOut => timeout(host, deadlines, ureq::Timeout::Connect),
        ureq::Error::Io(problem) if problem.kind() == ErrorKind::InvalidData => {
            FetchError::UntrustedConnection { host, problem: problem.to_string() }
        }
        ureq::Error::Tls(problem) => FetchError::UntrustedConnection { host, problem: problem.to_owned() },
        ureq::Error::Rustls(problem) => FetchError::UntrustedConnection { host, problem: problem.to_string() },
        ureq::Error::InvalidProxyUrl | ureq::Error::ConnectProxyFailed(_) => FetchError::ProxyFailure { host },
        ureq::Error::Io(problem) => FetchError::BrokenConnection { host, problem: problem.to_string() },
        problem => FetchError::BrokenConnection { host, problem: problem.to_string() },
    }
}

fn timeout(host: String, deadlines: Deadlines, stage: ureq::Timeout) -> FetchError {
    let (stage, limit) = match stage {
        ureq::Timeout::Resolve => ("resolving its name", deadlines.connect),
        ureq::Timeout::Connect => ("connecting", deadlines.connect),
        _ => ("waiting for an answer", deadlines.request),
    };
    FetchError::Timeout { host, stage, seconds: limit.as_secs_f64() }
}

fn is_lookup(problem: &std::io::Error) -> bool {
    problem.to_string().contains("lookup address")
}

/// The error for an answer that is not what was asked for; `None` for a file that the repository does not have.
pub(super) fn refusal(client: &Client<'_>, id: &HubId, answer: &Answer) -> Option<FetchError> {
    let host = answer.host.clone();
    let code = answer.header("x-error-code").unwrap_or_default();
    let hub = client.settings().hub;
    let url = || match hub {
        Hub::HuggingFace => format!("{}/{}", shown_endpoint(client), id.name),
        Hub::ModelScope => format!("{}/models/{}", shown_endpoint(client), id.name),
    };
    let name = id.name.clone();
    Some(match (answer.status, code) {
        (_, "GatedRepo") => FetchError::GatedModel { id: name, url: url(), hub, token_sent: client.sends_token() },
        (401 | 403, _) => FetchError::RefusedAccess { id: name, url: url(), hub, status: answer.status, token_sent: client.sends_token() },
        (404, "RevisionNotFound") => {
            FetchError::MissingRevision { id: name, host, revision: id.revision.clone().unwrap_or_else(|| "main".to_owned()) }
        }
        (404, "RepoNotFound") => FetchError::MissingModel { id: name, host },
        (404, _) => return None,
        (429, _) => FetchError::RateLimit { host },
        (status, _) if answer.is_html() && status < 500 => FetchError::HtmlAnswer { host },
        (status, _) => FetchError::UnexpectedStatus { host, status },
    })
}

/// The endpoint without a user name or password.
fn shown_endpoint(client: &Client<'_>) -> String {
    let settings = client.settings();
    let scheme = settings.endpoint.split_once("://").map_or("https", |(scheme, _)| scheme);
    format!("{scheme}://{}", settings.host())
}
