//! Whether a requirement holds in an environment: environment markers of PEP 508.

use std::str::FromStr;

use pep508_rs::{MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, VerbatimUrl};

use crate::capture::metadata::Requirement;
use crate::capture::{Environment, Image};

/// What markers are judged by.
#[derive(Debug)]
pub(super) struct Markers(Option<MarkerEnvironment>);

impl Markers {
    /// The values of an environment on its machine. Patch numbers are not known: markers on them count as those of `.0`.
    pub(super) fn new(image: &Image, environment: &Environment) -> Self {
        let python = environment.python.as_deref().map(|python| python.trim_end_matches('t')).unwrap_or("3.12");
        let full = format!("{python}.0");
        let builder = MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: &full,
            os_name: "posix",
            platform_machine: image.machine.as_deref().unwrap_or("x86_64"),
            platform_python_implementation: "CPython",
            platform_release: "",
            platform_system: "Linux",
            platform_version: "",
            python_full_version: &full,
            python_version: python,
            sys_platform: "linux",
        };
        Self(builder.try_into().ok())
    }

    /// Whether a requirement holds here; one whose marker cannot be read does not.
    pub(super) fn hold(&self, requirement: &Requirement) -> bool {
        let Some(marker) = &requirement.marker else { return true };
        let tree: Option<MarkerTree> = pep508_rs::Requirement::<VerbatimUrl>::from_str(&format!("x ; {marker}")).ok().map(|it| it.marker);
        self.0.as_ref().zip(tree).is_some_and(|(environment, tree)| tree.evaluate(environment, &[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A requirement for another interpreter or machine is none.
    #[test]
    fn markers_are_those_of_the_environment() {
        let image = Image { machine: Some("aarch64".to_owned()), ..Image::default() };
        let environment = Environment { python: Some("3.12".to_owned()), ..Environment::default() };
        let markers = Markers::new(&image, &environment);
        let holds = |marker: &str| {
            let marker = Some(marker.to_owned()).filter(|marker| !marker.is_empty());
            markers.hold(&Requirement { name: "x".to_owned(), versions: String::new(), marker })
        };
        assert!(holds("") && holds("python_version >= '3.9'") && holds("platform_machine == 'aarch64' and sys_platform == 'linux'"));
        assert!(!holds("python_version < \"3.10\"") && !holds("platform_machine == 'x86_64'") && !holds("sys_platform == 'win32'"));
        assert!(!holds("nonsense ==") && !holds("\u{0}"));
    }
}
