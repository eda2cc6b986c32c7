//! Which causes the sightings show, and how surely.

use super::probes::Probes;
use super::sightings::{Seen, Sighting, Sightings};
use crate::catalog::{Catalog, Cause, Pattern};

/// How many lines apart what must stand near may be.
const NEAR: u64 = 30;

/// How sure any text can make a cause.
const SUREST: f64 = 0.99;

/// The most lines that are quoted for one cause.
const QUOTED: usize = 4;

/// A cause whose patterns matched.
#[derive(Clone, Debug)]
pub(super) struct Matched<'c> {
    pub(super) cause: &'c Cause,
    /// How sure its patterns make it, from 0 to 1.
    pub(super) confidence: f64,
    /// The first line of each pattern that matched, the surest pattern first.
    pub(super) lines: Vec<Sighting>,
    /// What the surest pattern has to say.
    pub(super) message: Option<&'c str>,
    /// The captures of the surest pattern, and those that it takes from other lines.
    pub(super) captures: Vec<(String, String)>,
    /// The first line that shows it.
    pub(super) first: u64,
    /// The last line that shows it.
    pub(super) last: u64,
    /// How many lines show it.
    pub(super) count: u64,
}

/// Every cause that the sightings show.
pub(super) fn all<'c>(catalog: &'c Catalog, probes: &Probes<'_>, sightings: &Sightings) -> Vec<Matched<'c>> {
    catalog.causes().iter().filter_map(|cause| matched(cause, probes, sightings)).collect()
}

struct Hit<'c, 'a> {
    pattern: &'c Pattern,
    seen: &'a Seen,
    sighting: &'a Sighting,
    confidence: f64,
}

fn matched<'c>(cause: &'c Cause, probes: &Probes<'_>, sightings: &Sightings) -> Option<Matched<'c>> {
    let mut hits: Vec<Hit<'c, '_>> = cause.pattern.iter().filter_map(|pattern| hit(pattern, probes, sightings)).collect();
    hits.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.sighting.number.cmp(&b.sighting.number)));
    let best = hits.first()?;
    let mut lines: Vec<Sighting> = Vec::new();
    let mut doubt = 1.0;
    for hit in &hits {
        // Patterns that match the same line are one piece of evidence.
        if lines.iter().all(|line| line.number != hit.sighting.number) {
            doubt *= 1.0 - hit.confidence;
            lines.push(hit.sighting.clone());
        }
    }
    let confidence = (1.0 - doubt).min(SUREST).max(best.confidence);
    let mut captures = best.sighting.captures.clone();
    for expression in &best.pattern.captures_from {
        let other = probes.id(expression).and_then(|id| sightings.of(id)).and_then(|seen| seen.nearest(best.sighting.number));
        captures.extend(other.into_iter().flat_map(|sighting| sighting.captures.iter().cloned()));
    }
    let message = best.pattern.message.as_deref();
    let first = lines.iter().map(|line| line.number).min()?;
    let last = hits.iter().filter_map(|hit| hit.seen.numbers().last()).max().unwrap_or(first);
    let count = hits.iter().map(|hit| hit.seen.count).max().unwrap_or(1);
    lines.truncate(QUOTED);
    Some(Matched { cause, confidence, lines, message, captures, first, last, count })
}

fn hit<'c, 'a>(pattern: &'c Pattern, probes: &Probes<'_>, sightings: &'a Sightings) -> Option<Hit<'c, 'a>> {
    let of = |expression: &str| probes.id(expression).and_then(|id| sightings.of(id));
    let seen = of(&pattern.regex)?;
    if pattern.with.iter().any(|other| of(other).is_none()) || pattern.without.iter().any(|other| of(other).is_some()) {
        return None;
    }
    let near: Option<Vec<&Seen>> = pattern.near.iter().map(|other| of(other)).collect();
    let near = near?;
    let close = |number: u64| near.iter().all(|seen| seen.numbers().any(|other| other.abs_diff(number) <= NEAR));
    let sighting = seen.kept().find(|sighting| close(sighting.number))?;
    Some(Hit { pattern, seen, sighting, confidence: pattern.confidence })
}
