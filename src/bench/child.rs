//! The measuring process: one family on one device, a line for everything that it finds.

use std::ffi::OsString;
use std::io::{BufRead, Write};

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;

use super::driver::{Driver, Error, Gpu};
use super::gemm::{self, Stored};
use super::modules::{Kernels, Source};
use super::nvml::Nvml;
use super::workbench::Workbench;
use super::{attention, hbm, host, mla, nccl, peer};
use crate::measurement::{Family, Report, Stop};
use crate::units::Bytes;

/// Runs what the words after [`super::WORD`] ask for; whether they could be understood.
pub fn run(words: &[OsString]) -> bool {
    // A crash leaves no core file, and a child does not outlive its parent. Neither call can fail on a kernel that runs anything here.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let done = match words.as_slice() {
        ["devices"] => devices().map_err(|error| error.stop()),
        [nccl::WORD, rank, ranks, ordinal, path, rest @ ..] => match (rank.parse(), ranks.parse(), ordinal.parse()) {
            (Ok(rank), Ok(ranks), Ok(ordinal)) => {
                nccl::rank(rank, ranks, ordinal, path, rest.contains(&"quick"), &say).map_err(|error| error.stop())
            }
            _ => return false,
        },
        [ordinal, family, rest @ ..] => match (ordinal.parse(), Family::named(family)) {
            (Ok(ordinal), Some(family)) => measure(ordinal, family, rest.contains(&"quick")),
            _ => return false,
        },
        _ => return false,
    };
    if let Err(stop) = done {
        say(Report::Stopped(String::new(), stop));
    }
    say(Report::Done);
    true
}

/// Names every device.
fn devices() -> Result<(), Error> {
    let driver = Driver::start()?;
    say(Report::Driver(driver.cuda_version()?));
    if let Some(version) = Nvml::driver_version() {
        say(Report::Version(version));
    }
    for ordinal in 0..driver.devices()? {
        say(Report::Device(driver.facts(ordinal)?));
    }
    Ok(())
}

/// Sets up, waits for the word of the parent, and measures.
fn measure(ordinal: u32, family: Family, quick: bool) -> Result<(), Stop> {
    say(Report::At("setting up".to_owned()));
    let failed = |error: Error| error.stop();
    let driver = Driver::start().map_err(failed)?;
    let gpu = driver.open(ordinal).map_err(failed)?;
    let nvml = Nvml::open(&gpu.facts.pci);
    let done = one(&driver, &gpu, nvml.as_ref(), family, quick);
    say(Report::Timed(gpu.timed_seconds()));
    done.map_err(|error| match &nvml {
        Some(nvml) if nvml.is_lost() => Stop::DeviceLost(format!("NVML says that the GPU is lost; {error}")),
        _ => error.stop(),
    })
}

fn one(driver: &Driver, gpu: &Gpu, nvml: Option<&Nvml>, family: Family, quick: bool) -> Result<(), Error> {
    let bench = Workbench::new(gpu, nvml, quick, &say)?;
    // Compiled while other families are measured: that takes longer than measuring, where the driver has not kept it.
    let kernels = Source::of(family).map(|source| Kernels::load(gpu, source)).transpose()?;
    if let Some(kernels) = &kernels {
        kernels.complete(!quick);
    }
    say(Report::Ready);
    let _ = std::io::stdin().lock().read_line(&mut String::new());
    say(Report::Free(Bytes(gpu.free_memory()? as u64)));
    read_rate(&bench, "reading memory", Report::Read)?;
    match (family, kernels) {
        (Family::Hbm, _) => hbm::measure(&bench)?,
        (Family::Host, _) => host::measure(&bench)?,
        (Family::Peer, _) => peer::measure(&bench, driver)?,
        (Family::Int4, Some(kernels)) => gemm::measure(&bench, &kernels, Stored::Int4)?,
        (Family::Fp8, Some(kernels)) => gemm::measure(&bench, &kernels, Stored::E4m3)?,
        (Family::Attention, Some(kernels)) => attention::measure(&bench, &kernels)?,
        (Family::Mla, Some(kernels)) => mla::measure(&bench, &kernels)?,
        (Family::Nccl, _) | (Family::Int4 | Family::Fp8 | Family::Attention | Family::Mla, None) => {}
    }
    read_rate(&bench, "reading memory again", Report::ReadAgain)
}

/// Says the read rate, where there is a kernel that reads.
fn read_rate(bench: &Workbench<'_>, at: &str, report: impl FnOnce(f64) -> Report) -> Result<(), Error> {
    if bench.kernels().is_ok() {
        bench.at(at);
        bench.say(report(bench.read_rate()?));
    }
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
