//! Whether a program got ready, and what looks like a failure whatever its cause.

use super::probes::Probes;
use super::sightings::{Sighting, Sightings};
use crate::catalog::{Sign, Signs};

/// The most lines that are shown of failures that no rule knows.
const SHOWN: usize = 6;

/// What the signs say of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The last line by which a server was ready to serve.
    pub ready: Option<u64>,
    /// The first and the last lines that look like failures, redacted, in the order of the log.
    pub failures: Vec<Sighting>,
    /// How many lines look like failures.
    pub count: u64,
}

impl Outcome {
    /// What `sightings` say.
    pub(super) fn new(signs: &Signs, probes: &Probes<'_>, sightings: &Sightings) -> Self {
        let of = |sign: &Sign| probes.id(&sign.regex).and_then(|id| sightings.of(id));
        let ready = signs.ready.iter().filter_map(of).filter_map(|seen| seen.numbers().last()).max();
        let seen: Vec<_> = signs.failure.iter().filter_map(of).collect();
        let mut failures: Vec<&Sighting> = seen.iter().flat_map(|seen| seen.kept()).collect();
        failures.sort_by_key(|sighting| sighting.number);
        failures.dedup_by_key(|sighting| sighting.number);
        let count = seen.iter().map(|seen| seen.count).max().unwrap_or(0);
        // The head of a traceback says nothing that its last line does not say better.
        let telling = |sighting: &&&Sighting| !sighting.text.contains("Traceback (most recent call last)");
        let mut shown: Vec<&Sighting> = failures.iter().filter(telling).copied().collect();
        if shown.is_empty() {
            shown = failures;
        }
        if shown.len() > SHOWN {
            shown.drain(SHOWN / 2..shown.len() - SHOWN / 2);
        }
        let failures = shown.into_iter().map(Sighting::shown).collect();
        Self { ready, failures, count }
    }

    /// Whether a server got ready and nothing looks like a failure after that.
    pub fn is_healthy(&self) -> bool {
        self.ready.is_some_and(|ready| self.failures.iter().all(|failure| failure.number < ready))
    }
}
