//! Every check that is a rule says of its examples what they promise, reads only facts that exist, and has advice.

use std::collections::BTreeSet;
use std::path::Path;

use gpudoctor::catalog::{Catalog, CheckRule, CheckSubject, ExampleOutcome};
use gpudoctor::check::{example_outcome, ids, reads};
use gpudoctor::facts::vocabulary::words;
use gpudoctor::finding::Severity;
use serde_json::Value;

fn rules() -> Vec<CheckRule> {
    Catalog::builtin().checks().to_vec()
}

fn none_of(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each kind of outcome is shown at least once, and comes out as promised.
#[test]
fn examples_fire_pass_and_skip_as_they_say() {
    let mut wrong = Vec::new();
    for rule in rules() {
        for wanted in [ExampleOutcome::Fires, ExampleOutcome::Passes, ExampleOutcome::Skips] {
            if !rule.example.iter().any(|example| example.outcome == wanted) {
                wrong.push(format!("{}: no example for {wanted:?}", rule.id));
            }
        }
        for example in &rule.example {
            let (outcome, text) = example_outcome(&rule, &example.facts);
            if outcome != example.outcome {
                wrong.push(format!("{}: {} is {outcome:?}, not {:?}: {text}", rule.id, example.facts, example.outcome));
            } else if example.message.as_ref().is_some_and(|message| *message != text) {
                wrong.push(format!("{}: says `{text}`", rule.id));
            }
        }
    }
    none_of(wrong);
}

/// A misspelt fact would be unknown for ever, and its check would never look.
#[test]
fn every_fact_that_is_read_exists() {
    let words = words();
    let mut wrong = Vec::new();
    for rule in rules() {
        for path in reads(&rule) {
            let about_one = match rule.subject {
                CheckSubject::Gpu => !path.starts_with("link."),
                CheckSubject::Link => !path.starts_with("gpu."),
                CheckSubject::Host | CheckSubject::Engine => !path.starts_with("gpu.") && !path.starts_with("link."),
            };
            if !path.starts_with("env.") && !words.contains_key(&path) || !about_one {
                wrong.push(format!("{}: `{path}` is no fact of a {:?}", rule.id, rule.subject));
            }
        }
        for shown in &rule.evidence {
            let path = shown.split('|').next().unwrap_or_default();
            if !path.starts_with("env.") && words.get(path).is_none_or(|word| word.is_size && !shown.ends_with("|bytes")) {
                wrong.push(format!("{}: the evidence `{shown}` is no fact, or a size without its unit", rule.id));
            }
        }
    }
    none_of(wrong);
}

/// Ids are the names of files, and what a check explains is known to some command.
#[test]
fn names_hold_together() {
    let catalog = Catalog::builtin();
    let known = ids(&catalog);
    let mut wrong = Vec::new();
    for rule in catalog.checks() {
        if rule.origin.path().file_stem().is_none_or(|stem| stem != rule.id.as_str()) {
            wrong.push(format!("{}: in {}", rule.id, rule.origin));
        }
        let unknown = rule.explains.iter().filter(|id| !known.contains(&id.as_str()) && catalog.cause(id).is_none());
        wrong.extend(unknown.map(|id| format!("{}: explains `{id}`, which is no check and no cause", rule.id)));
    }
    none_of(wrong);
}

/// Whoever is warned is told what to do.
#[test]
fn every_problem_has_a_fix() {
    let catalog = Catalog::builtin();
    let silent = catalog.checks().iter().filter(|rule| catalog.advice(rule.advice.as_deref().unwrap_or(&rule.id)).is_none());
    none_of(silent.map(|rule| format!("{}: no advice", rule.id)).collect());
}

/// Messages state facts: no full stop at the end, no capital at the start, no pleading.
#[test]
fn messages_keep_the_house_style() {
    let mut wrong = Vec::new();
    for rule in rules() {
        for text in rule.message.all().iter().chain([&rule.summary]) {
            let words = text.to_lowercase();
            if text.ends_with('.') || words.contains("please") || words.contains("simply") {
                wrong.push(format!("{}: {text}", rule.id));
            }
        }
        if !rule.why.ends_with('.') {
            wrong.push(format!("{}: why is sentences", rule.id));
        }
        for example in rule.example.iter().filter(|example| example.outcome == ExampleOutcome::Fires) {
            let (_, text) = example_outcome(&rule, &example.facts);
            if text == rule.summary {
                wrong.push(format!("{}: no message can be filled from {}", rule.id, example.facts));
            }
        }
    }
    none_of(wrong);
}

/// Every check finds something on some recorded machine or in an example, and is content with another.
#[test]
fn every_check_fires_and_passes_somewhere() {
    // The first counts the answers of others. The second is asked of an image alone, as in `tests/check.rs`.
    const ELSEWHERE: [&str; 2] = ["asked-but-unseen", "nothing-to-check"];
    let (mut fired, mut passed, mut hosts) = (BTreeSet::new(), BTreeSet::new(), 0);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    for entry in fs_err::read_dir(folder).expect("tests/hosts is a folder") {
        let Ok(text) = fs_err::read_to_string(entry.expect("an entry").path().join("check.json")) else { continue };
        let report: Value = serde_json::from_str(&text).expect("JSON");
        let findings = report["findings"].as_array().expect("a list");
        fired.extend(findings.iter().filter_map(|finding| finding["id"].as_str().map(str::to_owned)));
        passed.extend(report["passed"].as_array().expect("a list").iter().filter_map(|id| id.as_str().map(str::to_owned)));
        hosts += 1;
    }
    let of_hosts = fired.len();
    for rule in rules() {
        let has = |outcome| rule.example.iter().any(|example| example.outcome == outcome);
        fired.extend(has(ExampleOutcome::Fires).then(|| rule.id.clone()));
        passed.extend(has(ExampleOutcome::Passes).then(|| rule.id.clone()));
    }
    let catalog = Catalog::builtin();
    let all: Vec<&str> = ids(&catalog).into_iter().filter(|id| !ELSEWHERE.contains(id)).collect();
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(all.iter().filter(|id| !fired.contains(**id)).map(|id| format!("{id}: fires nowhere")));
    wrong.extend(all.iter().filter(|id| !passed.contains(**id)).map(|id| format!("{id}: passes nowhere")));
    none_of(wrong);
    assert!(hosts >= 60 && of_hosts >= 75, "{hosts} machines on which {of_hosts} checks fire");
}

/// The list that people rely on does not shrink unseen.
#[test]
fn there_are_many_checks() {
    let catalog = Catalog::builtin();
    assert!(ids(&catalog).len() >= 110, "{}", ids(&catalog).len());
    let errors = catalog.checks().iter().filter(|rule| rule.severity == Severity::Error).count();
    assert!(errors >= 35, "{errors}");
}
