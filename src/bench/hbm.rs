//! Device memory: read, write and copy rates, latency, and what a launch costs.

use super::driver::{Argument, Buffer, Error, Kernel, Order};
use super::workbench::{Timing, Workbench, sample, spread};
use crate::measurement::{Launch, Report};

/// What `write` leaves in word `i` is `i × FACTOR + seed` (`pattern` in `memory.cu`).
const FACTOR: u32 = 0x9e37_79b1;
/// Links of a pointer chase.
const STEPS: u64 = 4000;
/// Distance of two links in 32-bit words: each is in a cache line that no earlier one was in.
const STRIDE: u64 = 4099 * 32;
/// Most links.
const MOST_LINKS: u64 = 4 << 20;

/// Measures all of it.
pub(super) fn measure(bench: &Workbench<'_>) -> Result<(), Error> {
    let free = bench.gpu.free_memory()?;
    let wanted: usize = if bench.quick { 1 << 30 } else { 2 << 30 };
    let size = wanted.min(free / 4) / 4096 * 4096;
    let note = (size < wanted).then(|| format!("{} MiB instead of {}, because only {} MiB are free", size >> 20, wanted >> 20, free >> 20));
    let buffers = [bench.gpu.allocate(size)?, bench.gpu.allocate(size)?];
    let say = |kernel: &str, bytes: usize, timing: Timing, fault: Option<String>| {
        let mut sample = sample(kernel, format!("{} MiB", size >> 20), Launch::Plain, bytes, timing);
        (sample.fault, sample.note) = (fault, note.clone());
        // A buffer that a cache may hold a part of is no measure of memory; one beyond that is, however small.
        sample.reduced = size < bench.beyond_cache();
        bench.say(Report::Sample(Box::new(sample)));
    };
    let seed = fastrand::u32(..);
    let kernels = bench.kernels()?;
    let (write, copy) = (kernels.kernel("write", 1024, 0)?, kernels.kernel("copy", 1024, 0)?);
    let run = |kernel: &Kernel, arguments: &[Argument]| {
        bench.gpu.launch(kernel, bench.gpu.facts.multiprocessors * kernel.resident.min(2), Order::After, arguments)
    };
    let units = Argument::Wide(size as u64 / 16);
    let put = |to: &Buffer<'_>| run(&write, &[Argument::Wide(to.at(0)), units, Argument::Word(seed)]);
    let duplicate = |from: &Buffer<'_>, to: &Buffer<'_>| run(&copy, &[Argument::Wide(from.at(0)), Argument::Wide(to.at(0)), units]);
    let [first, second] = &buffers;

    // What was written is read back and added up; its sum is known. The buffers hold something else before.
    bench.attempt("hbm-read", || {
        first.set(0, size, 0x5a)?;
        put(first)?;
        let wrong = fault(bench, first, seed)?;
        let sum = bench.gpu.zeroed(16)?;
        say("hbm-read", size, bench.time(2, |turn| bench.read(if turn == 0 { first } else { second }, &sum))?, wrong);
        Ok(())
    })?;
    bench.attempt("hbm-write", || {
        let timing = bench.time(2, |turn| put(if turn == 0 { first } else { second }))?;
        second.set(0, size, 0x5a)?;
        put(second)?;
        say("hbm-write", size, timing, fault(bench, second, seed)?);
        Ok(())
    })?;
    bench.attempt("hbm-copy", || {
        let timing = bench.time(1, |_| duplicate(first, second))?;
        second.set(0, size, 0x5a)?;
        put(first)?;
        duplicate(first, second)?;
        say("hbm-copy", 2 * size, timing, fault(bench, second, seed)?);
        Ok(())
    })?;
    bench.attempt("hbm-latency", || latency(bench, first))?;
    bench.attempt("launch", || launches(bench))
}

