//! Whether each value has the type and one of the values that this version accepts, and whether writing it changes anything.

use serde_json::Value;

use super::line::{Found, Lines, plain, shown};
use super::parsed::FALSE_SINCE;
use crate::catalog::{FlagSpan, FlagType};
use crate::finding::{Fix, Severity};

/// The first version read that hands lists in a file to the parser one by one; older ones make one text of them.
const LISTS_SINCE: &str = "0.10.2";
/// The first version read that hands mappings in a file to the parser as JSON; older ones make Python of them.
const MAPPINGS_SINCE: &str = "0.16.0";

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    lines
        .args
        .0
        .iter()
        .filter_map(|(flag, argument)| {
            let span = lines.span(flag)?;
            dropped_false(lines, flag, span, &argument.value)
                .or_else(|| unread_collection(lines, flag, span, &argument.value))
                .or_else(|| wrong(lines, flag, span, &argument.value))
                .or_else(|| default(lines, flag, span, &argument.value))
        })
        .collect()
}

/// `flag: false` in a file: older versions leave the line out instead of negating the flag.
fn dropped_false(lines: &Lines<'_>, flag: &str, span: &FlagSpan, value: &Value) -> Option<Found> {
    if *value == Value::Bool(false) && lines.negates(flag) && is_in_file(lines, flag) {
        let text = format!("vLLM {} drops a line that says `false` from a file; the line does nothing", lines.version);
        return Some(lines.found("flag-without-effect", Severity::Warning, flag, &text).fix(Fix::edit("delete the line")));
    }
    let is_off_anyway = matches!(&span.default, Some(Value::Bool(false))) || (span.default.is_none() && span.takes == FlagType::Switch);
    if *value != Value::Bool(false) || is_off_anyway || !is_in_file(lines, flag) {
        return None;
    }
    let negates = matches!(span.takes, FlagType::Boolean) && span.negatable;
    if negates && lines.since(FALSE_SINCE) {
        return None;
    }
    let text = format!("vLLM {} drops a line that says `false` from a file, so the default holds", lines.version);
    let found = lines.found("false-is-ignored", Severity::Error, flag, &text).because(
        "vllm.config-file.false",
        if negates { format!("read as --no-{flag} from {FALSE_SINCE} on") } else { "never read as a negation".to_owned() },
        "vllm/utils/argparse_utils.py, load_config_file",
    );
    Some(if negates { found.line("write the negated flag", format!("no-{flag}: true")) } else { found.fix(Fix::edit("delete the line")) })
}

/// Lists and mappings that an older version's file reader turns into text that its parser refuses.
fn unread_collection(lines: &Lines<'_>, flag: &str, _span: &FlagSpan, value: &Value) -> Option<Found> {
    let (kind, since) = match value {
        Value::Array(_) => ("list", LISTS_SINCE),
        Value::Object(_) => ("mapping", MAPPINGS_SINCE),
        _ => return None,
    };
    if lines.since(since) || !is_in_file(lines, flag) {
        return None;
    }
    let text = format!("vLLM {} cannot read a {kind} from a file; {since} and newer can", lines.version);
    let found = lines.found("value-not-allowed", Severity::Error, flag, &text).because(
        "vllm.config-file",
        format!("{kind}s from {since} on"),
        "vllm/utils, load_config_file",
    );
    Some(match value {
        Value::Object(_) => found.line("write it as JSON text", format!("{flag}: '{}'", value.to_string().replace('\'', "''"))),
        _ => found.fix(Fix::edit(format!("pass --{flag} on the command line"))),
    })
}

fn is_in_file(lines: &Lines<'_>, flag: &str) -> bool {
    lines.args.place(flag).is_some_and(|place| place.line > 0)
}

fn wrong(lines: &Lines<'_>, flag: &str, span: &FlagSpan, value: &Value) -> Option<Found> {
    let wanted = refusal(lines, flag, span, value)?;
    let text = format!("`{}` is not {wanted}; vLLM {} refuses to start", shown(flag, value), lines.version);
    let found = lines.found("value-not-allowed", Severity::Error, flag, &text);
    let choices = if span.choices.is_empty() { Vec::new() } else { nearest(&plain(value), &span.choices) };
    Some(match (choices.first(), corrected(span, value)) {
        (_, Some(line)) => found.line("write", format!("{flag}: {line}")),
        (Some(choice), None) => found.line("the nearest value is", format!("{flag}: {choice}")),
        (None, None) => found.fix(Fix::edit(format!("write {wanted}"))),
    })
}

