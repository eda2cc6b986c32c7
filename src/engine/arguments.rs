//! Launch arguments as somebody wrote them, before the engine's defaults.

use indexmap::IndexMap;
use serde_json::Value;

/// Where in a file a value stands, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it, or `--set`.
    pub file: String,
    /// Line; 0 where there is none.
    pub line: usize,
    /// Column; 0 where there is none.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// One argument: its value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The value: a scalar, or JSON for flags that take JSON.
    pub value: Value,
    /// Where it was written; `None` for one that the planner chose.
    pub place: Option<Place>,
}

/// Arguments by flag name: without leading dashes, words joined by `-` (`max-model-len`). In the order given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(pub IndexMap<String, Argument>);

impl Arguments {
    /// The canonical form of a flag's name: `--max_model_len` is `max-model-len`.
    pub fn canonical(name: &str) -> String {
        name.trim_start_matches('-').replace('_', "-")
    }

    /// The value of `flag`, if given.
    pub fn get(&self, flag: &str) -> Option<&Value> {
        self.0.get(flag).map(|argument| &argument.value)
    }

    /// Sets `flag` to a value that the planner chose, or keeps the place it stood at.
    pub fn set(&mut self, flag: &str, value: impl Into<Value>) {
        let value = value.into();
        if let Some(argument) = self.0.get_mut(flag) {
            argument.value = value;
        } else {
            self.0.insert(flag.to_owned(), Argument { value, place: None });
        }
    }

    /// Sets `flag` as it was written at `place`.
    pub fn set_at(&mut self, flag: &str, value: Value, place: Place) {
        self.0.insert(flag.to_owned(), Argument { value, place: Some(place) });
    }

    /// Takes `flag` out.
    pub fn remove(&mut self, flag: &str) {
        self.0.shift_remove(flag);
    }

    /// Where `flag` was written.
    pub fn place(&self, flag: &str) -> Option<&Place> {
        self.0.get(flag).and_then(|argument| argument.place.as_ref())
    }
}

/// Typed reading of values, as the engine's own parser reads them. `None` where the flag is absent or its
/// value has another type; the judge says so.
impl Arguments {
    /// A whole number. Texts may carry the engine's suffixes: `k`, `m`, `g`, `t` are powers of 1000, their
    /// capitals powers of 1024 (`human_readable_int`).
    pub fn count(&self, flag: &str) -> Option<u64> {
        match self.get(flag)? {
            Value::Number(number) => {
                number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64))
            }
            Value::String(text) => human_readable_count(text),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self, flag: &str) -> Option<f64> {
        match self.get(flag)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self, flag: &str) -> Option<&str> {
        self.get(flag)?.as_str()
    }

    /// A switch that may also be turned off, by `false` or by its `no-` form; `None` if it is not given.
    pub fn switch(&self, flag: &str) -> Option<bool> {
        if let Some(value) = self.get(flag) {
            return value.as_bool();
        }
        self.get(&format!("no-{flag}")).and_then(Value::as_bool).map(|off| !off)
    }

    /// A switch that is off unless given.
    pub fn flag(&self, flag: &str) -> bool {
        self.switch(flag).unwrap_or(false)
    }
}

fn human_readable_count(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| suffixed(text).filter(|number| *number < 9.0e18).map(|number| number as u64))
}

/// A number with one of the engine's suffixes: `8k` is 8000, `8K` 8192. `None` without a suffix and for negative numbers.
pub(crate) fn suffixed(text: &str) -> Option<f64> {
    let suffix = text.chars().last()?;
    let scale = match suffix {
        'k' => 1e3,
        'm' => 1e6,
        'g' => 1e9,
        't' => 1e12,
        'K' => 1024.0,
        'M' => 1_048_576.0,
        'G' => 1_073_741_824.0,
        'T' => 1_099_511_627_776.0,
        _ => return None,
    };
    let number: f64 = text[..text.len() - 1].parse().ok()?;
    (number >= 0.0).then_some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_the_engines_suffixes() {
        let mut args = Arguments::default();
        args.set("max-model-len", "8k");
        assert_eq!(args.count("max-model-len"), Some(8000));
        args.set("max-model-len", "8K");
        assert_eq!(args.count("max-model-len"), Some(8192));
        args.set("max-model-len", "many");
        assert_eq!(args.count("max-model-len"), None);
    }

    #[test]
    fn a_switch_has_a_no_form() {
        let mut args = Arguments::default();
        args.set("no-enable-prefix-caching", true);
        assert_eq!(args.switch("enable-prefix-caching"), Some(false));
        assert_eq!(args.switch("enforce-eager"), None);
    }
}
