//! The headers of a `METADATA` file: name, version and requirements.

use serde::{Deserialize, Serialize};

use crate::version::Specifier;

/// What a package says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metadata {
    /// Its name as written.
    pub name: Option<String>,
    /// Its version as written.
    pub version: Option<String>,
    /// The interpreters it accepts, as written.
    pub requires_python: Option<String>,
    /// The packages it requires.
    pub requires: Vec<Requirement>,
}

/// One requirement that holds without an extra.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The package's normalised name.
    pub name: String,
    /// The versions, as written; empty for any.
    pub versions: String,
    /// The condition under which it holds, as written.
    pub marker: Option<String>,
}

impl Requirement {
    /// The versions, where they can be read and are any restriction.
    pub fn specifier(&self) -> Option<Specifier> {
        if self.versions.is_empty() { None } else { self.versions.parse().ok() }
    }
}

impl Metadata {
    /// Reads the headers; stops at the empty line before the description. Odd lines are left out.
    pub fn parse(text: &str) -> Self {
        let mut read = Self::default();
        for line in text.lines().take_while(|line| !line.trim_end().is_empty()) {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "name" if is_word(value) => read.name = Some(value.to_owned()),
                "version" if is_word(value) => read.version = Some(value.to_owned()),
                "requires-python" => read.requires_python = Some(value.to_owned()),
                "requires-dist" => read.requires.extend(requirement(value)),
                _ => {}
            }
        }
        read
    }
}

/// `text` as packages are compared: lower case, with single hyphens.
pub fn normalised(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Whether `text` can be a name or a version, and be printed.
pub fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
    !text.is_empty() && text.len() <= 128 && text.chars().all(plain)
}

/// `torch==2.11.0 ; marker`, `torch (==2.11.0)`, `ray[cgraph]>=2.48`. What an extra asks for is not required.
fn requirement(text: &str) -> Option<Requirement> {
    let (wanted, marker) = text.split_once(';').map_or((text, None), |(wanted, marker)| (wanted, Some(marker.trim().to_owned())));
    if marker.as_ref().is_some_and(|marker| marker.contains("extra")) {
        return None;
    }
    let end = wanted.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(wanted.len());
    let (name, rest) = wanted.split_at_checked(end)?;
    let rest = rest.trim();
    let rest = if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest };
    let versions = rest.trim().trim_start_matches('(').trim_end_matches(')').trim().to_owned();
    is_word(name).then(|| Requirement { name: normalised(name), versions, marker })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_the_empty_line() {
        let text = "Metadata-Version: 2.4\nName: vLLM\nVersion: 0.25.1\nRequires-Python: <3.15,>=3.10\nRequires-Dist: torch==2.11.0\n\
                    Requires-Dist: ray[cgraph]>=2.48.0\nRequires-Dist: tensorizer; extra == \"tensorizer\"\n\nName: description\n";
        let read = Metadata::parse(text);
        assert_eq!((read.name.as_deref(), read.version.as_deref()), (Some("vLLM"), Some("0.25.1")));
        let requires: Vec<_> = read.requires.iter().map(|required| (required.name.as_str(), required.versions.as_str())).collect();
        assert_eq!(requires, [("torch", "==2.11.0"), ("ray", ">=2.48.0")]);
    }

    #[test]
    fn every_usual_form_of_a_requirement_is_read() {
        for text in ["torch (==2.11.0)", "Torch == 2.11.0 ; platform_machine == \"x86_64\"", "torch==2.11.0"] {
            let read = requirement(text).expect("a requirement");
            assert_eq!(
                read.specifier().and_then(|versions| versions.pinned()).map(|version| version.to_string()),
                Some("2.11.0".to_owned())
            );
        }
    }

    #[test]
    fn anything_else_is_left_out() {
        let read = Metadata::parse("\u{fffd}\u{0}\nName: \u{1b}[31mred\nVersion:\nRequires-Dist: ;;;\nRequires-Dist: [\n");
        assert_eq!(read, Metadata::default());
        assert_eq!(normalised("Nvidia_cuBLAS.cu12"), "nvidia-cublas-cu12");
    }
}
