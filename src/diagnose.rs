//! A log to the cause of a failure: what the lines show, which of it is the cause and which its consequences.
//!
//! [`Examiner`] sees the lines one by one and keeps what matched, in bounded memory; [`Examiner::finish`] ranks it.

mod arithmetic;
mod fork;
mod machine;
mod matches;
mod named;
mod prefilter;
mod probes;
mod rank;
mod sightings;
mod signs;

use std::io::Read;

pub use arithmetic::Arithmetic;
pub use machine::Machine;
pub use named::{Consequence, Named, Question};
pub use sightings::Sighting;
pub use signs::Outcome;

use crate::catalog::Catalog;
use crate::log::{Line, LogError, Reader, Scratch};
use crate::startup::{self, Figures};
use probes::Probes;
use sightings::Sightings;

/// What a log says about a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Whether the cause is known.
    pub verdict: Verdict,
    /// The causes, the likeliest first. Of an open fork these are its branches.
    pub causes: Vec<Named>,
    /// What says that something failed, and not why; of interest where no cause is found.
    pub wrappers: Vec<Named>,
    /// Ids of everything whose texts were seen: causes, forks, consequences and wrappers.
    pub seen: Vec<String>,
    /// Whether a server got ready, and what looks like a failure.
    pub outcome: Outcome,
    /// How many lines the log has.
    pub lines: u64,
}

impl Diagnosis {
    /// Whether a server got ready and nothing says that anything failed.
    pub fn is_healthy(&self) -> bool {
        let last = self.wrappers.iter().map(|named| named.last).max().unwrap_or(0);
        self.verdict == Verdict::NotInThisLog && self.outcome.is_healthy() && self.outcome.ready.is_some_and(|ready| ready > last)
    }
}

/// Whether the cause is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// One cause is clearly first.
    Found,
    /// Several causes are as likely, and nothing in the log decides.
    Ambiguous,
    /// The log does not show why something failed, or nothing failed.
    NotInThisLog,
}

impl Verdict {
    /// The word in every output format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Ambiguous => "ambiguous",
            Self::NotInThisLog => "not_in_this_log",
        }
    }
}

/// The texts of every cause, ready to be looked for in any number of logs.
#[derive(Debug)]
pub struct Patterns<'c> {
    catalog: &'c Catalog,
    probes: Probes<'c>,
}

impl<'c> Patterns<'c> {
    /// The texts of the causes and signs of `catalog`.
    pub fn new(catalog: &'c Catalog) -> Self {
        Self { catalog, probes: Probes::new(catalog.causes(), catalog.signs().expressions(), startup::LITERALS) }
    }
}

/// Looks at the lines of one log.
#[derive(Debug)]
pub struct Examiner<'p> {
    patterns: &'p Patterns<'p>,
    sightings: Sightings,
    figures: Figures,
    lines: u64,
}

impl<'p> Examiner<'p> {
    /// An examiner that looks for `patterns`.
    pub fn new(patterns: &'p Patterns<'p>) -> Self {
        Self { patterns, sightings: Sightings::new(&patterns.probes), figures: Figures::default(), lines: 0 }
    }

    /// Looks at every line of a log, and cleans those that could show anything.
    ///
    /// # Errors
    /// When the log cannot be read. What came before the error was looked at.
    pub fn read(&mut self, log: impl Read) -> Result<(), LogError> {
        let mut reader = Reader::open(log)?;
        let mut scratch = Scratch::default();
        while let Some(raw) = reader.next_line()? {
            self.lines = raw.number;
            if raw.may_hold(&mut scratch, |bytes| self.patterns.probes.might_match(bytes)) {
                raw.lines().iter().for_each(|line| self.observe(line));
            }
        }
        Ok(())
    }

    /// Looks at a line. Lines come in the order of the log.
    pub fn observe(&mut self, line: &Line) {
        self.lines = self.lines.max(line.number);
        if self.sightings.observe(line, &self.patterns.probes) {
            self.figures.observe(line.number, process(line).as_deref(), &line.text);
        }
    }

    /// The figures of starts that were seen so far.
    pub fn take_figures(&mut self) -> Figures {
        std::mem::take(&mut self.figures)
    }

    /// How many lines were looked at.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// The diagnosis, of a log that `machine` printed.
    pub fn finish(self, machine: &Machine) -> Diagnosis {
        let Patterns { catalog, probes } = self.patterns;
        let matched = matches::all(catalog, probes, &self.sightings);
        let context = fork::Context { catalog, probes, sightings: &self.sightings, machine };
        let outcome = Outcome::new(catalog.signs(), probes, &self.sightings);
        rank::rank(matched, outcome, &context, self.lines)
    }
}

/// The process that printed a line, by name and id.
fn process(line: &Line) -> Option<String> {
    let name = line.source.process.as_deref().unwrap_or_default();
    let rank = line.source.rank.map_or_else(String::new, |rank| format!(" rank={rank}"));
    match line.source.pid {
        Some(pid) => Some(format!("{name}{rank} pid={pid}")),
        None => (!name.is_empty()).then(|| format!("{name}{rank}")),
    }
}
