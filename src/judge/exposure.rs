//! Lines that open the server, give away a secret or run other people's code.

use serde_json::Value;

use super::line::{Found, Lines, is_secret, plain};
use crate::finding::{Fix, Severity};

/// Shorter keys can be guessed over the network; 32 hexadecimal digits are 128 bits.
const SHORTEST_KEY: usize = 20;

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = all_interfaces(lines).into_iter().chain(remote_code(lines)).collect();
    for flag in ["api-key", "hf-token", "ssl-keyfile-password"] {
        found.extend(secret_in_file(lines, flag));
    }
    found
}

fn all_interfaces(lines: &Lines<'_>) -> Option<Found> {
    let flag = "host";
    let host = lines.text(flag).filter(|host| matches!(*host, "0.0.0.0" | "::" | "[::]" | "*" | ""))?;
    let keyed =
        lines.given("api-key").is_some_and(|key| !key.is_null()) || lines.env.get("VLLM_API_KEY").is_some_and(|key| !key.is_empty());
    let guard = if keyed {
        "the API key guards the paths of the API, not `/health` or `/metrics`"
    } else {
        "there is no API key, so anyone who reaches it can use it"
    };
    let text = format!("`{host}` listens on every network interface of the machine; {guard}");
    Some(
        lines
            .found("binds-all-interfaces", Severity::Warning, flag, &text)
            .because("vllm.api-key", if keyed { "set" } else { "not set" }, "vllm/entrypoints, AuthenticationMiddleware")
            .line("listen on this machine only, behind a proxy that speaks TLS", "host: 127.0.0.1"),
    )
}

/// Secrets in a configuration file end in backups, images and process lists. The value itself is never repeated.
fn secret_in_file(lines: &Lines<'_>, flag: &str) -> Option<Found> {
    debug_assert!(is_secret(flag), "a secret that would be printed");
    let value = lines.given(flag).filter(|value| !value.is_null())?;
    let keys: Vec<&Value> = value.as_array().map_or_else(|| vec![value], |several| several.iter().collect());
    let shortest = keys.iter().map(|key| plain(key).chars().count()).min().unwrap_or(0);
    let variable = if flag == "api-key" { Some("VLLM_API_KEY") } else { (flag == "hf-token").then_some("HF_TOKEN") };
    let found = if flag == "api-key" && shortest < SHORTEST_KEY {
        let text = format!(
            "{shortest} characters can be guessed, and it stands readable in the file and in the process list; a random key needs {SHORTEST_KEY} or more"
        );
        let make = Fix::edit("make a random one").with_command("openssl rand -hex 32");
        lines.found("api-key-short", Severity::Warning, flag, &text).fix(make)
    } else {
        lines.found(
            "secret-in-file",
            Severity::Warning,
            flag,
            "the secret stands readable in the file and in the process list; it belongs into the environment",
        )
    };
    Some(match variable {
        Some(variable) => found.fix(Fix::edit(format!(
            "delete the line and give the secret as {variable} from a secret store or an env file that only the service reads"
        ))),
        None => found.fix(Fix::edit("delete the line and keep the key file unencrypted but readable by the service only")),
    })
}

fn remote_code(lines: &Lines<'_>) -> Option<Found> {
    let flag = "trust-remote-code";
    let model = lines.context.model;
    match (lines.is_on(flag), model) {
        (true, Some(model)) if model.needs_remote_code => {
            let text =
                format!("runs the Python code that comes with {}, which vLLM has no class for; pin the revision you have read", model.id);
            Some(lines.found("trust-remote-code-unpinned", Severity::Warning, flag, &text).line("pin it", "code-revision: <commit>"))
                .filter(|_| lines.given("code-revision").is_none() && lines.given("revision").is_none())
        }
        (true, known) => {
            let what = known
                .map_or_else(|| "most models need none".to_owned(), |model| format!("vLLM has its own class for {}", model.architecture));
            let text = format!("lets Python code from the model's repository run with the server's rights, and {what}");
            let found = lines.found("trust-remote-code-unneeded", Severity::Warning, flag, &text);
            let found = match known {
                Some(model) => found.because("model.architecture", &model.architecture, &model.id),
                None => found,
            };
            Some(found.fix(Fix::edit("delete the line")))
        }
        (false, Some(model)) if model.needs_remote_code => {
            let text = format!(
                "missing: {} has no class in vLLM and brings its own Python code, which is refused without this flag",
                model.architecture
            );
            let found = lines.found("trust-remote-code-missing", Severity::Error, flag, &text).because(
                "model.architecture",
                &model.architecture,
                &model.id,
            );
            Some(found.line("after reading the code, allow it", "trust-remote-code: true"))
        }
        _ => None,
    }
}
