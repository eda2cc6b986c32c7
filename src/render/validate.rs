//! Reads every rendered file back and compares it with what was meant. Only what passes can be written.

pub mod compose;
pub mod dockerfile;
pub mod dotenv;
pub mod kubernetes;
pub mod picture;
pub mod serve;

use serde_json::Value;

use crate::engine::yaml::YamlError;
use crate::hint::Hint;
use crate::plan::outcome::{Plan, Validation};
use crate::render::options::RenderOptions;
use crate::render::vllm::arguments::SECRET_FLAGS;
use crate::render::vllm::environment::is_secret;
use crate::render::vllm::{self, Context};
use crate::render::{Artifact, ArtifactKind, RenderError};

/// The shortest secret that is looked for in the files; a shorter one would be found by chance.
const SECRET_LENGTH: usize = 8;

/// Files that were read back and say what the plan says. There is no other way to make one.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    artifacts: Vec<Artifact>,
    statement: String,
}

impl Validated {
    /// The files.
    pub fn artifacts(&self) -> &[Artifact] {
        &self.artifacts
    }

    /// The line of the validation that this proves.
    pub fn validation(&self) -> Validation {
        Validation { id: "files".to_owned(), statement: self.statement.clone(), holds: Some(true) }
    }
}

/// Reads `artifacts` back and compares them with `plan`. Fails at the first difference.
pub fn validate(plan: &Plan, options: &RenderOptions, artifacts: Vec<Artifact>) -> Result<Validated, ValidateError> {
    let context = vllm::context(plan, options)?;
    for kind in ArtifactKind::ALL {
        let mut texts = artifacts.iter().filter(|artifact| artifact.kind == kind).map(|artifact| artifact.text.as_str());
        let reader = Reader { file: kind.file_name() };
        let text = texts.next().ok_or_else(|| reader.error(Problem::Missing))?;
        if texts.next().is_some() {
            return Err(reader.error(Problem::Twice));
        }
        reader.no_secrets(plan, text)?;
        match kind {
            ArtifactKind::EngineConfig => serve::check(reader, text, plan, &context)?,
            ArtifactKind::Environment => dotenv::check(reader, text, plan, &context)?,
            ArtifactKind::Dockerfile => dockerfile::check(reader, text, &context)?,
            ArtifactKind::Compose => compose::check(reader, text, &context)?,
            ArtifactKind::Kubernetes => kubernetes::check(reader, text, serve_yaml(&artifacts), &context)?,
            ArtifactKind::Explanation => explanation(reader, text, &context)?,
            ArtifactKind::Picture => picture::check(reader, text, plan)?,
        }
    }
    let statement = format!("{} files read back as planned", artifacts.len());
    Ok(Validated { artifacts, statement })
}

fn serve_yaml(artifacts: &[Artifact]) -> &str {
    artifacts.iter().find(|artifact| artifact.kind == ArtifactKind::EngineConfig).map_or("", |artifact| artifact.text.as_str())
}

/// PLAN.md is prose: it names every flag, and each of its fences is closed.
fn explanation(reader: Reader, text: &str, context: &Context) -> Result<(), ValidateError> {
    let mut open: Option<usize> = None;
    for line in text.lines().map(str::trim_start) {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match open {
            None if ticks >= 3 => open = Some(ticks),
            Some(opened) if ticks >= opened && line.len() == ticks => open = None,
            _ => {}
        }
    }
    reader.same("an open fence at the end", &Value::Bool(false), &Value::Bool(open.is_some()))?;
    match context.arguments.iter().find(|line| !text.contains(&format!("`{}`", line.flag))) {
        Some(line) => Err(reader.error(Problem::Dropped(line.flag.clone()))),
        None => Ok(()),
    }
}

/// The file that is being read back.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    file: &'static str,
}

impl Reader {
    fn error(self, problem: Problem) -> ValidateError {
        ValidateError::Differs { file: self.file, problem }
    }

    /// Fails unless `found` is `expected`.
    fn same(self, what: &str, expected: &Value, found: &Value) -> Result<(), ValidateError> {
        if expected == found {
            return Ok(());
        }
        Err(self.error(Problem::Other { what: what.to_owned(), expected: expected.to_string(), found: found.to_string() }))
    }

