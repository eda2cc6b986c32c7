//! All-reduces of a report back to what they were made from.

use serde::Deserialize;

use super::Figure;
use crate::measurement::Spread;
use crate::measurement::collective::{AllReduce, Collective, Ending, Library, Run, Stop};
use crate::measurement::judge::Verdict;
use crate::measurement::judge::collective::{CollectiveJudged, Outcome, outcome};
use crate::units::Bytes;

#[derive(Deserialize)]
pub(super) struct Nccl {
    verdict: Said,
    reason: Option<String>,
    #[serde(default)]
    gpus: Vec<u32>,
    library: Option<String>,
    version: Option<String>,
    floor_bus_gb_per_s: Option<Figure>,
    #[serde(default)]
    runs: Vec<OneRun>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Pass,
    Slow,
    Wrong,
    Hang,
    Failed,
    Skipped,
}

#[derive(Deserialize)]
struct OneRun {
    peer_access: bool,
    verdict: Said,
    stopped_in: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    transports: Vec<String>,
    #[serde(default)]
    all_reduce: Vec<Size>,
}

#[derive(Deserialize)]
struct Size {
    bytes: u64,
    launch: String,
    median_us: Option<Figure>,
    fastest_us: Option<Figure>,
    slowest_us: Option<Figure>,
    verified: bool,
}

impl Nccl {
    /// As it was judged; findings stand elsewhere.
    pub(super) fn judged(self) -> CollectiveJudged {
        let library = self.library.map(|path| Library { path, owner: String::new(), version: self.version });
        let skipped = matches!(self.verdict, Said::Skipped).then(|| self.reason.unwrap_or_default());
        let runs: Vec<Run> = self.runs.into_iter().map(OneRun::run).collect();
        let floor = self.floor_bus_gb_per_s.map(|rate| rate.times(1e9));
        let said = match self.verdict {
            Said::Pass => Outcome::Ended(Verdict::Pass),
            Said::Slow => Outcome::Ended(Verdict::Slow),
            Said::Wrong => Outcome::Ended(Verdict::Wrong),
            Said::Hang => Outcome::Hang,
            Said::Failed => Outcome::Failed,
            Said::Skipped => Outcome::Skipped,
        };
        let outcome = runs.first().map_or(said, |run| outcome(run, self.gpus.len(), floor));
        CollectiveJudged { measured: Collective { devices: self.gpus, library, runs, skipped }, outcome, floor, findings: Vec::new() }
    }
}

impl OneRun {
    fn run(self) -> Run {
        let ending = match self.verdict {
            // How long it was waited for stands in the reason.
            Said::Hang => Some(Ending::Hung { after: 0 }),
            Said::Failed | Said::Skipped => Some(Ending::Failed),
            Said::Pass | Said::Slow | Said::Wrong => None,
        };
        let (place, reason) = (self.stopped_in.unwrap_or_default(), self.reason.unwrap_or_default());
        Run {
            without_p2p: !self.peer_access,
            reduced: self.all_reduce.iter().map(Size::all_reduce).collect(),
            transports: self.transports,
            warnings: Vec::new(),
            stop: ending.map(|ending| Stop { ending, place, reason }),
        }
    }
}

impl Size {
    fn all_reduce(&self) -> AllReduce {
        let seconds = |time: Option<Figure>| time.or(self.median_us).map_or(0.0, |time| time.0 / 1e6);
        AllReduce {
            bytes: Bytes(self.bytes),
            graph: self.launch == "graph",
            time: Spread { median: seconds(self.median_us), fastest: seconds(self.fastest_us), slowest: seconds(self.slowest_us) },
            // The report has no count.
            wrong: u64::from(!self.verified),
        }
    }
}
