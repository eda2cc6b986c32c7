//! The parent of the ranks: starts them, brings them together, takes down what they say, and ends them all.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::{Sizes, WITHOUT_P2P, WORD, Word};
use crate::bench::Request;
use crate::bench::parent::Process;
use crate::measurement::collective::{AllReduce, Ending, Run, Said, Stop};
use crate::measurement::{Device, Report, Stop as Stopped};

/// How long the others may take to say the same when one rank has failed.
const GRACE: Duration = Duration::from_secs(2);
/// Most warnings of NCCL that are kept.
const MOST_WARNINGS: usize = 4;
/// What NCCL shall say, on the stream that is read: which ways it takes, and what goes wrong. Line by line, since a process that is
/// ended loses what it has not written yet.
const TALKATIVE: [(&str, &str); 3] = [("NCCL_DEBUG", "INFO"), ("NCCL_DEBUG_SUBSYS", "INIT,P2P,SHM"), ("NCCL_DEBUG_FILE", "/dev/stdout")];

/// One rank, as far as it has come.
#[derive(Debug)]
struct Rank {
    process: Process,
    device: u32,
    at: String,
    ready: bool,
    free: u64,
    done: bool,
    reduced: Vec<AllReduce>,
    stop: Option<(Ending, String)>,
}

/// All of them together.
#[derive(Debug, Default)]
struct Group {
    ranks: Vec<Rank>,
    name: Option<String>,
    version: Option<i32>,
    transports: Vec<String>,
    warnings: Vec<String>,
}

/// Runs all ranks to their end, or to that of one. NCCL's version beside it, where the library told it.
pub(super) fn run(devices: &[Device], library: &str, request: &Request, without_p2p: bool) -> (Run, Option<i32>) {
    let mut run = Run { without_p2p, reduced: Vec::new(), transports: Vec::new(), warnings: Vec::new(), stop: None };
    let mut group = Group::default();
    let lines = match start(&mut group, devices, library, request, without_p2p) {
        Ok(lines) => lines,
        Err(error) => {
            let reason = format!("the process could not be started: {error}");
            run.stop = Some(Stop { ending: Ending::Failed, place: "starting the ranks".to_owned(), reason });
            return (run, None);
        }
    };
    let hung = group.listen(&lines, request);
    run.stop = group.stop(hung);
    run.reduced = group.together();
    (run.transports, run.warnings) = (group.transports, group.warnings);
    (run, group.version)
}

/// Starts a process for each device; their lines come with the rank, and none when one has ended.
fn start(
    group: &mut Group,
    devices: &[Device],
    library: &str,
    request: &Request,
    without_p2p: bool,
) -> std::io::Result<Receiver<(usize, Option<String>)>> {
    let (sender, lines) = channel();
    let mut variables = TALKATIVE.to_vec();
    variables.extend(without_p2p.then_some((WITHOUT_P2P, "1")));
    for (rank, device) in devices.iter().enumerate() {
        let mut words = vec![WORD.to_owned(), rank.to_string(), devices.len().to_string(), device.index.to_string(), library.to_owned()];
        words.extend(request.quick.then(|| "quick".to_owned()));
        let mut process = Process::start_with(&words, &variables)?;
        let (own, sender) = (process.take_lines(), sender.clone());
        std::thread::spawn(move || {
            // Nobody listens any more when the run is over.
            for line in own {
                if sender.send((rank, Some(line))).is_err() {
                    return;
                }
            }
            let _ = sender.send((rank, None));
        });
        let (at, reduced) = ("starting".to_owned(), Vec::new());
        group.ranks.push(Rank { process, device: device.index, at, ready: false, free: 0, done: false, reduced, stop: None });
    }
    Ok(lines)
}