    /// Fails unless the value at `pointer` of `document` is `expected`.
    fn at(self, document: &Value, pointer: &str, expected: impl Into<Value>) -> Result<(), ValidateError> {
        self.same(pointer, &expected.into(), document.pointer(pointer).unwrap_or(&Value::Null))
    }

    /// Fails when a typed reader of the format lost a part of `document`, or read it as something else.
    fn nothing_dropped(self, document: &Value, typed: &Value) -> Result<(), ValidateError> {
        match first_difference(document, typed) {
            Some(path) => Err(self.error(Problem::Dropped(path))),
            None => Ok(()),
        }
    }

    /// Fails when a secret of the plan's own arguments or environment stands in `text`.
    fn no_secrets(self, plan: &Plan, text: &str) -> Result<(), ValidateError> {
        let flags = SECRET_FLAGS.iter().filter_map(|flag| plan.args.get(flag).and_then(Value::as_str).map(|value| (*flag, value)));
        let variables =
            plan.env.iter().filter(|(name, _)| is_secret(name)).map(|(name, variable)| (name.as_str(), variable.value.as_str()));
        let mut secrets = flags.chain(variables).filter(|(_, value)| value.len() >= SECRET_LENGTH);
        match secrets.find(|(_, value)| text.contains(value)) {
            Some((name, _)) => Err(self.error(Problem::Secret(name.to_owned()))),
            None => Ok(()),
        }
    }
}

/// The path of the first place where the two documents differ; nulls count as absent.
fn first_difference(one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            keys.find_map(|key| {
                let below = first_difference(one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                below.map(|path| format!("/{key}{path}"))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(place, (one, other))| first_difference(one, other).map(|path| format!("/{place}{path}")))
        }
        _ if one == other => None,
        _ => Some(String::new()),
    }
}

/// `document` with `$$` read as `$` in every string; `None` where a single `$` starts a variable.
fn without_dollars(document: &Value) -> Option<Value> {
    Some(match document {
        Value::String(text) => {
            let parts: Vec<&str> = text.split("$$").collect();
            if parts.iter().any(|part| part.contains('$')) {
                return None;
            }
            Value::String(parts.join("$"))
        }
        Value::Array(items) => Value::Array(items.iter().map(without_dollars).collect::<Option<_>>()?),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| Some((key.clone(), without_dollars(value)?))).collect::<Option<_>>()?)
        }
        other => other.clone(),
    })
}

/// Why files may not be written.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The plan cannot be rendered at all.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A file does not say what was meant: gpudoctor's own fault, or a value that it cannot write.
    #[error("`{file}` does not read back as planned: {problem}")]
    Differs {
        /// The file.
        file: &'static str,
        /// The difference.
        problem: Problem,
    },
}

impl Hint for ValidateError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Render(error) => error.hint(),
            Self::Differs { .. } => Some("report this with the command line; nothing was written".to_owned()),
        }
    }
}

/// A difference between a file and what was meant.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It was not rendered.
    #[error("it is missing")]
    Missing,
    /// It was rendered twice.
    #[error("it was rendered twice")]
    Twice,
    /// Not YAML.
    #[error("{0}")]
    Yaml(#[from] YamlError),
    /// Not of the format.
    #[error("{0}")]
    Syntax(String),
    /// A typed reader of the format knows no such field, or reads it as something else.
    #[error("`{0}` is lost")]
    Dropped(String),
    /// A `$` that would be expanded.
    #[error("a single `$` in it starts a variable")]
    Variable,
    /// Something else than meant.
    #[error("{what} is {found} instead of {expected}")]
    Other {
        /// What differs.
        what: String,
        /// What was meant.
        expected: String,
        /// What it reads back as.
        found: String,
    },
    /// A secret.
    #[error("it holds the secret of `{0}`")]
    Secret(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_field_is_found_by_its_path() {
        let document = serde_json::json!({"a": [{"b": 1, "c": 2}], "d": null});
        let typed = serde_json::json!({"a": [{"b": 1}]});
        assert_eq!(first_difference(&document, &typed).as_deref(), Some("/a/0/c"));
        assert_eq!(first_difference(&typed, &typed), None);
    }

    #[test]
    fn a_single_dollar_is_a_variable() {
        assert_eq!(without_dollars(&Value::from("a$$b$$$$c")), Some(Value::from("a$b$$c")));
        assert_eq!(without_dollars(&Value::from("a$b")), None);
        assert_eq!(without_dollars(&Value::from("a$$$b")), None);
    }
}
