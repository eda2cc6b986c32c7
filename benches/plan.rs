//! How long `plan` takes as a user runs it, the start of the process included, and how much memory it holds.
//!
//! `cargo bench --bench plan` prints one line for each command. Commands are held to [`TIME_LIMIT`] and [`MEMORY_LIMIT_MB`];
//! with `--check`, which is what CI runs on machines that also do other work, the time may be [`BUSY_MACHINE`] times as long.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark starts the program and prints what it measured")]

mod commands;

use std::process::ExitCode;
use std::time::Duration;

/// What a plan may take, the best of its runs.
const TIME_LIMIT: Duration = Duration::from_millis(15);

/// What a plan may hold in memory at its fullest, in units of 10^6 bytes.
const MEMORY_LIMIT_MB: f64 = 30.0;

/// How much longer a plan may take on a machine that also does other work.
const BUSY_MACHINE: u32 = 2;

/// Plans from the smallest search to the largest. None needs the network.
const COMMANDS: [&str; 4] = [
    "plan --model 8b --gpu 4090 --offline",
    "plan --model 70b --vram 7g --offline",
    "plan --model 70b --gpu 4090 --gpus 4 --offline --format json",
    "explain kv_cache",
];

fn main() -> ExitCode {
    let limit = if commands::on_a_busy_machine() { TIME_LIMIT * BUSY_MACHINE } else { TIME_LIMIT };
    commands::held_to(&COMMANDS, |_| (), limit, MEMORY_LIMIT_MB)
}
