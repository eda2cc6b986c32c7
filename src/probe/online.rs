//! Whether the places that a launch downloads from answer. Asked only when the user wants it.

use std::time::{Duration, Instant};

use crate::capture::tool::Endpoint;
use crate::probe::child::Emitter;
use crate::reading::Reading;

/// Where models, packages and images come from, unless a variable names another place.
const PLACES: [(&str, &str); 5] = [
    ("HF_ENDPOINT", "https://huggingface.co"),
    ("", "https://www.modelscope.cn"),
    ("", "https://pypi.org/simple/"),
    ("", "https://download.pytorch.org/whl/"),
    ("", "https://registry-1.docker.io/v2/"),
];
/// How long each may take.
const DEADLINE: Duration = Duration::from_secs(6);

/// Fills the section.
pub(super) fn read(emitter: &Emitter<Reading<Vec<Endpoint>>>) {
    let urls: Vec<String> = PLACES
        .iter()
        .map(|(variable, url)| std::env::var(variable).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| (*url).to_owned()))
        .collect();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).build().into();
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = urls.iter().map(|url| scope.spawn(|| ask(&agent, url))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    *emitter.state() = Reading::Known(answers);
}

/// Any answer shows that the place can be reached; a proxy's refusal is one too.
fn ask(agent: &ureq::Agent, url: &str) -> Endpoint {
    let start = Instant::now();
    let status = match agent.head(url).call() {
        Ok(answer) => Reading::Known(answer.status().as_u16()),
        Err(error) => Reading::Unreadable(error.to_string().chars().take(200).collect()),
    };
    Endpoint { url: url.to_owned(), status, duration_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX) }
}
