//! The child's side: prints the call that it is about to make and its section, whole or so far.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use serde::Serialize;

/// What a call says that has not returned yet; the parent writes the reason in its place.
pub(crate) const PENDING: &str = "\u{1}has not returned\u{1}";

/// How long a section may take before what there is of it is printed, and how often after that.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Makes this process one that can be lost: it dies with its parent and leaves no core file.
pub(crate) fn prepare() {
    // A limit of one byte also keeps a crash away from programs that collect core files.
    // Neither call can fail on a kernel that runs anything here; without them a crash is merely less tidy.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
}

/// Where a probe writes while it works: what it found, and what it is about to do.
#[derive(Debug)]
pub(crate) struct Emitter<T> {
    state: Mutex<T>,
}

impl<T: Serialize> Emitter<T> {
    /// What was found so far.
    pub(crate) fn state(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says which call comes next.
    pub(crate) fn at(&self, call: &str) {
        line('@', call);
    }

    /// Prints the section as it is.
    pub(crate) fn part(&self) {
        self.print('+');
    }

    fn print(&self, mark: char) {
        let text = serde_json::to_string(&*self.state());
        if let Ok(text) = text {
            line(mark, &text);
        }
    }
}

/// Lets `probe` fill the section `blank` and prints it: whole when it is done, and meanwhile as it is.
pub(crate) fn watched<T: Serialize + Send + 'static>(blank: T, probe: impl FnOnce(&Emitter<T>) + Send + 'static) {
    let emitter = Arc::new(Emitter { state: Mutex::new(blank) });
    let (done, waiting) = channel();
    let working = Arc::clone(&emitter);
    std::thread::spawn(move || {
        probe(&working);
        let _ = done.send(());
    });
    loop {
        match waiting.recv_timeout(HEARTBEAT) {
            Ok(()) => return emitter.print('='),
            // The probe panicked: the process ends without a whole section.
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => emitter.part(),
        }
    }
}

/// One write a line, so that threads do not mix them; a parent that is gone is no error.
fn line(mark: char, text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{mark}{text}\n").as_bytes());
    let _ = out.flush();
}
