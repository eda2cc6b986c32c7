//! Typed reading of one JSON object: every refusal names the field and what it holds.

use serde_json::{Map, Value};

use super::error::ConfigError;

/// Widths, heads, experts and the like stay below this; larger ones are mistakes.
const LARGEST_COUNT: u64 = 1 << 24;
/// Positions stay below this.
const LARGEST_POSITION: u64 = 1 << 40;
/// The longest excerpt of a wrong value that an error shows, in characters.
const EXCERPT: usize = 60;

/// One object of a config.json, with its place for error messages.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    place: &'a str,
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The outermost object of the file `place`.
    pub const fn root(place: &'a str, map: &'a Map<String, Value>) -> Self {
        Self { place, path: String::new(), map }
    }

    /// The value of `name`; `null` counts as absent.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The first of `names` that is present.
    fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &'a Value)> {
        names.iter().find_map(|name| self.get(name).map(|value| (*name, value)))
    }

    /// The error that `name` is missing.
    pub fn missing(&self, name: &str) -> ConfigError {
        self.absent(name, "a value")
    }

    /// The error that `name` is missing, with what should be there.
    pub fn absent(&self, name: &str, expected: &str) -> ConfigError {
        ConfigError::Missing { place: self.place.to_owned(), field: self.named(name), expected: expected.to_owned() }
    }

    /// The error that `name` holds something else than `expected`.
    pub fn invalid(&self, name: &str, expected: &str) -> ConfigError {
        let found = self.map.get(name).map_or_else(|| "nothing".to_owned(), excerpt);
        ConfigError::Invalid { place: self.place.to_owned(), field: self.named(name), expected: expected.to_owned(), found }
    }

    fn named(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A whole number from 0 on, under the first of `names` that is present. A list gives its largest.
    pub fn count(&self, names: &[&str]) -> Result<Option<u64>, ConfigError> {
        let Some((name, value)) = self.first(names) else {
            return Ok(None);
        };
        let number = match value {
            Value::Array(values) if !values.is_empty() => {
                values.iter().map(whole).collect::<Option<Vec<u64>>>().and_then(|all| all.into_iter().max())
            }
            value => whole(value),
        };
        match number {
            Some(number) if number <= LARGEST_COUNT => Ok(Some(number)),
            Some(_) => Err(self.invalid(name, &format!("a whole number up to {LARGEST_COUNT}"))),
            None => Err(self.invalid(name, "a whole number from 0 on")),
        }
    }

    /// A whole number from 1 on, under the first of `names` that is present.
    pub fn positive(&self, names: &[&str]) -> Result<Option<u64>, ConfigError> {
        let Some((name, value)) = self.first(names) else {
            return Ok(None);
        };
        match whole(value) {
            Some(number) if (1..=LARGEST_COUNT).contains(&number) => Ok(Some(number)),
            Some(number) if number > 0 => Err(self.invalid(name, &format!("a whole number up to {LARGEST_COUNT}"))),
            _ => Err(self.invalid(name, "a positive whole number")),
        }
    }

    /// As [`Self::positive`], and required.
    pub fn required(&self, names: &[&str]) -> Result<u64, ConfigError> {
        match self.positive(names)? {
            Some(number) => Ok(number),
            None => Err(self.absent(names.first().copied().unwrap_or_default(), "a positive whole number")),
        }
    }

    /// A number of positions: whole and positive. `-1` and numbers without end mean no limit and count as absent.
    pub fn positions(&self, name: &str) -> Result<Option<u64>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match whole(value) {
                Some(number) if (1..=LARGEST_POSITION).contains(&number) => Ok(Some(number)),
                _ if value.as_i64() == Some(-1) => Ok(None),
                _ => Err(self.invalid(name, "a positive whole number of tokens")),
            },
        }
    }

    /// A whole number that may be negative.
    pub fn signed(&self, name: &str) -> Result<Option<i64>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .filter(|number| number.unsigned_abs() <= LARGEST_COUNT)
                .map(Some)
                .ok_or_else(|| self.invalid(name, "a whole number")),
        }
    }

    /// A finite number.
    pub fn number(&self, name: &str) -> Result<Option<f64>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().filter(|number| number.is_finite()).map(Some).ok_or_else(|| self.invalid(name, "a number")),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.invalid(name, "`true` or `false`")),
        }
    }

    /// A string.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(name, "a string")),
        }
    }

    /// A list of strings; absent is empty.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(values)) => {
                let texts: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(ToOwned::to_owned)).collect();
                texts.ok_or_else(|| self.invalid(name, "a list of strings"))
            }
            Some(_) => Err(self.invalid(name, "a list of strings")),
        }
    }

    /// A list of whole numbers from 0 on.
    pub fn numbers(&self, name: &str) -> Result<Option<Vec<u64>>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                let numbers: Option<Vec<u64>> = values.iter().map(|value| whole(value).filter(|number| *number <= LARGEST_COUNT)).collect();
                numbers.map(Some).ok_or_else(|| self.invalid(name, "a list of whole numbers"))
            }
            Some(_) => Err(self.invalid(name, "a list of whole numbers")),
        }
    }

    /// The length of a list of lists, such as aspect ratios.
    pub fn numbers_of_pairs(&self, name: &str) -> Result<Option<u64>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values.len() as u64)),
            Some(_) => Err(self.invalid(name, "a list of pairs")),
        }
    }

    /// An object.
    pub fn object(&self, name: &str) -> Result<Option<Self>, ConfigError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self { place: self.place, path: self.named(name), map })),
            Some(_) => Err(self.invalid(name, "an object")),
        }
    }

    /// Element `index` of the list `name`, which must be an object.
    pub fn element(&self, name: &str, index: usize, value: &'a Value) -> Result<Self, ConfigError> {
        let path = self.named(&format!("{name}[{index}]"));
        match value {
            Value::Object(map) => Ok(Self { place: self.place, path, map }),
            other => Err(ConfigError::Invalid {
                place: self.place.to_owned(),
                field: path,
                expected: "an object".to_owned(),
                found: excerpt(other),
            }),
        }
    }

    /// The first object among the values.
    pub fn first_object(&self) -> Option<Self> {
        self.map.iter().find_map(|(name, value)| {
            let map = value.as_object()?;
            Some(Self { place: self.place, path: self.named(name), map })
        })
    }

    /// The file or address.
    pub const fn place(&self) -> &'a str {
        self.place
    }
}

/// A whole number from 0 on; `4096.0` is one, `"4096"`, `NaN` and `true` are not.
fn whole(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(|number| *number >= 0.0 && *number < 1e15 && number.fract() == 0.0).map(|number| number as u64))
}

/// The value as JSON, cut short.
fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
