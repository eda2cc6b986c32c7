//! One text of several causes: which of them the log or the machine settles for.

use super::machine::Machine;
use super::matches::Matched;
use super::named::{Named, Question};
use super::probes::Probes;
use super::sightings::Sightings;
use crate::catalog::{Branch, Catalog, Cause};
use crate::finding::Evidence;

/// What is known beside the matches.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) probes: &'a Probes<'a>,
    pub(super) sightings: &'a Sightings,
    pub(super) machine: &'a Machine,
}

/// The branches of `fork` that are left, the likeliest first: one where it is settled. `present` are the causes that their
/// own texts show.
pub(super) fn branches(fork: &Matched<'_>, present: &[&Cause], context: &Context<'_>) -> Vec<Named> {
    let (out, open): (Vec<&Branch>, Vec<&Branch>) = fork.cause.branch.iter().partition(|branch| is_ruled_out(branch, context));
    let settled: Vec<&Branch> = open.iter().copied().filter(|branch| is_settled(branch, present, context)).collect();
    // What the machine decided, by being so or by being otherwise.
    let (left, decided, by) = if settled.is_empty() { (open, out, false) } else { (settled.clone(), settled, true) };
    let facts = decided.iter().filter_map(|branch| branch.if_fact.as_ref()).filter(|fact| context.machine.holds(fact) == Some(by));
    let mut evidence: Vec<Evidence> = Vec::new();
    for fact in facts.flat_map(|fact| context.machine.evidence(fact)) {
        if !evidence.contains(&fact) {
            evidence.push(fact);
        }
    }
    let whole: f64 = left.iter().map(|branch| branch.share).sum();
    let only = left.len() == 1;
    let named = left.iter().filter_map(|branch| {
        let cause = context.catalog.cause(&branch.cause)?;
        // A branch that is left over after others were ruled out is as sure as the text itself.
        let share = if only { 1.0 } else { branch.share / whole.max(1.0) };
        let mut named = Named::new(cause, fork, fork.confidence * share, context);
        named.evidence.clone_from(&evidence);
        if !only {
            named.question = branch.question.clone().map(|text| Question { text, command: branch.command.clone() });
        }
        Some(named)
    });
    let mut named: Vec<Named> = named.collect();
    named.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    named
}

fn is_settled(branch: &Branch, present: &[&Cause], context: &Context<'_>) -> bool {
    let by_fact = branch.if_fact.as_ref().is_some_and(|fact| context.machine.holds(fact) == Some(true));
    by_fact || present.iter().any(|cause| cause.id == branch.cause) || branch.if_log.iter().any(|text| was_seen(text, context))
}

fn is_ruled_out(branch: &Branch, context: &Context<'_>) -> bool {
    let by_fact = branch.if_fact.as_ref().is_some_and(|fact| context.machine.holds(fact) == Some(false));
    by_fact || branch.unless_log.iter().any(|text| was_seen(text, context))
}

fn was_seen(expression: &str, context: &Context<'_>) -> bool {
    context.probes.id(expression).is_some_and(|id| context.sightings.of(id).is_some())
}
