//! What `bench` measured, for later plans: the file that is named, or the last one that was kept in the user's cache directory.

#![expect(clippy::disallowed_methods, reason = "the age of the kept file comes from the clock")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::Deserialize;

use crate::catalog::Catalog;
use crate::commands::{input, measured, output};
use crate::error::Error;
use crate::measurement::Family;
use crate::plan::interconnect::{AllReduceSample, Interconnect, Trouble};
use crate::plan::outcome::Devices;
use crate::plan::rates::{PackedSample, Rates};
use crate::report::json;
use crate::report::json::bench::SCHEMA;
use crate::report::json::bench::read::Saved;
use crate::units::{Bytes, BytesPerSecond, Milliseconds};

/// The file in the cache directory.
const FILE: &str = "bench-1.json";
/// How long a kept measurement is used: cards are moved, and drivers change.
const RECENT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest file that is read.
const LARGEST: u64 = 16 << 20;

/// A report of `bench`, as far as plans use it.
#[derive(Clone, Debug, Deserialize)]
pub struct Benched {
    schema: String,
    driver: Option<String>,
    gpus: Vec<Gpu>,
    #[serde(default)]
    host_links: Vec<HostLink>,
    #[serde(default)]
    peers: Vec<Peer>,
    nccl: Option<Nccl>,
    #[serde(skip)]
    name: String,
    #[serde(skip)]
    kept: bool,
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

/// The report at `path`.
///
/// # Errors
/// When it cannot be read or is no such report.
pub fn read(path: &Path) -> Result<Benched, Error> {
    parse(path, false).map_err(|problem| {
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

/// The report that was kept, if it is recent.
pub fn kept() -> Option<Benched> {
    let path = measured::cache_directory()?.join(FILE);
    let changed = fs::metadata(&path).and_then(|file| file.modified()).ok()?;
    if SystemTime::now().duration_since(changed).unwrap_or(Duration::ZERO) > RECENT {
        return None;
    }
    match parse(&path, true) {
        Ok(benched) => Some(benched),
        Err(problem) => {
            output::progress(&format!("note: {} is ignored: {problem}", path.display()));
            None
        }
    }
}

/// Keeps a report for later plans, if everything was measured that they use. That it cannot be kept is no failure.
pub fn keep(report: &str, families: &[Family]) {
    let Some(folder) = measured::cache_directory().filter(|_| Family::QUICK.iter().all(|family| families.contains(family))) else { return };
    let done = fs::create_dir_all(&folder).and_then(|()| write(&folder.join(FILE), report));
    if let Err(error) = done {
        output::progress(&format!("note: the measurements are not kept for later plans: {error}"));
    }
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

fn parse(path: &Path, kept: bool) -> Result<Benched, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err(format!("it has {}, and no report has more than {}", Bytes(size), Bytes(LARGEST)));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let benched: Benched = serde_json::from_str(&text).map_err(|error| format!("it is no report of `gpudoctor bench`: {error}"))?;
    if benched.schema != SCHEMA {
        return Err(format!("it is `{}`, not `{SCHEMA}`", benched.schema));
    }
    Ok(Benched { name: path.display().to_string(), kept, ..benched })
}

impl Benched {
    /// The rates of the card of `devices`. A kept report of another card or driver is not for this plan.
    ///
    /// # Errors
    /// When a report was named and has no such card, or did not measure its memory.
    pub fn rates(&self, devices: &Devices, catalog: &Catalog) -> Result<Option<Rates>, Error> {
        if self.kept && self.is_of_other_driver(devices) {
            return Ok(None);
        }
        let rates = self.same(devices, catalog).next().and_then(|gpu| self.of(gpu));
        if rates.is_none() && !self.kept && self.interconnect(devices, catalog).is_none() {
            let names: Vec<&str> = self.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
            return Err(Error::input(format!(
                "`--bench {}` has no rates of {}; it has measured {}",
                self.name,
                devices.name,
                names.join(", ")
            ))
            .with_hint("measure the card that the plan is for, or leave `--bench` out"));
        }
        Ok(rates)
    }

    /// The cards of the report that are those of the plan.
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

    /// What was measured between cards like those of `devices`; `None` where nothing was, or where the plan is for one card.
    pub fn interconnect(&self, devices: &Devices, catalog: &Catalog) -> Option<Interconnect> {
        if devices.count < 2 || self.kept && self.is_of_other_driver(devices) {
            return None;
        }
        let cards: Vec<u32> = self.same(devices, catalog).map(|gpu| gpu.index).collect();
        let copies: Vec<&Peer> = self.peers.iter().filter(|peer| cards.contains(&peer.from) && cards.contains(&peer.to)).collect();
        let damaged = copies.iter().find(|peer| !peer.verified || peer.verdict.as_deref() == Some("wrong"));
        let copies_arrive = (!copies.is_empty()).then_some(damaged.is_none());
        let damaged =
            damaged.map(|peer| Trouble::PeerAccess(format!("data copied between GPU {} and GPU {} was damaged", peer.from, peer.to)));
        let nccl = self.nccl.as_ref().filter(|nccl| nccl.gpus.iter().all(|gpu| cards.contains(gpu)));
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
            source: format!("measured: {}, {}", self.place(), devices.name),
            trouble,
            all_reduce: of_the_launch.map(|run| run.all_reduce.iter().filter_map(sample).collect()).unwrap_or_default(),
            devices: nccl.map_or(0, |nccl| nccl.gpus.len() as u64),
            peer_access: of_the_launch.is_some_and(|run| run.peer_access),
            copies_arrive,
        })
    }

    /// What the report is called.
    fn place(&self) -> &str {
        if self.kept { "the last `gpudoctor bench`" } else { &self.name }
    }

    fn of(&self, gpu: &Gpu) -> Option<Rates> {
        // Engines launch one kernel after the other; what overlaps is faster than they are.
        let of = |kernel: &'static str| {
            gpu.results.iter().filter(move |one| one.kernel == kernel && one.launch.as_deref() == Some("plain") && one.gb_per_s.is_some())
        };
        let middle = |kernel: &'static str| {
            let mut rates: Vec<f64> = of(kernel).filter_map(|one| one.gb_per_s).collect();
            rates.sort_by(f64::total_cmp);
            rates.get(rates.len() / 2).copied().map(BytesPerSecond::from_gb)
        };
        let products = |kernel: &'static str| {
            of(kernel).filter_map(|one| {
                let rows = one.shape.as_deref()?.rsplit_once("M=")?.1.parse().ok()?;
                Some(PackedSample { rows, bytes: Bytes(one.bytes?), time: Milliseconds(one.median_us? / 1e3) })
            })
        };
        let mut packed: Vec<PackedSample> = products("int4-bf16").collect();
        if packed.is_empty() {
            packed = products("int4-f16").collect();
        }
        let link = self.host_links.iter().find(|link| link.gpu == gpu.index && link.direction == "host-to-device");
        Some(Rates {
            source: format!("measured: {}, {}", self.place(), gpu.name),
            read: middle("hbm-read")?,
            packed,
            attention: middle("attention-bf16").or_else(|| middle("attention-f16")),
            attention_8bit: middle("attention-e4m3"),
            host_to_device: link.and_then(|link| link.gb_per_s).map(BytesPerSecond::from_gb),
        })
    }
}
