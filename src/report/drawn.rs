//! Measurements as pictures: a roofline, bars against floors, links; and all of them in one SVG file.

use super::bench::{facts, figure, last, notes, peer, shape, share};
use super::layout::{counted, wrap};
use crate::measurement::Launch;
use crate::measurement::judge::{GpuJudged, Judged, Verdict};
use crate::picture::chart::{self, Chart, Piece, Row, Rows, State};
use crate::picture::pen::{self, Drawing};
use crate::picture::roofline::{self, Point, Roofline, Series};

/// Columns of the words in a picture.
const COLUMNS: usize = 124;

/// Everything in one SVG file. Ends with a line break.
pub fn svg(gpus: &[GpuJudged]) -> String {
    let mut drawings = Vec::new();
    for gpu in gpus {
        let index = gpu.measured.device.index;
        drawings.push(Drawing::prose(&format!("GPU {index}"), &lines(&facts(gpu).join(" · "), "")));
        drawings.extend(pictures(gpu).into_iter().map(|(_, drawing)| drawing));
        let skipped = gpu.skipped().map(|(name, stop)| format!("{name}: skipped: {}", stop.reason()));
        let said: Vec<String> = skipped.chain(notes(gpu).into_iter().map(|note| format!("note: {note}"))).collect();
        if !said.is_empty() {
            let title = format!("GPU {index}: what was not measured, and what to know");
            drawings.push(Drawing::prose(&title, &said.iter().flat_map(|text| lines(text, "    ")).collect::<Vec<_>>()));
        }
    }
    let findings = gpus.iter().flat_map(|gpu| &gpu.findings);
    let found = findings.flat_map(|finding| lines(&format!("{}[{}] {}", finding.severity.name(), finding.id, finding.message), "    "));
    drawings.push(Drawing::prose("Result", &found.chain([last(gpus)]).collect::<Vec<_>>()));
    pen::document("gpudoctor bench", &drawings)
}

fn lines(text: &str, rest: &str) -> Vec<String> {
    wrap(text, "", rest, COLUMNS).lines().map(str::to_owned).collect()
}

/// The pictures of one GPU, each with a word for it; what was not measured has none.
pub fn pictures(gpu: &GpuJudged) -> Vec<(&'static str, Drawing)> {
    let all = [("roofline", roofline::draw(&roofline(gpu))), ("rates", chart::draw(&rates(gpu))), ("links", chart::draw(&links(gpu)))];
    all.into_iter().filter_map(|(word, drawing)| Some((word, drawing?))).collect()
}

/// The read rate that shares are shares of: the middle of those that measurements were compared with.
fn read_rate(gpu: &GpuJudged) -> Option<f64> {
    let rates = gpu.results.iter().filter_map(|result| Some(result.rate? / result.of_read?));
    let mut rates: Vec<f64> = rates.filter(|rate| rate.is_finite() && *rate > 0.0).collect();
    rates.sort_by(f64::total_cmp);
    let alone = || gpu.results.iter().find(|result| result.sample.kernel == "hbm-read").and_then(|result| result.rate);
    rates.get(rates.len() / 2).copied().or_else(alone)
}

/// The rates of memory, as lines and roofs: what was measured, and what is the most.
fn memory(gpu: &GpuJudged) -> Vec<(f64, String)> {
    let read = read_rate(gpu).map(|rate| (rate, format!("{:.0} GB/s, the read rate here", rate / 1e9)));
    let peak = gpu.peak.map(|rate| (rate, format!("{:.0} GB/s, the peak of its memory", rate / 1e9)));
    read.into_iter().chain(peak).collect()
}