/// What is wrong with a buffer that `write` or a copy of it filled.
fn fault(bench: &Workbench<'_>, buffer: &Buffer<'_>, seed: u32) -> Result<Option<String>, Error> {
    let sum = bench.gpu.zeroed(16)?;
    bench.read(buffer, &sum)?;
    let found = sum.read::<u32>(1)?.first().copied().unwrap_or_default();
    let wanted = sum_of_pattern(buffer.size() as u64 / 4, seed);
    Ok((found != wanted).then(|| format!("the words of the buffer add up to {found:#010x}, not to {wanted:#010x}")))
}

/// The sum of `i × FACTOR + seed` for all i < `words`, modulo 2^32.
fn sum_of_pattern(words: u64, seed: u32) -> u32 {
    let pairs = if words.is_multiple_of(2) { (words / 2).wrapping_mul(words.wrapping_sub(1)) } else { words.wrapping_mul((words - 1) / 2) };
    (pairs as u32).wrapping_mul(FACTOR).wrapping_add(seed.wrapping_mul(words as u32))
}

/// The time of a load that depends on the one before, from memory: what the caches hold is pushed out before each chase.
fn latency(bench: &Workbench<'_>, buffer: &Buffer<'_>) -> Result<(), Error> {
    let chase = bench.kernels()?.kernel("chase", 32, 0)?;
    let links = MOST_LINKS.min((buffer.size() / 4) as u64);
    let next: Vec<u32> = (0..links).map(|at| ((at + STRIDE) % links) as u32).collect();
    let (list, end, sum) = (bench.gpu.upload(&next)?, bench.gpu.zeroed(16)?, bench.gpu.zeroed(16)?);
    let start = fastrand::u64(..links);
    let arguments = [Argument::Wide(list.at(0)), Argument::Word(start as u32), Argument::Word(STEPS as u32), Argument::Wide(end.at(0))];
    let once = || {
        bench.read(buffer, &sum)?;
        Ok(bench.gpu.seconds(|| bench.gpu.launch(&chase, 1, Order::After, &arguments), || {})? / STEPS as f64)
    };
    once()?;
    let time = spread((0..5).map(|_| once()).collect::<Result<_, Error>>()?);
    let wanted = ((start + STEPS * STRIDE) % links) as u32;
    let found = end.read::<u32>(1)?.first().copied().unwrap_or_default();
    let mut sample = sample("hbm-latency", "dependent loads".to_owned(), Launch::Plain, 0, Timing { time, conditions: bench.conditions() });
    sample.fault = (found != wanted).then(|| format!("the chase ended at link {found}, not at {wanted}"));
    bench.say(Report::Sample(Box::new(sample)));
    Ok(())
}

/// The time of a launch that does nothing: one by one, and in a graph.
fn launches(bench: &Workbench<'_>) -> Result<(), Error> {
    const COUNT: usize = 500;
    let empty = bench.kernels()?.kernel("empty", 32, 0)?;
    let launch = || bench.gpu.launch(&empty, 1, Order::After, &[]);
    let graph = bench.time(1, |_| launch())?;
    let eager = || Ok(bench.gpu.seconds(|| (0..COUNT).try_for_each(|_| launch()), || {})? / COUNT as f64);
    let time = spread((0..9).map(|_| eager()).collect::<Result<_, Error>>()?);
    let conditions = graph.conditions.clone();
    for (kernel, timing) in [("launch-eager", Timing { time, conditions }), ("launch-graph", graph)] {
        bench.say(Report::Sample(Box::new(sample(kernel, "empty kernel".to_owned(), Launch::Plain, 0, timing))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form is the sum, for even and odd counts.
    #[test]
    fn the_sum_of_the_pattern_is_what_adding_gives() {
        for words in [1_u64, 2, 7, 1000, 1001] {
            let added = (0..words as u32).fold(0_u32, |sum, i| sum.wrapping_add(i.wrapping_mul(FACTOR).wrapping_add(9)));
            assert_eq!(sum_of_pattern(words, 9), added, "{words}");
        }
    }
}
