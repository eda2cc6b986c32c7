//! Logs to causes: the examples of every rule, healthy logs, logs as carriers deliver them, ranking, and bad input.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use gpudoctor::catalog::Catalog;
use gpudoctor::diagnose::{Diagnosis, Examiner, Machine, Patterns};

#[path = "diagnose/carriers.rs"]
mod carriers;
#[path = "diagnose/examples.rs"]
mod examples;
#[path = "diagnose/healthy.rs"]
mod healthy;
#[path = "diagnose/machines.rs"]
mod machines;
#[path = "diagnose/program.rs"]
mod program;
#[path = "diagnose/ranking.rs"]
mod ranking;
#[path = "diagnose/streams.rs"]
mod streams;

#[path = "common/program.rs"]
mod running;

/// The texts of the built-in rules.
fn builtin() -> &'static Patterns<'static> {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);
    static PATTERNS: LazyLock<Patterns<'static>> = LazyLock::new(|| Patterns::new(&CATALOG));
    &PATTERNS
}

/// The diagnosis of `log`, by the way that the command takes.
fn diagnosed(log: impl AsRef<[u8]>, patterns: &Patterns<'_>) -> Diagnosis {
    let mut examiner = Examiner::new(patterns);
    examiner.read(log.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    examiner.finish(&Machine::default())
}

/// The ids of the causes of `log`, the likeliest first.
fn causes(log: impl AsRef<[u8]>, patterns: &Patterns<'_>) -> Vec<String> {
    diagnosed(log, patterns).causes.into_iter().map(|named| named.id).collect()
}

/// A catalogue of causes that are made up, each as id and the rest of its file, over the built-in ones.
fn made_up(rules: &[(&str, &str)]) -> Catalog {
    let file = |(id, text): &(&str, &str)| {
        let head = format!("id = \"{id}\"\nroot = \"port-in-use\"\ntitle = \"{id}\"\nsources = [\"a test\"]\n");
        (format!("house/causes/{id}.toml").into(), head + text)
    };
    Catalog::with_overlay(rules.iter().map(file).collect()).unwrap_or_else(|error| panic!("{error}"))
}
