//! Facts as rules see them: plain values by path, and beside them what is absent or unreadable.

use serde_json::{Map, Value};

use crate::facts::Facts;

/// Facts as plain values. What is absent is `null`; what is unreadable is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// The values.
    pub values: Value,
    /// What is not known, by path.
    unknown: Vec<(String, Unknown)>,
}

/// Why a fact has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It was looked for and is not there.
    Absent,
    /// It could not be read, and why.
    Unreadable(String),
}

impl Tree {
    /// The tree of the facts.
    pub fn new(facts: &Facts) -> Self {
        Self::of(serde_json::to_value(facts).unwrap_or_default())
    }

    /// The tree of values in which readings are written as `{"known": …}`, `"absent"` and `{"unreadable": …}`.
    pub fn of(mut values: Value) -> Self {
        let mut unknown = Vec::new();
        resolve(&mut values, "", &mut unknown);
        Self { values, unknown }
    }

    /// Why the fact at `path` has no value: it, or something above it, is absent or unreadable.
    pub fn unknown(&self, path: &str) -> Option<&Unknown> {
        let above = |known: &str| path == known || path.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
        self.unknown.iter().find(|(known, _)| above(known)).map(|(_, unknown)| unknown)
    }

    /// Makes an environment variable absent unless it is set.
    pub fn unset(&mut self, name: &str) {
        let path = format!("env.{name}");
        if self.unknown(&path).is_some() {
            return;
        }
        let Value::Object(values) = &mut self.values else { return };
        let variables = values.entry("env").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(variables) = variables
            && !variables.contains_key(name)
        {
            variables.insert(name.to_owned(), Value::Null);
            self.unknown.push((path, Unknown::Absent));
        }
    }
}

/// Replaces readings by what they say; `false` where nothing is left.
fn resolve(value: &mut Value, path: &str, unknown: &mut Vec<(String, Unknown)>) -> bool {
    match value {
        Value::String(text) if text == "absent" => {
            unknown.push((path.to_owned(), Unknown::Absent));
            *value = Value::Null;
        }
        Value::Object(fields) => {
            if let Some(known) = only(fields, "known") {
                *value = known;
                // What was read is a value, whatever it reads like.
                return value.is_string() || resolve(value, path, unknown);
            }
            if let Some(Value::String(reason)) = only(fields, "unreadable") {
                unknown.push((path.to_owned(), Unknown::Unreadable(reason)));
                return false;
            }
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if fields.get_mut(&name).is_some_and(|field| !resolve(field, &below, unknown)) {
                    fields.shift_remove(&name);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                if !resolve(item, &format!("{path}.{index}"), unknown) {
                    *item = Value::Null;
                }
            }
        }
        _ => {}
    }
    true
}

/// The value of the only field, if it has this name.
fn only(fields: &mut Map<String, Value>, name: &str) -> Option<Value> {
    if fields.len() == 1 { fields.get_mut(name).map(Value::take) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_reading_becomes_its_value_or_a_reason() {
        let tree = Tree::of(json!({"driver": {"version": {"known": "580"}, "cuda": {"unreadable": "no library"}, "branch": "absent"}}));
        assert_eq!(tree.values, json!({"driver": {"version": "580", "branch": null}}));
        assert_eq!(tree.unknown("driver.cuda"), Some(&Unknown::Unreadable("no library".to_owned())));
        assert_eq!(tree.unknown("driver.branch"), Some(&Unknown::Absent));
        assert_eq!(tree.unknown("driver.version"), None);
    }

    #[test]
    fn a_variable_that_is_not_set_is_absent() {
        let mut tree = Tree::of(json!({"env": {"CUDA_HOME": {"known": "/usr/local/cuda"}}}));
        tree.unset("CUDA_HOME");
        tree.unset("NCCL_ALGO");
        assert_eq!(tree.values["env"], json!({"CUDA_HOME": "/usr/local/cuda", "NCCL_ALGO": null}));
        assert_eq!((tree.unknown("env.NCCL_ALGO"), tree.unknown("env.CUDA_HOME")), (Some(&Unknown::Absent), None));
    }
}
