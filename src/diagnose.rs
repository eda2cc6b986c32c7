//! A log to the cause of a failure: what the lines show, which of it is the cause and which its consequences.
//!
//! [`Examiner`] sees the lines one by one and keeps what matched, in bounded memory; [`Examiner::finish`] ranks it.

mod fork;
mod matches;
mod named;
mod probes;
mod rank;
mod sightings;
mod signs;

use minijinja::Value;

pub use named::{Consequence, Named, Question};
pub use sightings::Sighting;
pub use signs::Outcome;

use crate::catalog::Catalog;
use crate::log::Line;
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

/// Looks at the lines of one log.
#[derive(Debug)]
pub struct Examiner<'c> {
    catalog: &'c Catalog,
    probes: Probes<'c>,
    sightings: Sightings,
    lines: u64,
}

impl<'c> Examiner<'c> {
    /// An examiner that knows the causes of `catalog`.
    pub fn new(catalog: &'c Catalog) -> Self {
        let probes = Probes::new(catalog.causes(), catalog.signs().expressions());
        let sightings = Sightings::new(&probes);
        Self { catalog, probes, sightings, lines: 0 }
    }

    /// Whether a line of these bytes could show anything. What is not wanted need not be cleaned.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        self.probes.might_match(bytes)
    }

    /// Looks at a line. Lines come in the order of the log.
    pub fn observe(&mut self, line: &Line) {
        self.lines = self.lines.max(line.number);
        self.sightings.observe(line, &self.probes);
    }

    /// The diagnosis. `facts` are those of the machine, as `if_fact` of rules and `when` of advice name them; an empty map
    /// where nothing is known. `lines` is the length of the log.
    pub fn finish(self, facts: &Value, lines: u64) -> Diagnosis {
        let matched = matches::all(self.catalog, &self.probes, &self.sightings);
        let context = fork::Context { catalog: self.catalog, probes: &self.probes, sightings: &self.sightings, facts };
        let outcome = Outcome::new(self.catalog.signs(), &self.probes, &self.sightings);
        rank::rank(matched, outcome, &context, lines.max(self.lines))
    }
}
