//! How a config.json that was read differs from the catalogue's entry of the model that it is named after.

use std::path::Path;

use crate::catalog::{Catalog, Model};
use crate::finding::{Evidence, Finding, Severity};
use crate::model::catalogue_entry;
use crate::model::config::ModelConfig;
use crate::model::difference::differences;

/// The differences as a note; `None` if the catalogue has no such model, or there is none.
pub(super) fn note(config: &ModelConfig, name: &str, catalog: &Catalog) -> Option<Finding> {
    let entry = entry(name, catalog)?;
    let found = differences(&catalogue_entry::shape(entry).ok()?, &config.shape);
    if found.is_empty() {
        return None;
    }
    let fields = if found.len() == 1 { "a field".to_owned() } else { format!("{} fields", found.len()) };
    let evidence = found.into_iter().map(|difference| Evidence {
        fact: difference.field,
        value: format!("{}, and {} in the catalogue", difference.given, difference.catalogue),
        source: config.place.clone(),
    });
    Some(Finding {
        id: "model-differs-from-catalogue".to_owned(),
        severity: Severity::Info,
        subject: "model".to_owned(),
        message: format!("differs from the catalogue's entry of {} in {fields}; the plan follows config.json", entry.id),
        evidence: evidence.collect(),
        fixes: Vec::new(),
    })
}

/// The entry that a hub id or a path names: `org/model`, `…/org/model`, `…/model`, or a folder of the hub's cache.
fn entry<'a>(name: &str, catalog: &'a Catalog) -> Option<&'a Model> {
    let parts: Vec<&str> = Path::new(name).iter().filter_map(|part| part.to_str()).collect();
    let cached = parts.iter().find_map(|part| part.strip_prefix("models--")).map(|id| id.replacen("--", "/", 1));
    let parts = match parts.as_slice() {
        [folders @ .., file] if file.ends_with(".json") || file.ends_with(".safetensors") => folders,
        all => all,
    };
    let last = parts.last().map(|last| (*last).to_owned());
    let last_two = parts.last_chunk::<2>().map(|[owner, model]| format!("{owner}/{model}"));
    let names = [cached, last_two, last].into_iter().flatten();
    names.filter(|name| catalog.model_size(name).is_none()).find_map(|name| catalog.model(&name).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_model_that_it_ends_in() {
        let catalog = Catalog::builtin();
        let id = |name: &str| entry(name, &catalog).map(|entry| entry.id.clone());
        let expected = Some("Qwen/Qwen3-8B".to_owned());
        for name in [
            "Qwen/Qwen3-8B",
            "/models/Qwen/Qwen3-8B",
            "/models/Qwen3-8B/config.json",
            "/root/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/0123",
        ] {
            assert_eq!(id(name), expected, "{name}");
        }
        assert_eq!(id("/models/70b"), None);
        assert_eq!(id("/models/ours"), None);
    }
}
