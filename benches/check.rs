//! How long `check` takes as a user runs it where there is no GPU, the start of the process and of its probes included, and
//! how much memory it holds.
//!
//! `cargo bench --bench check` prints one line for each command. Commands are held to [`TIME_LIMIT`] and [`MEMORY_LIMIT_MB`];
//! with `--check`, which is what CI runs on machines that also do other work, the time may be [`BUSY_MACHINE`] times as long.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark starts the program and prints what it measured")]

mod commands;

use std::process::ExitCode;
use std::time::Duration;

/// What a check may take, the best of its runs; nobody waits for what is faster than the eye.
const TIME_LIMIT: Duration = Duration::from_millis(30);

/// What a check may hold in memory at its fullest, in units of 10^6 bytes.
const MEMORY_LIMIT_MB: f64 = 30.0;

/// How much longer a check may take on a machine that also does other work: the promise is 40 ms.
const BUSY_MACHINE: f64 = 1.6;

/// A machine, an image, and a machine with all that is known about it.
const COMMANDS: [&str; 3] = ["check", "check --image", "check --format json --skipped"];

fn main() -> ExitCode {
    let limit = if commands::on_a_busy_machine() { TIME_LIMIT.mul_f64(BUSY_MACHINE) } else { TIME_LIMIT };
    // Without search paths there are the system's packages alone.
    let bare = |run: &mut std::process::Command| {
        run.env_clear().envs([("PATH", "/usr/bin:/bin"), ("HOME", "/nonexistent")]);
    };
    commands::held_to(&COMMANDS, bare, limit, MEMORY_LIMIT_MB)
}
