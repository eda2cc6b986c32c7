//! Bars from left to right, each with its name before it and its figure behind it.

use svg::node::element::Group;

use super::legend::{self, Sign};
use super::pen::{Drawing, MARGIN, clipped, line, rectangle, tip, tone, words};
use super::scale::{Linear, tick};

/// Where bars start and end.
const BARS: (f64, f64) = (372.0, 690.0);
/// The height of a row, and of a bar in it.
const ROW: f64 = 20.0;
const BAR: f64 = 13.0;
/// How far rows are set in under the name of their group.
const INDENT: f64 = 14.0;
/// Letters that fit before a bar, and behind it.
const LABEL: usize = 50;
const FIGURE: usize = 34;

/// A chart. All sizes are in one unit.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// The same in a sentence, for those who do not see it.
    pub description: String,
    /// The unit, as it stands under the axis.
    pub unit: String,
    /// How many of the rows' units are one of the axis's.
    pub per_unit: f64,
    /// Rows in groups.
    pub groups: Vec<Rows>,
    /// Lines through all rows: value, and what it is. The first is drawn through, the others dashed.
    pub lines: Vec<(f64, String)>,
}

/// Rows with a name in common; none where it is empty.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The name.
    pub name: String,
    /// Them.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What stands before it.
    pub label: String,
    /// Its bar, in pieces.
    pub pieces: Vec<Piece>,
    /// The least that is good.
    pub floor: Option<f64>,
    /// What stands behind it.
    pub figure: String,
    /// What it says.
    pub state: State,
}

/// A piece of a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Where it starts.
    pub start: f64,
    /// How long it is.
    pub size: f64,
    /// The number of its colour.
    pub tone: usize,
}

/// What a row says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is wrong.
    #[default]
    Good,
    /// It is below its floor: outlined in dashes, and its figure is set off.
    Slow,
    /// It is wrong: it has no bar, and its figure is set off.
    Wrong,
}

/// The chart as a picture; none without rows.
pub fn draw(chart: &Chart) -> Option<Drawing> {
    let rows = || chart.groups.iter().flat_map(|group| &group.rows);
    rows().next()?;
    let ends = rows().flat_map(|row| row.pieces.iter().map(|piece| piece.start + piece.size).chain(row.floor));
    let most = ends.chain(chart.lines.iter().map(|(value, _)| *value)).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let unit = if chart.per_unit > 0.0 { chart.per_unit } else { 1.0 };
    let scale = Linear::new(most / unit, BARS.0, BARS.1);
    let at = |value: f64| scale.at(value / unit);

    let mut drawing = Drawing::new(&chart.title, &chart.description);
    legend::draw(&mut drawing, &signs(chart));
    let top = drawing.height();
    let named = chart.groups.iter().filter(|group| !group.name.is_empty()).count();
    let bottom = top + ROW * (rows().count() + named) as f64;
    for value in scale.ticks() {
        drawing.add(line((scale.at(value), top), (scale.at(value), bottom), "grid"));
        drawing.add(words(scale.at(value), bottom + 15.0, "quiet middle", &tick(value)));
    }
    drawing.add(words(BARS.1 + 24.0, bottom + 15.0, "quiet", &chart.unit));
    for group in &chart.groups {
        if !group.name.is_empty() {
            let y = drawing.grow(ROW);
            drawing.add(words(MARGIN, y + 14.0, "group", &clipped(&group.name, LABEL)));
        }
        for row in &group.rows {
            let y = drawing.grow(ROW);
            let indented = if group.name.is_empty() { 0.0 } else { INDENT };
            drawing.add(drawn(row, MARGIN + indented, y, at));
        }
    }
    for (number, (value, _)) in chart.lines.iter().enumerate() {
        drawing.add(line((at(*value), top), (at(*value), bottom), line_class(number)));
    }
    drawing.grow(30.0);
    Some(drawing)
}

/// A row whose name starts at `x`, below `y`.
fn drawn(row: &Row, x: f64, y: f64, at: impl Fn(f64) -> f64) -> Group {
    let top = y + (ROW - BAR) / 2.0;
    let mut group = Group::new().add(tip(&format!("{}: {}", row.label, row.figure)));
    group = group.add(words(x, y + 14.0, "", &clipped(&row.label, LABEL)));
    if row.state != State::Wrong {
        for piece in row.pieces.iter().filter(|piece| piece.size > 0.0) {
            let (left, right) = (at(piece.start), at(piece.start + piece.size));
            let class = format!("{}{}", tone(piece.tone), if row.state == State::Slow { " slow" } else { "" });
            // What is small against the scale still shows.
            let bar = rectangle((left, top), ((right - left).max(1.0), BAR), &class);
            group = group.add(bar.set("data-start", exact(piece.start)).set("data-size", exact(piece.size)));
        }
    }
    if let Some(floor) = row.floor {
        group = group.add(line((at(floor), y + 1.0), (at(floor), y + ROW - 1.0), "floor"));
    }
    let class = if row.state == State::Good { "" } else { "bad" };
    group.add(words(BARS.1 + 12.0, y + 14.0, class, &clipped(&row.figure, FIGURE)))
}

/// A size for whoever reads the file back.
fn exact(value: f64) -> f64 {
    if value.is_finite() { (value * 1e3).round() / 1e3 } else { 0.0 }
}

const fn line_class(number: usize) -> &'static str {
    if number == 0 { "roof" } else { "dashed" }
}

fn signs(chart: &Chart) -> Vec<(Sign, String)> {
    let rows = || chart.groups.iter().flat_map(|group| &group.rows);
    let lines = chart.lines.iter().enumerate();
    let mut signs: Vec<(Sign, String)> = lines.map(|(number, (_, name))| (Sign::Line(line_class(number)), name.clone())).collect();
    if rows().any(|row| row.floor.is_some()) {
        signs.push((Sign::Floor, "the least that is good".to_owned()));
    }
    if rows().any(|row| row.state == State::Slow) {
        signs.push((Sign::Bar("tone0 slow"), "slow".to_owned()));
    }
    signs
}
