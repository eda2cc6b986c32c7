//! Starts measuring processes, takes down what they say, and ends those that hang.

#![expect(clippy::disallowed_methods, reason = "measuring processes are started here")]

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::measurement::Report;
use crate::probe;

/// Most that is read of what one child prints, in bytes.
const MOST: u64 = 64 << 20;
/// How long a child that said everything may take to be gone.
const GRACE: Duration = Duration::from_millis(500);

/// A measuring process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    at: String,
}

/// Why a process says no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It said everything.
    Done,
    /// It crashed or hung: what happened, and where.
    Lost(String),
}

impl Process {
    /// Starts `gpudoctor __bench WORDS…`.
    pub(super) fn start(words: &[String]) -> std::io::Result<Self> {
        Self::start_with(words, &[])
    }

    /// The same with variables of its own.
    pub(super) fn start_with(words: &[String], variables: &[(&str, &str)]) -> std::io::Result<Self> {
        // The running program, even if its file has been replaced meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("gpudoctor").arg(super::WORD).args(words).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn()?;
        let lines = child.stdout.take().map_or_else(|| channel().1, |output| probe::lines_of(output, MOST));
        Ok(Self { child, lines, at: String::new() })
    }

    /// Takes reports until `until` says that one was the last of them, or the process has ended. None in the first case.
    pub(super) fn listen(&mut self, deadline: Duration, mut until: impl FnMut(Report) -> bool) -> Option<End> {
        let end = Instant::now() + deadline;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match serde_json::from_str(&line) {
                    Ok(Report::Done) => return Some(End::Done),
                    Ok(Report::At(what)) => self.at = what,
                    Ok(report) => {
                        if until(report) {
                            return None;
                        }
                    }
                    // The driver may print something itself.
                    Err(_) => {}
                },
                Err(RecvTimeoutError::Timeout) => return Some(self.lost(&format!("no answer within {} s", deadline.as_secs()))),
                Err(RecvTimeoutError::Disconnected) => {
                    let what = self.ending();
                    return Some(self.lost(&what));
                }
            }
        }
    }

    /// Lets a process that waits go on.
    pub(super) fn go_on(&mut self) {
        self.tell("go\n");
    }

    /// Says the one line that it waits for.
    pub(super) fn tell(&mut self, line: &str) {
        // One that is gone is noticed when it is listened to.
        if let Some(mut input) = self.child.stdin.take() {
            let _ = input.write_all(line.as_bytes());
        }
    }

    /// Its lines, for who listens to several processes at once; [`Self::listen`] hears nothing afterwards.
    pub(super) fn take_lines(&mut self) -> Receiver<String> {
        std::mem::replace(&mut self.lines, channel().1)
    }

    /// How a process ended that has closed its output.
    pub(super) fn ending(&mut self) -> String {
        let status = self.child.wait().ok();
        let signal = status.and_then(|status| status.signal()).and_then(|signal| Signal::try_from(signal).ok());
        signal.map_or_else(|| "the process ended".to_owned(), |signal| format!("the process crashed with {signal}"))
    }

    fn lost(&self, what: &str) -> End {
        End::Lost(if self.at.is_empty() { what.to_owned() } else { format!("{what} in `{}`", self.at) })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        probe::finish(&mut self.child, false, GRACE);
    }
}
