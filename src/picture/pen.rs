//! Shapes of SVG with the classes of the style sheet, and whole pictures of them.

use svg::node::element::{self, Group, SVG};
use svg::node::{Node, Text};

/// The width of every picture, in the unit of its places: pixels at its natural size.
pub const WIDTH: f64 = 920.0;
/// The left and the right margin.
pub(super) const MARGIN: f64 = 16.0;
/// The height of a line of text.
const LINE: f64 = 18.0;
/// The colours and the letters of all pictures, light and dark.
pub const STYLE: &str = include_str!("../../templates/picture.css");

/// A picture.
#[derive(Clone, Debug)]
pub struct Drawing {
    title: String,
    description: String,
    height: f64,
    shapes: Group,
}

impl Drawing {
    /// An empty picture with its title; `description` says in a sentence what can be seen.
    pub(super) fn new(title: &str, description: &str) -> Self {
        let mut drawing = Self { title: legible(title), description: legible(description), height: 30.0, shapes: Group::new() };
        let text = words(MARGIN, 20.0, "title", title);
        drawing.add(text);
        drawing
    }

    /// Adds a shape.
    pub(super) fn add(&mut self, shape: impl Into<Box<dyn Node>>) {
        self.shapes.append(shape);
    }

    /// The height so far.
    pub(super) const fn height(&self) -> f64 {
        self.height
    }

    /// Makes it taller; returns where the new part starts.
    pub(super) fn grow(&mut self, by: f64) -> f64 {
        let start = self.height;
        self.height += by;
        start
    }

    /// Words that stand by themselves, line by line, under a title.
    pub fn prose(title: &str, lines: &[String]) -> Self {
        let mut drawing = Self::new(title, &lines.join(" "));
        for line in lines {
            let y = drawing.grow(LINE);
            let indented = columns(line) - columns(line.trim_start());
            drawing.add(words(MARGIN + indented, y + 13.0, "", line.trim()));
        }
        drawing.grow(8.0);
        drawing
    }

    /// The picture as an element of a page that has [`STYLE`]; `id` is its own in that page.
    pub fn inline(&self, id: &str) -> String {
        let (title, description) = (format!("{id}-title"), format!("{id}-description"));
        let named = |element: element::Element, id: &str, text: &str| {
            let mut element = element;
            element.assign("id", id);
            element.append(Text::new(text));
            element
        };
        canvas(self.height)
            .set("aria-labelledby", format!("{title} {description}"))
            .add(named(element::Element::new("title"), &title, &self.title))
            .add(named(element::Element::new("desc"), &description, &self.description))
            .add(paper(self.height))
            .add(self.shapes.clone())
            .to_string()
    }
}

/// Pictures below each other as a file of their own. Ends with a line break.
pub fn document(title: &str, drawings: &[Drawing]) -> String {
    let height: f64 = drawings.iter().map(Drawing::height).sum::<f64>();
    let descriptions: Vec<String> = drawings.iter().map(|drawing| format!("{}: {}", drawing.title, drawing.description)).collect();
    let mut file = canvas(height)
        .set("aria-labelledby", "title description")
        .set("width", number(WIDTH))
        .set("height", number(height))
        .add(element::Title::new(legible(title)).set("id", "title"))
        .add(element::Description::new().set("id", "description").add(Text::new(descriptions.join("\n"))))
        .add(element::Style::new(STYLE))
        .add(paper(height));
    let mut top = 0.0;
    for drawing in drawings {
        let moved = drawing.shapes.clone().set("transform", format!("translate(0 {})", number(top)));
        file = file.add(moved.set("aria-label", drawing.title.as_str()).set("role", "group"));
        top += drawing.height;
    }
    file.to_string() + "\n"
}

fn canvas(height: f64) -> SVG {
    SVG::new().set("class", "picture").set("role", "img").set("viewBox", format!("0 0 {} {}", number(WIDTH), number(height)))
}

fn paper(height: f64) -> element::Rectangle {
    rectangle((0.0, 0.0), (WIDTH, height), "paper")
}

