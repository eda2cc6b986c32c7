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
