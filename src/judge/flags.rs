//! Whether each flag exists in this version, and what became of it.

use serde_json::Value;

use super::line::{Found, Lines, plain, shown};
use super::parsed;
use crate::catalog::{Flag, FlagSpan, FlagStatus};
use crate::engine::launch::UsageContext;
use crate::finding::{Fix, Severity};

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    lines.args.0.keys().filter_map(|flag| on_flag(lines, flag)).collect()
}

fn on_flag(lines: &Lines<'_>, name: &str) -> Option<Found> {
    match lines.status(name) {
        FlagStatus::Current { flag, span } => deprecated(lines, name, flag, span).or_else(|| explained(lines, name, flag)),
        FlagStatus::Removed { flag, since } => Some(removed(lines, name, flag, &since.to_string())),
        FlagStatus::NotYet { since, .. } => Some(not_yet(lines, name, &since.to_string())),
        FlagStatus::Unknown { nearest } => Some(unknown(lines, name, &nearest)),
    }
}

fn deprecated(lines: &Lines<'_>, name: &str, flag: &Flag, span: &FlagSpan) -> Option<Found> {
    if !span.deprecated {
        return None;
    }
    let end = match &span.until {
        Some(until) if flag.at(until).is_none() => format!(" and gone from {until} on"),
        _ => String::new(),
    };
    let text = format!("deprecated in vLLM {}{end}", lines.version);
    Some(with_replacement(lines, lines.found("flag-deprecated", Severity::Warning, name, &text), name, flag))
}

/// What a flag does whose name says something else.
fn explained(lines: &Lines<'_>, name: &str, flag: &Flag) -> Option<Found> {
    let source = flag.sources.first().cloned().unwrap_or_else(|| flag.origin.to_string());
    let effect = flag.effect.as_deref()?.trim_end_matches('.');
    let effect = &lowered(effect);
    Some(lines.found("flag-explained", Severity::Info, name, effect).because("vllm.version", lines.version, &source))
}

fn removed(lines: &Lines<'_>, name: &str, flag: &Flag, since: &str) -> Found {
    let renamed = !flag.replaced_by.is_empty() && instead_of_nothing(flag).is_none();
    let (id, what) = if renamed { ("flag-renamed", "replaced") } else { ("flag-removed", "removed") };
    let (severity, consequence) = match lines.context.usage {
        UsageContext::Serve => (Severity::Error, "`vllm serve` refuses to start with it"),
        UsageContext::LlmClass => (Severity::Error, "the `LLM` class does not know it"),
    };
    let text = format!("{what} in vLLM {since}; {consequence}");
    with_replacement(lines, lines.found(id, severity, name, &text), name, flag)
}

fn not_yet(lines: &Lines<'_>, name: &str, since: &str) -> Found {
    let text = format!("comes with vLLM {since}; {} does not know it and refuses to start", lines.version);
    lines.found("flag-not-yet", Severity::Error, name, &text).fix(Fix::edit(format!("delete the line, or use vLLM {since} or newer")))
}

/// The engine's parser takes any unambiguous beginning of a flag's name for the flag.
fn unknown(lines: &Lines<'_>, name: &str, nearest: &[String]) -> Found {
    let completions = parsed::completions(lines.context.engine, lines.version, name);
    match completions.as_slice() {
        [only] => {
            let text = format!("taken for `{only}`, the only flag of vLLM {} that starts so; a newer one may add another", lines.version);
            lines.found("flag-abbreviated", Severity::Warning, name, &text).line("write the whole name", written(lines, name, only))
        }
        [] => {
            let text = format!("vLLM {} has no such flag and refuses to start", lines.version);
            let found = lines.found("flag-unknown", Severity::Error, name, &text);
            match nearest.first() {
                Some(first) => {
                    let names = nearest.join("`, `");
                    found.line(&format!("the nearest flags are `{names}`"), written(lines, name, first))
                }
                None => found.fix(Fix::edit("delete the line")),
            }
        }
        several => {
            let text =
                format!("stands for several flags of vLLM {}, which refuses to start; they are `{}`", lines.version, several.join("`, `"));
            lines.found("flag-ambiguous", Severity::Error, name, &text).fix(Fix::edit("write the whole name"))
        }
    }
}

/// The advice for a flag that nothing replaces, which the catalogue begins with "nothing".
fn instead_of_nothing(flag: &Flag) -> Option<String> {
    flag.replacement.as_deref()?.strip_prefix("nothing").map(|rest| format!("delete the line{rest}"))
}

fn with_replacement(lines: &Lines<'_>, found: Found, name: &str, flag: &Flag) -> Found {
    let source = flag.sources.first().cloned().unwrap_or_else(|| flag.origin.to_string());
    let found = match &flag.effect {
        Some(effect) => found.because("effect", effect.trim_end_matches('.'), &source),
        None => found,
    };
    if let Some(advice) = instead_of_nothing(flag) {
        return found.fix(Fix::edit(advice));
    }
    let current: Vec<&String> = flag.replaced_by.iter().filter(|other| lines.span(other).is_some()).collect();
    match (current.first(), &flag.replacement) {
        (Some(other), Some(text)) => found.line(&format!("write instead {text}"), written(lines, name, other)),
        (Some(other), None) => found.line("write instead", written(lines, name, other)),
        (None, Some(text)) => found.fix(Fix::edit(format!("write instead {text}"))),
        (None, None) => found.fix(Fix::edit("delete the line")),
    }
}

/// A sentence as it continues after a colon: `Keeps that` is `keeps that`, `GPU memory` stays.
fn lowered(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => first.to_lowercase().chain(chars).collect(),
        _ => sentence.to_owned(),
    }
}

/// The line of `name` under the name `other`. A value that `other` may not take is left to the reader.
fn written(lines: &Lines<'_>, name: &str, other: &str) -> String {
    match lines.args.get(name) {
        Some(Value::Null) | None => format!("{other}:"),
        Some(value @ (Value::Array(_) | Value::Object(_))) => format!("{other}: {value}"),
        Some(value) if super::line::is_secret(name) => format!("{other}: {}", shown(name, value)),
        Some(value) => format!("{other}: {}", plain(value)),
    }
}
