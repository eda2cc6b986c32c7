//! The measuring process: one family on one device, a line for everything that it finds.

use std::ffi::OsString;
use std::io::{BufRead, Write};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::driver::{Driver, Error};
use super::workbench::Workbench;
use super::{attention, hbm, host, int4, peer};
use crate::measurement::{Family, Report};

/// Runs what the words after [`super::WORD`] ask for; whether they could be understood.
pub fn run(words: &[OsString]) -> bool {
    // A crash leaves no core file, and a child does not outlive its parent. Neither call can fail on a kernel that runs anything here.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let done = match words.as_slice() {
        ["devices"] => devices(),
        [ordinal, family, rest @ ..] => match (ordinal.parse(), Family::named(family)) {
            (Ok(ordinal), Some(family)) => measure(ordinal, family, rest.contains(&"quick")),
            _ => return false,
        },
        _ => return false,
    };
    if let Err(error) = done {
        say(Report::Stopped(String::new(), error.stop()));
    }
    say(Report::Done);
    true
}

/// Names every device.
fn devices() -> Result<(), Error> {
    let driver = Driver::start()?;
    say(Report::Driver(driver.cuda_version()?));
    for ordinal in 0..driver.devices()? {
        say(Report::Device(driver.facts(ordinal)?));
    }
    Ok(())
}

/// Sets up, waits for the word of the parent, and measures.
fn measure(ordinal: u32, family: Family, quick: bool) -> Result<(), Error> {
    say(Report::At("setting up".to_owned()));
    let driver = Driver::start()?;
    let gpu = driver.open(ordinal)?;
    let bench = Workbench::new(&gpu, quick, &say)?;
    say(Report::Ready);
    let _ = std::io::stdin().lock().read_line(&mut String::new());
    say(Report::At("reading memory".to_owned()));
    say(Report::Read(bench.read_rate()?));
    match family {
        Family::Hbm => hbm::measure(&bench)?,
        Family::Host => host::measure(&bench)?,
        Family::Peer => peer::measure(&bench, &driver)?,
        Family::Int4 => int4::measure(&bench)?,
        Family::Attention => attention::measure(&bench)?,
    }
    say(Report::At("reading memory again".to_owned()));
    say(Report::ReadAgain(bench.read_rate()?));
    Ok(())
}

/// One write a line; a parent that is gone is no error.
fn say(report: Report) {
    if let Ok(text) = serde_json::to_string(&report) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(format!("{text}\n").as_bytes());
        let _ = out.flush();
    }
}
