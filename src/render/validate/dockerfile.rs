//! The Dockerfile, instruction by instruction.

use parse_dockerfile::{Command, HealthcheckArguments, Instruction};
use serde_json::Value;

use crate::render::validate::{Problem, Reader, ValidateError};
use crate::render::vllm::Context;
use crate::render::vllm::environment::is_secret;

/// Fails unless the image is pinned, checked while it is built, runs as an ordinary user, and starts and
/// watches the server as meant.
pub fn check(reader: Reader, text: &str, context: &Context) -> Result<(), ValidateError> {
    let file = parse_dockerfile::parse(text).map_err(|error| reader.error(Problem::Syntax(error.to_string())))?;
    let mut read = Read::default();
    for instruction in &file.instructions {
        read.take(instruction);
    }
    let Server { entrypoint, command, health } = Server::meant(context);
    reader.same("FROM", &Value::from(vec![context.image.base.clone()]), &Value::from(read.from.clone()))?;
    if !is_pinned(&context.image.base) {
        return Err(reader.error(Problem::Syntax(format!("the image `{}` has no fixed tag", context.image.base))));
    }
    let user = format!("{0}:{0}", context.server.uid);
    reader.same("USER", &Value::from(user), &read.users.last().map_or(Value::Null, |user| Value::from(user.as_str())))?;
    reader.same("ENTRYPOINT", &Value::from(entrypoint), &read.entrypoint)?;
    reader.same("CMD", &Value::from(command), &read.command)?;
    reader.same("HEALTHCHECK", &Value::from(health), &read.health)?;
    let start = format!("{}s", context.sizes.start_seconds);
    reader.same("--start-period", &Value::from(start), &Value::from(read.start_period))?;
    if !read.runs.contains(&context.image.preflight) {
        return Err(reader.error(Problem::Dropped(format!("RUN {}", context.image.preflight))));
    }
    match read.variables.iter().find(|name| is_secret(name)) {
        Some(name) => Err(reader.error(Problem::Secret(name.clone()))),
        None => Ok(()),
    }
}

/// The three commands that were meant.
struct Server {
    entrypoint: Vec<String>,
    command: Vec<String>,
    health: Vec<String>,
}

impl Server {
    fn meant(context: &Context) -> Self {
        Self {
            entrypoint: vec!["/usr/local/bin/with-secrets".to_owned()],
            command: context.server.command.clone(),
            health: context.server.health.clone(),
        }
    }
}

/// What the instructions say.
#[derive(Default)]
struct Read {
    from: Vec<String>,
    users: Vec<String>,
    entrypoint: Value,
    command: Value,
    health: Value,
    start_period: String,
    runs: Vec<String>,
    variables: Vec<String>,
}

impl Read {
    fn take(&mut self, instruction: &Instruction<'_>) {
        match instruction {
            Instruction::From(from) => self.from.push(from.image.value.to_string()),
            Instruction::User(user) => self.users.push(user.arguments.value.to_string()),
            Instruction::Entrypoint(entrypoint) => self.entrypoint = words(&entrypoint.arguments),
            Instruction::Cmd(command) => self.command = words(&command.arguments),
            Instruction::Run(run) => {
                if let Command::Shell(shell) = &run.arguments {
                    self.runs.push(shell.value.trim().to_owned());
                }
            }
            Instruction::Env(env) => self.variables.extend(names(&env.arguments.value)),
            Instruction::Arg(arg) => self.variables.extend(names(&arg.arguments.value)),
            Instruction::Healthcheck(health) => {
                if let HealthcheckArguments::Cmd { arguments, .. } = &health.arguments {
                    self.health = words(arguments);
                }
                let start = health.options.iter().find(|option| option.name.value == "start-period");
                self.start_period = start.and_then(|option| option.value.as_ref()).map(|value| value.value.to_string()).unwrap_or_default();
            }
            _ => {}
        }
    }
}

/// The words of a command in exec form; shell form is a string, which equals no list.
fn words(command: &Command<'_>) -> Value {
    match command {
        Command::Exec(words) => words.value.iter().map(|word| Value::from(word.value.as_ref())).collect(),
        Command::Shell(text) => Value::from(text.value),
        _ => Value::Null,
    }
}

/// The names that an `ENV` or `ARG` instruction sets.
fn names(arguments: &str) -> impl Iterator<Item = String> {
    arguments.split_whitespace().map(|pair| pair.split('=').next().unwrap_or(pair).to_owned())
}

/// Whether `image` names one version: by digest, or by a tag other than a moving one.
fn is_pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.contains('@')
        || name.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && !tag.starts_with("latest") && !tag.starts_with("nightly"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_tag_is_not_pinned() {
        for image in ["vllm/vllm-openai:v0.25.1", "registry:5000/vllm@sha256:0", "vllm/vllm-openai:v0.25.1-cu129"] {
            assert!(is_pinned(image), "{image}");
        }
        for image in ["vllm/vllm-openai", "registry:5000/vllm", "vllm/vllm-openai:latest-cu129", "a:"] {
            assert!(!is_pinned(image), "{image}");
        }
    }
}
