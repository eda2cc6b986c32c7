//! Every expression of the rules, looked for at once: one pass for the texts that matches contain, then the few expressions
//! whose text is there.

use std::collections::HashMap;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;

use crate::catalog::{Cause, compiled, literal};

/// The number of an expression in [`Probes`].
pub(super) type ProbeId = usize;

/// The expressions of a set of causes, each once.
#[derive(Debug)]
pub(super) struct Probes<'c> {
    by_text: HashMap<&'c str, ProbeId>,
    probes: Vec<Probe<'c>>,
    /// `None` where there is no expression, or where there are more than an automaton can hold.
    literals: Option<AhoCorasick>,
    /// For each literal the probes whose matches may contain it.
    owners: Vec<Vec<ProbeId>>,
}

#[derive(Debug)]
struct Probe<'c> {
    text: &'c str,
    /// Compiled when its literal is first seen: most never are.
    regex: OnceLock<Option<Regex>>,
}

impl<'c> Probes<'c> {
    /// The expressions of `causes`, and those of `others`, which belong to no cause. Lines with one of the texts `wanted` are
    /// let through as well.
    pub(super) fn new(causes: impl IntoIterator<Item = &'c Cause>, others: impl IntoIterator<Item = &'c str>, wanted: &[&str]) -> Self {
        let mut by_text = HashMap::new();
        let mut probes: Vec<Probe<'c>> = Vec::new();
        let mut texts: Vec<String> = Vec::new();
        let mut owners: Vec<Vec<ProbeId>> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let expressions = causes.into_iter().flat_map(Cause::expressions).chain(others.into_iter().map(|text| (text, None)));
        for (text, given) in expressions {
            // A rule that cannot be used was refused when it was read; what slips through is never matched.
            let Ok(set) = literal::of(text, given) else { continue };
            if by_text.contains_key(text) {
                continue;
            }
            let id = probes.len();
            by_text.insert(text, id);
            probes.push(Probe { text, regex: OnceLock::new() });
            for literal in set {
                let place = *places.entry(literal).or_insert_with_key(|literal| {
                    texts.push(literal.clone());
                    owners.push(Vec::new());
                    texts.len() - 1
                });
                owners[place].push(id);
            }
        }
        for literal in wanted.iter().filter(|literal| !places.contains_key(**literal)) {
            texts.push((*literal).to_owned());
            owners.push(Vec::new());
        }
        let build =
            |kind| AhoCorasick::builder().kind(kind).match_kind(MatchKind::Standard).ascii_case_insensitive(true).build(&texts).ok();
        let literals = build(Some(AhoCorasickKind::DFA)).or_else(|| build(None));
        Self { by_text, probes, literals, owners }
    }

    /// How many expressions there are.
    pub(super) fn len(&self) -> usize {
        self.probes.len()
    }

    /// The number of an expression; `None` where it could not be used.
    pub(super) fn id(&self, text: &str) -> Option<ProbeId> {
        self.by_text.get(text).copied()
    }

    /// Whether any expression could match a line of these bytes.
    pub(super) fn might_match(&self, bytes: &[u8]) -> bool {
        self.literals.as_ref().is_some_and(|literals| literals.is_match(bytes))
    }

    /// The expressions that could match `text`, each once, in `found`.
    pub(super) fn candidates(&self, text: &str, found: &mut Vec<ProbeId>) {
        found.clear();
        for hit in self.literals.iter().flat_map(|literals| literals.find_overlapping_iter(text)) {
            found.extend(&self.owners[hit.pattern().as_usize()]);
        }
        found.sort_unstable();
        found.dedup();
    }

    /// The expression, compiled.
    pub(super) fn regex(&self, id: ProbeId) -> Option<&Regex> {
        let probe = self.probes.get(id)?;
        probe.regex.get_or_init(|| compiled(probe.text).ok()).as_ref()
    }
}
