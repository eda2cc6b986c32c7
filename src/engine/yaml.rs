//! Reads engine configurations in YAML, as the engine's own loader does, and refuses what no configuration needs.
//!
//! vLLM reads `--config` with PyYAML's safe loader: YAML 1.1 scalars, the last of two equal keys wins
//! silently. Here duplicate keys are refused, and aliases, depth and size have limits.

mod error;
mod scalar;
mod text;
mod tree;

use std::collections::HashMap;

use serde_json::Value;

pub use error::{YamlError, YamlProblem};

use crate::engine::arguments::{Argument, Arguments, Place};
use tree::{Content, Entry, Node};

/// The largest file that is read.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 48;
/// The most values in a file, aliases expanded.
pub const MAX_NODES: usize = 50_000;

/// The flags of an engine configuration, in order, with the place of each.
///
/// `flag.key: value` sets one key of a JSON flag, as on the engine's command line.
pub fn read_arguments(bytes: &[u8], file: &str) -> Result<Arguments, YamlError> {
    let root = single_document(bytes, file)?;
    let kind = root.kind();
    let Content::Map(entries) = root.content else {
        return Err(tree::error(file, root.line, root.column, YamlProblem::NotAMapping(kind)));
    };
    let mut arguments = Arguments::default();
    let mut seen: HashMap<String, (String, usize)> = HashMap::new();
    for entry in entries {
        let (flag, path) = flag_name(file, &entry)?;
        let spelling = path.iter().fold(flag.clone(), |name, key| name + "." + key);
        if let Some((earlier, first)) = seen.insert(spelling, (entry.key.clone(), entry.line)) {
            let problem = YamlProblem::DuplicateFlag { key: entry.key, earlier, first };
            return Err(tree::error(file, entry.line, entry.column, problem));
        }
        let place = Place { file: file.to_owned(), line: entry.line, column: entry.column };
        insert(&mut arguments, flag, &path, entry.value.into_json(), place);
    }
    Ok(arguments)
}

/// The one document of a YAML text as JSON, for files that gpudoctor itself wrote.
pub fn yaml_to_json(text: &str, file: &str) -> Result<Value, YamlError> {
    single_document(text.as_bytes(), file).map(Node::into_json)
}

/// All documents of a YAML text as JSON, as Kubernetes manifests have several.
pub fn yaml_documents_to_json(text: &str, file: &str) -> Result<Vec<Value>, YamlError> {
    let documents = tree::documents(text::decode(text.as_bytes(), file)?, file)?;
    Ok(documents.into_iter().map(Node::into_json).collect())
}

/// The flag and its argument that `--set FLAG=VALUE` gives; the value is read as in a file.
pub fn parse_set(given: &str) -> Result<(String, Argument), YamlError> {
    let place = Place { file: "--set".to_owned(), line: 0, column: 0 };
    let refused = || not_an_assignment("--set", given, "FLAG=VALUE, such as `max-num-seqs=8`");
    let (name, value) = given.split_once('=').ok_or_else(refused)?;
    let flag = Arguments::canonical(name.trim());
    let is_flag =
        flag.starts_with(|c: char| c.is_ascii_alphabetic()) && flag.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if !is_flag {
        return Err(refused());
    }
    Ok((flag, Argument { value: parse_value(value, "--set")?, place: Some(place) }))
}

/// The name and value that `--env NAME=VALUE` gives; the value stays text.
pub fn parse_env(given: &str) -> Result<(String, String), YamlError> {
    let refused = || not_an_assignment("--env", given, "NAME=VALUE, such as `VLLM_USE_V2_MODEL_RUNNER=0`");
    let (name, value) = given.split_once('=').ok_or_else(refused)?;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !value.contains('\0') {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err(refused())
    }
}

/// One value as it would stand in a file: a list or mapping in brackets, quoted text, or a plain scalar.
fn parse_value(text: &str, file: &str) -> Result<Value, YamlError> {
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '[', '"', '\'']) { yaml_to_json(trimmed, file) } else { Ok(scalar::plain(trimmed)) }
}

fn single_document(bytes: &[u8], file: &str) -> Result<Node, YamlError> {
    let mut documents = tree::documents(text::decode(bytes, file)?, file)?.into_iter();
    let first = documents.next().ok_or_else(|| tree::error(file, 1, 1, YamlProblem::Empty))?;
    match documents.next() {
        Some(second) => Err(tree::error(file, second.line, second.column, YamlProblem::SecondDocument)),
        None => Ok(first),
    }
}

/// The canonical flag of a key, and the path inside its JSON value.
fn flag_name(file: &str, entry: &Entry) -> Result<(String, Vec<String>), YamlError> {
    let refused = |problem| Err(tree::error(file, entry.line, entry.column, problem));
    if !entry.key_value.is_string() || entry.key.is_empty() {
        return refused(YamlProblem::KeyNotText(entry.key.clone()));
    }
    if entry.key.starts_with('-') {
        return refused(YamlProblem::DashedFlag(entry.key.clone()));
    }
    let mut parts = entry.key.split('.').map(str::to_owned);
    let flag = parts.next().map(|name| Arguments::canonical(&name)).unwrap_or_default();
    Ok((flag, parts.collect()))
}

/// Sets `flag`, or the key at `path` inside its JSON value, beside keys set before.
fn insert(arguments: &mut Arguments, flag: String, path: &[String], value: Value, place: Place) {
    if path.is_empty() {
        arguments.0.insert(flag, Argument { value, place: Some(place) });
        return;
    }
    let argument = arguments.0.entry(flag).or_insert_with(|| Argument { value: Value::Null, place: Some(place) });
    let mut slot = &mut argument.value;
    for key in path {
        if !slot.is_object() {
            *slot = Value::Object(serde_json::Map::new());
        }
        slot = &mut slot[key.as_str()];
    }
    *slot = value;
}

fn not_an_assignment(file: &str, given: &str, wanted: &'static str) -> YamlError {
    let given = given.to_owned();
    tree::error(file, 1, 1, YamlProblem::NotAnAssignment { given, wanted })
}

#[cfg(test)]
mod tests;