/// What the value should be, if the engine's parser refuses it.
fn refusal(lines: &Lines<'_>, flag: &str, span: &FlagSpan, value: &Value) -> Option<String> {
    if value.is_null() || value.as_str() == Some("None") {
        let takes_nothing = matches!(span.takes, FlagType::Switch | FlagType::Boolean);
        return (!span.nullable && (takes_nothing || !span.choices.is_empty() || is_numeric(span))).then(|| wanted(span));
    }
    let fits = match span.takes {
        FlagType::Switch => value.is_boolean(),
        FlagType::Boolean => value.is_boolean() || is_truth_text(value) && !lines.since("0.9.0"),
        FlagType::Integer => is_integer(value) || is_human_integer(value) && takes_suffix(flag),
        FlagType::HumanInteger => is_integer(value) || is_human_integer(value) || is_auto(lines, flag, value),
        FlagType::Float => value.is_number() || value.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok()),
        FlagType::String => !value.is_boolean() && !value.is_array(),
        FlagType::KeyValues => value.is_string() || value.is_object(),
        FlagType::Json => value.is_object() || value.is_array() || json_text(value) || value.is_number(),
        FlagType::OptionalString | FlagType::List => true,
    };
    let chosen = |item: &Value| span.choices.is_empty() || span.choices.contains(&plain(item));
    let allowed = match value {
        Value::Array(items) if span.takes == FlagType::List => items.iter().all(chosen),
        Value::Bool(_) if matches!(span.takes, FlagType::Switch | FlagType::Boolean) => true,
        other => chosen(other),
    };
    (!fits || !allowed).then(|| wanted(span))
}

fn wanted(span: &FlagSpan) -> String {
    if !span.choices.is_empty() {
        return format!("one of `{}`", span.choices.join("`, `"));
    }
    match span.takes {
        FlagType::Switch | FlagType::Boolean => "`true` or `false`, without quotes",
        FlagType::Integer => "a whole number",
        FlagType::HumanInteger => "a whole number, such as `8192` or `8k`",
        FlagType::Float => "a number",
        FlagType::Json => "a mapping, or JSON text in quotes",
        FlagType::KeyValues => "`key=value` pairs with commas between them",
        FlagType::String | FlagType::OptionalString => "one text",
        FlagType::List => "a list",
    }
    .to_owned()
}

/// The value as it was probably meant.
fn corrected(span: &FlagSpan, value: &Value) -> Option<String> {
    match span.takes {
        FlagType::Switch | FlagType::Boolean => match plain(value).to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some("true".to_owned()),
            "false" | "0" | "no" | "off" => Some("false".to_owned()),
            _ => None,
        },
        FlagType::Integer | FlagType::HumanInteger if span.choices.is_empty() => {
            super::line::number(value).filter(|number| number.abs() < 9.0e15).map(|number| format!("{number:.0}"))
        }
        _ => None,
    }
}

/// A value that is the default: the line changes nothing.
fn default(lines: &Lines<'_>, flag: &str, span: &FlagSpan, value: &Value) -> Option<Found> {
    let is_default = match &span.default {
        Some(Value::Bool(default)) if lines.negates(flag) => *value == Value::Bool(!default),
        Some(default) => same(default, value),
        None => span.takes == FlagType::Switch && *value == Value::Bool(false),
    };
    let text = format!("`{}` is the default of vLLM {}; the line changes nothing", shown(flag, value), lines.version);
    is_default.then(|| lines.found("flag-is-default", Severity::Info, flag, &text))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
        _ => a == b,
    }
}

fn nearest(given: &str, choices: &[String]) -> Vec<String> {
    let mut scored: Vec<(f64, &String)> = choices.iter().map(|choice| (strsim::jaro_winkler(given, choice), choice)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().filter(|(score, _)| *score > 0.6).take(3).map(|(_, choice)| choice.clone()).collect()
}

fn is_numeric(span: &FlagSpan) -> bool {
    matches!(span.takes, FlagType::Integer | FlagType::HumanInteger | FlagType::Float)
}

fn is_truth_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "false"))
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_str().is_some_and(|text| text.trim().parse::<i64>().is_ok())
}

/// `8k` is 8000 and may have a fraction; `8K` is 8192 and may not.
fn is_human_integer(value: &Value) -> bool {
    let Some(text) = value.as_str().map(str::trim) else { return false };
    let Some(suffix) = text.chars().last() else { return false };
    let number = &text[..text.len() - suffix.len_utf8()];
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match suffix {
        'k' | 'm' | 'g' | 't' => number.split_once('.').map_or_else(|| digits(number), |(whole, part)| digits(whole) && digits(part)),
        'K' | 'M' | 'G' | 'T' => digits(number),
        _ => false,
    }
}

/// Flags that the engine reads with `human_readable_int`, whatever their declared type.
fn takes_suffix(flag: &str) -> bool {
    matches!(flag, "max-model-len" | "max-num-batched-tokens" | "kv-cache-memory-bytes" | "max-num-seqs")
}

fn is_auto(lines: &Lines<'_>, flag: &str, value: &Value) -> bool {
    flag == "max-model-len" && lines.since("0.14.0") && value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("auto"))
}

fn json_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_ok())
}
