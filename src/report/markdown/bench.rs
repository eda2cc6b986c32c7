//! Measurements as Markdown, for a job summary, a pull request or a page.

use super::{cell, titled};
use crate::measurement::judge::{GpuJudged, Judged};
use crate::report::bench::{error, facts, figure, last, links, notes, shape, share};
use crate::report::check::about;

/// The report. Ends with a line break.
pub fn render(gpus: &[GpuJudged]) -> String {
    let mut sections = vec![format!("## gpudoctor bench\n\n**{}**", last(gpus))];
    let findings = gpus.iter().flat_map(|gpu| &gpu.findings).map(|finding| {
        let fix = finding.fixes.first().map_or_else(String::new, super::fix);
        let message = cell(&format!("{}{}", about(finding), finding.message));
        format!("| {} | `{}` | {message} | {fix} |", finding.severity.name(), finding.id)
    });
    sections.push(titled("### Findings\n\n| severity | id | what | fix |\n| --- | --- | --- | --- |", findings.collect()));
    sections.extend(gpus.iter().flat_map(card));
    sections.retain(|section| !section.is_empty());
    format!("{}\n", sections.join("\n\n"))
}

fn card(gpu: &GpuJudged) -> [String; 4] {
    let links = links(gpu)
        .into_iter()
        .map(|[name, how, figure, more, verdict]| format!("| {} | {how} | {figure} | {more} | | {verdict} | |", cell(&name)));
    let rows = gpu.results.iter().map(row).chain(links).collect();
    let columns = "| kernel | shape | rate or time | share | floor | verdict | error |\n| --- | --- | ---: | ---: | ---: | --- | --- |";
    let skipped = gpu.skipped().map(|(name, stop)| format!("- `{name}`: {}", cell(stop.reason())));
    let notes = notes(gpu).into_iter().map(|note| format!("- {}", cell(&note)));
    [
        format!("### GPU {}\n\n{}", gpu.measured.device.index, cell(&facts(gpu).join(" · "))),
        titled(columns, rows),
        titled("Not measured:\n", skipped.collect()),
        titled("Notes:\n", notes.collect()),
    ]
}

fn row(result: &Judged) -> String {
    let floor = result.floor.map(|floor| format!("{:.0} GB/s", floor / 1e9)).unwrap_or_default();
    let (shape, error) = (shape(result), error(result).unwrap_or_default());
    let (figure, share) = (figure(result), share(result));
    let cells = [result.sample.kernel.as_str(), &shape, &figure, &share, &floor, result.verdict.name(), &error];
    format!("| {} |", cells.map(cell).join(" | "))
}