impl Group {
    /// Takes lines until all ranks are done, one has failed, or nobody says anything any more: then for how long, in seconds.
    fn listen(&mut self, lines: &Receiver<(usize, Option<String>)>, request: &Request) -> Option<u64> {
        let mut patience = request.set_up;
        let mut together = false;
        let mut end = Instant::now() + patience;
        let mut failed = false;
        while !self.ranks.iter().all(|rank| rank.done || rank.stop.is_some()) {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((rank, line)) => {
                    self.take(rank, line, request.quick);
                    if !failed && self.ranks.iter().any(|rank| rank.stop.is_some()) {
                        // Those that wait for it would wait for ever.
                        (failed, end) = (true, Instant::now() + GRACE);
                    }
                    if !failed && !together && self.ranks.iter().all(|rank| rank.ready) {
                        (together, patience) = (true, request.step);
                        self.bring_together(request.quick);
                    }
                    if !failed {
                        end = Instant::now() + patience;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return (!failed).then_some(patience.as_secs()),
            }
        }
        None
    }

    fn take(&mut self, rank: usize, line: Option<String>, quick: bool) {
        let Some(this) = self.ranks.get_mut(rank) else { return };
        let Some(line) = line else {
            if !this.done && this.stop.is_none() {
                this.stop = Some((Ending::Crashed, this.process.ending()));
            }
            return;
        };
        match serde_json::from_str(&line) {
            Ok(Report::At(what)) => this.at = what,
            Ok(Report::Ready) => this.ready = true,
            Ok(Report::Free(bytes)) => {
                this.free = bytes.0;
                if Sizes::most(quick, bytes.0) == 0 {
                    this.stop = Some((Ending::Impossible, format!("only {bytes} are free on GPU {}", this.device)));
                }
            }
            Ok(Report::Rank(Said::Version(version))) => self.version = Some(version),
            Ok(Report::Rank(Said::Group(name))) => self.name = Some(name),
            Ok(Report::Rank(Said::Reduced(reduced))) => this.reduced.push(reduced),
            Ok(Report::Stopped(_, stop)) => {
                let ending = match stop {
                    Stopped::Unsupported(_) | Stopped::OutOfMemory(_) if this.reduced.is_empty() => Ending::Impossible,
                    _ => Ending::Failed,
                };
                this.stop = this.stop.take().or_else(|| Some((ending, stop.reason().to_owned())));
            }
            Ok(Report::Done) => this.done = true,
            Ok(_) => {}
            Err(_) => self.hear(&line),
        }
    }

    /// A line of NCCL's own: `HOST:PID:TID [0] NCCL INFO Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM`.
    fn hear(&mut self, line: &str) {
        if let Some((_, transport)) = line.split_once("] via ").filter(|_| line.contains("NCCL INFO")) {
            let transport = transport.split_whitespace().next().unwrap_or_default().to_owned();
            if !self.transports.contains(&transport) {
                self.transports.push(transport);
            }
        }
        if let Some((_, warning)) = line.split_once("NCCL WARN ") {
            let warning = crate::redact::line(warning.trim()).into_owned();
            if self.warnings.len() < MOST_WARNINGS && !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Tells all ranks the name of their group and how much there is room for.
    fn bring_together(&mut self, quick: bool) {
        let free = self.ranks.iter().map(|rank| rank.free).min().unwrap_or(0);
        let word = Word { group: self.name.clone().unwrap_or_default(), seed: fastrand::u32(..), most: Sizes::most(quick, free) };
        self.ranks.iter_mut().for_each(|rank| rank.process.tell(&word.text()));
    }

    /// Why it ended early, if it did: of several ranks that say so, the first that failed itself. `hung` is how long nobody spoke.
    fn stop(&self, hung: Option<u64>) -> Option<Stop> {
        if let Some(after) = hung {
            let waiting: Vec<&Rank> = self.ranks.iter().filter(|rank| !rank.done).collect();
            return Some(Stop { ending: Ending::Hung { after }, place: place(&waiting), reason: format!("no answer within {after} s") });
        }
        let gravity = |ending: Ending| match ending {
            Ending::Crashed => 0,
            Ending::Failed => 1,
            Ending::Impossible | Ending::Hung { .. } => 2,
        };
        let stopped = self.ranks.iter().filter_map(|rank| rank.stop.as_ref().map(|(ending, reason)| (rank, *ending, reason)));
        let (rank, ending, reason) = stopped.min_by_key(|(_, ending, _)| gravity(*ending))?;
        Some(Stop { ending, place: place(&[rank]), reason: reason.clone() })
    }

    /// What all ranks measured: of each size the slowest rank's time, and the wrong words of all.
    fn together(&self) -> Vec<AllReduce> {
        let mut sizes: BTreeMap<(u64, bool), Vec<&AllReduce>> = BTreeMap::new();
        for reduced in self.ranks.iter().flat_map(|rank| &rank.reduced) {
            sizes.entry((reduced.bytes.0, reduced.graph)).or_default().push(reduced);
        }
        let whole = sizes.into_values().filter(|all| all.len() == self.ranks.len());
        let slowest = whole.filter_map(|all| {
            let wrong = all.iter().map(|one| one.wrong).sum();
            let slowest = all.into_iter().max_by(|a, b| a.time.median.total_cmp(&b.time.median))?;
            Some(AllReduce { wrong, ..slowest.clone() })
        });
        slowest.collect()
    }
}

/// Where ranks are: `` `ncclCommInitRank` on GPU 0 and 1``.
fn place(ranks: &[&Rank]) -> String {
    let mut places: Vec<(&str, Vec<String>)> = Vec::new();
    for rank in ranks {
        match places.iter_mut().find(|(at, _)| *at == rank.at) {
            Some((_, devices)) => devices.push(rank.device.to_string()),
            None => places.push((&rank.at, vec![rank.device.to_string()])),
        }
    }
    let one = |(at, devices): (&str, Vec<String>)| match devices.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{at} on GPU {} and {last}", rest.join(", ")),
        _ => format!("{at} on GPU {}", devices.concat()),
    };
    places.into_iter().map(one).collect::<Vec<_>>().join("; ")
}
