//! Copies between devices, and loads of one from another, checked word by word.

use super::data::Data;
use super::driver::{Argument, Buffer, Driver, Error, Order};
use super::workbench::{Workbench, spread};
use crate::measurement::{Peer, PeerLoads, Report, Spread, Stop};
use crate::units::Bytes;

/// Bytes of the large copy.
const SIZE: usize = 256 << 20;
/// Bytes of the small one.
const SMALL: usize = 16;
/// Groups of copies that are timed.
const GROUPS: usize = 9;
/// Small copies in a group.
const SMALL_COPIES: usize = 64;

/// Measures copies from this device to every other.
pub(super) fn measure(bench: &Workbench<'_>, driver: &Driver) -> Result<(), Error> {
    let count = driver.devices()?;
    if count < 2 {
        bench.say(Report::Stopped("peer".to_owned(), Stop::Unsupported("there is only one device".to_owned())));
    }
    let here = bench.gpu.facts.index;
    for there in (0..count).filter(|other| *other != here) {
        bench.attempt(&format!("peer-{here}-{there}"), || one(bench, driver, there))?;
    }
    Ok(())
}

fn one(bench: &Workbench<'_>, driver: &Driver, to: u32) -> Result<(), Error> {
    let gpu = bench.gpu;
    let peer = driver.open(to)?;
    let size = SIZE.min(gpu.free_memory()? / 4).min(peer.free_memory()? / 4) / 4096 * 4096;
    let direct = peer.reach(gpu)? && gpu.reach(&peer)?;
    peer.make_current()?;
    let target = peer.allocate(size)?;
    gpu.make_current()?;
    let data = Data::words();
    let (source, back) = (bench.filled(size, data)?, gpu.zeroed(size)?);
    let time = self::time(bench, 1, || source.copy_to_peer(&target, size))?;
    // There and back again, into memory that held zeros.
    source.copy_to_peer(&target, size)?;
    gpu.wait()?;
    target.copy_to_peer(&back, size)?;
    peer.wait()?;
    let verified = holds(&back, data)?;
    let loads = if direct && bench.kernels().is_ok() { Some(loads(bench, &target, &back, data)?) } else { None };
    let latency = self::time(bench, SMALL_COPIES, || source.copy_to_peer(&target, SMALL))?.median;
    let from = gpu.facts.index;
    bench.say(Report::Peer(Peer { from, to, direct, time, bytes: Bytes(size as u64), latency, verified, loads }));
    Ok(())
}

/// Whether every word of a buffer is that of `data`.
fn holds(buffer: &Buffer<'_>, data: Data) -> Result<bool, Error> {
    let words = buffer.read::<u32>(buffer.size() / 4)?;
    Ok(words.iter().enumerate().all(|(index, word)| data.word(index) == *word))
}

/// A kernel's loads from `there`, memory of the other device that holds `data`: each word is brought `here` and checked, and then
/// the loads alone are timed. Copy engines and loads take different ways through bridges and IOMMUs, and one may work without the other.
fn loads(bench: &Workbench<'_>, there: &Buffer<'_>, here: &Buffer<'_>, data: Data) -> Result<PeerLoads, Error> {
    let gpu = bench.gpu;
    let copy = bench.kernels()?.kernel("copy", 1024, 0)?;
    here.set(0, here.size(), 0)?;
    let arguments = [Argument::Wide(there.at(0)), Argument::Wide(here.at(0)), Argument::Wide(there.size() as u64 / 16)];
    gpu.launch(&copy, gpu.facts.multiprocessors * copy.resident.min(2), Order::After, &arguments)?;
    let verified = holds(here, data)?;
    let sum = gpu.zeroed(16)?;
    Ok(PeerLoads { time: bench.time(1, |_| bench.read(there, &sum))?.time, verified })
}

/// Seconds of a copy in groups of `count`. A graph cannot hold copies between contexts (code 900), so the host issues them.
fn time(bench: &Workbench<'_>, count: usize, copy: impl Fn() -> Result<(), Error>) -> Result<Spread, Error> {
    let group = || Ok(bench.gpu.seconds(|| (0..count).try_for_each(|_| copy()), || {})? / count as f64);
    group()?;
    Ok(spread((0..GROUPS).map(|_| group()).collect::<Result<_, Error>>()?))
}
