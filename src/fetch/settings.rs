//! How to reach a hub: the environment variables that the hubs' own tools and the engine honour.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::prefix::read_text;

/// A function that looks up an environment variable.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Which hub an id belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hub {
    /// huggingface.co or a mirror of it.
    HuggingFace,
    /// modelscope.cn or a mirror of it.
    ModelScope,
}

/// How long the network may take. Nothing waits longer than `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To resolve a name and to connect.
    pub connect: Duration,
    /// For one request with its redirects and its answer.
    pub request: Duration,
    /// For all requests about one model.
    pub total: Duration,
}

/// A secret that never prints.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(pub(super) String);

/// How to reach a hub, what to send it, and where earlier downloads lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSettings {
    /// The hub to ask.
    pub hub: Hub,
    /// Its address without a trailing slash.
    pub endpoint: String,
    /// Directories in which the hub's tools keep downloads.
    pub caches: Vec<PathBuf>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// How long the network may take.
    pub deadlines: Deadlines,
    /// Certificates to trust instead of the built-in ones.
    pub certificates: Option<PathBuf>,
    pub(super) token: Option<Token>,
    pub(super) proxies: Proxies,
}

/// Proxies by scheme, and hosts that are reached without one.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    http: Option<String>,
    https: Option<String>,
    exempt: Vec<String>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), request: Duration::from_secs(30), total: Duration::from_secs(60) }
    }
}

impl Deadlines {
    /// The same with the time for one request in seconds, as the hub's own client reads it; other text changes nothing.
    fn with_request(self, seconds: Option<&str>) -> Self {
        let seconds = seconds.and_then(|text| text.trim().parse().ok()).filter(|seconds| (1..=600).contains(seconds));
        match seconds.map(Duration::from_secs) {
            Some(request) => Self { connect: self.connect.min(request), request, total: request.max(self.total) },
            None => self,
        }
    }
}

impl HubSettings {
    /// Reads the settings from environment variables, and the token from its file where none holds it.
    pub fn from_environment(env: Environment<'_>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let cache_home = set("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
        let cache = |name: &str| cache_home.as_ref().map(|home| home.join(name));
        let hub = if is_true(set("VLLM_USE_MODELSCOPE")) { Hub::ModelScope } else { Hub::HuggingFace };
        let (endpoint, token, caches) = match hub {
            Hub::HuggingFace => hugging_face(&set, cache("huggingface")),
            Hub::ModelScope => modelscope(&set, cache("modelscope")),
        };
        Self {
            hub,
            endpoint: endpoint.trim().trim_end_matches('/').to_owned(),
            caches,
            offline: is_true(set("HF_HUB_OFFLINE")) || is_true(set("TRANSFORMERS_OFFLINE")),
            deadlines: Deadlines::default().with_request(set("HF_HUB_DOWNLOAD_TIMEOUT").as_deref()),
            certificates: ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].into_iter().find_map(set).map(PathBuf::from),
            token: token.map(|token| Token(token.trim().to_owned())),
            proxies: Proxies::from_environment(&set),
        }
    }

    /// The hub's host, for messages.
    pub fn host(&self) -> &str {
        let rest = self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or(rest);
        authority.rsplit('@').next().unwrap_or(authority)
    }
}

type Look<'a> = &'a dyn Fn(&str) -> Option<String>;

fn hugging_face(set: Look<'_>, default_home: Option<PathBuf>) -> (String, Option<String>, Vec<PathBuf>) {
    let home = set("HF_HOME").map(PathBuf::from).or(default_home);
    let token_file = set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join("token")));
    let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")).or_else(|| token_file.as_deref().and_then(token_in));
    let cache = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")).map(PathBuf::from);
    let caches = cache.or_else(|| home.map(|home| home.join("hub"))).into_iter().collect();
    (set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned()), token, caches)
}

/// ModelScope has moved its cache more than once: models lie under any of these.
fn modelscope(set: Look<'_>, default_home: Option<PathBuf>) -> (String, Option<String>, Vec<PathBuf>) {
    let root = set("MODELSCOPE_CACHE").map(PathBuf::from).or(default_home);
    let caches = root.map(|root| ["hub/models", "models", "hub", ""].map(|below| root.join(below)).to_vec()).unwrap_or_default();
    let domain = set("MODELSCOPE_DOMAIN").unwrap_or_else(|| "www.modelscope.cn".to_owned());
    let endpoint = if domain.contains("://") { domain } else { format!("https://{domain}") };
    (endpoint, set("MODELSCOPE_API_TOKEN"), caches)
}

