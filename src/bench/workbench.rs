//! What every family measures with: a device, its sensors, its data, and a way to time launches on it.

use std::time::Duration;

use super::data::Data;
use super::driver::{Argument, Buffer, Error, Gpu, Kernel, Order};
use super::modules::{Kernels, Source};
use super::nvml::Nvml;
use crate::measurement::{Conditions, Launch, Report, Sample, Spread, Stop};
use crate::units::Bytes;

/// Device time of one group of launches: long against the resolution of events (half a microsecond).
const GROUP: f64 = 2e-3;
/// Fewest and most groups.
const GROUPS: (usize, usize) = (5, 20);
/// Most launches of a group.
const MOST_LAUNCHES: usize = 512;
/// A launch that takes longer than this is not repeated to warm up: the clocks are up after it.
const LONG: f64 = 20e-3;
/// How many times the second-level cache the data of a measurement must be, so that it comes from memory each time.
const CACHES: usize = 4;

/// A device, ready.
pub(super) struct Workbench<'a> {
    pub(super) gpu: &'a Gpu,
    /// Whether to measure less.
    pub(super) quick: bool,
    nvml: Option<&'a Nvml>,
    memory: Result<Memory<'a>, Error>,
    say: &'a dyn Fn(Report),
}

/// The kernels that every family uses.
#[derive(Debug)]
struct Memory<'a> {
    kernels: Kernels<'a>,
    fill: Kernel,
    read: Kernel,
}

impl<'a> Memory<'a> {
    fn load(gpu: &'a Gpu) -> Result<Self, Error> {
        let kernels = Kernels::load(gpu, Source::Memory)?;
        Ok(Self { fill: kernels.kernel("fill", 256, 0)?, read: kernels.kernel("read", 1024, 0)?, kernels })
    }
}

/// A measured time and the device meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    pub(super) time: Spread,
    pub(super) conditions: Conditions,
}

impl<'a> Workbench<'a> {
    /// A workbench, with or without kernels: what the driver does not compile, copies do not need.
    ///
    /// # Errors
    /// When loading kernels fails for another reason than the compiler's.
    pub(super) fn new(gpu: &'a Gpu, nvml: Option<&'a Nvml>, quick: bool, say: &'a dyn Fn(Report)) -> Result<Self, Error> {
        match Memory::load(gpu) {
            Err(error) if !error.is_compile_error() => Err(error),
            memory => Ok(Self { gpu, quick, nvml, memory, say }),
        }
    }

