//! What `bench` measured, for later plans: the file that is named, or the runs that were kept in the user's cache directory.

mod kept;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

use crate::catalog::Catalog;
use crate::commands::input;
use crate::error::Error;
use crate::plan::interconnect::{AllReduceSample, Interconnect, Trouble};
use crate::plan::outcome::Devices;
use crate::plan::rates::{PackedSample, Rates};
use crate::report::json;
use crate::report::json::bench::SCHEMA;
use crate::report::json::bench::read::Saved;
use crate::units::{Bytes, BytesPerSecond, Milliseconds};

/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// Runs of `bench`, as far as plans use them.
#[derive(Clone, Debug)]
pub struct Benched {
    /// Newest first.
    runs: Vec<Report>,
    /// The file that was named; `None` where the runs were kept.
    named: Option<String>,
}

/// The report of one run.
#[derive(Clone, Debug, Deserialize)]
struct Report {
    schema: String,
    driver: Option<String>,
    gpus: Vec<Gpu>,
    #[serde(default)]
    host_links: Vec<HostLink>,
    #[serde(default)]
    peers: Vec<Peer>,
    nccl: Option<Nccl>,
    /// How old it is.
    #[serde(skip)]
    days: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Gpu {
    index: u32,
    name: String,
    memory_bytes: u64,
    results: Vec<Measurement>,
}

#[derive(Clone, Debug, Deserialize)]
struct Measurement {
    kernel: String,
    shape: Option<String>,
    launch: Option<String>,
    bytes: Option<u64>,
    median_us: Option<f64>,
    gb_per_s: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
struct HostLink {
    gpu: u32,
    direction: String,
    gb_per_s: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Peer {
    from: u32,
    to: u32,
    verified: bool,
    verdict: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Nccl {
    gpus: Vec<u32>,
    runs: Vec<NcclRun>,
}

#[derive(Clone, Debug, Deserialize)]
struct NcclRun {
    peer_access: bool,
    verdict: String,
    stopped_in: Option<String>,
    all_reduce: Vec<AllReduce>,
}

#[derive(Clone, Debug, Deserialize)]
struct AllReduce {
    bytes: u64,
    launch: String,
    median_us: Option<f64>,
}

impl NcclRun {
    fn works(&self) -> bool {
        matches!(self.verdict.as_str(), "pass" | "slow")
    }

    /// What went wrong, as a phrase.
    fn trouble(&self) -> String {
        let place = self.stopped_in.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
        match self.verdict.as_str() {
            "hang" => format!("an all-reduce hung{place}"),
            "wrong" => "an all-reduce gave wrong sums".to_owned(),
            _ => format!("an all-reduce failed{place}"),
        }
    }
}

pub use kept::{keep, kept};

/// The report at `path`.
///
/// # Errors
/// When it cannot be read or is no such report.
pub fn read(path: &Path) -> Result<Benched, Error> {
    let named = Some(path.display().to_string());
    parse(path).map(|report| Benched { runs: vec![report], named }).map_err(|problem| {
        Error::input(format!("`--bench {}`: {problem}", path.display())).with_hint("write one with `gpudoctor bench -o bench.json`")
    })
}

/// The report at `path`, whole, to be shown again; `-` is the standard input.
///
/// # Errors
/// When it cannot be read or is no such report.
pub fn saved(path: &Path) -> Result<Saved, Error> {
    const HINT: &str = "write one with `gpudoctor bench -o bench.json`";
    let name = input::Name(path);
    let mut text = String::new();
    input::open(path, HINT)?.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| input::unreadable(path, &error, HINT))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::input(format!("{name} is larger than {}, and no report is", Bytes(LARGEST))).with_hint(HINT));
    }
    json::bench::read::read(&text).map_err(|problem| Error::input(format!("{name} cannot be shown: {problem}")).with_hint(HINT))
}

/// Writes a file whole or not at all.
///
/// # Errors
/// When its directory cannot be written.
pub fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let fresh = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(fresh.path(), text)?;
    fresh.persist(path)?;
    Ok(())
}

fn parse(path: &Path) -> Result<Report, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err(format!("it has {}, and no report has more than {}", Bytes(size), Bytes(LARGEST)));
    }
    from_text(&fs::read_to_string(path).map_err(|error| error.to_string())?)
}

fn from_text(text: &str) -> Result<Report, String> {
    let report: Report = serde_json::from_str(text).map_err(|error| format!("it is no report of `gpudoctor bench`: {error}"))?;
    if report.schema != SCHEMA {
        return Err(format!("it is `{}`, not `{SCHEMA}`", report.schema));
    }
    Ok(report)
}

impl Report {
    /// The cards that are those of the plan.
    fn same(&self, devices: &Devices, catalog: &Catalog) -> impl Iterator<Item = &Gpu> {
        self.gpus.iter().filter(|gpu| {
            let known = catalog.gpu_on_machine(&gpu.name, Bytes(gpu.memory_bytes));
            known.map_or_else(|| gpu.name.clone(), crate::catalog::Gpu::display_name) == devices.name
        })
    }

