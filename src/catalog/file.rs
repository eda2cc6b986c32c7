//! One rule file: its text, its place, and how the text becomes typed values.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::cause::Problem;
use super::error::CatalogError;
use super::origin::Origin;
use super::place::Place;
use super::row::Row;
use super::transcode;

mod embedded {
    /// A built-in file.
    #[derive(Debug)]
    pub(super) struct File {
        /// Its path below `rules/`.
        pub(super) path: &'static str,
        /// Its content.
        pub(super) json: &'static str,
        /// Its rows that are looked up by name.
        pub(super) rows: &'static [Row],
    }

    /// A row of a built-in file.
    #[derive(Debug)]
    pub(super) struct Row {
        /// Its names, its own first.
        pub(super) names: &'static [&'static str],
        /// Where it starts and ends in the JSON of the file.
        pub(super) place: (usize, usize),
    }

    include!(concat!(env!("OUT_DIR"), "/rules.rs"));
}

/// A rule file of which nothing is parsed yet.
#[derive(Clone, Debug)]
pub(super) struct RuleFile {
    pub(super) origin: Origin,
    pub(super) place: Place,
    text: Text,
}

/// Built-in files are kept as JSON, which is read faster; the user's stay the TOML they wrote, so that errors point into it.
#[derive(Clone, Debug)]
enum Text {
    Json(&'static embedded::File),
    Toml(String),
}

impl RuleFile {
    /// The files inside the binary.
    pub(super) fn builtin() -> impl Iterator<Item = Result<Self, CatalogError>> {
        embedded::FILES.iter().map(|file| match Place::of(Path::new(file.path)) {
            Some(place) => Ok(Self { origin: Origin::Builtin(file.path), place, text: Text::Json(file) }),
            None => Err(CatalogError::Misplaced { file: Origin::Builtin(file.path).path() }),
        })
    }

    /// A file of the user's.
    pub(super) fn overlay(path: &Path, toml: String) -> Result<Self, CatalogError> {
        match Place::of(path) {
            Some(place) => Ok(Self { origin: Origin::Overlay(path.into()), place, text: Text::Toml(toml) }),
            None => Err(CatalogError::Misplaced { file: path.to_path_buf() }),
        }
    }

    /// The error of an entry at the text that is at fault, as far as the file shows where that is.
    pub(super) fn refuse(&self, problem: &Problem) -> CatalogError {
        let file = self.origin.path();
        match &self.text {
            Text::Toml(toml) => {
                // A text of the entry may be written over several lines or with escapes: its first line is looked for.
                let start = problem.at.lines().next().and_then(|line| toml.find(line));
                let span = start.map_or(0..0, |start| start..start + problem.at.lines().next().map_or(0, str::len));
                CatalogError::at(file, toml, Some(span), &problem.message)
            }
            Text::Json(_) => CatalogError::Inconsistent { file, entry: problem.at.clone(), problem: problem.message.clone() },
        }
    }

    /// The typed content.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Result<T, CatalogError> {
        match &self.text {
            Text::Json(file) => serde_json::from_str(file.json).map_err(|error| CatalogError::Invalid {
                file: self.origin.path(),
                line: error.line(),
                column: error.column(),
                message: error.to_string(),
                excerpt: String::new(),
            }),
            Text::Toml(toml) => {
                transcode::decode(toml).map_err(|fault| CatalogError::at(self.origin.path(), toml, fault.span, &fault.message))
            }
        }
    }

    /// The rows that are looked up by name. Those of the user's files are decoded whole: `entries` takes them out of the file, and
    /// `names` tells the names of one.
    pub(super) fn rows<F: DeserializeOwned, T: DeserializeOwned>(
        &self,
        entries: impl FnOnce(F) -> Vec<T>,
        names: impl Fn(&T) -> Vec<String>,
    ) -> Vec<Row<T>> {
        match &self.text {
            Text::Json(file) => {
                let json = |(start, end): (usize, usize)| file.json.get(start..end).unwrap_or_default();
                file.rows.iter().map(|row| Row::builtin(row.names, json(row.place), self.origin.clone())).collect()
            }
            Text::Toml(_) => {
                let decoded = self.decode().map(entries).unwrap_or_default();
                decoded.into_iter().map(|entry| Row::decoded(names(&entry), entry, self.origin.clone())).collect()
            }
        }
    }
}
