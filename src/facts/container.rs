//! The container: whether there is one, and what it was given.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::facts::driver::Driver;
use crate::facts::text::{any_file, file, library_version};
use crate::reading::Reading;
use crate::version::Version;

/// The container.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Container {
    /// Whether this is one.
    pub inside: Reading<bool>,
    /// What made it: `docker`, `podman`, `kubernetes`, `containerd`, `lxc` or `other`.
    pub kind: Reading<String>,
    /// The devices that it asked the runtime for (`NVIDIA_VISIBLE_DEVICES`).
    pub visible_devices: Reading<String>,
    /// The driver capabilities that it asked for (`NVIDIA_DRIVER_CAPABILITIES`).
    pub capabilities: Reading<Vec<String>>,
    /// What the image requires of the driver (`NVIDIA_REQUIRE_CUDA`).
    pub require: Reading<String>,
    /// The CUDA that it requires, where it names one.
    pub required_cuda: Reading<Version>,
    /// Whether the driver fulfils one alternative of it.
    pub requirement_met: Reading<bool>,
    /// Whether Docker knows the `nvidia` runtime, on a host.
    pub runtime_configured: Reading<bool>,
    /// The driver versions that CDI specifications name.
    pub cdi_driver: Reading<Version>,
    /// The CDI specification.
    pub cdi_spec: Reading<String>,
    /// Whether it is of another driver than the one that is loaded.
    pub cdi_stale: Reading<bool>,
}

/// Reads the container.
pub(super) fn read(capture: &Capture, driver: &Driver) -> Container {
    let variable = |name: &str| Reading::from(capture.variables.get(name).cloned());
    let inside = inside(capture);
    let require = variable("NVIDIA_REQUIRE_CUDA");
    let disabled = capture.variables.get("NVIDIA_DISABLE_REQUIRE").is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let cdi_driver = cdi(capture);
    Container {
        kind: if inside == Reading::Known(true) { Reading::Known(kind(capture).to_owned()) } else { Reading::Absent },
        visible_devices: variable("NVIDIA_VISIBLE_DEVICES"),
        capabilities: variable("NVIDIA_DRIVER_CAPABILITIES").map(|text| text.split(',').map(|word| word.trim().to_owned()).collect()),
        required_cuda: require.as_ref().and_then(|text| Reading::from(required(text))),
        requirement_met: if disabled {
            Reading::Absent
        } else {
            require.as_ref().and_then(|text| driver.cuda.as_ref().and_then(|cuda| Reading::from(met(text, cuda, driver.version.known()))))
        },
        require,
        runtime_configured: match file(capture, "/etc/docker/daemon.json") {
            Reading::Known(text) => Reading::Known(text.contains("nvidia")),
            Reading::Absent => Reading::Known(false),
            Reading::Unreadable(reason) => Reading::Unreadable(reason),
        },
        cdi_stale: match (&cdi_driver, driver.version.known()) {
            (Some((_, named)), Some(version)) => Reading::Known(named != version),
            _ => Reading::Absent,
        },
        cdi_spec: Reading::from(cdi_driver.as_ref().map(|(path, _)| path.clone())),
        cdi_driver: Reading::from(cdi_driver.map(|(_, version)| version)),
        inside,
    }
}

fn inside(capture: &Capture) -> Reading<bool> {
    let marked = any_file(capture, &["/.dockerenv", "/run/.containerenv", "/run/systemd/container"]);
    let grouped = file(capture, "/proc/1/cgroup").known().is_some_and(|text| WORDS.iter().any(|(word, _)| text.contains(word)));
    let orchestrated = capture.variables.contains_key("KUBERNETES_SERVICE_HOST");
    if grouped || orchestrated { Reading::Known(true) } else { marked }
}

/// Words in a control group's path, and what they are of.
const WORDS: [(&str, &str); 6] = [
    ("kubepods", "kubernetes"),
    ("docker", "docker"),
    ("libpod", "podman"),
    ("containerd", "containerd"),
    ("lxc", "lxc"),
    ("crio", "kubernetes"),
];

