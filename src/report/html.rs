//! Measurements as a page of their own: pictures, then everything that the report for people says. It loads nothing.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::bench::{error, facts, figure, last, links, notes, shape, share};
use super::check::about;
use super::drawn;
use crate::finding::{Finding, Risk};
use crate::measurement::judge::{GpuJudged, Judged};
use crate::picture::pen;

/// The page's template and its looks.
const PAGE: &str = include_str!("../../templates/bench.html.j2");
const STYLE: &str = include_str!("../../templates/page.css");

#[derive(Serialize)]
struct Card {
    index: u32,
    facts: Vec<String>,
    #[serde(skip)]
    pictures: Vec<String>,
    rows: Vec<[String; 8]>,
    peers: Vec<[String; 5]>,
    skipped: Vec<[String; 2]>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Told {
    severity: &'static str,
    id: String,
    message: String,
    evidence: Vec<[String; 3]>,
    fixes: Vec<Mended>,
}

#[derive(Serialize)]
struct Mended {
    text: String,
    command: Option<String>,
    needs: String,
}

/// The page. Ends with a line break.
///
/// # Errors
/// When the template fails, which is a defect.
pub fn bench(gpus: &[GpuJudged]) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?);
    environment.add_template("page", PAGE)?;
    let cards = gpus.iter().enumerate().map(|(number, gpu)| {
        let card = card(number, gpu);
        // Only what `picture` drew is put into the page as it is.
        let pictures: Value = card.pictures.iter().cloned().map(Value::from_safe_string).collect();
        context! { pictures, ..Value::from(Serde(card)) }
    });
    environment.get_template("page")?.render(context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        picture_style => Value::from_safe_string(pen::STYLE.to_owned()),
        gpus => cards.collect::<Value>(),
        findings => Value::from(Serde(gpus.iter().flat_map(|gpu| &gpu.findings).map(told).collect::<Vec<_>>())),
        result => last(gpus),
    })
}

fn card(number: usize, gpu: &GpuJudged) -> Card {
    let pictures = drawn::pictures(gpu).into_iter().map(|(word, drawing)| drawing.inline(&format!("gpu{number}-{word}")));
    Card {
        index: gpu.measured.device.index,
        facts: facts(gpu),
        pictures: pictures.collect(),
        rows: gpu.results.iter().map(row).collect(),
        peers: links(gpu),
        skipped: gpu.skipped().map(|(name, stop)| [name, stop.reason().to_owned()]).collect(),
        notes: notes(gpu),
    }
}

/// Kernel, shape, figure, share, floor, operations for each byte, error, verdict.
fn row(result: &Judged) -> [String; 8] {
    let or_nothing = Option::unwrap_or_default;
    [
        result.sample.kernel.clone(),
        shape(result),
        figure(result),
        share(result),
        or_nothing(result.floor.map(|floor| format!("{:.0} GB/s", floor / 1e9))),
        or_nothing(result.sample.intensity().map(|intensity| format!("{intensity:.1}"))),
        or_nothing(error(result)),
        result.verdict.name().to_owned(),
    ]
}

fn told(finding: &Finding) -> Told {
    let mended = |fix: &crate::finding::Fix| {
        let risky = (fix.risk == Risk::Risky).then(|| "risky".to_owned());
        let needs: Vec<String> = fix.needs.iter().map(|need| format!("needs {need}")).chain(risky).collect();
        Mended { text: fix.text.clone(), command: fix.command.clone(), needs: needs.join(", ") }
    };
    Told {
        severity: finding.severity.name(),
        id: finding.id.clone(),
        message: format!("{}{}", about(finding), finding.message),
        evidence: finding.evidence.iter().map(|fact| [fact.fact.clone(), fact.value.clone(), fact.source.clone()]).collect(),
        fixes: finding.fixes.iter().map(mended).collect(),
    }
}
