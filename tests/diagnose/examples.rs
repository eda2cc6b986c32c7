//! Every rule says with examples what it is for, and they hold when they are read as a log is.

use gpudoctor::catalog::{Catalog, Cause, CauseKind, Example};
use gpudoctor::diagnose::{Diagnosis, Verdict};

use crate::{builtin, diagnosed};

/// A rule without an example that matches and one that does not is a guess.
#[test]
fn every_cause_has_an_example_of_either_kind() {
    let catalog = Catalog::builtin();
    let has = |cause: &Cause, matches: bool| cause.example.iter().any(|example| example.matches == matches);
    let bare: Vec<&str> =
        catalog.causes().iter().filter(|cause| !has(cause, true) || !has(cause, false)).map(|cause| cause.id.as_str()).collect();
    assert!(bare.is_empty(), "{} causes lack an example that matches or one that does not: {bare:?}", bare.len());
}

/// An example that matches shows its cause, and first unless it says otherwise; one that does not, does not.
#[test]
fn examples_hold() {
    let catalog = Catalog::builtin();
    let mut wrong = Vec::new();
    for cause in catalog.causes() {
        for (number, example) in cause.example.iter().enumerate() {
            let diagnosis = diagnosed(&example.log, builtin());
            if let Some(problem) = problem(cause, example, &diagnosis) {
                wrong.push(format!("{} example {}: {problem}", cause.origin, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{} examples\n{}", wrong.len(), wrong.join("\n"));
}

fn problem(cause: &Cause, example: &Example, diagnosis: &Diagnosis) -> Option<String> {
    let seen = diagnosis.seen.contains(&cause.id);
    if seen != example.matches {
        return Some(if seen { "must not match, and does".to_owned() } else { "must match, and does not".to_owned() });
    }
    if !example.matches || !example.rank {
        return None;
    }
    let first = diagnosis.causes.first().map_or("nothing", |named| named.id.as_str());
    match cause.kind {
        CauseKind::Cause => (first != cause.id).then(|| format!("comes behind `{first}`")),
        CauseKind::Fork => {
            let branches = cause.branch.iter().any(|branch| branch.cause == first);
            (!branches).then(|| format!("`{first}` comes before its branches"))
        }
        CauseKind::Wrapper | CauseKind::Consequence => {
            (diagnosis.verdict != Verdict::NotInThisLog).then(|| format!("`{first}` is named as a cause"))
        }
    }
}

/// A pattern that no example shows is not tested at all.
#[test]
fn every_pattern_is_shown_by_an_example() {
    let catalog = Catalog::builtin();
    let mut untested = Vec::new();
    for cause in catalog.causes() {
        for pattern in &cause.pattern {
            let regex = gpudoctor::catalog::compiled(&pattern.regex).expect("a regular expression");
            let lines = cause.example.iter().filter(|example| example.matches).flat_map(|example| example.log.lines());
            if !lines.into_iter().any(|line| regex.is_match(line)) {
                untested.push(format!("{}: {}", cause.id, pattern.regex));
            }
        }
    }
    assert!(untested.is_empty(), "{} patterns\n{}", untested.len(), untested.join("\n"));
}

/// What a report prints needs no template engine to be read: every message renders for some example of its cause.
#[test]
fn every_cause_says_what_happened() {
    let catalog = Catalog::builtin();
    let mut silent = Vec::new();
    for cause in catalog.causes().iter().filter(|cause| cause.kind == CauseKind::Cause) {
        for (number, example) in cause.example.iter().enumerate().filter(|(_, example)| example.matches) {
            let diagnosis = diagnosed(&example.log, builtin());
            let named = diagnosis.causes.iter().find(|named| named.id == cause.id);
            if named.is_some_and(|named| named.message.is_none() || named.title.contains("{{")) {
                silent.push(format!("{} example {}", cause.id, number + 1));
            }
        }
    }
    assert!(silent.is_empty(), "no message renders, or the title does not:\n{}", silent.join("\n"));
}

/// A cause tells what to do where the log is all that is known of the machine.
#[test]
fn every_cause_has_a_fix_without_facts() {
    let catalog = Catalog::builtin();
    let mut bare = Vec::new();
    for cause in catalog.causes().iter().filter(|cause| cause.kind == CauseKind::Cause) {
        let advice = catalog.advice(cause.advice()).unwrap_or_else(|| panic!("no advice for {}", cause.id));
        if gpudoctor::advice::fixes(&advice, &minijinja::context! {}).is_empty() {
            bare.push(cause.id.as_str());
        }
    }
    assert!(bare.is_empty(), "{} causes have no fix that needs no values: {bare:?}", bare.len());
}