    fn is_of_other_driver(&self, devices: &Devices) -> bool {
        match (&self.driver, &devices.driver) {
            (Some(measured), Some(wanted)) => measured.parse().is_ok_and(|measured: crate::version::Version| measured != *wanted),
            _ => false,
        }
    }

    /// What it says of which cards and driver, each thing in words of its own: another run with the same says as much.
    fn parts(&self) -> BTreeSet<String> {
        let driver = self.driver.as_deref().unwrap_or("");
        let card = |index: u32| {
            let gpu = self.gpus.iter().find(|gpu| gpu.index == index);
            gpu.map(|gpu| format!("{} of {}", gpu.name, gpu.memory_bytes)).unwrap_or_default()
        };
        let mut parts = BTreeSet::new();
        for gpu in &self.gpus {
            let rows = gpu.results.iter().filter(|row| row.is_plain());
            parts.extend(rows.map(|row| format!("{driver}, {}: {} {}", card(gpu.index), row.kernel, row.part())));
        }
        parts.extend(self.host_links.iter().map(|link| format!("{driver}, {}: {}", card(link.gpu), link.direction)));
        parts.extend(self.peers.iter().map(|peer| format!("{driver}, {}: peer {}", card(peer.from), card(peer.to))));
        if let Some(nccl) = self.nccl.as_ref().filter(|nccl| !nccl.runs.is_empty()) {
            let cards: Vec<String> = nccl.gpus.iter().map(|gpu| card(*gpu)).collect();
            parts.insert(format!("{driver}, {}: nccl", cards.join(" and ")));
        }
        parts
    }
}

impl Measurement {
    /// Engines launch one kernel after the other; what overlaps is faster than they are. What was skipped has no launch.
    fn is_plain(&self) -> bool {
        self.launch.as_deref() == Some("plain")
    }

    /// It as a product with 4-bit weights; `None` of a wrong result.
    fn packed(&self) -> Option<PackedSample> {
        let rows = self.shape.as_deref()?.rsplit_once("M=")?.1.parse().ok()?;
        self.gb_per_s?;
        Some(PackedSample { rows, bytes: Bytes(self.bytes?), time: Milliseconds(self.median_us? / 1e3) })
    }

    /// What of its kernel it says: each product by itself, of others a rate.
    fn part(&self) -> &str {
        self.shape.as_deref().filter(|_| self.kernel.starts_with("int4")).unwrap_or_default()
    }
}

impl Benched {
    /// The rates of the card of `devices`. Kept runs of another card or driver are not for this plan.
    ///
    /// # Errors
    /// When a report was named and has no such card, or did not measure its memory.
    pub fn rates(&self, devices: &Devices, catalog: &Catalog) -> Result<Option<Rates>, Error> {
        let cards = self.runs_for(devices).filter_map(|run| Some(Card { run, gpu: run.same(devices, catalog).next()? }));
        let rates = self.of(&cards.collect::<Vec<_>>(), devices);
        if let (None, Some(name), None) = (&rates, &self.named, self.interconnect(devices, catalog)) {
            let names: Vec<&str> = self.runs.iter().flat_map(|run| &run.gpus).map(|gpu| gpu.name.as_str()).collect();
            return Err(Error::input(format!("`--bench {name}` has no rates of {}; it has measured {}", devices.name, names.join(", ")))
                .with_hint("measure the card that the plan is for, or leave `--bench` out"));
        }
        Ok(rates)
    }

    /// The runs that count for `devices`, newest first.
    fn runs_for(&self, devices: &Devices) -> impl Iterator<Item = &Report> {
        self.runs.iter().filter(|run| self.named.is_some() || !run.is_of_other_driver(devices))
    }

