//! What the signs of a chart mean, in words beside a sample of each.

use super::pen::{Drawing, MARGIN, WIDTH, columns, line, mark, rectangle, words};

/// The height of a row of samples.
const ROW: f64 = 20.0;
/// The room of a sample, and the gap after its words.
const SAMPLE: f64 = 26.0;
const GAP: f64 = 18.0;

/// A sign.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    /// A line of this class.
    Line(&'static str),
    /// The short line at a floor.
    Floor,
    /// A bar of this class.
    Bar(&'static str),
    /// A mark by its number, filled or not.
    Mark(usize, bool),
}

/// Draws samples from left to right, on as many rows as they take.
pub(super) fn draw(drawing: &mut Drawing, entries: &[(Sign, String)]) {
    let (mut x, mut y) = (MARGIN, drawing.height());
    for (sign, text) in entries {
        let width = SAMPLE + columns(text) + GAP;
        if x > MARGIN && x + width - GAP > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + ROW);
        }
        let middle = y + ROW / 2.0;
        match sign {
            Sign::Line(class) => drawing.add(line((x, middle), (x + 20.0, middle), class)),
            Sign::Floor => drawing.add(line((x + 10.0, middle - 7.0), (x + 10.0, middle + 7.0), "floor")),
            Sign::Bar(class) => drawing.add(rectangle((x, middle - 6.0), (20.0, 12.0), class)),
            Sign::Mark(kind, filled) => drawing.add(mark((x + 10.0, middle), *kind, *filled)),
        }
        drawing.add(words(x + SAMPLE, middle + 4.0, "", text));
        x += width;
    }
    let bottom = if entries.is_empty() { y } else { y + ROW };
    drawing.grow(bottom - drawing.height() + 6.0);
}
