//! A roofline: what kernels reach, under what memory and arithmetic allow at their intensity.
//!
//! Across: floating-point operations for each byte that has to move. Up: operations a second. Memory at a rate allows rate ×
//! intensity, which is the sloped roof; arithmetic allows its peak, which is the flat one (Williams, Waterman and Patterson, 2009).

use super::legend::{self, Sign};
use super::pen::{Drawing, WIDTH, line, mark, tip, words};
use super::scale::{Decades, tick};
use svg::node::element::Group;

/// Where the plot is, from left to right, and its height.
const PLOT: (f64, f64) = (84.0, WIDTH - 24.0);
const HEIGHT: f64 = 340.0;

/// What is drawn. Rates are bytes and floating-point operations a second.
#[derive(Clone, Debug, Default)]
pub struct Roofline {
    /// What it shows.
    pub title: String,
    /// The same in a sentence, for those who do not see it.
    pub description: String,
    /// Rates of memory and what each is; the first is drawn through, the others dashed.
    pub memory: Vec<(f64, String)>,
    /// The peak of arithmetic and what it is.
    pub arithmetic: Option<(f64, String)>,
    /// What kernels reached.
    pub series: Vec<Series>,
    /// What cannot be seen in it, said under it.
    pub notes: Vec<String>,
}

/// Measurements of one kernel.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The kernel.
    pub name: String,
    /// Its measurements.
    pub points: Vec<Point>,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Floating-point operations for each byte.
    pub intensity: f64,
    /// Floating-point operations a second.
    pub rate: f64,
    /// Whether its launches overlapped: drawn hollow.
    pub overlapped: bool,
    /// Whether it is below its floor: the word stands beside it.
    pub slow: bool,
    /// What it worked on.
    pub name: String,
}

/// The roofline as a picture; none without a measurement or without a rate of memory.
pub fn draw(roofline: &Roofline) -> Option<Drawing> {
    let sound = |value: f64| value.is_finite() && value > 0.0;
    let points = || roofline.series.iter().flat_map(|series| &series.points).filter(|point| sound(point.intensity) && sound(point.rate));
    points().next()?;
    let (fastest, _) = roofline.memory.iter().filter(|(rate, _)| sound(*rate)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    let peak = roofline.arithmetic.as_ref().map(|(peak, _)| *peak).filter(|peak| sound(*peak));

    let mut drawing = Drawing::new(&roofline.title, &roofline.description);
    legend::draw(&mut drawing, &signs(roofline));
    let top = drawing.grow(HEIGHT) + 8.0;
    let bottom = drawing.height();
    // The ridge is where both roofs meet; a roof of memory alone goes to the last point.
    let across = Decades::over(points().map(|point| point.intensity).chain(peak.map(|peak| 1.5 * peak / fastest)), PLOT.0, PLOT.1);
    let highest = points().map(|point| point.intensity * fastest).fold(0.0, f64::max);
    let up = Decades::over(points().map(|point| point.rate).chain([peak.unwrap_or(highest)]), bottom, top);

    for value in across.ticks() {
        drawing.add(line((across.at(value), top), (across.at(value), bottom), "grid"));
        drawing.add(words(across.at(value), bottom + 15.0, "quiet middle", &tick(value)));
    }
    for value in up.ticks() {
        drawing.add(line((PLOT.0, up.at(value)), (PLOT.1, up.at(value)), "grid"));
        drawing.add(words(PLOT.0 - 8.0, up.at(value) + 4.0, "quiet end", &tick(value / 1e12)));
    }
    drawing.add(words(PLOT.0 - 8.0, top + 20.0, "quiet end", "TFLOP/s"));
    drawing.add(words(PLOT.1, bottom + 32.0, "quiet end", "floating-point operations for each byte"));
    let ((left, right), (low, high)) = (across.ends(), up.ends());
    for (number, (rate, _)) in roofline.memory.iter().enumerate().filter(|(_, (rate, _))| sound(*rate)) {
        let (from, to) = (left.max(low / rate), right.min(peak.unwrap_or(high).min(high) / rate));
        if from < to {
            let place = |intensity: f64| (across.at(intensity), up.at(intensity * rate));
            drawing.add(line(place(from), place(to), if number == 0 { "roof" } else { "dashed" }));
        }
    }
    if let Some(peak) = peak {
        drawing.add(line((across.at(peak / fastest), up.at(peak)), (PLOT.1, up.at(peak)), "roof"));
    }
    for (number, series) in roofline.series.iter().enumerate() {
        for point in series.points.iter().filter(|point| sound(point.intensity) && sound(point.rate)) {
            let place = (across.at(point.intensity), up.at(point.rate));
            let text = format!(
                "{} {}: {:.1} FLOP for each byte, {:.2} TFLOP/s{}",
                series.name,
                point.name,
                point.intensity,
                point.rate / 1e12,
                if point.slow { ", slow" } else { "" }
            );
            let mut group = Group::new().add(tip(&text)).add(mark(place, number, !point.overlapped));
            if point.slow {
                group = group.add(words(place.0 + 9.0, place.1 + 4.0, "bad", "slow"));
            }
            drawing.add(group);
        }
    }
    drawing.grow(42.0);
    for note in &roofline.notes {
        let y = drawing.grow(18.0);
        drawing.add(words(PLOT.0, y + 8.0, "quiet", note));
    }
    drawing.grow(8.0);
    Some(drawing)
}

fn signs(roofline: &Roofline) -> Vec<(Sign, String)> {
    let memory = roofline.memory.iter().enumerate();
    let roofs = memory.map(|(number, (_, name))| (Sign::Line(if number == 0 { "roof" } else { "dashed" }), name.clone()));
    let arithmetic = roofline.arithmetic.iter().map(|(_, name)| (Sign::Line("roof"), name.clone()));
    let series = roofline.series.iter().enumerate().filter(|(_, series)| !series.points.is_empty());
    let kernels = series.map(|(number, series)| (Sign::Mark(number, true), series.name.clone()));
    let mut signs: Vec<(Sign, String)> = roofs.chain(arithmetic).chain(kernels).collect();
    if roofline.series.iter().flat_map(|series| &series.points).any(|point| point.overlapped) {
        signs.push((Sign::Mark(0, false), "hollow: launches overlap".to_owned()));
    }
    signs
}
