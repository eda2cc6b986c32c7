//! Whole logs of starts: what is read from them, what would have fitted, and how far the plan was off.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "common/program.rs"]
mod command;
#[path = "startup/log.rs"]
mod log;
#[path = "startup/measured_runs.rs"]
mod measured_runs;
#[path = "startup/program.rs"]
mod program;
#[path = "startup/properties.rs"]
mod properties;
#[path = "startup/versions.rs"]
mod versions;
#[path = "startup/write_up.rs"]
mod write_up;

use std::sync::OnceLock;

use gpudoctor::catalog::{Catalog, MemoryTopic};
use gpudoctor::model::spec::ModelSpec;
use gpudoctor::plan::outcome::Devices;
use gpudoctor::plan::request::Target;
use gpudoctor::plan::target;
use gpudoctor::startup::{Answer, Change, Figures, Known, Start, Summary};

/// The catalogue, read once.
fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(Catalog::builtin)
}

fn cards(name: &str, count: u64) -> Devices {
    let target = Target { gpu: Some(name.to_owned()), count, ..Target::default() };
    target::devices(&target, catalog()).unwrap_or_else(|error| panic!("{error}")).0
}

/// The figures of a log.
fn figures(log: &str) -> Figures {
    let mut figures = Figures::default();
    for (index, line) in log.lines().enumerate() {
        figures.observe(index as u64 + 1, None, line);
    }
    figures
}

/// What is known beside a log.
fn known(gpu: Option<(&str, u64)>, model: Option<&ModelSpec>) -> Known<'static> {
    Known { catalog: catalog(), model: model.cloned(), devices: gpu.map(|(name, count)| cards(name, count)) }
}

fn summary(log: &str, known: &Known<'_>) -> Summary {
    let figures = figures(log);
    Start::new(figures.last().expect("a start"), known).summary().expect("figures")
}

fn answer(log: &str, topic: MemoryTopic, known: &Known<'_>) -> Answer {
    let figures = figures(log);
    Start::new(figures.last().expect("a start"), known).answer(topic, 1).expect("an answer")
}

/// The change of one setting, and its value.
fn change<'a>(answer: &'a Answer, flag: &str) -> Option<(&'a Change, f64)> {
    let one = answer.changes.iter().find(|change| change.settings.len() == 1 && change.settings[0].0 == flag)?;
    Some((one, one.settings[0].1.parse().ok()?))
}
