//! The lines of serve.yaml: the plan's arguments, and what the deployment adds or keeps out.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use crate::plan::outcome::Plan;
use crate::render::RenderError;
use crate::render::options::RenderOptions;
use crate::render::quote;
use crate::render::vllm::Model;

/// Columns of a comment, `# ` not counted.
const COMMENT_WIDTH: usize = 110;

/// Flags whose value is a secret: never written.
pub const SECRET_FLAGS: [&str; 3] = ["api-key", "hf-token", "ssl-keyfile-password"];

/// One line of serve.yaml.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArgumentLine {
    /// The flag, without dashes.
    pub flag: String,
    /// Its value as the file reads back.
    pub value: Value,
    /// Its value as it is written.
    pub yaml: String,
    /// Why it is there, in comment lines.
    pub why: Vec<String>,
}

/// The lines of serve.yaml, and comments on what it leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArgumentLines {
    /// The lines.
    pub lines: Vec<ArgumentLine>,
    /// Comments on what is left out, each in lines.
    pub left_out: Vec<Vec<String>>,
}

/// The lines of serve.yaml for `plan`: first what the deployment decides, then the plan's arguments in their order.
pub fn lines(plan: &Plan, options: &RenderOptions, model: &Model) -> Result<ArgumentLines, RenderError> {
    let mut result = ArgumentLines::default();
    let mut decided: IndexMap<&str, (Value, &str)> = IndexMap::new();
    decided.insert("model", (model.host.clone().into(), "what to serve; inside a container the command names its place there"));
    if plan.args.get("served-model-name").is_none() {
        decided.insert("served-model-name", (model.name.clone().into(), "the name that requests use"));
    }
    decided.insert(
        "host",
        (
            options.bind.to_string().into(),
            if options.bind.is_loopback() { "this machine only, unless asked otherwise" } else { "as asked: other machines too" },
        ),
    );
    decided.insert("port", (options.port.into(), "where it listens"));
    for (flag, (value, why)) in &decided {
        result.lines.push(line(flag, value.clone(), why)?);
    }
    for (flag, argument) in &plan.args.0 {
        if flag.is_empty() || !flag.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-') || flag.starts_with('-') {
            return Err(RenderError::NotAFlag(flag.clone()));
        }
        if decided.contains_key(flag.as_str()) {
            continue;
        }
        if SECRET_FLAGS.contains(&flag.as_str()) {
            let why = format!("{flag} is left out: a secret comes from a secret, never from a file that gpudoctor writes");
            result.left_out.push(quote::comment(&why, COMMENT_WIDTH));
            continue;
        }
        if flag == "trust-remote-code" && !model.remote_code {
            let why = format!(
                "{flag} is left out: the engine has a class of its own for {}, and strange code has no reason to run",
                plan.model.architecture
            );
            result.left_out.push(quote::comment(&why, COMMENT_WIDTH));
            continue;
        }
        let why = why(plan, flag, argument.place.as_ref().map(ToString::to_string), model);
        if argument.value == Value::Bool(false) && options.negatable.contains(flag) {
            result.lines.push(line(&format!("no-{flag}"), Value::Bool(true), &why)?);
        } else {
            result.lines.push(line(flag, argument.value.clone(), &why)?);
        }
    }
    Ok(result)
}

/// Why the plan holds `flag`: the planner's own words, or where it was given.
fn why(plan: &Plan, flag: &str, place: Option<String>, model: &Model) -> String {
    if flag == "trust-remote-code" && model.remote_code {
        return "the engine has no class for this architecture, so the checkpoint's own Python code runs in the server: read it first"
            .to_owned();
    }
    let decided = plan.decisions.iter().find(|decision| decision.flag.trim_start_matches('-') == flag).map(|decision| decision.why.clone());
    match (decided, place) {
        (Some(why), _) => why,
        (None, Some(place)) => format!("as given in {place}"),
        (None, None) => "part of the plan".to_owned(),
    }
}

fn line(flag: &str, value: Value, why: &str) -> Result<ArgumentLine, RenderError> {
    let refused = || RenderError::NotAValue { flag: flag.to_owned(), value: quote::one_line(&value.to_string()) };
    let texts = value.as_array().map_or_else(|| std::slice::from_ref(&value), Vec::as_slice);
    if texts.iter().filter_map(Value::as_str).any(|text| is_dashed(text) || text.contains('\0')) {
        return Err(refused());
    }
    let yaml = quote::yaml_value(&value).ok_or_else(refused)?;
    Ok(ArgumentLine { flag: flag.to_owned(), value, yaml, why: quote::comment(why, COMMENT_WIDTH) })
}

/// Whether the engine's parser would take `text` for a flag: it starts with a dash and is no number.
fn is_dashed(text: &str) -> bool {
    text.starts_with('-') && text.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_looks_like_a_flag_is_refused() {
        assert!(line("tokenizer", "--trust-remote-code".into(), "").is_err());
        assert!(line("lora-modules", serde_json::json!(["a", "-b"]), "").is_err());
        assert!(line("max-model-len", "-1".into(), "").is_ok());
        assert!(line("max-model-len", Value::Null, "").is_err());
    }
}
