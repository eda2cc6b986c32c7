//! Commands as a user runs them, timed from the start of the process to its end.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// Runs of each command: the fastest is the one that nothing else disturbed.
const RUNS: usize = 60;

/// Whether a run may take the time of a busy machine: `--check`, as CI gives it.
pub(crate) fn on_a_busy_machine() -> bool {
    std::env::args().any(|argument| argument == "--check")
}

/// Runs `commands`, with what `prepare` sets, and prints one line for each: a failure where the best of some takes longer than
/// `limit`, or one holds more memory than `memory` (units of 10^6 bytes) at its fullest.
pub(crate) fn held_to(commands: &[&str], prepare: impl Fn(&mut Command), limit: Duration, memory: f64) -> ExitCode {
    let mut held = true;
    println!("{:>8}  {:>8}  command ({RUNS} runs each, limit {limit:?})", "best", "median");
    for command in commands {
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let mut run = Command::new(Path::new(env!("CARGO_BIN_EXE_gpudoctor")));
            run.args(command.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
            prepare(&mut run);
            let begun = Instant::now();
            let status = run.status();
            times.push(begun.elapsed());
            // Exit code 1 is a plan that does not fit or a machine with a fault, which is an answer; anything above is not.
            if !status.is_ok_and(|status| status.code().is_some_and(|code| code <= 1)) {
                println!("gpudoctor {command} ended with an error");
                return ExitCode::FAILURE;
            }
        }
        times.sort_unstable();
        let (best, median) = (times[0], times[RUNS / 2]);
        held &= best <= limit;
        println!("{:>5.1} ms  {:>5.1} ms  gpudoctor {command}", milliseconds(best), milliseconds(median));
    }
    // Linux counts in KiB, and over every command that ended: the fullest of them all.
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        println!("the system did not tell how much memory the commands held");
        return ExitCode::FAILURE;
    };
    let megabytes = usage.max_rss() as f64 * 1024.0 / 1e6;
    held &= megabytes <= memory;
    println!("{megabytes:.1} MB of memory at the fullest, limit {memory} MB");
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