/// Text whose baseline is at `y`.
pub(super) fn words(x: f64, y: f64, class: &str, text: &str) -> element::Text {
    classed(element::Text::new(legible(text)), class).set("x", number(x)).set("y", number(y))
}

/// A rectangle from its upper left corner.
pub(super) fn rectangle((x, y): (f64, f64), (width, height): (f64, f64), class: &str) -> element::Rectangle {
    let rectangle = element::Rectangle::new().set("x", number(x)).set("y", number(y));
    classed(rectangle, class).set("width", number(width.max(0.0))).set("height", number(height.max(0.0)))
}

/// A straight line.
pub(super) fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) -> element::Line {
    let line = element::Line::new().set("x1", number(x1)).set("y1", number(y1)).set("x2", number(x2)).set("y2", number(y2));
    classed(line, class)
}

/// A small mark of one of six forms around a place, in the tone of its number; hollow where it is not `filled`.
pub(super) fn mark((x, y): (f64, f64), kind: usize, filled: bool) -> element::Path {
    const R: f64 = 5.0;
    let corners: &[(f64, f64)] = match kind % 6 {
        0 => &[(-R, 0.0), (0.0, -R), (R, 0.0), (0.0, R)],
        1 => &[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)],
        2 => &[(-R, 4.0), (0.0, -R), (R, 4.0)],
        3 => &[(-R, -4.0), (R, -4.0), (0.0, R)],
        4 => &[(-R, 0.0), (-2.5, -4.3), (2.5, -4.3), (R, 0.0), (2.5, 4.3), (-2.5, 4.3)],
        _ => &[
            (-1.5, -R),
            (1.5, -R),
            (1.5, -1.5),
            (R, -1.5),
            (R, 1.5),
            (1.5, 1.5),
            (1.5, R),
            (-1.5, R),
            (-1.5, 1.5),
            (-R, 1.5),
            (-R, -1.5),
            (-1.5, -1.5),
        ],
    };
    let places: Vec<String> = corners.iter().map(|(dx, dy)| format!("{} {}", number(x + dx), number(y + dy))).collect();
    let path = element::Path::new().set("d", format!("M{}Z", places.join("L")));
    path.set("class", format!("{} {}", tone(kind), if filled { "filled" } else { "hollow" }))
}

/// What is shown where the pointer rests.
pub(super) fn tip(text: &str) -> element::Title {
    element::Title::new(legible(text))
}

/// The class of a colour, which repeats after eight.
pub(super) fn tone(number: usize) -> String {
    format!("tone{}", number % 8)
}

fn classed<T: Node>(mut element: T, class: &str) -> T {
    if !class.is_empty() {
        element.assign("class", class);
    }
    element
}

/// A place to a tenth; never anything but a number.
fn number(value: f64) -> f64 {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.is_finite() { rounded + 0.0 } else { 0.0 }
}

/// Text as XML can hold it: control characters, which it cannot, are replaced.
fn legible(text: &str) -> String {
    let bad = |letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|letter| {
            if letter.is_whitespace() {
                ' '
            } else if bad(letter) {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .collect()
}

/// The columns that `text` takes in letters of the usual size, nearly.
pub(super) fn columns(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}

/// `text` cut to `most` letters, so that it stays in its column.
pub(super) fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture is XML whatever stands in it, and shows the text as it was.
    #[test]
    fn any_text_is_only_text() {
        let hostile = "</text><script>alert(1)</script>&amp;\"'\u{0}\u{1b}[31m]]>";
        for text in [document(hostile, &[Drawing::prose(hostile, &[hostile.to_owned()])]), Drawing::prose(hostile, &[]).inline("a")] {
            let read = roxmltree::Document::parse(&text).unwrap();
            assert!(read.descendants().all(|node| node.tag_name().name() != "script"), "{text}");
            let shown = read.descendants().find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text"))).unwrap();
            assert_eq!(shown.text().unwrap().trim(), "</text><script>alert(1)</script>&amp;\"'\u{fffd}\u{fffd}[31m]]>");
        }
    }

    /// A place that is no number is none.
    #[test]
    fn places_are_numbers() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0] {
            assert_eq!(number(value).to_string(), "0");
        }
        assert_eq!(number(1.26).to_string(), "1.3");
    }
}