fn roofline(gpu: &GpuJudged) -> Roofline {
    let mut series: Vec<Series> = Vec::new();
    for result in gpu.results.iter().filter(|result| result.verdict != Verdict::Wrong) {
        let (Some(rate), Some(intensity)) = (result.rate, result.sample.intensity()) else { continue };
        let overlapped = result.sample.launch == Launch::Overlapped;
        let slow = result.verdict == Verdict::Slow;
        let point = Point { intensity, rate: rate * intensity, overlapped, slow, name: shape(result) };
        match series.iter_mut().find(|one| one.name == result.sample.kernel) {
            Some(one) => one.points.push(point),
            None => series.push(Series { name: result.sample.kernel.clone(), points: vec![point] }),
        }
    }
    let wrong = gpu.results.iter().filter(|result| result.verdict == Verdict::Wrong).count();
    let mut notes = Vec::new();
    if gpu.tensor_peak.is_none() {
        notes.push("The arithmetic of this card is not known here: only the roof of its memory is drawn.".to_owned());
    }
    if wrong > 0 {
        notes.push(format!("{} stand nowhere: the speed of a wrong result means nothing.", counted(wrong, "wrong result")));
    }
    let measurements: usize = series.iter().map(|series| series.points.len()).sum();
    Roofline {
        title: format!("GPU {}: what kernels reach, and what memory and arithmetic allow", gpu.measured.device.index),
        description: format!(
            "{} of {} by floating-point operations for each byte",
            counted(measurements, "measurement"),
            counted(series.len(), "kernel")
        ),
        memory: memory(gpu),
        arithmetic: gpu.tensor_peak.map(|rate| (rate, format!("{:.0} TFLOP/s, 16-bit tensor cores of the data sheet", rate / 1e12))),
        series,
        notes,
    }
}

fn is_link(result: &&Judged) -> bool {
    result.sample.launch == Launch::CopyEngine
}

fn rates(gpu: &GpuJudged) -> Chart {
    let results: Vec<&Judged> = gpu.results.iter().filter(|result| !is_link(result)).collect();
    let groups = results.chunk_by(|a, b| a.sample.kernel == b.sample.kernel).map(group).collect();
    Chart { lines: memory(gpu), ..chart(gpu, "memory and kernels", groups) }
}

/// Results of one kernel under its name; a single one has its name before its shape.
fn group(results: &[&Judged]) -> Rows {
    match results {
        [result] => {
            let label = format!("{} {}", result.sample.kernel, shape(result));
            Rows { name: String::new(), rows: vec![Row { label, ..row(result) }] }
        }
        _ => Rows {
            name: results.first().map(|result| result.sample.kernel.clone()).unwrap_or_default(),
            rows: results.iter().map(|result| row(result)).collect(),
        },
    }
}

fn links(gpu: &GpuJudged) -> Chart {
    let host = gpu.results.iter().filter(is_link).map(|result| Row { label: result.sample.kernel.clone(), ..row(result) });
    let peers = gpu.peers().map(|link| {
        let [label, how, figure, ..] = peer(link);
        let rate = link.bytes.0 as f64 / link.time.median;
        let (state, figure) =
            if link.verified { (State::Good, format!("{figure}, {how}")) } else { (State::Wrong, "wrong: data was damaged".to_owned()) };
        Row { label, pieces: vec![bar(rate)], floor: None, figure, state }
    });
    let rows: Vec<Row> = host.chain(peers).collect();
    chart(gpu, "links", vec![Rows { name: String::new(), rows }])
}

fn chart(gpu: &GpuJudged, what: &str, groups: Vec<Rows>) -> Chart {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let below = rows().filter(|row| row.state == State::Slow).count();
    let wrong = rows().filter(|row| row.state == State::Wrong).count();
    Chart {
        title: format!("GPU {}: rates of {what}", gpu.measured.device.index),
        description: format!("{}, of which {below} are below their floor and {wrong} are wrong", counted(rows().count(), "measurement")),
        unit: "GB/s".to_owned(),
        per_unit: 1e9,
        groups,
        lines: Vec::new(),
    }
}

fn row(result: &Judged) -> Row {
    let (state, figure) = match result.verdict {
        Verdict::Pass => (State::Good, figure(result)),
        Verdict::Slow => (State::Slow, figure(result)),
        Verdict::Wrong => (State::Wrong, "wrong: no speed counts".to_owned()),
    };
    let words = [figure, share(result), if state == State::Slow { "slow".to_owned() } else { String::new() }];
    Row {
        label: shape(result),
        pieces: result.rate.map(bar).into_iter().collect(),
        floor: result.floor,
        figure: words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "),
        state,
    }
}

const fn bar(rate: f64) -> Piece {
    Piece { start: 0.0, size: rate, tone: 0 }
}
