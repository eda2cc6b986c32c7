//! serve.yaml, read as the engine reads it.

use serde_json::Value;

use crate::engine::yaml::read_arguments;
use crate::plan::outcome::Plan;
use crate::render::validate::{Problem, Reader, ValidateError};
use crate::render::vllm::Context;
use crate::render::vllm::arguments::SECRET_FLAGS;

/// Flags that the deployment decides, whatever the plan holds.
const DECIDED: [&str; 3] = ["model", "host", "port"];

/// Fails unless the file holds the plan's arguments and nothing else but what the deployment decides.
pub fn check(reader: Reader, text: &str, plan: &Plan, context: &Context) -> Result<(), ValidateError> {
    let read = read_arguments(text.as_bytes(), reader.file).map_err(|error| reader.error(error.into()))?;
    let decided = [
        ("model", Value::from(context.model.host.clone())),
        ("host", Value::from(context.server.bind.clone())),
        ("port", Value::from(context.server.port)),
    ];
    for (flag, value) in &decided {
        reader.same(flag, value, read.get(flag).unwrap_or(&Value::Null))?;
    }
    let mut expected = DECIDED.len();
    if plan.args.get("served-model-name").is_none() {
        let name = Value::from(context.model.name.clone());
        reader.same("served-model-name", &name, read.get("served-model-name").unwrap_or(&Value::Null))?;
        expected += 1;
    }
    for (flag, argument) in plan.args.0.iter().filter(|(flag, _)| !DECIDED.contains(&flag.as_str())) {
        let code_refused = flag == "trust-remote-code" && !plan.model.needs_remote_code;
        if SECRET_FLAGS.contains(&flag.as_str()) || code_refused {
            reader.same(flag, &Value::Null, read.get(flag).unwrap_or(&Value::Null))?;
            continue;
        }
        let negated = format!("no-{flag}");
        if argument.value == Value::Bool(false) && read.get(&negated).is_some() {
            reader.same(&negated, &Value::Bool(true), read.get(&negated).unwrap_or(&Value::Null))?;
        } else {
            let found = read.get(flag).unwrap_or(&Value::Null);
            reader.same(flag, &argument.value, &as_meant(&argument.value, found))?;
        }
        expected += 1;
    }
    if read.0.len() == expected {
        return Ok(());
    }
    Err(reader.error(Problem::Other {
        what: "the number of flags".to_owned(),
        expected: expected.to_string(),
        found: read.0.len().to_string(),
    }))
}

/// `found` as the engine takes it where `meant` is JSON: from a string of JSON.
fn as_meant(meant: &Value, found: &Value) -> Value {
    match (meant, found) {
        (Value::Object(_) | Value::Array(_), Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| found.clone()),
        _ => found.clone(),
    }
}
