//! compose.yaml, through a typed reader of the Compose format.

use docker_compose_types::Compose;
use serde_json::{Value, json};

use crate::engine::yaml::yaml_to_json;
use crate::render::validate::{Problem, Reader, ValidateError, without_dollars};
use crate::render::vllm::Context;

/// Fails unless every field is one of the format's and the service is the one that was meant.
pub fn check(reader: Reader, text: &str, context: &Context) -> Result<(), ValidateError> {
    let document = yaml_to_json(text, reader.file).map_err(|error| reader.error(error.into()))?;
    let syntax = |error: serde_json::Error| reader.error(Problem::Syntax(error.to_string()));
    let typed: Compose = serde_json::from_value(document.clone()).map_err(syntax)?;
    reader.nothing_dropped(&document, &serde_json::to_value(&typed).map_err(syntax)?)?;
    let document = without_dollars(&document).ok_or_else(|| reader.error(Problem::Variable))?;
    let Context { server, sizes, image, model, gpus, .. } = context;
    let service = document
        .pointer(&format!("/services/{}", server.service))
        .ok_or_else(|| reader.error(Problem::Dropped(format!("/services/{}", server.service))))?;
    reader.at(&document, "/name", server.service.as_str())?;
    reader.at(service, "/image", image.tag.as_str())?;
    reader.at(service, "/user", format!("{0}:{0}", server.uid))?;
    reader.at(service, "/ports", json!([server.published]))?;
    reader.at(service, "/env_file", json!([".env"]))?;
    reader.at(service, "/shm_size", format!("{}g", sizes.shm_gib))?;
    reader.at(service, "/mem_limit", format!("{}g", sizes.memory_limit_gib))?;
    reader.at(service, "/ulimits/memlock", json!({"soft": -1, "hard": -1}))?;
    reader.at(service, "/restart", "on-failure:3")?;
    reader.at(service, "/read_only", true)?;
    reader.at(service, "/cap_drop", json!(["ALL"]))?;
    reader.at(service, "/security_opt", json!(["no-new-privileges:true"]))?;
    let test: Vec<&str> = std::iter::once("CMD").chain(server.health.iter().map(String::as_str)).collect();
    reader.at(service, "/healthcheck/test", json!(test))?;
    reader.at(service, "/healthcheck/start_period", format!("{}s", sizes.start_seconds))?;
    let names: Vec<&str> = server.secrets.iter().map(|secret| secret.name).collect();
    reader.at(service, "/secrets", if names.is_empty() { Value::Null } else { json!(names) })?;
    for name in names {
        reader.at(&document, &format!("/secrets/{name}"), json!({"file": format!("./secrets/{name}")}))?;
    }
    let mounted = mounted(service).into_iter().find(|(_, target)| *target == "/model").map(|(source, _)| source);
    reader.same("the mounted model", &json!(model.mount), &json!(mounted))?;
    let device = service.pointer("/deploy/resources/reservations/devices/0").cloned().unwrap_or_default();
    reader.at(&device, "/capabilities", json!(["gpu"]))?;
    match device.get("device_ids") {
        Some(ids) => reader.same("the GPUs", &json!(gpus.ids), &json!(listed(ids))),
        None => reader.at(&device, "/count", gpus.count),
    }
}

/// Source and target of the volumes that are mounted read-only.
fn mounted(service: &Value) -> Vec<(&str, &str)> {
    let volumes = service.get("volumes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    volumes
        .iter()
        .filter(|volume| volume.get("read_only") == Some(&Value::Bool(true)))
        .filter_map(|volume| Some((volume.get("source")?.as_str()?, volume.get("target")?.as_str()?)))
        .collect()
}

/// The items of a list of strings as they stand in the context.
fn listed(ids: &Value) -> Option<String> {
    let ids: Option<Vec<String>> = ids.as_array()?.iter().map(|id| id.as_str().map(crate::render::quote::yaml)).collect();
    Some(ids?.join(", "))
}
