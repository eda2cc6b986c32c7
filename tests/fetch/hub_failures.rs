use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use gpudoctor::fetch::{FetchError, HubId, HubSettings, hub};
use gpudoctor::hint::Hint;

use crate::server::{Hub, Reply};

/// The error and its hint. Whatever happens, it happens in time and without the token.
fn failure(settings: &HubSettings) -> (FetchError, String) {
    let begun = Instant::now();
    let id = HubId::parse("o/n").expect("an id");
    let error = hub(&id, settings, &mut |_| {}).expect_err("refused");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let hint = error.hint().expect("a hint");
    assert!(!format!("{error} {error:?} {hint}").contains("hf_secret"));
    (error, hint)
}

fn answering(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Hub {
    let headers: Vec<_> = headers.to_vec();
    Hub::start(move |_| Reply::Status(status, headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), body))
}

#[test]
fn a_gated_model_says_how_to_get_it() {
    let gated = answering(401, &[("X-Error-Code", "GatedRepo")], "Access to model o/n is restricted");
    let (error, hint) = failure(&gated.settings(&[]));
    assert_eq!(error.to_string(), "`o/n` is gated: a request without a token has not been granted access");
    assert_eq!(hint, format!("accept the licence at {}/o/n, then set `HF_TOKEN` to a token of that account", gated.address));
    let (error, hint) = failure(&gated.settings(&[("HF_TOKEN", "hf_secret")]));
    assert!(error.to_string().contains("the account of the token"), "{error}");
    assert!(hint.contains("with the account of the token"), "{hint}");
}

#[test]
fn a_refusal_without_a_reason_names_all_three() {
    let (error, hint) = failure(&answering(401, &[], "").settings(&[]));
    assert!(error.to_string().ends_with("answers 401: `o/n` is gated, private or does not exist (no token was sent)"), "{error}");
    assert!(hint.starts_with("check the name; accept the licence"), "{hint}");
}

#[test]
fn missing_models_and_revisions_are_told_apart() {
    assert!(matches!(failure(&answering(404, &[], "").settings(&[])).0, FetchError::MissingModel { .. }));
    let revision = answering(404, &[("X-Error-Code", "RevisionNotFound")], "");
    assert!(matches!(failure(&revision.settings(&[])).0, FetchError::MissingRevision { .. }));
}

#[test]
fn a_web_page_is_not_taken_for_a_config() {
    let portal = answering(200, &[("Content-Type", "text/html; charset=utf-8")], "<!DOCTYPE html><title>Log in</title>");
    let (error, hint) = failure(&portal.settings(&[]));
    assert_eq!(error.to_string(), "127.0.0.1 answers with a web page instead of the file");
    assert!(hint.contains("log in"));
    assert!(matches!(failure(&answering(200, &[], " \n<html>").settings(&[])).0, FetchError::HtmlAnswer { .. }));
}

#[test]
fn limits_and_faults_of_the_hub_are_named() {
    assert!(matches!(failure(&answering(429, &[], "").settings(&[])).0, FetchError::RateLimit { .. }));
    assert!(matches!(failure(&answering(503, &[], "").settings(&[])).0, FetchError::UnexpectedStatus { status: 503, .. }));
    let circle = answering(302, &[("Location", "/again")], "");
    assert!(matches!(failure(&circle.settings(&[])).0, FetchError::EndlessRedirect { .. }));
}

#[test]
fn a_hub_that_hangs_is_given_up() {
    let (error, hint) = failure(&Hub::start(|_| Reply::Silence).settings(&[]));
    assert_eq!(error.to_string(), "127.0.0.1 takes more than 1.5 s: waiting for an answer");
    assert!(hint.contains("HF_ENDPOINT") && hint.contains("HF_HUB_OFFLINE"), "{hint}");
}

#[test]
fn a_hub_that_drips_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{");
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let mut settings = Hub::start(|_| Reply::Silence).settings(&[]);
    settings.endpoint = address;
    assert!(matches!(failure(&settings).0, FetchError::Timeout { .. }));
}

#[test]
fn a_closed_port_and_an_unknown_name_are_told_apart() {
    let mut settings = Hub::start(|_| Reply::Silence).settings(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    settings.endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    assert!(matches!(failure(&settings).0, FetchError::BrokenConnection { .. }));
    settings.endpoint = "https://hub.invalid".to_owned();
    let (error, _) = failure(&settings);
    assert!(matches!(error, FetchError::UnknownHost { .. } | FetchError::Timeout { .. }), "{error}");
}

#[test]
fn plain_http_where_tls_is_expected_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("https://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            thread::sleep(Duration::from_secs(1));
        }
    });
    let mut settings = Hub::start(|_| Reply::Silence).settings(&[("HF_TOKEN", "hf_secret")]);
    settings.endpoint = address;
    let (error, hint) = failure(&settings);
    assert!(matches!(error, FetchError::UntrustedConnection { .. }), "{error:?}");
    assert!(hint.contains("SSL_CERT_FILE"), "{hint}");
}

#[test]
fn a_proxy_that_is_not_there_is_blamed_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = format!("http://user:hf_secret@{}", listener.local_addr().expect("an address"));
    drop(listener);
    let settings = Hub::start(|_| Reply::Silence).settings(&[("HTTP_PROXY", proxy.as_str())]);
    let (error, hint) = failure(&settings);
    assert!(matches!(error, FetchError::ProxyFailure { .. }), "{error:?}");
    assert!(hint.contains("HTTPS_PROXY"), "{hint}");
    let exempt = [("HTTP_PROXY", proxy.as_str()), ("NO_PROXY", "127.0.0.1")];
    assert!(matches!(failure(&answering(404, &[], "").settings(&exempt)).0, FetchError::MissingModel { .. }));
}

#[test]
fn addresses_and_tokens_that_are_none_are_refused_before_any_request() {
    let hub = Hub::start(|_| Reply::MISSING);
    let mut settings = hub.settings(&[]);
    settings.endpoint = "ftp://mirror".to_owned();
    assert!(matches!(failure(&settings).0, FetchError::InvalidEndpoint { .. }));
    assert!(matches!(failure(&hub.settings(&[("HF_TOKEN", "hf_secret\nX: y")])).0, FetchError::InvalidToken));
    assert!(hub.seen().is_empty());
}
