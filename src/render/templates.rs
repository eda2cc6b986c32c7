//! The templates, embedded, and the filters that quote for each format.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::render::vllm::Context;
use crate::render::{Artifact, ArtifactKind, RenderError, quote};

/// The files that have a template, and it; pictures are drawn.
const fn source(kind: ArtifactKind) -> Option<&'static str> {
    Some(match kind {
        ArtifactKind::EngineConfig => include_str!("../../templates/vllm/serve.yaml.j2"),
        ArtifactKind::Environment => include_str!("../../templates/vllm/env.j2"),
        ArtifactKind::Dockerfile => include_str!("../../templates/vllm/Dockerfile.j2"),
        ArtifactKind::Compose => include_str!("../../templates/vllm/compose.yaml.j2"),
        ArtifactKind::Kubernetes => include_str!("../../templates/vllm/kubernetes.yaml.j2"),
        ArtifactKind::Explanation => include_str!("../../templates/vllm/PLAN.md.j2"),
        ArtifactKind::Picture => return None,
    })
}

/// The context of every template: what was decided, and serve.yaml itself for the files that carry it.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    context: &'a Context,
    serve_yaml_lines: Vec<&'a str>,
    serve_yaml_sha256: String,
}

/// Prints every file that has a template of `context`.
pub fn print(context: &Context) -> Result<Vec<Artifact>, RenderError> {
    let environment = environment()?;
    let serve_yaml = print_one(&environment, ArtifactKind::EngineConfig, context, "")?;
    let mut artifacts = vec![Artifact { kind: ArtifactKind::EngineConfig, text: serve_yaml.clone() }];
    for kind in ArtifactKind::ALL.into_iter().skip(1).filter(|kind| source(*kind).is_some()) {
        artifacts.push(Artifact { kind, text: print_one(&environment, kind, context, &serve_yaml)? });
    }
    Ok(artifacts)
}

fn print_one(environment: &Environment<'_>, kind: ArtifactKind, context: &Context, serve_yaml: &str) -> Result<String, RenderError> {
    let failed = |error: minijinja::Error| RenderError::Template { file: kind.file_name(), source: Box::new(error) };
    let template = environment.get_template(kind.file_name()).map_err(failed)?;
    let printed = Printed { context, serve_yaml_lines: serve_yaml.lines().collect(), serve_yaml_sha256: sha256(serve_yaml.as_bytes()) };
    template.render(Serde(&printed)).map_err(failed)
}

/// The SHA-256 of `content`, in hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn environment() -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(|error| RenderError::Template { file: "templates", source: Box::new(error) })?);
    environment.add_filter("yaml", |text: String| quote::yaml(&text));
    environment.add_filter("compose", |text: String| quote::yaml_with_dollars(&text));
    environment.add_filter("kubernetes", |text: String| quote::yaml_with_dollars(&text));
    environment.add_filter("one_line", |text: String| quote::one_line(&text));
    environment.add_filter("markdown", |text: String| quote::markdown(&text));
    environment.add_filter("code", |text: String| quote::markdown_code(&text));
    for (kind, source) in ArtifactKind::ALL.into_iter().filter_map(|kind| Some((kind, source(kind)?))) {
        let failed = |error: minijinja::Error| RenderError::Template { file: kind.file_name(), source: Box::new(error) };
        environment.add_template(kind.file_name(), source).map_err(failed)?;
    }
    Ok(environment)
}
