//! The program as a user runs it: no hub, no settings of the machine, and a deadline.

#![expect(clippy::disallowed_methods, reason = "runs the program")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program with `arguments` and `environment`; one that outlives `deadline` is ended, and the test fails.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)], deadline: Duration) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpudoctor"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent").env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
    command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let read = |stream: &mut dyn std::io::Read| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("output");
        String::from_utf8(bytes).expect("UTF-8")
    };
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || read(&mut stdout));
        let stderr = scope.spawn(move || read(&mut stderr));
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break Some(status);
            }
            if start.elapsed() > deadline {
                child.kill().expect("a child");
                child.wait().expect("a child");
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let (stdout, stderr) = (stdout.join().expect("output"), stderr.join().expect("output"));
        let status = status.unwrap_or_else(|| panic!("{arguments:?} still runs after {deadline:?}\n{stderr}"));
        Outcome { code: status.code(), stdout, stderr }
    })
}
