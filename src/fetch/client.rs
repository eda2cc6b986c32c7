//! HTTP with deadlines, ranges and redirects that do not carry the token elsewhere.

use std::io::Read;
use std::time::{Duration, Instant};

use ureq::http::{HeaderValue, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

use super::FetchError;
use super::failure::transport_error;
use super::prefix::read_small;
use super::settings::{Deadlines, Hub, HubSettings};

/// Redirects that are followed for one request.
const REDIRECT_LIMIT: usize = 8;

/// A connection to one hub, for one model.
pub(super) struct Client<'a> {
    settings: &'a HubSettings,
    agent: Agent,
    endpoint: Uri,
    started: Instant,
}

/// An answer whose body is not read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) host: String,
    pub(super) headers: ureq::http::HeaderMap,
    body: Body,
    deadlines: Deadlines,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a HubSettings) -> Result<Self, FetchError> {
        let endpoint: Option<Uri> = settings.endpoint.parse().ok();
        let is_web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        let endpoint = endpoint.filter(is_web).ok_or_else(|| FetchError::InvalidEndpoint { host: settings.host().to_owned() })?;
        let tls = TlsConfig::builder().root_certs(root_certificates(settings)?).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .tls_config(tls)
            .user_agent(concat!("gpudoctor/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .max_idle_connections_per_host(super::hub::WORKERS)
            .max_idle_connections(super::hub::WORKERS * 2)
            .timeout_resolve(Some(settings.deadlines.connect))
            .timeout_connect(Some(settings.deadlines.connect))
            .build();
        Ok(Self { settings, agent: config.into(), endpoint, started: Instant::now() })
    }

    pub(super) const fn settings(&self) -> &HubSettings {
        self.settings
    }

    /// Asks for `path` of the hub: all of it, or the bytes `range.0..=range.1`.
    pub(super) fn get(&self, path: &str, range: Option<(u64, u64)>) -> Result<Answer, FetchError> {
        let left = self.settings.deadlines.total.saturating_sub(self.started.elapsed());
        let deadline = self.settings.deadlines.request.min(left);
        let begun = Instant::now();
        let mut url = format!("{}{path}", self.settings.endpoint);
        for _ in 0..=REDIRECT_LIMIT {
            let uri: Uri = url.parse().map_err(|_| self.invalid_address())?;
            let host = uri.host().unwrap_or_default().to_owned();
            let answer = self.get_once(&uri, range, deadline.saturating_sub(begun.elapsed()))?;
            let location = match answer.status {
                301 | 302 | 303 | 307 | 308 => answer.headers.get(header::LOCATION),
                _ => return Ok(answer),
            };
            let location = location.and_then(|location| location.to_str().ok()).ok_or_else(|| self.invalid_address())?;
            url = resolve(&uri, location);
            if uri.scheme_str() == Some("https") && !url.starts_with("https://") {
                return Err(FetchError::InsecureRedirect { host });
            }
        }
        Err(FetchError::EndlessRedirect { host: self.settings.host().to_owned() })
    }

    fn get_once(&self, uri: &Uri, range: Option<(u64, u64)>, deadline: Duration) -> Result<Answer, FetchError> {
        let host = uri.host().unwrap_or_default().to_owned();
        let failed = |problem| transport_error(&host, self.settings.deadlines, problem);
        if deadline.is_zero() {
            return Err(failed(ureq::Error::Timeout(ureq::Timeout::Global)));
        }
        let proxy = self.settings.proxies.for_host(uri.scheme_str().unwrap_or_default(), &host);
        let proxy = proxy.map(Proxy::new).transpose().map_err(failed)?;
        let through_proxy = proxy.is_some();
        let mut request = self.agent.get(uri).config().proxy(proxy).timeout_global(Some(deadline)).build();
        if let Some((first, last)) = range {
            request = request.header(header::RANGE, format!("bytes={first}-{last}"));
        }
        if let Some((name, value)) = self.credentials(uri)? {
            request = request.header(name, value);
        }
        let (parts, body) = request.call().map_err(|problem| behind_proxy(failed(problem), through_proxy))?.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, deadlines: self.settings.deadlines, host })
    }

    /// The token, for the hub itself only, and only where nobody can listen.
    fn credentials(&self, uri: &Uri) -> Result<Option<(header::HeaderName, HeaderValue)>, FetchError> {
        let own = uri.scheme() == self.endpoint.scheme() && uri.authority() == self.endpoint.authority();
        let Some(token) = self.settings.token.as_ref().filter(|_| own && is_private(uri)) else { return Ok(None) };
        let (name, text) = match self.settings.hub {
            Hub::HuggingFace => (header::AUTHORIZATION, format!("Bearer {}", token.0)),
            Hub::ModelScope => (header::COOKIE, format!("m_session_id={}", token.0)),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| FetchError::InvalidToken)?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    /// Whether requests to the hub carry a token.
    pub(super) fn sends_token(&self) -> bool {
        self.settings.token.is_some() && is_private(&self.endpoint)
    }

    fn invalid_address(&self) -> FetchError {
        FetchError::InvalidEndpoint { host: self.settings.host().to_owned() }
    }
}

impl Answer {
    /// At most `limit` bytes of the body; the rest is never asked for.
    pub(super) fn read(mut self, limit: u64) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        match self.body.as_reader().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(problem) => Err(transport_error(&self.host, self.deadlines, problem.into())),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn is_html(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }
}

/// Where a proxy is in use, it is the proxy that does not resolve or connect.
fn behind_proxy(problem: FetchError, through_proxy: bool) -> FetchError {
    match problem {
        FetchError::UnknownHost { host } | FetchError::BrokenConnection { host, .. } if through_proxy => FetchError::ProxyFailure { host },
        problem => problem,
    }
}

fn is_private(uri: &Uri) -> bool {
    let loopback = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    uri.scheme_str() == Some("https") || loopback
}

/// The address that `location` means when it is answered at `base`.
fn resolve(base: &Uri, location: &str) -> String {
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map(ToString::to_string).unwrap_or_default();
    if location.contains("://") {
        location.to_owned()
    } else if let Some(rest) = location.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        format!("{scheme}://{authority}{directory}/{location}")
    }
}

fn root_certificates(settings: &HubSettings) -> Result<RootCerts, FetchError> {
    const LIMIT: u64 = 16 << 20;
    let Some(path) = &settings.certificates else { return Ok(RootCerts::WebPki) };
    let pem = read_small(path, LIMIT)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem).filter_map(certificate).collect();
    Ok(RootCerts::new_with_certs(&certificates))
}
