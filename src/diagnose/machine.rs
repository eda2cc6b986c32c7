//! The machine that a log is of, as the conditions of rules ask for it.

use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::advice;
use crate::expression::{CONSTANTS, environment};
use crate::facts::vocabulary::words;
use crate::facts::{Facts, Tree, source};
use crate::finding::Evidence;
use crate::units::Bytes;

/// What is known of the machine that printed a log; nothing by default.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its facts. `gpu` is its GPU, where it has one alone.
    facts: Value,
    /// The same with `gpu` for each of its GPUs in turn; once without where it has none.
    each: Vec<Value>,
}

impl Default for Machine {
    fn default() -> Self {
        Self { facts: context! {}, each: vec![context! {}] }
    }
}

impl Machine {
    /// The machine of `facts`.
    pub fn new(facts: &Facts) -> Self {
        Self::of(&Tree::new(facts).values)
    }

    /// A machine by its facts as plain values; what could not be read is left out of them.
    pub fn of(values: &serde_json::Value) -> Self {
        let whole = Value::from(Serde(values));
        let gpus = whole.get_attr("gpus").ok().and_then(|gpus| gpus.try_iter().ok()).into_iter().flatten();
        let mut each: Vec<Value> = gpus.map(|gpu| context! { gpu => gpu, ..whole.clone() }).collect();
        match each.as_slice() {
            [] => {
                each.push(whole.clone());
                Self { facts: whole, each }
            }
            [only] => Self { facts: only.clone(), each },
            _ => Self { facts: whole, each },
        }
    }

    /// Its facts, for the texts of rules.
    pub(super) const fn facts(&self) -> &Value {
        &self.facts
    }

    /// Whether `expression` is true of it: of one over `gpu`, whether it is of any GPU. `None` where that is not known.
    pub(super) fn holds(&self, expression: &str) -> Option<bool> {
        let mut known = Some(false);
        for facts in &self.each {
            match advice::holds(expression, facts) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => known = None,
            }
        }
        known
    }

    /// The facts that `expression` reads, with their values and where they were read.
    pub(super) fn evidence(&self, expression: &str) -> Vec<Evidence> {
        let environment = environment();
        let Ok(compiled) = environment.compile_expression(expression) else { return Vec::new() };
        let facts = self.each.iter().find(|facts| advice::holds(expression, facts) == Some(true)).unwrap_or(&self.facts);
        let mut paths: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
        paths.retain(|path| !CONSTANTS.contains(&path.as_str()));
        paths.sort_by_key(|path| expression.find(path.as_str()));
        let sizes = words();
        let shown = |path: String| {
            let value = environment.compile_expression(&path).ok()?.eval(facts).ok()?;
            let is_size = sizes.get(&path).is_some_and(|word| word.is_size);
            let size = u64::try_from(value.clone()).ok().filter(|_| is_size);
            // Texts in quotes or yes and no in capitals would be the language of rules, not of people.
            let plain = || serde_json::to_value(&value).ok().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let value = size.map(|size| Bytes(size).to_string()).or_else(plain)?;
            Some(Evidence { source: source(&path), fact: path, value })
        };
        paths.into_iter().filter_map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_on_cards_holds_where_any_card_fulfils_it() {
        let machine = Machine::of(&json!({"gpus": [{"vgpu": false}, {"vgpu": true}], "driver": {"loaded": true}}));
        assert_eq!(machine.holds("gpu.vgpu"), Some(true));
        assert_eq!(machine.holds("gpu.vgpu and not driver.loaded"), Some(false));
        assert_eq!(machine.holds("gpu.mig.enabled"), None);
        assert_eq!(Machine::default().holds("driver.loaded"), None);
    }

    #[test]
    fn evidence_is_what_a_condition_reads() {
        let machine = Machine::of(&json!({"host": {"shm": {"total": 67_108_864}}}));
        let [evidence] = machine.evidence("host.shm.total < 1 * GIB").try_into().expect("one fact");
        assert_eq!((evidence.fact.as_str(), evidence.value.as_str()), ("host.shm.total", "64 MiB"));
        assert_eq!(evidence.source, "statvfs(/dev/shm)");
        let machine = Machine::of(&json!({"driver": {"loaded": true}, "container": {"kind": "docker"}}));
        let values: Vec<String> =
            machine.evidence("driver.loaded and container.kind == 'docker'").into_iter().map(|fact| fact.value).collect();
        assert_eq!(values, ["true", "docker"]);
    }
}
