//! What was seen of each expression, in memory that does not grow with the log.

use std::collections::VecDeque;
use std::ops::Range;

use super::probes::{ProbeId, Probes};
use crate::log::{Line, Source};
use crate::redact;

/// How many of the first and of the last sightings of an expression are kept.
const KEPT: usize = 6;

/// How many line numbers are kept at either end, for what must stand near.
const NUMBERS: usize = 64;

/// The longest quotation, in bytes.
const QUOTED: usize = 600;

/// What is kept on either side of a quotation until secrets are taken out, in bytes: half a token is not known for one.
const AROUND: usize = 2048;

/// A line that an expression matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its number in the log.
    pub number: u64,
    /// The line, or the part around the match where it is long: as it was printed, until secrets are taken out of it.
    pub text: String,
    /// Where the match starts in it, and where it ends.
    at: (usize, usize),
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

fn sighting(line: &Line, regex: &regex::Regex, range: Range<usize>) -> Sighting {
    let groups = regex.captures(&line.text);
    let named = regex.capture_names().flatten().filter_map(|name| {
        let value = groups.as_ref()?.name(name)?.as_str();
        Some((name.to_owned(), part(value, 0..value.floor_char_boundary(QUOTED)).0.to_owned()))
    });
    let (text, before) = part(&line.text, range.start..line.text.floor_char_boundary(range.end.min(range.start + QUOTED)));
    let at = (range.start - before, (range.end - before).min(text.len()));
    Sighting { number: line.number, text: text.to_owned(), at, source: line.source.clone(), captures: named.collect() }
}

impl Sighting {
    /// For people: without secrets, and where it is long, the part around the match.
    pub(super) fn shown(&self) -> Self {
        let redacted = redact::line(&self.text);
        let text = if redacted.len() <= QUOTED {
            redacted.into_owned()
        } else {
            // Where the match is by now, nearly: what is before it may have become shorter.
            let start = redact::line(&self.text[..self.at.0]).len().min(redacted.len());
            let spare = QUOTED.saturating_sub(self.at.1 - self.at.0) / 2;
            quoted(&redacted, start.saturating_sub(spare))
        };
        Self { at: (0, text.len()), text, ..self.clone() }
    }
}

/// A captured value for people: without secrets, and not longer than a quotation.
pub(super) fn shown_capture(value: &str) -> String {
    let redacted = redact::line(value);
    redacted[..redacted.floor_char_boundary(QUOTED)].to_owned()
}

/// The part of `text` that a quotation of `range` can be made from, and where it starts. Words at its ends are whole ones.
fn part(text: &str, range: Range<usize>) -> (&str, usize) {
    let (mut start, mut end) = (0, text.len());
    if range.start > QUOTED + AROUND {
        start = text.ceil_char_boundary(range.start - QUOTED - AROUND);
        start += text[start..range.start].find(is_between_words).unwrap_or(0);
    }
    if text.len() - range.end > QUOTED + AROUND {
        end = text.floor_char_boundary(range.end + QUOTED + AROUND);
        end = range.end + text[range.end..end].rfind(is_between_words).unwrap_or(0);
    }
    (&text[start..end], start)
}

/// Whether a character is in no token, key or password.
const fn is_between_words(character: char) -> bool {
    character.is_ascii_whitespace() || matches!(character, '"' | '\'' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '|')
}

/// [`QUOTED`] bytes of `text` from `start` on, with what is left out marked.
fn quoted(text: &str, start: usize) -> String {
    let start = text.ceil_char_boundary(start.min(text.len().saturating_sub(QUOTED)));
    let end = text.ceil_char_boundary((start + QUOTED).min(text.len()));
    let before = if start > 0 { "…" } else { "" };
    let after = if end < text.len() { "…" } else { "" };
    format!("{before}{}{after}", &text[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Sighting {
        let line = Line { number: 1, text: text.to_owned(), source: Source::default() };
        let regex = regex::Regex::new("boom(?<what>.*)").expect("an expression");
        let range = regex.find(text).expect("a match").range();
        sighting(&line, &regex, range)
    }

    /// A short line is shown whole.
    #[test]
    fn a_short_line_is_whole() {
        assert_eq!(seen("it went boom").shown().text, "it went boom");
    }

    /// Of a long line the part around the match is shown.
    #[test]
    fn of_a_long_line_the_match_is_shown() {
        let shown = seen(&format!("{} boom {}", "before ".repeat(2000), "after ".repeat(2000))).shown().text;
        assert!(shown.contains("boom ") && shown.starts_with('…') && shown.ends_with('…') && shown.len() < QUOTED + 8, "{shown}");
    }

    /// A token is taken out wherever a quotation would have cut it.
    #[test]
    fn no_part_of_a_token_is_shown() {
        let token = "hf_abcdefghijklmnopqrstuvwx";
        for gap in (0..2 * (QUOTED + AROUND)).step_by(7) {
            let text = format!("{token}|{}boom{}{token} {}", ".".repeat(gap), " ".repeat(gap), "x ".repeat(4000));
            let sighting = seen(&text);
            let captured = sighting.captures.iter().map(|(_, value)| shown_capture(value));
            for text in captured.chain([sighting.shown().text]) {
                assert!(!text.contains("hf_"), "{gap}: {text}");
            }
        }
    }
}
