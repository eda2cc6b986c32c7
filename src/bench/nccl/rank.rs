//! The process of one rank: joins the group, reduces sizes that all ranks know, and checks every word of every sum.

use std::io::BufRead;

use super::library::{Group, Name, Nccl};
use super::{Sizes, Word};
use crate::bench::cores;
use crate::bench::data::Data;
use crate::bench::driver::{Buffer, Driver, Error, Gpu};
use crate::bench::workbench::{Workbench, spread};
use crate::measurement::collective::{AllReduce, Said};
use crate::measurement::{Report, Spread};
use crate::units::Bytes;

/// Words that one thread checks at a time.
const PART: usize = 1 << 16;
/// Poison for results: no float that a sum could be.
const POISON: u8 = 0xff;

/// Runs rank `rank` of `ranks` on device `ordinal` with the library at `path`.
pub(in crate::bench) fn run(rank: u32, ranks: u32, ordinal: u32, path: &str, quick: bool, say: &dyn Fn(Report)) -> Result<(), Error> {
    let at = |what: &str| say(Report::At(what.to_owned()));
    at("setting up");
    let driver = Driver::start()?;
    let gpu = driver.open(ordinal)?;
    let bench = Workbench::new(&gpu, None, quick, say)?;
    at(&format!("loading `{path}`"));
    let nccl = Nccl::load(path)?;
    say(Report::Rank(Said::Version(nccl.version()?)));
    if rank == 0 {
        at("`ncclGetUniqueId`");
        say(Report::Rank(Said::Group(nccl.name()?.text())));
    }
    say(Report::Free(Bytes(gpu.free_memory()? as u64)));
    say(Report::Ready);
    let mut line = String::new();
    // A parent that is gone says nothing, and then there is no group to join.
    let _ = std::io::stdin().lock().read_line(&mut line);
    let Some(word) = Word::parse(&line) else { return Err(Error::Refused("the parent named no group".to_owned())) };
    let Some(name) = Name::parse(&word.group) else { return Err(Error::Refused("the parent named no group".to_owned())) };

    at("`ncclCommInitRank`");
    let group = nccl.join(name, ranks, rank)?;
    if let Some(other) = group.device().filter(|other| *other != ordinal) {
        return Err(Error::Refused(format!("the library took device {other} where {ordinal} was current")));
    }
    at("preparing the data");
    let most = word.most as usize;
    let send = bench.filled(most, Data::summable(seed(word.seed, rank)))?;
    let sums = sums(word.seed, ranks, most / 4);
    let rank = Rank { gpu: &gpu, group: &group, send, receive: gpu.allocate(most)?, say };
    for size in (Sizes { quick, most }).all() {
        rank.size(size, &sums, quick)?;
    }
    at("`ncclCommDestroy`");
    drop(rank);
    group.leave()
}

/// The seed of a rank's data.
const fn seed(all: u32, rank: u32) -> u32 {
    all.wrapping_add(rank.wrapping_mul(0x9e37_79b9))
}

/// What every rank should get.
fn sums(all: u32, ranks: u32, words: usize) -> Vec<f32> {
    let data: Vec<Data> = (0..ranks).map(|rank| Data::summable(seed(all, rank))).collect();
    let starts: Vec<usize> = (0..words).step_by(PART).collect();
    let part = |start: &usize| -> Vec<f32> {
        (*start..words.min(start + PART)).map(|index| data.iter().map(|data| f32::from_bits(data.word(index))).sum()).collect()
    };
    cores::on_all(&starts, part).unwrap_or_default().concat()
}

struct Rank<'a> {
    gpu: &'a Gpu,
    group: &'a Group<'a>,
    send: Buffer<'a>,
    receive: Buffer<'a>,
    say: &'a dyn Fn(Report),
}

impl Rank<'_> {
    fn at(&self, what: String) {
        (self.say)(Report::At(what));
    }

    fn reduce(&self, size: usize) -> Result<(), Error> {
        self.group.all_reduce(self.gpu, &self.send, &self.receive, size)
    }

    /// Checks one all-reduce, then times many.
    fn size(&self, size: usize, sums: &[f32], quick: bool) -> Result<(), Error> {
        let named = Bytes(size as u64);
        self.receive.set(0, size, POISON)?;
        self.at(format!("`ncclAllReduce` of {named}"));
        self.reduce(size)?;
        self.at(format!("waiting for the end of an all-reduce of {named}"));
        self.gpu.wait()?;
        self.group.error()?;
        let wrong = self.wrong(size, sums)?;
        let (launches, groups) = repetitions(size, quick);
        self.at(format!("all-reduces of {named}, one after the other"));
        let time = self.time(groups, launches, || (0..launches).try_for_each(|_| self.reduce(size)))?;
        (self.say)(Report::Rank(Said::Reduced(AllReduce { bytes: named, graph: false, time, wrong })));
        if size <= LARGEST_GRAPH {
            self.at(format!("all-reduces of {named} in a graph"));
            let graph = self.gpu.record(|| (0..launches).try_for_each(|_| self.reduce(size)))?;
            let time = self.time(groups, launches, || graph.launch())?;
            let wrong = self.wrong(size, sums)?;
            (self.say)(Report::Rank(Said::Reduced(AllReduce { bytes: named, graph: true, time, wrong })));
        }
        self.group.error()
    }

    /// How many words of the result are not the sum.
    fn wrong(&self, size: usize, sums: &[f32]) -> Result<u64, Error> {
        let found = self.receive.read::<u32>(size / 4)?;
        let starts: Vec<usize> = (0..found.len()).step_by(PART).collect();
        let part = |start: &usize| {
            let places = *start..found.len().min(start + PART);
            // Compared as floats, so that a zero has no sign; poison is no number, and equals none.
            let right = |index: usize| found.get(index).map(|word| f32::from_bits(*word)) == sums.get(index).copied();
            places.filter(|index| !right(*index)).count() as u64
        };
        Ok(cores::on_all(&starts, part).map_or(found.len() as u64, |parts| parts.into_iter().sum()))
    }

    /// Seconds of one of `launches`, in groups. Before each, the ranks meet in an all-reduce that is not timed.
    fn time(&self, groups: usize, launches: usize, work: impl Fn() -> Result<(), Error>) -> Result<Spread, Error> {
        work()?;
        let group = || {
            self.reduce(MEETING)?;
            Ok(self.gpu.seconds(&work, || {})? / launches as f64)
        };
        Ok(spread((0..groups).map(|_| group()).collect::<Result<_, Error>>()?))
    }
}

/// Bytes of an all-reduce that only brings the ranks together.
const MEETING: usize = 4096;
/// Most bytes of an all-reduce that a graph launches: engines put decode steps into graphs, whose tensors are small.
const LARGEST_GRAPH: usize = 8 << 20;

/// Launches of a group, and groups, of a size. Ranks must agree, so that no time decides.
const fn repetitions(size: usize, quick: bool) -> (usize, usize) {
    let launches = match size {
        0..0x10_0000 => 40,
        0x10_0000..0x100_0000 => 16,
        0x100_0000..0x400_0000 => 8,
        _ => 4,
    };
    (launches, if quick { 3 } else { 5 })
}
