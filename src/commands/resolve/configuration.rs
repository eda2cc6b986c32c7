//! An engine configuration that is to be judged, with what the command line says beside it.

use std::path::Path;

use serde_json::Value;

use crate::engine::arguments::{Arguments, Place};
use crate::engine::yaml::{MAX_BYTES, read_arguments};
use crate::error::Error;
use crate::plan::request::PlanRequest;

/// The arguments of `file`, and over them those of `request`.
///
/// # Errors
/// When the file cannot be read, or is no engine configuration.
pub fn configuration(file: &Path, request: &PlanRequest) -> Result<Arguments, Error> {
    let name = file.display().to_string();
    let metadata = fs_err::metadata(file).map_err(|error| unreadable(&name, &error))?;
    if metadata.len() > MAX_BYTES as u64 {
        return Err(Error::input(format!("{name} has {} bytes, more than an engine configuration can have", metadata.len()))
            .with_hint("name the YAML file that `vllm serve --config` gets"));
    }
    let bytes = fs_err::read(file).map_err(|error| unreadable(&name, &error))?;
    let mut arguments = read_arguments(&bytes, &name).map_err(|error| Error::input(error.to_string()))?;
    lay_over(&mut arguments, request);
    Ok(arguments)
}

/// The model that a configuration names.
///
/// # Errors
/// When it names none.
pub fn model(arguments: &Arguments, file: &Path) -> Result<String, Error> {
    match arguments.get("model").or_else(|| arguments.get("model-tag")) {
        Some(Value::String(model)) if !model.trim().is_empty() => Ok(model.clone()),
        _ => Err(Error::input(format!("{} names no model", file.display())).with_hint("name it with `--model`")),
    }
}

/// What the command line gives stands over what the file says.
fn lay_over(arguments: &mut Arguments, request: &PlanRequest) {
    let place = |option: &str| Place { file: option.to_owned(), line: 0, column: 0 };
    let mut give = |flag: &str, option: &str, value: Option<Value>| {
        if let Some(value) = value {
            arguments.set_at(flag, value, place(option));
        }
    };
    give("max-model-len", "--context", request.context.map(Value::from));
    give("max-num-seqs", "--concurrency", request.concurrency.map(Value::from));
    give("quantization", "--quantization", request.quantization.clone().map(Value::from));
    give("host", "--bind", request.bind.map(|address| address.to_string().into()));
    for (flag, argument) in &request.fixed.0 {
        arguments.0.insert(flag.clone(), argument.clone());
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    let message = match error.kind() {
        std::io::ErrorKind::NotFound => format!("`{name}` does not exist"),
        std::io::ErrorKind::IsADirectory => format!("`{name}` is a directory"),
        _ => error.to_string(),
    };
    Error::input(message).with_hint("name the YAML file that `vllm serve --config` gets")
}