fn token_in(path: &Path) -> Option<String> {
    const LIMIT: u64 = 4096;
    read_text(path, LIMIT).ok().filter(|text| !text.trim().is_empty())
}

/// The hubs' own reading of truth: `1`, `true`, `yes`, `on`.
fn is_true(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
}

/// `*.example.org`, `.example.org` and `example.org` mean the same.
fn exemption(host: &str) -> String {
    match host.trim() {
        "*" => "*".to_owned(),
        host => host.trim_start_matches(['*', '.']).to_ascii_lowercase(),
    }
}

impl Proxies {
    fn from_environment(set: Look<'_>) -> Self {
        let any = |names: [&str; 4]| names.into_iter().find_map(set);
        let exempt = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
        Self {
            http: any(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: any(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            exempt: exempt.split(',').map(exemption).filter(|name| !name.is_empty()).collect(),
        }
    }

    /// The proxy through which `host` is reached. An exempt name covers the names below it; `*` covers all.
    pub(super) fn for_host(&self, scheme: &str, host: &str) -> Option<&str> {
        let host = host.to_ascii_lowercase();
        let below = |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if self.exempt.iter().any(|name| name == "*" || below(name)) {
            return None;
        }
        if scheme == "https" { self.https.as_deref() } else { self.http.as_deref() }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxies(http: {}, https: {})", self.http.is_some(), self.https.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        let look = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        HubSettings::from_environment(&look)
    }

    #[test]
    fn an_empty_environment_means_hugging_face() {
        let settings = settings(&[]);
        assert_eq!((settings.hub, settings.host(), settings.offline), (Hub::HuggingFace, "huggingface.co", false));
        assert_eq!(settings.caches, Vec::<PathBuf>::new());
    }

    #[test]
    fn the_narrowest_variable_decides_where_the_cache_is() {
        assert_eq!(settings(&[("HOME", "/u")]).caches, [Path::new("/u/.cache/huggingface/hub")]);
        assert_eq!(settings(&[("HOME", "/u"), ("HF_HOME", "/h")]).caches, [Path::new("/h/hub")]);
        assert_eq!(settings(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]).caches, [Path::new("/c")]);
    }

    #[test]
    fn offline_is_read_as_the_hubs_tools_read_it() {
        for (value, offline) in [("1", true), ("ON", true), ("True", true), ("0", false), ("", false)] {
            assert_eq!(settings(&[("HF_HUB_OFFLINE", value)]).offline, offline, "{value}");
        }
        assert!(settings(&[("TRANSFORMERS_OFFLINE", "yes")]).offline);
    }

    #[test]
    fn modelscope_has_its_own_address_token_and_cache() {
        let settings = settings(&[("VLLM_USE_MODELSCOPE", "True"), ("MODELSCOPE_CACHE", "/m"), ("HF_TOKEN", "hf_x")]);
        assert_eq!((settings.hub, settings.host()), (Hub::ModelScope, "www.modelscope.cn"));
        assert!(settings.caches.contains(&PathBuf::from("/m/hub/models")));
        assert_eq!(settings.token, None);
    }

    #[test]
    fn a_mirror_is_named_without_its_password() {
        assert_eq!(settings(&[("HF_ENDPOINT", "https://user:secret@mirror.example/hf/")]).host(), "mirror.example");
    }

    #[test]
    fn secrets_do_not_print() {
        let settings = settings(&[("HF_TOKEN", "hf_secret"), ("HTTPS_PROXY", "http://user:secret@proxy:1")]);
        assert_eq!(settings.token, Some(Token("hf_secret".into())));
        assert!(!format!("{settings:?}").contains("secret"));
    }

    #[test]
    fn proxies_go_by_scheme_and_exempt_names_cover_those_below() {
        let proxies = settings(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "localhost,.corp.example")]).proxies;
        assert_eq!(proxies.for_host("https", "huggingface.co"), Some("http://p:1"));
        assert_eq!(proxies.for_host("http", "huggingface.co"), None);
        assert_eq!(proxies.for_host("https", "hub.corp.example"), None);
        assert_eq!(proxies.for_host("https", "notcorp.example"), Some("http://p:1"));
        assert_eq!(settings(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "*")]).proxies.for_host("https", "a"), None);
    }
}
