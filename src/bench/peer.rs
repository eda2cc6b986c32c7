//! Copies between devices, checked word by word.

use super::data::Data;
use super::driver::{Driver, Error};
use super::workbench::{Workbench, spread};
use crate::measurement::{Peer, Report, Spread, Stop};
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
    let arrived = back.read::<u32>(size / 4)?;
    let verified = arrived.iter().enumerate().all(|(index, word)| data.word(index) == *word);
    let latency = self::time(bench, SMALL_COPIES, || source.copy_to_peer(&target, SMALL))?.median;
    let from = gpu.facts.index;
    bench.say(Report::Peer(Peer { from, to, direct, time, bytes: Bytes(size as u64), latency, verified }));
    Ok(())
}

/// Seconds of a copy in groups of `count`. A graph cannot hold copies between contexts (code 900), so the host issues them.
fn time(bench: &Workbench<'_>, count: usize, copy: impl Fn() -> Result<(), Error>) -> Result<Spread, Error> {
    let group = || Ok(bench.gpu.seconds(|| (0..count).try_for_each(|_| copy()), || {})? / count as f64);
    group()?;
    Ok(spread((0..GROUPS).map(|_| group()).collect::<Result<_, Error>>()?))
}
