//! Which of the matches is the cause: causes before consequences, the surest first, of those as sure the earliest.

use super::fork::{self, Context};
use super::matches::Matched;
use super::named::{Consequence, Named};
use super::{Diagnosis, Outcome, Verdict};
use crate::catalog::{Cause, CauseKind};

/// The least confidence of a cause that is called found.
const FOUND: f64 = 0.6;

/// Causes whose confidence differs by less are equally sure, and the earlier line decides.
const ALIKE: f64 = 0.12;

/// A match with what it names: itself, or the branches of its fork.
struct Candidate<'c> {
    matched: Matched<'c>,
    named: Vec<Named>,
    weight: f64,
}

/// The diagnosis of what matched in a log of `lines` lines.
pub(super) fn rank(matched: Vec<Matched<'_>>, outcome: Outcome, context: &Context<'_>, lines: u64) -> Diagnosis {
    let seen: Vec<String> = matched.iter().map(|matched| matched.cause.id.clone()).collect();
    let (silent, causes): (Vec<_>, Vec<_>) =
        matched.into_iter().partition(|matched| matches!(matched.cause.kind, CauseKind::Wrapper | CauseKind::Consequence));
    let present: Vec<&Cause> =
        causes.iter().filter(|matched| matched.cause.kind == CauseKind::Cause).map(|matched| matched.cause).collect();
    let mut candidates: Vec<Candidate<'_>> = causes.into_iter().filter_map(|matched| candidate(matched, &present, context)).collect();
    let followers = take_explained(&mut candidates);
    order(&mut candidates);
    let verdict = verdict(&candidates);
    let mut causes: Vec<Named> = Vec::new();
    for candidate in candidates {
        let own = &candidate.matched.cause.id;
        for mut named in candidate.named {
            named.explains = followers.iter().filter(|(_, by)| by == own).map(|(follower, _)| follower.clone()).collect();
            match causes.iter_mut().find(|known| known.id == named.id) {
                Some(known) => known.explains.append(&mut named.explains),
                None => causes.push(named),
            }
        }
    }
    if let Some(first) = causes.first_mut() {
        first.explains.extend(silent.iter().map(Consequence::new));
        first.explains.sort_by_key(|consequence| consequence.first);
    }
    let mut wrappers: Vec<Named> = silent.iter().map(|matched| Named::new(matched.cause, matched, matched.confidence, context)).collect();
    wrappers.sort_by_key(|named| named.first);
    Diagnosis { verdict, causes, wrappers, seen, outcome, lines }
}

fn candidate<'c>(matched: Matched<'c>, present: &[&Cause], context: &Context<'_>) -> Option<Candidate<'c>> {
    let named = match matched.cause.kind {
        CauseKind::Fork => fork::branches(&matched, present, context),
        _ => vec![Named::new(matched.cause, &matched, matched.confidence, context)],
    };
    let weight = matched.confidence * level(&matched);
    (!named.is_empty()).then_some(Candidate { matched, named, weight })
}

/// How much the line that shows a cause counts: programs go on after warnings. NCCL calls its errors warnings.
fn level(matched: &Matched<'_>) -> f64 {
    let Some(line) = matched.lines.first() else { return 1.0 };
    let head: String = line.text.chars().take(80).collect();
    if ["INFO", "DEBUG"].iter().any(|word| head.contains(word)) {
        0.8
    } else if ["WARN", "Warning"].iter().any(|word| head.contains(word)) && !head.contains("NCCL WARN") {
        0.85
    } else {
        1.0
    }
}

/// Takes out what follows from another candidate; returns it with the id of the candidate that explains it.
fn take_explained(candidates: &mut Vec<Candidate<'_>>) -> Vec<(Consequence, String)> {
    let explains = |by: &Candidate<'_>, other: &Candidate<'_>| other.matched.cause.is_explained_by(by.matched.cause);
    let mut taken = Vec::new();
    for candidate in candidates.iter() {
        let by = candidates.iter().find(|by| {
            // Of two that explain each other the earlier is the cause.
            explains(by, candidate) && !(explains(candidate, by) && candidate.matched.first <= by.matched.first)
        });
        if let Some(by) = by {
            taken.push((Consequence::new(&candidate.matched), by.matched.cause.id.clone()));
        }
    }
    // A circle of three has no first: nothing is taken then.
    if taken.len() == candidates.len() {
        taken.clear();
    } else {
        candidates.retain(|candidate| !taken.iter().any(|(consequence, _)| consequence.id == candidate.matched.cause.id));
    }
    taken
}

fn order(candidates: &mut [Candidate<'_>]) {
    let best = candidates.iter().map(|candidate| candidate.weight).fold(0.0, f64::max);
    candidates.sort_by(|a, b| {
        let close = |candidate: &Candidate<'_>| candidate.weight >= best - ALIKE;
        match (close(a), close(b)) {
            (true, true) => a.matched.first.cmp(&b.matched.first).then(b.weight.total_cmp(&a.weight)),
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            (false, false) => b.weight.total_cmp(&a.weight),
        }
    });
}

fn verdict(candidates: &[Candidate<'_>]) -> Verdict {
    let Some(first) = candidates.first() else { return Verdict::NotInThisLog };
    if first.named.len() > 1 || first.weight < FOUND {
        return Verdict::Ambiguous;
    }
    Verdict::Found
}
