//! From single findings to a diagnosis: which one is the cause, which follow from it.

use std::cmp::Reverse;

use crate::catalog::Layer;
use crate::check::facts::Facts;
use crate::check::{Judged, Skipped, UNSEEN, fix, skipped_evidence};
use crate::finding::{Evidence, Finding, Fix, Severity};

/// The primary cause and all findings, it first, then worst first. The cause is the first error, in the order of layers,
/// that no other finding explains; without errors the first such warning.
pub(super) fn judged(mut causes: Vec<(Layer, Finding, Vec<String>)>) -> (Option<String>, Vec<Judged>) {
    causes.sort_by_key(|(layer, _, _)| *layer);
    let present: Vec<(String, Severity, Vec<String>)> =
        causes.iter().map(|(_, finding, explains)| (finding.id.clone(), finding.severity, explains.clone())).collect();
    let primary = first(&present, Severity::Error).or_else(|| first(&present, Severity::Warning));
    let mut findings: Vec<Judged> = causes
        .into_iter()
        .map(|(_, finding, explains)| Judged {
            explains: followers(&finding, &explains, &present),
            explained_by: explaining(&finding.id, finding.severity, &present).filter(|_| Some(&finding.id) != primary.as_ref()),
            finding,
        })
        .collect();
    findings.sort_by_key(|judged| {
        let finding = &judged.finding;
        (Some(&finding.id) != primary.as_ref(), Reverse(finding.severity), judged.explained_by.is_some())
    });
    (primary, findings)
}

/// The first finding of a severity that no other explains; the first of all where each explains another.
fn first(present: &[(String, Severity, Vec<String>)], severity: Severity) -> Option<String> {
    let mut own = present.iter().filter(|(_, other, _)| *other == severity);
    let cause = own.clone().find(|(id, severity, _)| explaining(id, *severity, present).is_none());
    cause.or_else(|| own.next()).map(|(id, _, _)| id.clone())
}

/// The finding that explains `id`: one at least as bad.
fn explaining(id: &str, severity: Severity, present: &[(String, Severity, Vec<String>)]) -> Option<String> {
    let explains = |(other, worse, explains): &&(String, Severity, Vec<String>)| {
        other != id && *worse >= severity && explains.iter().any(|follower| follower == id)
    };
    present.iter().find(explains).map(|(other, _, _)| other.clone())
}

fn followers(finding: &Finding, explains: &[String], present: &[(String, Severity, Vec<String>)]) -> Vec<String> {
    let there = |id: &&String| present.iter().any(|(other, severity, _)| other == *id && *severity <= finding.severity);
    explains.iter().filter(there).cloned().collect()
}

/// The finding for what was asked and could not be judged; also where nothing at all was proven.
pub(super) fn unanswered(facts: &Facts<'_>, asked: &[(String, String)], skipped: &[Skipped], proven: bool) -> Option<Finding> {
    let all: Vec<(String, String)> = skipped.iter().map(|skipped| (skipped.id.clone(), skipped.reason.clone())).collect();
    let (reasons, message) = match asked {
        [] if proven => return None,
        [] => (all.as_slice(), "no check could look at anything; a pass needs at least one that did".to_owned()),
        [(id, reason)] => (asked, format!("`{id}` could not be judged: {reason}; what was asked needs an answer to pass")),
        several => (asked, format!("{} checks could not be judged; what was asked needs an answer to pass", several.len())),
    };
    let place = facts.site().unwrap_or_default();
    let unreadable = facts.image.unreadable.iter().take(4).map(|unreadable| Evidence {
        fact: "unreadable".to_owned(),
        value: unreadable.reason.clone(),
        source: unreadable.place.clone(),
    });
    Some(Finding {
        id: UNSEEN.to_owned(),
        severity: Severity::Error,
        subject: if facts.question.image { "image" } else { "host" }.to_owned(),
        message,
        evidence: reasons.iter().take(12).map(|(id, reason)| skipped_evidence(id, reason, place)).chain(unreadable).collect(),
        fixes: vec![fix::verified(facts, UNSEEN, Fix::edit("repair what could not be read, or leave the question out of the command"))],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &str, severity: Severity, layer: Layer, explains: &[&str]) -> (Layer, Finding, Vec<String>) {
        let finding = Finding {
            id: id.to_owned(),
            severity,
            subject: "host".to_owned(),
            message: String::new(),
            evidence: Vec::new(),
            fixes: Vec::new(),
        };
        (layer, finding, explains.iter().map(|id| (*id).to_owned()).collect())
    }

    fn primary(causes: Vec<(Layer, Finding, Vec<String>)>) -> Option<String> {
        judged(causes).0
    }

    #[test]
    fn the_first_layer_has_the_cause() {
        let causes = vec![finding("b", Severity::Error, Layer::Library, &[]), finding("a", Severity::Error, Layer::Driver, &[])];
        assert_eq!(primary(causes).as_deref(), Some("a"));
    }

    #[test]
    fn what_another_error_explains_is_not_the_cause() {
        let causes = vec![finding("a", Severity::Error, Layer::Driver, &[]), finding("b", Severity::Error, Layer::Library, &["a"])];
        assert_eq!(primary(causes).as_deref(), Some("b"));
    }

    #[test]
    fn a_warning_is_the_cause_only_without_errors_and_a_note_never() {
        let warning = || finding("w", Severity::Warning, Layer::Driver, &["e"]);
        assert_eq!(primary(vec![warning(), finding("e", Severity::Error, Layer::Host, &[])]).as_deref(), Some("e"));
        assert_eq!(primary(vec![warning(), finding("i", Severity::Info, Layer::Driver, &[])]).as_deref(), Some("w"));
        assert_eq!(primary(vec![finding("i", Severity::Info, Layer::Driver, &[])]), None);
    }
}
