//! budget.svg: XML of shapes and words alone, whose bars are the terms of the plan.

use roxmltree::{Document, Node};
use serde_json::Value;

use super::{Problem, Reader, ValidateError};
use crate::picture::budget;
use crate::plan::outcome::Plan;

/// The namespace of SVG.
const SVG: &str = "http://www.w3.org/2000/svg";
/// What a picture is made of: nothing that runs or loads anything.
const SHAPES: [&str; 9] = ["svg", "title", "desc", "style", "g", "rect", "line", "path", "text"];

/// Reads the picture back.
pub(super) fn check(reader: Reader, text: &str, plan: &Plan) -> Result<(), ValidateError> {
    let document = Document::parse(text).map_err(|error| reader.error(Problem::Syntax(error.to_string())))?;
    let strange = |node: &Node<'_, '_>| {
        let name = node.tag_name();
        let runs = node.attributes().any(|attribute| attribute.name().starts_with("on") || attribute.name() == "href");
        name.namespace() != Some(SVG) || !SHAPES.contains(&name.name()) || runs
    };
    if let Some(node) = document.descendants().filter(Node::is_element).find(strange) {
        return Err(reader.error(Problem::Syntax(format!("`{}` has no place in a picture", node.tag_name().name()))));
    }
    // The first row has all parts one after another, and what no term names; each part then has a row of its own.
    let bytes = |node: Node<'_, '_>, name: &str| node.attribute(name).and_then(|text| text.parse::<f64>().ok()).map(|bytes| bytes as u64);
    let bars = document.descendants().filter_map(|node| Some((bytes(node, "data-start")?, bytes(node, "data-size")?)));
    let bars: Vec<(u64, u64)> = bars.collect();
    let parts = plan.budget.as_ref().map(|budget| budget::parts(budget, plan.devices.limit)).unwrap_or_default();
    let expected: Vec<(u64, u64)> = parts.iter().map(|part| (part.start.0, part.size.0)).collect();
    let found = |bars: &[(u64, u64)]| Value::from(bars.iter().map(|(start, size)| vec![*start, *size]).collect::<Vec<_>>());
    let (all, each) = bars.split_at(bars.len().saturating_sub(expected.len()));
    reader.same("each bar", &found(&expected), &found(each))?;
    reader.same("the bar of all", &found(&expected), &found(all.get(..expected.len()).unwrap_or(all)))
}
