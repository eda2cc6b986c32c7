//! Measurements as pictures: a roofline, bars against floors, links; and all of them in one SVG file.

use super::bench::{facts, figure, last, notes, peer, shape, share};
use super::check::about;
use super::layout::{counted, wrap};
use crate::finding::Finding;
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
    let sentence = |finding: &Finding| format!("{}[{}] {}{}", finding.severity.name(), finding.id, about(finding), finding.message);
    let found = findings.flat_map(|finding| lines(&sentence(finding), "    "));
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
        notes.push(format!("Not drawn: {}, whose speed means nothing.", counted(wrong, "wrong result")));
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
    let peers = gpu.peers.iter().flat_map(|link| {
        let rates = [link.rate, link.load_rate];
        peer(link).into_iter().zip(rates).enumerate().map(|(at, ([label, how, figure, ..], rate))| {
            // The floor is of copies.
            let floor = link.floor.filter(|_| at == 0);
            let (state, figure) = match link.verdict {
                Verdict::Pass => (State::Good, format!("{figure}, {how}")),
                Verdict::Slow if at == 0 => (State::Slow, format!("{figure}, {how}, slow")),
                Verdict::Slow => (State::Good, format!("{figure}, {how}")),
                Verdict::Wrong => (State::Wrong, "wrong: data was damaged".to_owned()),
            };
            Row { label, pieces: rate.map(bar).into_iter().collect(), floor, figure, state }
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json::bench::read::read;
    use crate::report::{github, html, junit, markdown};

    /// Two cards: one that is known, and one with a hostile name that nobody knows, a slow and a wrong result, a damaged link.
    fn two() -> Vec<GpuJudged> {
        read(include_str!("drawn/bench.json")).unwrap().gpus
    }

    /// A report of one card with these results.
    fn one(results: &str) -> Vec<GpuJudged> {
        let gpu = format!(r#"{{"index": 0, "name": "a card", "memory_bytes": 1, "results": [{results}]}}"#);
        read(&format!(r#"{{"schema": "gpudoctor.bench/1", "exit_code": 0, "gpus": [{gpu}]}}"#)).unwrap().gpus
    }

    /// The words and shapes of the pictures, as a file and in a page.
    #[test]
    fn pictures_are_these() {
        snapbox::assert_data_eq!(svg(&two()), snapbox::file!["drawn/bench.svg"].raw());
        snapbox::assert_data_eq!(html::bench(&two()).unwrap(), snapbox::file!["drawn/bench.html"].raw());
        snapbox::assert_data_eq!(markdown::bench::render(&two()), snapbox::file!["drawn/bench.md"].raw());
    }

    /// The file is XML without scripts or links, and nothing in it is named twice.
    #[test]
    fn the_file_is_sound() {
        let text = svg(&two());
        let read = roxmltree::Document::parse(&text).unwrap();
        let mut ids: Vec<&str> = read.descendants().filter_map(|node| node.attribute("id")).collect();
        assert_eq!(ids.len(), 2, "{ids:?}");
        ids.dedup();
        assert_eq!(ids.len(), 2);
        for node in read.descendants().filter(roxmltree::Node::is_element) {
            assert!(!["script", "a", "image", "use", "foreignObject", "b"].contains(&node.tag_name().name()), "{node:?}");
            assert!(node.attributes().all(|attribute| !attribute.name().starts_with("on") && attribute.name() != "href"), "{node:?}");
        }
        assert!(!text.contains("url(") && !text.contains("@import"), "nothing is loaded");
    }

    /// Each picture of a page is XML, too, and its names are its own.
    #[test]
    fn pictures_of_a_page_have_names_of_their_own() {
        let page = html::bench(&two()).unwrap();
        let pictures: Vec<&str> = page.split("<svg").skip(1).filter_map(|rest| rest.split("</svg>").next()).collect();
        assert_eq!(pictures.len(), 6);
        let mut ids = Vec::new();
        for picture in pictures {
            let text = format!("<svg{picture}</svg>");
            let read = roxmltree::Document::parse(&text).unwrap();
            let own: Vec<String> = read.descendants().filter_map(|node| node.attribute("id")).map(str::to_owned).collect();
            assert_eq!(read.root_element().attribute("aria-labelledby").unwrap(), own.join(" "));
            ids.extend(own);
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), count), (12, 12));
        assert!(!page.contains("<b>") && !page.contains("<script") && !page.contains("http://\"") && page.contains("Card &lt;b&gt;"));
    }

    /// Where there is nothing to see, that is said and nothing is drawn.
    #[test]
    fn nothing_measured_is_no_picture() {
        let gpus = one(r#"{"kernel": "hbm", "verdict": "skipped", "reason": "the process crashed"}"#);
        assert!(pictures(&gpus[0]).is_empty());
        let text = svg(&gpus);
        assert!(text.contains("hbm: skipped: the process crashed") && text.contains("0 passed, 0 slow, 0 wrong, 1 skipped on 1 GPU"));
        assert!(html::bench(&gpus).unwrap().contains("the process crashed"));
    }

    /// Bars are as long as their figures say, on a scale that ends at the longest.
    #[test]
    fn bars_are_as_long_as_their_rates() {
        let gpus = one(r#"{"kernel": "hbm-read", "shape": "1 MiB", "gb_per_s": 100, "verdict": "pass"},
               {"kernel": "hbm-write", "shape": "1 MiB", "gb_per_s": 50, "verdict": "pass"}"#);
        let text = pictures(&gpus[0])[0].1.inline("a");
        let read = roxmltree::Document::parse(&text).unwrap();
        let bars = read.descendants().filter(|node| node.attribute("data-size").is_some());
        let widths: Vec<&str> = bars.filter_map(|bar| bar.attribute("width")).collect();
        assert_eq!(widths, ["340", "170"]);
    }

    /// A mark stands under the roof: as far from the left and the bottom as the logarithms of its figures say.
    #[test]
    fn marks_stand_where_their_figures_are() {
        let kernel = |bytes: u64, rate: f64| {
            format!(
                r#"{{"kernel": "int4-bf16", "shape": "a", "bytes": {bytes}, "flops": 1000000000, "gb_per_s": {rate}, "percent_of_read": 100, "verdict": "pass"}}"#
            )
        };
        let gpus = one(&[kernel(10_000_000, 1000.0), kernel(1_000_000_000, 1000.0)].join(","));
        let points = roofline(&gpus[0]).series.remove(0).points;
        assert_eq!(points.iter().map(|point| point.intensity).collect::<Vec<_>>(), [100.0, 1.0]);
        assert_eq!(points.iter().map(|point| point.rate / 1e12).collect::<Vec<_>>(), [100.0, 1.0]);
        let text = pictures(&gpus[0])[0].1.inline("a");
        // From 1 to 100 on both axes: the corners of the plot, and the roof from one to the other.
        let read = roxmltree::Document::parse(&text).unwrap();
        let roof = read.descendants().find(|node| node.attribute("class") == Some("roof") && node.attribute("x1") == Some("84")).unwrap();
        let ends: Vec<f64> = ["x1", "y1", "x2", "y2"].map(|name| roof.attribute(name).unwrap().parse().unwrap()).into();
        let marks: Vec<&str> = read.descendants().filter_map(|node| node.attribute("d")).collect();
        let first = format!("M{} {}", ends[2] - 5.0, ends[3]);
        let second = format!("M{} {}", ends[0] - 5.0, ends[1]);
        assert!(
            marks.iter().any(|mark| mark.starts_with(&first)) && marks.iter().any(|mark| mark.starts_with(&second)),
            "{marks:?} {ends:?}"
        );
    }

    /// Figures that are zero, or too large to be true, give pictures of numbers.
    #[test]
    fn no_figure_is_printed_that_is_none() {
        for figure in ["0", "1e15", "1e-300"] {
            let gpus = one(&format!(
                r#"{{"kernel": "int4-bf16", "shape": "a", "bytes": 0, "flops": 0, "gb_per_s": {figure}, "percent_of_read": 0, "floor_gb_per_s": {figure}, "verdict": "slow"}},
                   {{"kernel": "int4-bf16", "shape": "b", "bytes": 1, "flops": 18446744073709551615, "gb_per_s": {figure}, "percent_of_read": {figure}, "verdict": "pass"}}"#
            ));
            let mut text = svg(&gpus);
            text.push_str(&html::bench(&gpus).unwrap());
            assert!(!text.contains("NaN") && !text.contains("\"inf") && !text.contains(">inf"), "{figure}: {text}");
        }
    }

    /// JUnit and annotations have what fails, what passes and what was not measured.
    #[test]
    fn other_programs_see_what_fails() {
        let gpus = two();
        let text = junit::bench(&gpus).unwrap();
        let read = roxmltree::Document::parse(&text).unwrap();
        let count = |name: &str| read.descendants().filter(|node| node.tag_name().name() == name).count();
        assert_eq!((count("testcase"), count("failure"), count("skipped")), (15, 2, 1), "{text}");
        let lines: Vec<String> = github::bench(&gpus).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("::error title=gpudoctor bench%3A gpu-slow::GPU 1: "), "{lines:?}");
        assert!(lines[2].starts_with("::error title=gpudoctor bench::"), "{lines:?}");
    }
}
