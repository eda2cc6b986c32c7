//! The memory of one GPU: what takes how much of what the server may take, as text and as a picture.

use super::bar::percent;
use super::chart::{self, Chart, Piece, Row, Rows, State};
use super::pen::Drawing;
use crate::plan::budget::{Budget, TermName};
use crate::units::Bytes;

/// The colour of what no term names.
const REST: usize = 7;

/// A part of the memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What takes it.
    pub name: &'static str,
    /// Where it starts, the parts before it below it.
    pub start: Bytes,
    /// Its expected size.
    pub size: Bytes,
    /// The same as a share of what the server may take.
    pub share: f64,
}

/// What takes memory, in the order of the budget. What only stays free is left out.
pub fn parts(budget: &Budget, limit: Bytes) -> Vec<Part> {
    let mut start = Bytes::ZERO;
    let terms = budget.terms.iter().filter(|term| term.name != TermName::Headroom && term.size.expected > Bytes::ZERO);
    let part = |term: &crate::plan::budget::Term| {
        let size = term.size.expected;
        let part = Part { name: term.name.title(), start, size, share: share(size, budget, limit) };
        start += size;
        part
    };
    terms.map(part).collect()
}

/// All of it: what nvidia-smi will show.
pub fn whole(budget: &Budget, limit: Bytes) -> Part {
    let size = budget.device_used.expected;
    Part { name: "all of it", start: Bytes::ZERO, size, share: share(size, budget, limit) }
}

/// What shares are shares of: what the server may take, or else what the device has.
fn ceiling(budget: &Budget, limit: Bytes) -> Bytes {
    if limit == Bytes::ZERO { budget.memory_total } else { limit }
}

fn share(size: Bytes, budget: &Budget, limit: Bytes) -> f64 {
    size.0 as f64 / ceiling(budget, limit).0.max(1) as f64
}

/// A sentence of what the picture shows.
pub fn description(budget: &Budget, limit: Bytes) -> String {
    let gib = |bytes: Bytes| format!("{:.2} GiB", bytes.gib());
    let parts: Vec<String> = parts(budget, limit).iter().map(|part| format!("{} {}", part.name, gib(part.size))).collect();
    let (whole, ceiling) = (whole(budget, limit), ceiling(budget, limit));
    format!("{}; nvidia-smi will show {} of {} ({})", parts.join(", "), gib(whole.size), gib(ceiling), percent(whole.share))
}

/// The picture: a bar of all parts, and under it each by itself where it stands in that bar.
pub fn draw(budget: &Budget, limit: Bytes, title: &str) -> Option<Drawing> {
    let parts = parts(budget, limit);
    let piece = |(tone, part): (usize, &Part)| Piece { start: part.start.0 as f64, size: part.size.0 as f64, tone };
    let figure = |part: &Part| format!("{:.2} GiB, {}", part.size.gib(), percent(part.share));
    let row = |part: &Part, pieces: Vec<Piece>| Row { label: part.name.to_owned(), pieces, figure: figure(part), ..Row::default() };
    let whole = whole(budget, limit);
    let state = if whole.share > 1.0 { State::Slow } else { State::Good };
    let mut pieces: Vec<Piece> = parts.iter().enumerate().map(piece).collect();
    // What no term names: rounding to blocks and pages.
    let named = pieces.last().map_or(0.0, |last| last.start + last.size);
    pieces.push(Piece { start: named, size: whole.size.0 as f64 - named, tone: REST });
    let all = Row { state, ..row(&whole, pieces) };
    let each = parts.iter().enumerate().map(|(tone, part)| row(part, vec![piece((tone, part))]));
    let ceiling = ceiling(budget, limit);
    chart::draw(&Chart {
        title: title.to_owned(),
        description: description(budget, limit),
        unit: "GiB".to_owned(),
        per_unit: Bytes::GIB.0 as f64,
        groups: vec![Rows { name: String::new(), rows: std::iter::once(all).chain(each).collect() }],
        lines: vec![(ceiling.0 as f64, format!("{:.2} GiB that the server may take", ceiling.gib()))],
    })
}
