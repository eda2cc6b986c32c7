//! Copies between pinned host memory and the device, by the copy engines, checked word by word.

use std::time::Instant;

use super::cores::on_shares;
use super::data::Data;
use super::driver::{Error, Stream};
use super::workbench::{Timing, Workbench, sample, spread};
use crate::measurement::{Launch, Report};

/// Bytes of one copy.
const SIZE: usize = 256 << 20;
/// Copies in each direction that are timed.
const COPIES: usize = 7;
/// How often they are timed again when the times vary: host memory is shared with whatever else the machine does.
const ROUNDS: usize = 3;
/// The slowest copy over the fastest from which times vary. An idle H100's stay within 1.02.
const STEADY: f64 = 1.1;

/// Measures each direction, and both at once.
pub(super) fn measure(bench: &Workbench<'_>) -> Result<(), Error> {
    let gpu = bench.gpu;
    let free = gpu.free_memory()?;
    let size = SIZE.min(free / 4) / 4096 * 4096;
    bench.at("pinning host memory");
    let (mut up, mut down) = (gpu.pin(size)?, gpu.pin(size)?);
    let data = Data::words();
    on_shares(up.words(), |first, words| (first..).zip(words).for_each(|(index, word)| *word = data.word(index)));
    on_shares(down.words(), |_, words| words.fill(0x5a5a_5a5a));
    let (to, from) = (gpu.allocate(size)?, bench.filled(size, Data::words())?);
    let shape = format!("pinned {} MiB", size >> 20);
    let note = (size < SIZE).then(|| format!("{} MiB instead of {}, because only {} MiB are free", size >> 20, SIZE >> 20, free >> 20));
    let say = |kernel: &str, bytes: usize, timing: Timing, fault: Option<String>| {
        let mut sample = sample(kernel, shape.clone(), Launch::CopyEngine, bytes, timing);
        (sample.fault, sample.note) = (fault, note.clone());
        sample.reduced = note.is_some();
        bench.say(Report::Sample(Box::new(sample)));
    };
    let time = |copy: &dyn Fn() -> Result<(), Error>| -> Result<Timing, Error> {
        copy()?;
        gpu.wait()?;
        let mut conditions = None;
        let mut round = || {
            let times = (0..COPIES).map(|_| gpu.seconds(copy, || conditions = Some(bench.conditions())));
            Ok::<_, Error>(spread(times.collect::<Result<_, _>>()?))
        };
        let mut time = round()?;
        for _ in 1..ROUNDS {
            if time.slowest <= STEADY * time.fastest {
                break;
            }
            let again = round()?;
            time = if again.median < time.median { again } else { time };
        }
        Ok(Timing { time, conditions: conditions.unwrap_or_default() })
    };

    // Up, and then down what went up: a word that differs was damaged on the way.
    bench.at("host-to-device");
    let upward = time(&|| to.copy_from(&up, Stream::First))?;
    bench.at("device-to-host");
    let downward = time(&|| to.copy_to(&down, Stream::First))?;
    gpu.wait()?;
    let damaged = on_shares(down.words(), |first, words| (first..).zip(words).filter(|(index, word)| data.word(*index) != **word).count());
    let fault = match damaged.map(|damaged| damaged.iter().sum::<usize>()) {
        Some(0) => None,
        Some(damaged) => Some(format!("{damaged} of {} words came back different", size / 4)),
        None => Some("what came back could not be compared".to_owned()),
    };
    say("host-to-device", size, upward, fault.clone());
    say("device-to-host", size, downward, fault);

    bench.at("host-both-directions");
    // Two streams have no common end on the device: the host's clock tells, to some microseconds of milliseconds.
    let both = (0..COPIES).map(|_| {
        let start = Instant::now();
        from.copy_to(&down, Stream::Second)?;
        to.copy_from(&up, Stream::First)?;
        gpu.wait()?;
        Ok(start.elapsed().as_secs_f64())
    });
    let both = Timing { time: spread(both.collect::<Result<_, Error>>()?), conditions: bench.conditions() };
    say("host-both-directions", 2 * size, both, None);
    Ok(())
}
