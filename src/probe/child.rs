//! Runs a probe in a process of its own, with a deadline: what a sick driver does to it is a reading, not an accident.
//!
//! The child prints lines. `@` says which call a lane of it is about to make, `+` is its section so far, `=` its section complete.
//! A child that hangs or dies leaves the last `+`, in which calls that have not returned are marked [`PENDING`].

mod emit;

pub(super) use emit::{Emitter, Lane, PENDING, prepare, side_by_side, watched};

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::capture::rewrite::rewritten;
use crate::reading::Reading;

/// The hidden word that makes the program a probe.
pub const WORD: &str = "__probe";

/// Most that is read of what one child prints, in bytes.
const MOST: u64 = 256 << 20;
/// How long a killed child may take to be gone; one stuck inside the kernel never is.
const GRACE: Duration = Duration::from_millis(300);

/// Runs `gpudoctor __probe ARGUMENTS…` and returns the section that it printed.
///
/// A child that hangs or dies after it printed part of its section gives that part; `lost` is then called with what
/// happened, to mark what is missing.
pub(super) fn run<T: DeserializeOwned>(arguments: &[String], deadline: Duration, lost: impl FnOnce(&mut T, &Ending)) -> Reading<T> {
    let mut child = match start(arguments) {
        Ok(child) => child,
        Err(error) => return Reading::Unreadable(format!("the probe could not be started: {error}")),
    };
    let end = Instant::now() + deadline;
    let (mut last, mut lanes, mut complete) = (None, BTreeMap::new(), false);
    let mut timed_out = false;
    if let Some(lines) = child.stdout.take().map(|output| lines_of(output, MOST)) {
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.split_at_checked(1) {
                    Some(("@", step)) => step_to(&mut lanes, step),
                    Some(("+", section)) => last = Some(section.to_owned()),
                    Some(("=", section)) => {
                        last = Some(section.to_owned());
                        complete = true;
                        break;
                    }
                    _ => {}
                },
                Err(RecvTimeoutError::Timeout) => {
                    timed_out = true;
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    if complete {
        finish(&mut child, true, GRACE);
        return last.map_or_else(|| Reading::unreadable("the probe printed nothing"), |section| read(&section));
    }
    let complaint = child.stderr.take().filter(|_| !timed_out).and_then(complaint);
    let status = finish(&mut child, timed_out, GRACE);
    let at = lanes.into_values().collect::<Vec<_>>().join("`, `");
    let ending = Ending::new(timed_out.then_some(deadline), status, complaint, &at);
    match last {
        None => Reading::Unreadable(ending.reason),
        Some(section) => {
            // A call says itself which it was; what has nothing but the mark was behind the last call that was announced.
            let patched = section.replace(&quoted(PENDING), &quoted(&ending.reason));
            let patched = patched.replace(quoted(PENDING).trim_matches('"'), quoted(&ending.what).trim_matches('"'));
            read(&patched).map(|mut section| {
                lost(&mut section, &ending);
                section
            })
        }
    }
}

/// Keeps the call that a lane is about to make; one without a call is through.
fn step_to(lanes: &mut BTreeMap<String, String>, step: &str) {
    match step.split_once('\t') {
        Some((lane, "")) => drop(lanes.remove(lane)),
        Some((lane, call)) => drop(lanes.insert(lane.to_owned(), call.to_owned())),
        None => {}
    }
}

/// How a child ended that did not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// What happened: "timed out after 10 s".
    what: String,
    /// What happened, and in which call: "timed out after 10 s in `nvmlInit_v2`".
    pub(super) reason: String,
}

impl Ending {
    fn new(timed_out: Option<Duration>, status: Option<ExitStatus>, complaint: Option<String>, at: &str) -> Self {
        let what = match (timed_out, status) {
            (Some(deadline), _) => format!("timed out after {} s", deadline.as_secs_f64()),
            (None, Some(status)) => match status.signal().map(Signal::try_from) {
                Some(Ok(signal)) => format!("crashed with {signal}"),
                Some(Err(_)) => "crashed".to_owned(),
                None => format!("ended with exit code {}", status.code().unwrap_or_default()),
            },
            (None, None) => "ended".to_owned(),
        };
        let place = if at.is_empty() { String::new() } else { format!(" in `{at}`") };
        let said = complaint.map(|text| format!(": {text}")).unwrap_or_default();
        Self { reason: format!("{what}{place}{said}"), what }
    }
}

/// Says of every call in `part` that nobody got to make it, because of `reason`.
pub(super) fn cut<T: Serialize + DeserializeOwned>(part: &mut T, reason: &str) {
    fn replace(value: &mut Value, stuck: &Value) {
        match value {
            Value::String(text) if text == "not_called" => stuck.clone_into(value),
            Value::Array(items) => items.iter_mut().for_each(|item| replace(item, stuck)),
            Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, stuck)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    if let Ok(marked) = rewritten(part, |value| replace(value, &serde_json::json!({ "stuck": reason }))) {
        *part = marked;
    }
}

fn start(arguments: &[String]) -> std::io::Result<Child> {
    // The running program, even if its file has been replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("gpudoctor").arg(WORD).args(arguments);
    // The driver compiles the kernel of the launch test; it shall not write that to the user's cache.
    command.env("CUDA_CACHE_DISABLE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()
}

/// The lines of the first `most` bytes of `output`, read by a thread that nobody waits for.
pub(crate) fn lines_of(output: impl Read + Send + 'static, most: u64) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output.take(most)).lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The last line that a dead child wrote to stderr: the loader names there what it did not find.
fn complaint(output: impl Read + Send + 'static) -> Option<String> {
    let lines = lines_of(output, 1 << 16);
    let end = Instant::now() + GRACE;
    let mut last = None;
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if !line.trim().is_empty() {
            last = Some(line.trim().chars().take(200).collect());
        }
    }
    last
}

/// Waits for a child that is ending, or kills it with all its own children: at once, or when `grace` is over. One that is stuck
/// inside the kernel is never gone; it is not waited for.
pub(crate) fn finish(child: &mut Child, kill: bool, grace: Duration) -> Option<ExitStatus> {
    let kill_group = |child: &Child| {
        if let Ok(pid) = i32::try_from(child.id()) {
            // It may be gone already.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    };
    if kill {
        kill_group(child);
    }
    let end = Instant::now() + grace;
    let mut pause = Duration::from_micros(200);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Err(_) => return None,
            Ok(None) if Instant::now() >= end => {
                kill_group(child);
                return child.try_wait().ok().flatten();
            }
            Ok(None) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn read<T: DeserializeOwned>(section: &str) -> Reading<T> {
    match serde_json::from_str(section) {
        Ok(section) => Reading::Known(section),
        Err(error) => Reading::Unreadable(format!("the probe printed something else: {error}")),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_is_through_is_not_where_it_ended() {
        let mut lanes = BTreeMap::new();
        for step in ["files\t/proc/version", "nodes\t/dev/nvidia0", "files\t", "nonsense"] {
            step_to(&mut lanes, step);
        }
        assert_eq!(lanes.into_iter().collect::<Vec<_>>(), [("nodes".to_owned(), "/dev/nvidia0".to_owned())]);
    }

    #[test]
    fn an_ending_says_what_happened_and_where() {
        let hung = Ending::new(Some(Duration::from_secs(10)), None, None, "nvmlInit_v2");
        assert_eq!(hung.reason, "timed out after 10 s in `nvmlInit_v2`");
        let crashed = Ending::new(None, Some(ExitStatus::from_raw(11)), None, "cuInit");
        assert_eq!(crashed.reason, "crashed with SIGSEGV in `cuInit`");
        let refused = Ending::new(None, Some(ExitStatus::from_raw(127 << 8)), Some("undefined symbol: x".to_owned()), "");
        assert_eq!(refused.reason, "ended with exit code 127: undefined symbol: x");
    }
}
