//! How long `diagnose` takes for a long ordinary log, the start of the process included, and how much memory it holds.
//!
//! `cargo bench --bench diagnose` prints one line for each kind of log. Each is held to [`TIME_LIMIT`] and [`MEMORY_LIMIT_MB`];
//! with `--check`, which is what CI runs on machines that also do other work, the time may be [`BUSY_MACHINE`] times as long.

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

/// What the program may hold in memory at its fullest, in units of 10^6 bytes.
const MEMORY_LIMIT_MB: f64 = 50.0;

/// How much longer it may take on a machine that also does other work.
const BUSY_MACHINE: u32 = 3;

/// Runs of each log: the fastest is the one that nothing else disturbed.
const RUNS: usize = 5;

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
    let limit = if check { TIME_LIMIT * BUSY_MACHINE } else { TIME_LIMIT };
    let program = Path::new(env!("CARGO_BIN_EXE_gpudoctor"));
    let mut held = true;
    println!("{:>8}  {:>8}  log of {} MB ({RUNS} runs each, limit {limit:?})", "best", "median", LENGTH / 1_000_000);
    for (kind, before, after) in KINDS {
        let Ok(log) = write(kind, before, after) else {
            println!("the log cannot be written");
            return ExitCode::FAILURE;
        };
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let begun = Instant::now();
            let status = Command::new(program).arg("diagnose").arg(&log).stdout(Stdio::null()).stderr(Stdio::null()).status();
            times.push(begun.elapsed());
            if !status.is_ok_and(|status| status.code() == Some(1)) {
                println!("gpudoctor diagnose {} did not end with 1, though the log shows no start", log.display());
                return ExitCode::FAILURE;
            }
        }
        times.sort_unstable();
        held &= times[0] <= limit;
        println!("{:>6.2} s  {:>6.2} s  {kind}", times[0].as_secs_f64(), times[RUNS / 2].as_secs_f64());
        let _ = std::fs::remove_file(&log);
    }
    // Linux counts in KiB, and over every command that ended: the fullest of them all.
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        println!("the system did not tell how much memory the commands held");
        return ExitCode::FAILURE;
    };
    let megabytes = usage.max_rss() as f64 * 1024.0 / 1e6;
    held &= megabytes <= MEMORY_LIMIT_MB;
    println!("{megabytes:.1} MB of memory at the fullest, limit {MEMORY_LIMIT_MB} MB");
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
