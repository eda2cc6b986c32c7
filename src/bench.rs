//! Measures what serving will get from the GPUs of this machine, in processes of their own.
//!
//! Each family on each device is measured by a child, `gpudoctor __bench DEVICE FAMILY`: a fault of a kernel stays with its
//! family, a hang ends at a deadline, and the parent never holds a CUDA context. Children of one device measure one after another;
//! while the first does, all others set up, which is half of what they need.

mod attention;
pub mod child;
mod cores;
mod data;
mod decode;
mod deviation;
mod driver;
mod gemm;
mod hbm;
mod host;
mod mla;
mod modules;
mod nccl;
mod nvml;
mod parent;
mod peer;
mod split;
mod workbench;

pub use nccl::measure as all_reduce;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::measurement::{Device, Family, GpuMeasured, Measured, Report, Stop, Took};
use parent::{End, Process};

/// The hidden word that makes the program a measuring process.
pub const WORD: &str = "__bench";

/// What to measure.
#[derive(Clone, Debug)]
pub struct Request {
    /// The families, in order.
    pub families: Vec<Family>,
    /// Whether to measure less of each.
    pub quick: bool,
    /// How long the driver may take to name its devices, and each family to set up.
    pub set_up: Duration,
    /// How long each family may take to say the next thing.
    pub step: Duration,
}

/// The machine's devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Devices {
    /// CUDA's version of the driver: 13000 is 13.0.
    pub cuda: Option<u32>,
    /// The driver's own version, where NVML tells it.
    pub version: Option<String>,
    /// In CUDA's order.
    pub devices: Vec<Device>,
    /// Why there are no more.
    pub stop: Option<Stop>,
}

/// The devices that CUDA shows here.
pub fn devices(request: &Request) -> Devices {
    let mut found = Devices { cuda: None, version: None, devices: Vec::new(), stop: None };
    let mut process = match Process::start(&["devices".to_owned()]) {
        Ok(process) => process,
        Err(error) => {
            found.stop = Some(Stop::Lost(format!("the process could not be started: {error}")));
            return found;
        }
    };
    let end = process.listen(request.set_up, |report| {
        match report {
            Report::Driver(version) => found.cuda = Some(version),
            Report::Version(version) => found.version = Some(version),
            Report::Device(device) => found.devices.push(device),
            Report::Stopped(_, stop) => found.stop = Some(stop),
            _ => {}
        }
        false
    });
    if let Some(End::Lost(reason)) = end {
        found.stop = Some(Stop::Lost(reason));
    }
    found
}

/// Measures on one device. `progress` is told what comes next.
pub fn measure(device: &Device, request: &Request, progress: impl Fn(&str)) -> GpuMeasured {
    let started = Instant::now();
    let start = |family: &Family| {
        let mut words = vec![device.index.to_string(), family.name().to_owned()];
        words.extend(request.quick.then(|| "quick".to_owned()));
        (*family, Process::start(&words))
    };
    let mut waiting = request.families.iter().filter(|family| **family != Family::Nccl);
    let mut processes: VecDeque<_> = waiting.next().map(start).into_iter().collect();
    let mut families = Vec::new();
    let mut gone = None;
    while let Some((family, mut process)) = processes.pop_front() {
        // Of a device that is gone, each further family would only wait for its deadline.
        if let Some(stop) = &gone {
            families.push(Measured { stopped: vec![(String::new(), Stop::clone(stop))], ..Measured::nothing(family) });
            continue;
        }
        progress(&format!("measuring {} of GPU {}", family.name(), device.index));
        let mut measured = Measured::nothing(family);
        let ready = process.as_mut().is_ok_and(|process| set_up(process, request, &mut measured));
        processes.extend(waiting.by_ref().map(start));
        match process {
            Ok(mut process) if ready => take_turn(&mut process, request, &mut measured),
            Ok(_) => {}
            Err(error) => measured.stopped.push((String::new(), Stop::Lost(format!("the process could not be started: {error}")))),
        }
        gone = measured.stopped.iter().map(|(_, stop)| stop).find(|stop| matches!(stop, Stop::DeviceLost(_))).cloned();
        families.push(measured);
    }
    let took = Took {
        seconds: started.elapsed().as_secs_f64(),
        measuring_seconds: families.iter().map(|family| family.turn).sum(),
        timed_seconds: families.iter().map(|family| family.timed).sum(),
    };
    let took = (!families.is_empty()).then_some(took);
    GpuMeasured { device: device.clone(), families, took }
}

/// Takes down what one family's process says until it waits for its turn. False where it never does.
fn set_up(process: &mut Process, request: &Request, measured: &mut Measured) -> bool {
    let mut ready = false;
    let end = process.listen(request.set_up, |report| {
        ready = matches!(report, Report::Ready);
        if !ready {
            take(measured, report);
        }
        ready
    });
    note_loss(measured, end);
    ready
}

/// Lets it measure, and takes down the rest.
fn take_turn(process: &mut Process, request: &Request, measured: &mut Measured) {
    let turn = Instant::now();
    process.go_on();
    // Each thing that is said starts the deadline again: a family may take long, but it may not be silent for long.
    let end = loop {
        let heard = process.listen(request.step, |report| {
            take(measured, report);
            true
        });
        if heard.is_some() {
            break heard;
        }
    };
    measured.turn = turn.elapsed().as_secs_f64();
    note_loss(measured, end);
}

fn note_loss(measured: &mut Measured, end: Option<End>) {
    if let Some(End::Lost(reason)) = end {
        measured.stopped.push((String::new(), Stop::Lost(reason)));
    }
}

fn take(measured: &mut Measured, report: Report) {
    match report {
        Report::Free(bytes) => measured.free = Some(bytes),
        Report::Read(rate) => measured.read = Some(rate),
        Report::ReadAgain(rate) => measured.read_again = Some(rate),
        Report::Timed(seconds) => measured.timed = seconds,
        Report::Sample(sample) => measured.samples.push(*sample),
        Report::Peer(peer) => measured.peers.push(peer),
        Report::Stopped(name, stop) => measured.stopped.push((name, stop)),
        Report::Driver(_) | Report::Version(_) | Report::Device(_) | Report::Ready | Report::At(_) | Report::Rank(_) | Report::Done => {}
    }
}