    fn memory(&self) -> Result<&Memory<'a>, Error> {
        self.memory.as_ref().map_err(Clone::clone)
    }

    /// The kernels of `memory.cu`.
    pub(super) fn kernels(&self) -> Result<&Kernels<'a>, Error> {
        Ok(&self.memory()?.kernels)
    }

    /// Says something to the parent.
    pub(super) fn say(&self, report: Report) {
        (self.say)(report);
    }

    /// Says what comes next.
    pub(super) fn at(&self, what: &str) {
        self.say(Report::At(what.to_owned()));
    }

    /// Does one thing; if that fails, the others are still tried. Fails only where the device can do no more.
    pub(super) fn attempt(&self, name: &str, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        self.at(name);
        match work() {
            Err(error) => match error.stop() {
                stop @ (Stop::Unsupported(_) | Stop::OutOfMemory(_) | Stop::NotCompiled(_)) => {
                    self.say(Report::Stopped(name.to_owned(), stop));
                    Ok(())
                }
                Stop::Failed(_) | Stop::Lost(_) | Stop::DeviceLost(_) => Err(error),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Memory full of random data.
    pub(super) fn filled(&self, size: usize, data: Data) -> Result<Buffer<'a>, Error> {
        let buffer = self.gpu.allocate(size)?;
        self.refill(&buffer, data)?;
        Ok(buffer)
    }

    /// Fills a buffer again.
    pub(super) fn refill(&self, buffer: &Buffer<'_>, data: Data) -> Result<(), Error> {
        match &self.memory {
            Ok(memory) => data.fill(self.gpu, &memory.fill, buffer),
            Err(_) => data.write(buffer),
        }
    }

    /// The smallest total size of rotating buffers that no cache holds.
    pub(super) fn beyond_cache(&self) -> usize {
        CACHES * self.gpu.facts.l2.0 as usize
    }

    /// The device now.
    pub(super) fn conditions(&self) -> Conditions {
        self.nvml.map(Nvml::conditions).unwrap_or_default()
    }

    /// Times `launch`, which is called with 0, 1, … and puts one launch into the stream, taking turns over `turns` sets of
    /// buffers.
    pub(super) fn time(&self, turns: usize, launch: impl Fn(usize) -> Result<(), Error>) -> Result<Timing, Error> {
        let run = |count: usize| self.gpu.seconds(|| (0..count).try_for_each(|i| launch(i % turns)), || {});
        let mut each = run(1)?;
        if each < LONG {
            run(turns.min(8))?;
            each = run(4)? / 4.0;
        }
        let launches = if each < LONG { ((GROUP / each) as usize).clamp(turns.min(MOST_LAUNCHES), MOST_LAUNCHES) } else { 1 };
        let graph = self.gpu.record(|| (0..launches).try_for_each(|i| launch(i % turns)))?;
        if each < LONG {
            graph.launch()?;
        }
        let budget = Duration::from_millis(if self.quick { 30 } else { 60 });
        let groups = ((budget.as_secs_f64() / (each * launches as f64)) as usize).clamp(GROUPS.0, GROUPS.1);
        let (mut seconds, mut conditions) = (Vec::new(), Conditions::default());
        for group in 0..groups {
            // The sensors are read once, while the device works; that takes longer than most groups.
            let read = || {
                if group == groups / 2 {
                    conditions = self.conditions();
                }
            };
            seconds.push(self.gpu.seconds(|| graph.launch(), read)? / launches as f64);
        }
        Ok(Timing { time: spread(seconds), conditions })
    }

    /// Reads all of a buffer with the kernel `read`.
    pub(super) fn read(&self, buffer: &Buffer<'_>, sum: &Buffer<'_>) -> Result<(), Error> {
        let arguments = [Argument::Wide(buffer.at(0)), Argument::Wide(buffer.size() as u64 / 16), Argument::Wide(sum.at(0))];
        let read = &self.memory()?.read;
        self.gpu.launch(read, self.gpu.facts.multiprocessors * read.resident.min(2), Order::After, &arguments)
    }

    /// The read rate now, in bytes a second: what the rates of other kernels are compared with.
    pub(super) fn read_rate(&self) -> Result<f64, Error> {
        let free = self.gpu.free_memory()?;
        let size = (1 << 30).min(free / 4) / 4096 * 4096;
        let (buffer, sum) = (self.filled(size, Data::words())?, self.gpu.zeroed(16)?);
        let timing = self.time(1, |_| self.read(&buffer, &sum))?;
        Ok(size as f64 / timing.time.median)
    }
}

impl From<Order> for Launch {
    fn from(order: Order) -> Self {
        match order {
            Order::After => Self::Plain,
            Order::Overlapped => Self::Overlapped,
        }
    }
}

/// The middle, the first and the last of some times.
pub(super) fn spread(mut seconds: Vec<f64>) -> Spread {
    seconds.sort_by(f64::total_cmp);
    let at = |index: usize| seconds.get(index).copied().unwrap_or(f64::NAN);
    Spread { median: at(seconds.len() / 2), fastest: at(0), slowest: at(seconds.len().saturating_sub(1)) }
}

/// A measurement of `kernel` whose result nobody has checked yet.
pub(super) fn sample(kernel: &str, shape: String, launch: Launch, bytes: usize, timing: Timing) -> Sample {
    Sample {
        kernel: kernel.to_owned(),
        shape,
        launch,
        bytes: Bytes(bytes as u64),
        flops: None,
        time: timing.time,
        error: None,
        error_limit: None,
        fault: None,
        conditions: timing.conditions,
        note: None,
        reduced: false,
    }
}