    /// What was measured between cards like those of `devices`; `None` where nothing was, or where the plan is for one card.
    pub fn interconnect(&self, devices: &Devices, catalog: &Catalog) -> Option<Interconnect> {
        if devices.count < 2 {
            return None;
        }
        let is_of = |run: &Report, gpu: u32| run.same(devices, catalog).any(|card| card.index == gpu);
        let copies: Vec<&Peer> = self
            .runs_for(devices)
            .map(|run| run.peers.iter().filter(|peer| is_of(run, peer.from) && is_of(run, peer.to)).collect())
            .find(|copies: &Vec<&Peer>| !copies.is_empty())
            .unwrap_or_default();
        let damaged = copies.iter().find(|peer| !peer.verified || peer.verdict.as_deref() == Some("wrong"));
        let copies_arrive = (!copies.is_empty()).then_some(damaged.is_none());
        let damaged =
            damaged.map(|peer| Trouble::PeerAccess(format!("data copied between GPU {} and GPU {} was damaged", peer.from, peer.to)));
        let of_cards = |run: &Report, nccl: &Nccl| !nccl.runs.is_empty() && nccl.gpus.iter().all(|gpu| is_of(run, *gpu));
        let together: Vec<(&Report, &Nccl)> =
            self.runs_for(devices).filter_map(|run| Some((run, run.nccl.as_ref().filter(|nccl| of_cards(run, nccl))?))).collect();
        // A newer run over fewer of them says less.
        let enough = together.iter().find(|(_, nccl)| nccl.gpus.len() as u64 >= devices.count);
        let together = enough.or_else(|| together.first());
        let nccl = together.map(|(_, nccl)| nccl);
        let runs = nccl.map_or(&[][..], |nccl| &nccl.runs);
        let works = runs.iter().find(|run| run.works());
        let failed = runs.iter().find(|run| !run.works()).map(|run| match works {
            Some(_) => Trouble::PeerAccess(run.trouble()),
            None => Trouble::Collectives(run.trouble()),
        });
        let trouble = match (failed, damaged) {
            (Some(Trouble::Collectives(seen)), _) => Some(Trouble::Collectives(seen)),
            (failed, damaged) => failed.or(damaged),
        };
        if runs.is_empty() && trouble.is_none() {
            return None;
        }
        let sample = |one: &AllReduce| {
            Some(AllReduceSample { bytes: Bytes(one.bytes), graph: one.launch == "graph", time: Milliseconds(one.median_us? / 1e3) })
        };
        // Times of transfers over peer access are not those of a launch that must keep off it.
        let of_the_launch = works.filter(|run| !(run.peer_access && matches!(trouble, Some(Trouble::PeerAccess(_)))));
        Some(Interconnect {
            source: format!("measured: {}, {}", self.place(&together.iter().map(|(run, _)| *run).collect::<Vec<_>>()), devices.name),
            trouble,
            all_reduce: of_the_launch.map(|run| run.all_reduce.iter().filter_map(sample).collect()).unwrap_or_default(),
            devices: nccl.map_or(0, |nccl| nccl.gpus.len() as u64),
            peer_access: of_the_launch.is_some_and(|run| run.peer_access),
            copies_arrive,
        })
    }

    /// What `runs` are called.
    fn place(&self, runs: &[&Report]) -> String {
        if let Some(name) = &self.named {
            return name.clone();
        }
        let days = runs.iter().map(|run| run.days);
        match (days.clone().min().unwrap_or(0), days.max().unwrap_or(0)) {
            (_, 0) => "`gpudoctor bench` on this machine, today".to_owned(),
            (newest, oldest) if newest == oldest => format!("`gpudoctor bench` on this machine, {oldest} d ago"),
            (newest, oldest) => format!("`gpudoctor bench` on this machine, {newest} to {oldest} d ago"),
        }
    }

    /// The rates of a card from its runs, newest first: each from the newest that has it.
    fn of(&self, cards: &[Card<'_>], devices: &Devices) -> Option<Rates> {
        let mut used: Vec<&Report> = Vec::new();
        let mut middle = |kernel: &'static str| {
            let card = cards.iter().find(|card| card.of(kernel).next().is_some())?;
            used.push(card.run);
            let mut rates: Vec<f64> = card.of(kernel).filter_map(|row| row.gb_per_s).collect();
            rates.sort_by(f64::total_cmp);
            rates.get(rates.len() / 2).copied().map(BytesPerSecond::from_gb)
        };
        let read = middle("hbm-read")?;
        let attention = middle("attention-bf16").or_else(|| middle("attention-f16"));
        let attention_8bit = middle("attention-e4m3");
        let mut products = |kernel: &'static str| {
            let mut shapes = BTreeSet::new();
            let rows = cards.iter().flat_map(|card| card.of(kernel).map(|row| (card.run, row)));
            let newest: Vec<(&Report, &Measurement)> = rows.filter(|(_, row)| shapes.insert(row.part())).collect();
            used.extend(newest.iter().map(|(run, _)| *run));
            newest.into_iter().filter_map(|(_, row)| row.packed()).collect::<Vec<PackedSample>>()
        };
        let mut packed = products("int4-bf16");
        if packed.is_empty() {
            packed = products("int4-f16");
        }
        let link = cards.iter().find_map(|card| Some((card.run, card.to_device()?)));
        used.extend(link.map(|(run, _)| run));
        let host_to_device = link.and_then(|(_, link)| link.gb_per_s).map(BytesPerSecond::from_gb);
        let source = format!("measured: {}, {}", self.place(&used), cards.first().map_or(&devices.name, |card| &card.gpu.name));
        Some(Rates { source, read, packed, attention, attention_8bit, host_to_device })
    }
}

/// A card in a run.
#[derive(Clone, Copy)]
struct Card<'a> {
    run: &'a Report,
    gpu: &'a Gpu,
}

impl<'a> Card<'a> {
    /// Copies to it from the host.
    fn to_device(self) -> Option<&'a HostLink> {
        self.run.host_links.iter().find(|link| link.gpu == self.gpu.index && link.direction == "host-to-device")
    }

    /// What was measured of a kernel that was launched as engines do.
    fn of(self, kernel: &'static str) -> impl Iterator<Item = &'a Measurement> {
        self.gpu.results.iter().filter(move |row| row.kernel == kernel && row.is_plain())
    }
}
