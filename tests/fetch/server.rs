//! A hub on this machine.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gpudoctor::fetch::{Deadlines, HubSettings};
use tiny_http::{Header, Request, Response, Server};

/// A request as the hub saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) range: Option<String>,
}

/// What the hub answers.
pub(crate) enum Reply {
    /// A file; a range is honoured.
    File(Vec<u8>),
    /// A file; a range is ignored.
    WholeFile(Vec<u8>),
    /// A status with headers and a body.
    Status(u16, Vec<(&'static str, String)>, &'static str),
    /// Nothing, for ever.
    Silence,
}

impl Reply {
    pub(crate) const MISSING: Self = Self::Status(404, Vec::new(), "Entry not found");
}

pub(crate) struct Hub {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Hub {
    /// Starts a hub that answers each path by `reply`.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap_or_else(|problem| panic!("no local server: {problem}"));
        let address = format!("http://{}", server.server_addr());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for request in server.incoming_requests() {
                let header = |name: &str| {
                    let found = request.headers().iter().find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
                    found.map(|header| header.value.to_string())
                };
                let token = header("authorization").or_else(|| header("cookie"));
                let entry = Seen { path: request.url().to_owned(), token, range: header("range") };
                let answer = reply(&entry.path);
                let range = entry.range.clone();
                if let Ok(mut log) = log.lock() {
                    log.push(entry);
                }
                match answer {
                    Reply::Silence => unanswered.push(request),
                    answer => respond(request, answer, range.as_deref()),
                }
            }
        });
        Self { address, seen }
    }

    /// Everything that was asked for so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }

    /// Settings that ask this hub, with short deadlines and no cache.
    pub(crate) fn settings(&self, variables: &[(&str, &str)]) -> HubSettings {
        let look = |name: &str| match name {
            "HF_ENDPOINT" => Some(self.address.clone()),
            "MODELSCOPE_DOMAIN" => Some(self.address.clone()),
            name => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        };
        let mut settings = HubSettings::from_environment(&look);
        let short = Duration::from_millis(1500);
        settings.deadlines = Deadlines { connect: short, request: short, total: short * 2 };
        settings
    }
}

fn respond(request: Request, reply: Reply, range: Option<&str>) {
    let header = |name: &str, value: &str| Header::from_bytes(name, value).unwrap_or_else(|()| panic!("bad header {name}"));
    let answer = match (reply, range.and_then(bounds)) {
        (Reply::File(bytes), Some((first, _))) if first >= bytes.len() => Response::from_data(Vec::new()).with_status_code(416),
        (Reply::File(bytes), Some((first, last))) => {
            let last = last.min(bytes.len() - 1);
            let content_range = format!("bytes {first}-{last}/{}", bytes.len());
            Response::from_data(&bytes[first..=last]).with_status_code(206).with_header(header("Content-Range", &content_range))
        }
        (Reply::File(bytes) | Reply::WholeFile(bytes), _) => Response::from_data(bytes),
        (Reply::Status(status, headers, body), _) => {
            let plain = Response::from_data(body).with_status_code(status);
            headers.iter().fold(plain, |answer, (name, value)| answer.with_header(header(name, value)))
        }
        (Reply::Silence, _) => return,
    };
    let _ = request.respond(answer);
}

fn bounds(range: &str) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
