//! What was seen of each expression, in memory that does not grow with the log.

use std::collections::VecDeque;

use super::probes::{ProbeId, Probes};
use crate::log::{Line, Source};

/// How many of the first and of the last sightings of an expression are kept.
const KEPT: usize = 6;

/// How many line numbers are kept at either end, for what must stand near.
const NUMBERS: usize = 64;

/// The longest quotation, in bytes.
const QUOTED: usize = 600;

/// A line that an expression matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its number in the log.
    pub number: u64,
    /// The line, or the part around the match where it is long.
    pub text: String,
    /// Who printed it.
    pub source: Source,
    /// The named groups that took part in the match.
    pub captures: Vec<(String, String)>,
}

/// The sightings of one expression.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) count: u64,
    first: Vec<Sighting>,
    last: VecDeque<Sighting>,
    first_numbers: Vec<u64>,
    last_numbers: VecDeque<u64>,
}

impl Seen {
    fn add(&mut self, number: u64, sighting: impl FnOnce() -> Sighting) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(sighting());
        } else {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(sighting());
        }
        if self.first_numbers.len() < NUMBERS {
            self.first_numbers.push(number);
        } else {
            if self.last_numbers.len() == NUMBERS {
                self.last_numbers.pop_front();
            }
            self.last_numbers.push_back(number);
        }
    }

    /// The sightings that were kept, in the order of the log.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Sighting> {
        self.first.iter().chain(&self.last)
    }

    /// The line numbers that were kept, in the order of the log.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.first_numbers.iter().chain(&self.last_numbers).copied()
    }

    /// The last sighting at or before line `number`, else the first after it.
    pub(super) fn nearest(&self, number: u64) -> Option<&Sighting> {
        self.kept().filter(|sighting| sighting.number <= number).last().or_else(|| self.kept().next())
    }
}

/// Everything that was seen in a log.
#[derive(Debug)]
pub(super) struct Sightings {
    seen: Vec<Seen>,
    candidates: Vec<ProbeId>,
}

impl Sightings {
    pub(super) fn new(probes: &Probes<'_>) -> Self {
        Self { seen: vec![Seen::default(); probes.len()], candidates: Vec::new() }
    }

    /// Matches a line. Returns whether it holds a text that is wanted for itself.
    pub(super) fn observe(&mut self, line: &Line, probes: &Probes<'_>) -> bool {
        let mut candidates = std::mem::take(&mut self.candidates);
        let wanted = probes.candidates(&line.text, &mut candidates);
        for id in &candidates {
            let (Some(regex), Some(seen)) = (probes.regex(*id), self.seen.get_mut(*id)) else { continue };
            let Some(found) = regex.find(&line.text) else { continue };
            seen.add(line.number, || sighting(line, regex, found.range()));
        }
        self.candidates = candidates;
        wanted
    }

    /// What was seen of an expression.
    pub(super) fn of(&self, id: ProbeId) -> Option<&Seen> {
        self.seen.get(id).filter(|seen| seen.count > 0)
    }
}

fn sighting(line: &Line, regex: &regex::Regex, range: std::ops::Range<usize>) -> Sighting {
    let groups = regex.captures(&line.text);
    let named = regex.capture_names().flatten().filter_map(|name| {
        let value = groups.as_ref()?.name(name)?.as_str();
        Some((name.to_owned(), value.chars().take(QUOTED).collect()))
    });
    Sighting { number: line.number, text: quoted(&line.text, range), source: line.source.clone(), captures: named.collect() }
}

/// `text`, or where it is long the part around `range`.
fn quoted(text: &str, range: std::ops::Range<usize>) -> String {
    if text.len() <= QUOTED {
        return text.to_owned();
    }
    let spare = QUOTED.saturating_sub(range.len()) / 2;
    let start = text.floor_char_boundary(range.start.saturating_sub(spare));
    let end = text.ceil_char_boundary((start + QUOTED).min(text.len()));
    let before = if start > 0 { "…" } else { "" };
    let after = if end < text.len() { "…" } else { "" };
    format!("{before}{}{after}", &text[start..end])
}
