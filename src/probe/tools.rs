//! Programs that a launch may need, and their versions where those matter.

use std::process::{Command, Stdio};

use crate::capture::Capture;
use crate::capture::tool::Tool;
use crate::probe::child::{Emitter, PENDING};
use crate::reading::Reading;

/// Programs, and how each is asked for its version; none where only being there matters, as asking takes a process.
const TOOLS: [(&str, Option<&str>); 22] = [
    ("apt-get", None),
    ("cc", None),
    ("conda", None),
    ("dnf", None),
    ("docker", None),
    ("g++", None),
    ("gcc", None),
    ("git", None),
    ("mokutil", None),
    ("ninja", None),
    ("numactl", None),
    ("nvcc", Some("--version")),
    ("nvidia-container-cli", Some("--version")),
    ("nvidia-ctk", Some("--version")),
    ("nvidia-modprobe", None),
    ("nvidia-smi", None),
    ("pip", None),
    ("podman", None),
    ("systemctl", None),
    ("tegrastats", None),
    ("uv", None),
    ("zypper", None),
];

/// Longest version line that is kept, in characters.
const LONGEST: usize = 200;

/// Fills the section.
pub(super) fn read(emitter: &Emitter<Capture>) {
    emitter.at("PATH");
    for (name, _) in TOOLS {
        let found = match which::which(name) {
            Ok(path) => Reading::Known(Tool { path: path.display().to_string(), version: Reading::Absent }),
            Err(_) => Reading::Absent,
        };
        emitter.state().tools.insert(name.to_owned(), found);
    }
    emitter.at("the versions of programs");
    let asked = TOOLS.iter().filter_map(|(name, argument)| Some((*name, (*argument)?)));
    std::thread::scope(|scope| {
        for (name, argument) in asked {
            let Some(path) = path(emitter, name) else { continue };
            keep(emitter, name, Reading::unreadable(PENDING));
            scope.spawn(move || keep(emitter, name, version(&path, argument)));
        }
    });
}

fn path(emitter: &Emitter<Capture>, name: &str) -> Option<String> {
    emitter.state().tools.get(name).and_then(Reading::known).map(|tool| tool.path.clone())
}

fn keep(emitter: &Emitter<Capture>, name: &str, version: Reading<String>) {
    if let Some(Reading::Known(tool)) = emitter.state().tools.get_mut(name) {
        tool.version = version;
    }
}

/// The line of what it prints that has a version in it, else the first.
fn version(path: &str, argument: &str) -> Reading<String> {
    let output = match Command::new(path).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return Reading::Unreadable(error.kind().to_string()),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    // nvcc prints four lines; the release is in one of them.
    let line = lines().find(|line| line.contains("release") || line.contains("version")).or_else(|| lines().next());
    match line {
        Some(line) => Reading::Known(line.chars().filter(|c| !c.is_control()).take(LONGEST).collect()),
        None => Reading::Unreadable(format!("`{path} {argument}` prints nothing")),
    }
}
