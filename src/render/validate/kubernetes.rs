//! kubernetes.yaml, through the types of the Kubernetes API.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::engine::yaml::yaml_documents_to_json;
use crate::render::validate::{Problem, Reader, ValidateError};
use crate::render::vllm::Context;

/// Fails unless every field is one of the API's and the objects are the ones that were meant.
pub fn check(reader: Reader, text: &str, serve_yaml: &str, context: &Context) -> Result<(), ValidateError> {
    let documents = yaml_documents_to_json(text, reader.file).map_err(|error| reader.error(error.into()))?;
    let kinds: Vec<&str> = documents.iter().filter_map(|document| document.get("kind")?.as_str()).collect();
    reader.same("the kinds", &json!(["ConfigMap", "PersistentVolumeClaim", "Deployment", "Service"]), &json!(kinds))?;
    let [config, claim, deployment, service] = documents.as_slice() else {
        return Err(reader.error(Problem::Missing));
    };
    typed::<ConfigMap>(reader, config)?;
    typed::<PersistentVolumeClaim>(reader, claim)?;
    typed::<Deployment>(reader, deployment)?;
    typed::<Service>(reader, service)?;
    let name = context.server.service.as_str();
    for (document, suffix) in [(config, ""), (claim, "-cache"), (deployment, ""), (service, "")] {
        reader.at(document, "/metadata/name", format!("{name}{suffix}"))?;
    }
    reader.at(config, "/data/serve.yaml", serve_yaml)?;
    reader.at(service, "/spec/type", "ClusterIP")?;
    reader.at(service, "/spec/ports/0/port", context.server.port)?;
    reader.at(deployment, "/spec/strategy/type", "Recreate")?;
    let pod = deployment.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    check_pod(reader, pod, context)
}

fn check_pod(reader: Reader, pod: &Value, context: &Context) -> Result<(), ValidateError> {
    let Context { server, sizes, image, gpus, .. } = context;
    reader.at(pod, "/automountServiceAccountToken", false)?;
    reader.at(pod, "/enableServiceLinks", false)?;
    reader.at(pod, "/securityContext/runAsNonRoot", true)?;
    reader.at(pod, "/securityContext/runAsUser", server.uid)?;
    let container = pod.pointer("/containers/0").unwrap_or(&Value::Null);
    reader.at(container, "/image", image.kubernetes.as_str())?;
    reader.at(container, "/securityContext/allowPrivilegeEscalation", false)?;
    reader.at(container, "/securityContext/readOnlyRootFilesystem", true)?;
    reader.at(container, "/resources/limits/nvidia.com~1gpu", gpus.count.to_string())?;
    reader.at(container, "/resources/requests/memory", format!("{}Gi", sizes.memory_request_gib))?;
    reader.at(container, "/resources/limits/memory", format!("{}Gi", sizes.memory_limit_gib))?;
    reader.at(container, "/startupProbe/failureThreshold", sizes.startup_failures)?;
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        reader.at(container, &format!("/{probe}/httpGet/path"), "/health")?;
    }
    let command = container.get("command").and_then(expand_all).ok_or_else(|| reader.error(Problem::Variable))?;
    reader.same("the command", &json!(server.command), &json!(command))?;
    let variables = container.get("env").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let value = |name: &str| {
        let variable = variables.iter().find(|variable| variable.get("name").and_then(Value::as_str) == Some(name))?;
        expand(variable.get("value")?.as_str()?)
    };
    for line in context.environment.iter().filter(|line| line.set) {
        reader.same(&line.name, &json!(line.value), &json!(value(&line.name)))?;
    }
    let key = variables.iter().find(|variable| variable.get("name").and_then(Value::as_str) == Some("VLLM_API_KEY"));
    let reference = key.and_then(|key| key.pointer("/valueFrom/secretKeyRef/name")).cloned().unwrap_or_default();
    reader.same("VLLM_API_KEY", &json!(format!("{}-api-key", server.service)), &reference)
}

/// Fails unless `document` is a `T` of which nothing is lost.
fn typed<T: Serialize + DeserializeOwned>(reader: Reader, document: &Value) -> Result<(), ValidateError> {
    let syntax = |error: serde_json::Error| reader.error(Problem::Syntax(error.to_string()));
    let object: T = serde_json::from_value(document.clone()).map_err(syntax)?;
    reader.nothing_dropped(document, &serde_json::to_value(&object).map_err(syntax)?)
}

fn expand_all(words: &Value) -> Option<Vec<String>> {
    words.as_array()?.iter().map(|word| expand(word.as_str()?)).collect()
}

/// `text` as the kubelet expands it, when it refers to no variable: `$$` is `$`.
fn expand(text: &str) -> Option<String> {
    let mut expanded = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '$' {
            match characters.peek() {
                Some('$') => drop(characters.next()),
                Some('(') => return None,
                _ => {}
            }
        }
        expanded.push(character);
    }
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_expands_references_only() {
        assert_eq!(expand("a$$(B)$c").as_deref(), Some("a$(B)$c"));
        assert_eq!(expand("$(B)"), None);
    }
}
