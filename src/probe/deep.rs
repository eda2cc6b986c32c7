//! Imports modules in an environment's own interpreter, each in a process group of its own that is killed at a deadline.
//! The only probe that runs Python, and only when it was asked for.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::capture::{Environment, Image, Import, ImportOutcome};
use crate::catalog::Libraries;

/// What is kept of the end of each stream, in bytes: a traceback's last lines name the cause.
const KEPT: usize = 8 << 10;
/// How long streams may take to close after the process has ended.
const GRACE: Duration = Duration::from_millis(500);
/// Imports torch, whose libraries extensions find loaded, then the module; prints the version, and of torch its CUDA and
/// whether it sees a GPU.
const PROGRAM: &str = "import importlib, sys\nimport torch\nm = importlib.import_module(sys.argv[1])\n\
                       print(getattr(m, '__version__', ''))\n\
                       if m is torch: print(m.version.cuda, m.cuda.is_available())";

/// Imports torch and the engine in the environment that would be judged: the first with one of `engines`, else the first
/// with torch.
pub(super) fn import(image: &mut Image, engines: &[&str], rules: &Libraries, deadline: Duration) {
    let engine_of = |environment: &Environment| engines.iter().copied().find(|name| environment.package(name).is_some());
    let with_engine = image.environments.iter().position(|environment| engine_of(environment).is_some());
    let with_torch = || image.environments.iter().position(|environment| environment.torch().is_some());
    let Some(index) = with_engine.or_else(with_torch) else { return };
    let Some(environment) = image.environments.get_mut(index) else { return };
    let engine = engine_of(environment);
    let mut modules: Vec<String> = environment.torch().map(|_| "torch".to_owned()).into_iter().collect();
    modules.extend(engine.map(str::to_owned));
    modules.extend(engine.into_iter().flat_map(|engine| needed(environment, engine, rules)));
    environment.imports = modules.iter().map(|module| run(environment, module, deadline)).collect();
}

/// The compiled modules without which an engine does not start: importing the engine alone does not load them.
fn needed(environment: &Environment, engine: &str, rules: &Libraries) -> Vec<String> {
    let own = environment.libraries.iter().filter(|library| library.package == engine);
    let modules = own.filter_map(|library| {
        let below = |site: &String| Some(library.place.strip_prefix(site.as_str())?.trim_start_matches('/'));
        let file = environment.sites.iter().find_map(below)?;
        let module = file.split('.').next()?.replace('/', ".");
        rules.is_needed(engine, file).then_some(module)
    });
    modules.collect()
}

fn run(environment: &Environment, module: &str, deadline: Duration) -> Import {
    // A virtual environment is known by the place of its link, so links stay.
    let places = ["python3", "python"].map(|name| Path::new(&environment.root).join("bin").join(name));
    let Some(interpreter) = places.into_iter().find(|path| path.exists()) else {
        let outcome = ImportOutcome::Unstarted(format!("there is no interpreter in `{}/bin`", environment.root));
        return Import { module: module.to_owned(), interpreter: String::new(), outcome, stderr: String::new() };
    };
    let (outcome, stderr) = start(&interpreter, module, deadline);
    Import { module: module.to_owned(), interpreter: interpreter.display().to_string(), outcome, stderr }
}

fn start(interpreter: &PathBuf, module: &str, deadline: Duration) -> (ImportOutcome, String) {
    let mut command = Command::new(interpreter);
    command.args(["-c", PROGRAM, module]).env("PYTHONDONTWRITEBYTECODE", "1").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return (ImportOutcome::Unstarted(error.kind().to_string()), String::new()),
    };
    let (stdout, stderr) = (child.stdout.take().map(tail), child.stderr.take().map(tail));
    let status = wait(&mut child, Instant::now() + deadline);
    let read = |stream: Option<Receiver<String>>| stream.and_then(|tail| tail.recv_timeout(GRACE).ok()).unwrap_or_default();
    // What it started and left behind ends too, and with it the last holders of its streams.
    end(&child);
    let (stdout, stderr) = (read(stdout), read(stderr));
    let outcome = match status {
        None => ImportOutcome::TimedOut(deadline.as_secs()),
        Some(status) => match (status.code(), status.signal()) {
            (Some(0), _) => ImportOutcome::Worked(stdout.trim().to_owned()),
            (Some(code), _) => ImportOutcome::Failed(code),
            (None, signal) => ImportOutcome::Killed(signal.unwrap_or_default()),
        },
    };
    // Reaps a child that was just killed; one stuck in the kernel is left to init.
    let _ = wait(&mut child, Instant::now() + GRACE);
    (outcome, stderr)
}

/// The exit status, unless the deadline comes first.
fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Ends the process group.
fn end(child: &Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // A group of which nothing is left is what is wanted.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// The end of a stream, read by a thread that nobody has to wait for.
fn tail(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
            if kept.len() > 2 * KEPT {
                kept.drain(..kept.len() - KEPT);
            }
        }
        let start = kept.len().saturating_sub(KEPT);
        // Nobody may be waiting any more.
        let _ = sender.send(String::from_utf8_lossy(kept.get(start..).unwrap_or_default()).into_owned());
    });
    receiver
}