fn kind(capture: &Capture) -> &'static str {
    if capture.variables.contains_key("KUBERNETES_SERVICE_HOST") {
        return "kubernetes";
    }
    let groups = ["/proc/1/cgroup", "/proc/self/cgroup", "/proc/self/mountinfo"].map(|path| file(capture, path));
    let named = WORDS.iter().find(|(word, _)| groups.iter().filter_map(Reading::known).any(|text| text.contains(word)));
    match named {
        Some((_, kind)) => kind,
        None if file(capture, "/.dockerenv").known().is_some() => "docker",
        None if file(capture, "/run/.containerenv").known().is_some() => "podman",
        None => "other",
    }
}

/// The CUDA of a requirement such as `cuda>=13.0 brand=tesla,driver>=535,driver<536`.
fn required(text: &str) -> Option<Version> {
    text.split([' ', ',']).find_map(|condition| condition.strip_prefix("cuda>=")?.parse().ok())
}

/// Whether one alternative holds: spaces separate alternatives, commas conditions that must all hold. An alternative with
/// a condition on brand or architecture is left to the runtime, so the answer may be unknown.
fn met(text: &str, cuda: &Version, driver: Option<&Version>) -> Option<bool> {
    let mut unknown = false;
    for alternative in text.split_whitespace() {
        let answers: Vec<Option<bool>> = alternative.split(',').map(|condition| holds(condition, cuda, driver)).collect();
        if answers.iter().all(|answer| *answer == Some(true)) {
            return Some(true);
        }
        unknown |= !answers.contains(&Some(false));
    }
    if unknown { None } else { Some(false) }
}

fn holds(condition: &str, cuda: &Version, driver: Option<&Version>) -> Option<bool> {
    let split = condition.find(['<', '>', '=', '!'])?;
    let (name, rest) = condition.split_at(split);
    let digits = rest.find(|c: char| !"<>=!".contains(c))?;
    let (operator, value) = rest.split_at(digits);
    let mine = match name {
        "cuda" => cuda,
        "driver" => driver?,
        _ => return None,
    };
    let wanted: Version = value.parse().ok()?;
    Some(match operator {
        ">=" => *mine >= wanted,
        ">" => *mine > wanted,
        "<" => *mine < wanted,
        "<=" => *mine <= wanted,
        "=" | "==" => *mine == wanted,
        _ => return None,
    })
}

/// The driver that a CDI specification for NVIDIA's GPUs names in its paths, and the specification.
fn cdi(capture: &Capture) -> Option<(String, Version)> {
    let specs =
        capture.cdi.iter().filter_map(|(path, spec)| Some((path, spec.known()?))).filter(|(_, spec)| spec.kind.starts_with("nvidia.com/"));
    let named = specs.filter_map(|(path, spec)| {
        let drivers = spec.paths.iter().filter(|entry| entry.path.contains("libcuda.so.") || entry.path.contains("libnvidia-ml.so."));
        drivers.filter_map(|entry| library_version(&entry.path)).next().map(|version| (path.clone(), version))
    });
    named.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_is_read_as_the_runtime_reads_it() {
        let version = |text: &str| text.parse::<Version>().expect("a version of the test");
        let met = |text: &str, cuda: &str, driver: &str| met(text, &version(cuda), Some(&version(driver)));
        assert_eq!(met("cuda>=12.4", "13.0", "580.95.05"), Some(true));
        assert_eq!(met("cuda>=13.3", "13.0", "580.95.05"), Some(false));
        assert_eq!(met("cuda>=13.3 driver>=580,driver<581", "13.0", "580.95.05"), Some(true));
        assert_eq!(met("cuda>=13.3 brand=tesla,driver>=580,driver<581", "13.0", "580.95.05"), None);
        assert_eq!(met("cuda>=13.3 brand=tesla,driver>=570,driver<571", "13.0", "580.95.05"), Some(false));
    }
}
