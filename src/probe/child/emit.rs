//! The child's side: prints the call that it is about to make and its section, whole or so far.
//!
//! Several probes may fill one section side by side, each in a lane of its own: one that hangs costs what it had not read yet.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::alarm;
use serde::Serialize;

/// What a call says that has not returned yet; the parent writes the reason in its place.
pub(crate) const PENDING: &str = "\u{1}has not returned\u{1}";

/// How long a section may take before what there is of it is printed, and how often after that.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The longest that a probe can be wanted, in seconds: the longest deadline that can be asked for, and some more.
const LIFETIME: u32 = 900;

/// Makes this process one that can be lost: it dies with its parent and leaves no core file.
pub(crate) fn prepare() {
    // A limit of one byte also keeps a crash away from programs that collect core files.
    // Neither call can fail on a kernel that runs anything here; without them a crash is merely less tidy.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // A parent that was gone by then sends nothing; whatever happens, no probe outlives this.
    let _ = alarm::set(LIFETIME);
}

/// Where a probe writes while it works: what it found, and what it is about to do.
#[derive(Debug)]
pub(crate) struct Emitter<T> {
    state: Arc<Mutex<T>>,
    lane: &'static str,
}

/// A probe that fills a section, under the name of its lane.
pub(crate) type Lane<T> = (&'static str, Box<dyn FnOnce(&Emitter<T>) + Send>);

impl<T: Serialize> Emitter<T> {
    /// What was found so far.
    pub(crate) fn state(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says which call comes next.
    pub(crate) fn at(&self, call: &str) {
        line('@', &format!("{}\t{call}", self.lane));
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
    side_by_side(blank, vec![("", Box::new(probe))]);
}

/// Lets several probes fill one section at once and prints it: whole when all are done, and meanwhile as it is.
pub(crate) fn side_by_side<T: Serialize + Send + 'static>(blank: T, lanes: Vec<Lane<T>>) {
    let state = Arc::new(Mutex::new(blank));
    let (done, waiting) = channel();
    let mut working = lanes.len();
    for (lane, probe) in lanes {
        let (emitter, done) = (Emitter { state: Arc::clone(&state), lane }, done.clone());
        std::thread::spawn(move || {
            probe(&emitter);
            // Without a call, the lane is through.
            emitter.at("");
            let _ = done.send(());
        });
    }
    drop(done);
    let emitter = Emitter { state, lane: "" };
    while working > 0 {
        match waiting.recv_timeout(HEARTBEAT) {
            Ok(()) => {
                working -= 1;
                // What is read is safe from whatever another lane meets.
                if working > 0 {
                    emitter.part();
                }
            }
            // A probe panicked: the process ends without a whole section.
            Err(RecvTimeoutError::Disconnected) => return emitter.part(),
            Err(RecvTimeoutError::Timeout) => emitter.part(),
        }
    }
    emitter.print('=');
}

/// One write a line, so that threads do not mix them; a parent that is gone is no error.
fn line(mark: char, text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{mark}{text}\n").as_bytes());
    let _ = out.flush();
}
