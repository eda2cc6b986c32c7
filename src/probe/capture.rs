//! Reads a machine: every family of probes at once, each in a process of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::capture::Capture;
use crate::capture::call::Call;
use crate::capture::host::Process;
use crate::capture::nvml::Nvml;
use crate::probe::child::{self, Ending};
use crate::probe::root::Root;
use crate::probe::{cuda, drivers, machine, nvml, runtimes, variables};
use crate::reading::Reading;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// CUDA, in this environment: contexts and a kernel on every device, and the runtimes that are found.
    pub cuda: bool,
    /// A copy between each two devices, verified.
    pub copies: bool,
    /// Files of the system, the kernel's log, programs and services.
    pub system: bool,
    /// Python environments: none, those in reach, or the one at a path.
    pub python: Python,
    /// Whether hubs and registries answer.
    pub online: bool,
    /// How long a driver may take.
    pub deadline: Duration,
}

/// Which Python environments are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Python {
    /// None.
    No,
    /// Those that a shell would find, and those in the usual places.
    InReach,
    /// The one at this path.
    At(PathBuf),
}

/// How long a driver may take before it counts as hung. A driver that has to wake eight GPUs takes about four seconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long files and programs may take.
const FILES: Duration = Duration::from_secs(5);
/// How long Python environments on a slow disk may take.
const PACKAGES: Duration = Duration::from_secs(60);

impl Request {
    /// All of the machine, without what takes a network or touches two GPUs at once.
    pub const fn all() -> Self {
        Self { cuda: true, copies: false, system: true, python: Python::InReach, online: false, deadline: DEADLINE }
    }

    /// The GPUs and who uses them.
    pub const fn gpus() -> Self {
        Self { cuda: false, copies: false, system: false, python: Python::No, online: false, deadline: DEADLINE }
    }
}

/// Reads the machine. It always ends in time and never fails: what could not be read says why.
pub fn capture(request: &Request) -> Capture {
    let root = Root::new();
    let mut capture = Capture {
        taken_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        limits: machine::limits(),
        cpus: machine::cpus(&root),
        identity: machine::identity(&root),
        variables: variables::read(),
        libraries: drivers::read(&root),
        ..Capture::default()
    };
    let clock = Clock::default();
    std::thread::scope(|scope| gather(scope, &clock, request, &root, &mut capture));
    capture.elapsed_ms = clock.0.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    capture
}

/// How long each family took.
#[derive(Debug, Default)]
struct Clock(Mutex<BTreeMap<String, u64>>);

/// A family of probes that is running.
type Family<'scope, T> = ScopedJoinHandle<'scope, T>;

fn gather<'scope>(scope: &'scope Scope<'scope, '_>, clock: &'scope Clock, request: &Request, root: &Root, capture: &mut Capture) {
    // A driver that is not there needs no process to say so; a device without a library may have one that only the loader finds.
    let device = ["/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia", "/dev/nvhost-gpu"].iter().any(|path| root.exists(path));
    let is_there = |name: &str| device || capture.libraries.contains_key(name);
    let nvml = is_there(nvml::LIBRARY).then(|| start(scope, clock, &["nvml"], request.deadline, nvml::lost));
    let words: &[&str] = if request.copies { &["cuda", "copy"] } else { &["cuda"] };
    let has_cuda = request.cuda && is_there(cuda::LIBRARY);
    let cuda = has_cuda.then(|| start(scope, clock, words, request.deadline, cuda::lost));
    let lanes = machine::NEAR.iter().chain(if request.system { machine::SYSTEM.as_slice() } else { &[] });
    let words: Vec<&str> = std::iter::once("machine").chain(lanes.copied()).collect();
    let machine = start(scope, clock, &words, FILES.min(request.deadline), |_: &mut Capture, _| ());
    let online = request.online.then(|| start(scope, clock, &["online"], request.deadline, |_: &mut Reading<Vec<_>>, _| ()));
    let image = match &request.python {
        Python::No => None,
        Python::InReach => Some(start(scope, clock, &["image"], PACKAGES, |_: &mut Reading<_>, _| ())),
        Python::At(path) => Some(start(scope, clock, &["image", &path.display().to_string()], PACKAGES, |_: &mut Reading<_>, _| ())),
    };
    let python = match &request.python {
        Python::At(path) => Some(path.as_path()),
        Python::No | Python::InReach => None,
    };
    let runtimes = if has_cuda { runtimes::find(root, python) } else { Vec::new() };
    let runtimes: Vec<_> = runtimes
        .iter()
        .map(|path| {
            let path = path.display().to_string();
            let family = start(scope, clock, &["runtime", &path], request.deadline, |_: &mut Reading<_>, _| ());
            (path, family)
        })
        .collect();

    // Who holds GPU memory is known once NVML has answered.
    capture.nvml = nvml.map_or(Reading::Absent, |family| flat(join(family)));
    let pids = capture.nvml.known().map(pids).unwrap_or_default();
    if !pids.is_empty() {
        let words: Vec<String> = std::iter::once("processes".to_owned()).chain(pids.iter().map(u32::to_string)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let family = start(scope, clock, &words, FILES, |_: &mut Vec<Process>, _| ());
        capture.processes = join(family).into_known().unwrap_or_default();
    }
    capture.cuda = match cuda {
        Some(family) => flat(join(family)),
        None if request.cuda => Reading::Absent,
        None => not_asked(),
    };
    capture.runtimes = runtimes.into_iter().map(|(path, family)| (path, flat(join(family)))).collect();
    match join(machine) {
        Reading::Known(section) => machine::merge(capture, section),
        Reading::Absent => {}
        Reading::Unreadable(reason) => machine::unread(capture, &reason),
    }
    if !request.system {
        capture.kernel_log = not_asked();
        capture.network.host_is_loopback = not_asked();
    }
    capture.online = online.map_or_else(not_asked, |family| flat(join(family)));
    capture.image = image.map_or_else(not_asked, |family| flat(join(family)));
}

/// Starts a child and the thread that waits for it.
fn start<'scope, T: DeserializeOwned + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    clock: &'scope Clock,
    words: &[&str],
    deadline: Duration,
    lost: impl FnOnce(&mut T, &Ending) + Send + 'scope,
) -> Family<'scope, Reading<T>> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    scope.spawn(move || {
        let begin = Instant::now();
        let section = child::run(&words, deadline, lost);
        // What follows the name of these two is no part of it.
        let alone = words.first().is_some_and(|word| matches!(word.as_str(), "machine" | "processes"));
        let name = words.iter().take(if alone { 1 } else { 2 }).cloned().collect::<Vec<_>>().join(" ");
        let milliseconds = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        clock.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name, milliseconds);
        section
    })
}

fn join<T>(family: Family<'_, Reading<T>>) -> Reading<T> {
    family.join().unwrap_or_else(|_| Reading::unreadable("the probe could not be run"))
}

fn flat<T>(reading: Reading<Reading<T>>) -> Reading<T> {
    reading.and_then(|inner| inner)
}

fn not_asked<T>() -> Reading<T> {
    Reading::unreadable("not asked")
}

/// The processes that NVML names, each once.
fn pids(nvml: &Nvml) -> BTreeSet<u32> {
    let devices = nvml.devices.iter().filter_map(Reading::known);
    let lists = devices.flat_map(|device| [&device.compute_processes, &device.graphics_processes]);
    let processes = lists.filter_map(Call::value).flatten();
    processes.map(|process| process.pid).take(MOST_PROCESSES).collect()
}

/// Most processes that are looked at.
const MOST_PROCESSES: usize = 512;
