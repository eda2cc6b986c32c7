//! Rows of rule files that are looked up by name. There are hundreds, and a plan needs a few: only those are decoded.

use std::sync::OnceLock;

use serde::de::DeserializeOwned;

use super::origin::Origin;

/// A row whose names are known, and whose content is decoded when it is first asked for.
#[derive(Debug)]
pub(super) struct Row<T> {
    names: Names,
    origin: Origin,
    json: &'static str,
    value: OnceLock<Option<T>>,
}

/// The names of a row, its own first.
#[derive(Debug)]
enum Names {
    /// As the build found them.
    Builtin(&'static [&'static str]),
    /// As a decoded row says them.
    Decoded(Vec<String>),
}

impl<T: DeserializeOwned> Row<T> {
    /// A row inside the binary.
    pub(super) fn builtin(names: &'static [&'static str], json: &'static str, origin: Origin) -> Self {
        Self { names: Names::Builtin(names), origin, json, value: OnceLock::new() }
    }

    /// A row of the user's, which was decoded to see whether it can be.
    pub(super) fn decoded(names: Vec<String>, value: T, origin: Origin) -> Self {
        Self { names: Names::Decoded(names), origin, json: "", value: OnceLock::from(Some(value)) }
    }

    /// Every name, its own first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let (builtin, decoded) = match &self.names {
            Names::Builtin(names) => (*names, &[][..]),
            Names::Decoded(names) => (&[][..], names.as_slice()),
        };
        builtin.iter().copied().chain(decoded.iter().map(String::as_str))
    }

    /// Its own name.
    pub(super) fn name(&self) -> &str {
        self.names().next().unwrap_or_default()
    }

    /// The content. `complete` adds what does not stand in a built-in row. One that does not decode is left out here and found by
    /// [`super::Catalog::validate`].
    pub(super) fn value(&self, complete: impl FnOnce(&mut T, &Origin)) -> Option<&T> {
        let decode = || {
            let mut value: T = serde_json::from_str(self.json).ok()?;
            complete(&mut value, &self.origin);
            Some(value)
        };
        self.value.get_or_init(decode).as_ref()
    }
}

#[cfg(test)]
impl<T> Row<T> {
    /// Whether it was asked for.
    pub(super) fn is_decoded(&self) -> bool {
        self.value.get().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_decoded_once_it_is_asked_for() {
        let row: Row<u32> = Row::builtin(&["seven", "7"], "7", Origin::default());
        assert_eq!(row.names().collect::<Vec<_>>(), ["seven", "7"]);
        assert!(!row.is_decoded());
        assert_eq!(row.value(|value, _| *value += 1), Some(&8));
        assert_eq!(row.value(|value, _| *value += 1), Some(&8));
    }
}
