//! How long `diagnose` takes for a log of one line and for long ordinary ones, the start of the process included, and how much
//! memory it holds.
//!
//! `cargo bench --bench diagnose` prints one line for each log. That of one line is held to [`START_LIMIT`], the long ones to
//! [`TIME_LIMIT`], all to [`MEMORY_LIMIT_MB`]; with `--check`, which is what CI runs on machines that also do other work, the time
//! may be [`BUSY_MACHINE`] times as long.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark starts the program and prints what it measured")]

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// How long a log is, in bytes.
const LENGTH: usize = 100_000_000;

/// What its diagnosis may take, the best of [`RUNS`].
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// What the diagnosis of one line may take: a check in a script, or of each container that ended, is no wait.
const START_LIMIT: Duration = Duration::from_millis(20);

/// What the program may hold in memory at its fullest, in units of 10^6 bytes.
const MEMORY_LIMIT_MB: f64 = 40.0;

/// How much longer it may take on a machine that also does other work.
const BUSY_MACHINE: u32 = 3;

/// Runs of each log: the fastest is the one that nothing else disturbed.
const RUNS: usize = 5;

/// Runs of the log of one line, which are short.
const STARTS: usize = 20;

/// Lines of a server that works, as vLLM prints them; `{n}` is a running number.
const LINES: [&str; 8] = [
    "INFO 05-16 23:06:29 [logger.py:39] Received request chatcmpl-{n}: prompt: 'Summarise the report on {n} sheep', params: SamplingParams(n=1, temperature=0.7, max_tokens=512), prompt_token_ids: None",
    "INFO 05-16 23:06:29 [async_llm.py:252] Added request chatcmpl-{n}.",
    "INFO:     127.0.0.1:53412 - \"POST /v1/chat/completions HTTP/1.1\" 200 OK",
    "INFO 05-16 23:06:31 [loggers.py:111] Engine 000: Avg prompt throughput: 341.5 tokens/s, Avg generation throughput: 112.0 tokens/s, Running: 3 reqs, Waiting: 0 reqs, GPU KV cache usage: 4.1%, Prefix cache hit rate: 31.0%",
    "DEBUG 05-16 23:06:31 [core.py:401] EngineCore waiting for work.",
    "INFO:     10.0.0.7:41112 - \"GET /metrics HTTP/1.1\" 200 OK",
    "INFO 05-16 23:06:33 [metrics.py:455] Prefix cache hit rate: GPU: 12.{n}%, CPU: 0.00%",
    "WARNING 05-16 23:06:33 [protocol.py:58] The following fields were present in the request but ignored: {'stream_options'} ({n})",
];

/// Kinds of logs: what stands before and after each line.
const KINDS: [(&str, &str, &str); 4] = [
    ("plain", "", ""),
    ("coloured", "\u{1b}[1;36m(EngineCore_DP0 pid=68)\u{1b}[0;0m ", ""),
    ("kubernetes", "2025-05-16T23:06:29.123456789Z stdout F ", ""),
    ("docker", "{\"log\":\"", "\\n\",\"stream\":\"stderr\",\"time\":\"2025-05-16T23:06:29.123456789Z\"}"),
];

fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    let factor = if check { BUSY_MACHINE } else { 1 };
    match measured(factor) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every log was diagnosed within `factor` times its limit, and all of them in the memory that is allowed.
fn measured(factor: u32) -> Result<bool, String> {
    println!("{:>8}  {:>8}  {:>8}  log", "best", "median", "limit");
    let unwritten = |error: io::Error| format!("the log cannot be written: {error}");
    let line = Path::new(env!("CARGO_TARGET_TMPDIR")).join("line.log");
    std::fs::write(&line, "RuntimeError: CUDA error: out of memory\n").map_err(unwritten)?;
    let mut held = timed("one line", &line, STARTS, START_LIMIT * factor)?;
    for (kind, before, after) in KINDS {
        let log = write(kind, before, after).map_err(unwritten)?;
        held &= timed(&format!("{} MB, {kind}", LENGTH / 1_000_000), &log, RUNS, TIME_LIMIT * factor)?;
        let _ = std::fs::remove_file(&log);
    }
    // Linux counts in KiB, and over every command that ended: the fullest of them all.
    let usage =
        getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("the system did not tell how much memory was held: {error}"))?;
    let megabytes = usage.max_rss() as f64 * 1024.0 / 1e6;
    println!("{megabytes:.1} MB of memory at the fullest, limit {MEMORY_LIMIT_MB} MB");
    Ok(held && megabytes <= MEMORY_LIMIT_MB)
}

/// Whether the best of some diagnoses of `log` is within `limit`.
fn timed(name: &str, log: &Path, runs: usize, limit: Duration) -> Result<bool, String> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let begun = Instant::now();
        let program = Path::new(env!("CARGO_BIN_EXE_gpudoctor"));
        let status = Command::new(program).arg("diagnose").arg(log).stdout(Stdio::null()).stderr(Stdio::null()).status();
        times.push(begun.elapsed());
        if !status.is_ok_and(|status| status.code() == Some(1)) {
            return Err(format!("gpudoctor diagnose {} did not end with 1, though the log shows no start", log.display()));
        }
    }
    times.sort_unstable();
    let [best, median, limit_shown] = [times[0], times[runs / 2], limit].map(|time| format!("{:.0} ms", time.as_secs_f64() * 1e3));
    println!("{best:>8}  {median:>8}  {limit_shown:>8}  {name}");
    Ok(times[0] <= limit)
}

/// Writes a log of [`LENGTH`] bytes.
fn write(kind: &str, before: &str, after: &str) -> io::Result<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{kind}.log"));
    let mut file = BufWriter::new(std::fs::File::create(&path)?);
    let mut written = 0;
    let mut number = 0_u64;
    while written < LENGTH {
        for line in LINES {
            let text = line.replace("{n}", &number.to_string());
            let text = if after.is_empty() { text } else { text.replace('"', "\\\"") };
            writeln!(file, "{before}{text}{after}")?;
            written += before.len() + text.len() + after.len() + 1;
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 24;
        }
    }
    file.flush()?;
    Ok(path)
}
