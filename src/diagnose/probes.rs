//! Every expression of the rules, looked for at once: one pass for the texts that matches contain, then the few expressions
//! whose text is there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use regex::Regex;

use super::prefilter::{Prefilter, TextId};
use crate::catalog::{self, Cause, compiled, literal};

/// The number of an expression in [`Probes`].
pub(super) type ProbeId = usize;

/// The expressions of a set of causes, each once.
#[derive(Debug)]
pub(super) struct Probes<'c> {
    by_text: HashMap<&'c str, ProbeId>,
    probes: Vec<Probe<'c>>,
    literals: Prefilter,
    /// For each literal the probes whose matches may contain it.
    owners: Vec<Vec<ProbeId>>,
    /// For each literal whether it is wanted for itself.
    wanted: Vec<bool>,
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
    pub(super) fn new(
        causes: impl IntoIterator<Item = &'c Cause>,
        others: impl IntoIterator<Item = &'c str>,
        wanted: &[&'static str],
    ) -> Self {
        let mut by_text = HashMap::new();
        let mut probes: Vec<Probe<'c>> = Vec::new();
        let mut texts: Vec<Cow<'static, str>> = Vec::new();
        let mut owners: Vec<Vec<ProbeId>> = Vec::new();
        let mut places: HashMap<Cow<'static, str>, TextId> = HashMap::new();
        let mut place = |literal: Cow<'static, str>, owners: &mut Vec<Vec<ProbeId>>| {
            *places.entry(literal).or_insert_with_key(|literal| {
                texts.push(literal.clone());
                owners.push(Vec::new());
                texts.len() - 1
            })
        };
        let expressions = causes.into_iter().flat_map(Cause::expressions).chain(others.into_iter().map(|text| (text, None)));
        for (text, given) in expressions {
            if by_text.contains_key(text) {
                continue;
            }
            // A rule that cannot be used was refused when it was read; what slips through is never matched.
            let Ok(set) = catalog::literals(text, given) else { continue };
            let id = probes.len();
            by_text.insert(text, id);
            probes.push(Probe { text, regex: OnceLock::new() });
            for literal in set {
                let place = place(literal, &mut owners);
                owners[place].push(id);
            }
        }
        let wanted: Vec<TextId> = wanted.iter().map(|text| place(Cow::Owned(text.to_ascii_lowercase()), &mut owners)).collect();
        let wanted = (0..texts.len()).map(|text| wanted.contains(&text)).collect();
        Self { by_text, probes, literals: Prefilter::new(texts, literal::ORDINARY), owners, wanted }
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
        self.literals.is_match(bytes)
    }

    /// The expressions that could match `text`, each once, in `found`. Returns whether it holds a text that is wanted for itself.
    pub(super) fn candidates(&self, text: &str, found: &mut Vec<ProbeId>) -> bool {
        let mut literals: Vec<TextId> = Vec::new();
        self.literals.find(text.as_bytes(), &mut literals);
        found.clear();
        found.extend(literals.iter().flat_map(|literal| &self.owners[*literal]));
        found.sort_unstable();
        found.dedup();
        literals.iter().any(|literal| self.wanted[*literal])
    }

    /// The expression, compiled.
    pub(super) fn regex(&self, id: ProbeId) -> Option<&Regex> {
        let probe = self.probes.get(id)?;
        probe.regex.get_or_init(|| compiled(probe.text).ok()).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// A line that passes is cleaned and matched, which takes a hundred times as long as passing it by. Lines of healthy servers
    /// that hold a text of some rule are few; the texts are those to choose otherwise, with `literal` of their pattern.
    #[test]
    fn few_ordinary_lines_pass() {
        let catalog = Catalog::builtin();
        let probes = Probes::new(catalog.causes(), catalog.signs().expressions(), crate::startup::LITERALS);
        let lines: Vec<&str> = literal::ORDINARY.lines().collect();
        let mut passed: Vec<(&str, &str)> = Vec::new();
        for line in &lines {
            let mut texts = Vec::new();
            probes.literals.find(line.as_bytes(), &mut texts);
            passed.extend(texts.first().map(|text| (probes.literals.text(*text), *line)));
        }
        assert!(passed.len() * 3 <= lines.len(), "{} of {}: {passed:#?}", passed.len(), lines.len());
    }
}
