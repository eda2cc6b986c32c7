//! The names that rules may use: every fact with what it means, taken from the types themselves.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::catalog::ComputeCapability;
use crate::facts::{Facts, Gpu, Link};
use crate::reading::Reading;
use crate::units::Bytes;
use crate::version::Version;

/// A name that rules may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// What it means.
    pub meaning: String,
    /// Whether it is a size in bytes.
    pub is_size: bool,
    /// Whether other names are below it.
    pub has_parts: bool,
}

/// Every fact by its path: `driver.version`, `gpu.memory.free`, `link.level`. `gpu` and `link` stand for the one that a
/// rule is about; `env` may be followed by the name of any variable.
pub fn words() -> BTreeMap<String, Word> {
    let mut words = BTreeMap::new();
    for (prefix, schema) in [("", schemars::schema_for!(Facts)), ("gpu", schemars::schema_for!(Gpu)), ("link", schemars::schema_for!(Link))]
    {
        let root = schema.as_value();
        collect(prefix, root, root, &mut words);
    }
    words
}

fn collect(path: &str, schema: &Value, root: &Value, words: &mut BTreeMap<String, Word>) {
    for (name, property) in resolved(schema, root).get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let target = resolved(property, root);
        let text = |value: &Value| {
            value.get("description").and_then(Value::as_str).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let word = Word {
            meaning: text(property).or_else(|| text(target)).unwrap_or_default(),
            is_size: target.get("format").and_then(Value::as_str) == Some("bytes"),
            has_parts: target.get("properties").is_some(),
        };
        words.insert(path.clone(), word);
        collect(&path, target, root, words);
    }
}

/// What a schema refers to, or itself.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(name.strip_prefix('#')?));
    target.unwrap_or(schema)
}

/// A reading has the schema of what is read: rules see its value.
impl<T: JsonSchema> JsonSchema for Reading<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "format": "bytes"})
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

impl JsonSchema for ComputeCapability {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ComputeCapability".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_path_and_a_meaning() {
        let words = words();
        for path in ["driver.version", "gpu.memory.free", "gpus", "link.level", "host.shm.total", "engine.cuda", "target.driver"] {
            assert!(words.contains_key(path), "{path}");
        }
        assert!(words["gpu.memory.free"].is_size && !words["gpu.index"].is_size);
        let silent: Vec<&String> = words.iter().filter(|(_, word)| word.meaning.is_empty()).map(|(path, _)| path).collect();
        assert!(silent.is_empty(), "{silent:?}");
    }
}
