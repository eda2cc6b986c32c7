//! Checks that are rules: an expression over facts, asked of the machine, of each GPU, of each pair or of the engine.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde_json::json;

use crate::advice;
use crate::catalog::{Catalog, CheckRule, CheckSubject, ExampleOutcome, Layer};
use crate::check::{Outcome, Ran};
use crate::expression::environment;
use crate::facts::{Facts, Question, Tree, Unknown, source};
use crate::finding::{Evidence, Finding, Severity};

/// Asks every rule that is wanted.
pub(super) fn run(facts: &Facts, question: &Question, catalog: &Catalog, wanted: &dyn Fn(&str) -> bool) -> Vec<Ran> {
    let environment = environment();
    let rules = catalog.checks().iter().filter(|rule| wanted(&rule.id) && (!question.image || rule.layer == Layer::Python));
    let rules: Vec<Asked<'_>> = rules.map(|rule| Asked { rule, reads: reads_in(&environment, rule) }).collect();
    let mut tree = Tree::new(facts);
    for name in rules.iter().flat_map(|asked| &asked.reads).filter_map(|path| path.strip_prefix("env.")) {
        tree.unset(name);
    }
    let scopes = scopes(&tree, facts);
    let ran = |asked: &Asked<'_>| {
        let rule = asked.rule;
        Ran {
            id: rule.id.clone(),
            layer: rule.layer,
            outcome: asked.outcome(&scopes, &environment, catalog),
            explains: rule.explains.clone(),
            asked: question.require_gpu && rule.severity == Severity::Error && !rule.often_unseen,
        }
    };
    rules.iter().map(ran).collect()
}

/// The facts that a rule's expression reads, by path.
pub fn reads(rule: &CheckRule) -> Vec<String> {
    reads_in(&environment(), rule)
}

fn reads_in(environment: &Environment<'_>, rule: &CheckRule) -> Vec<String> {
    let Ok(expression) = environment.compile_expression(&rule.when) else { return Vec::new() };
    let mut reads: Vec<String> = expression.undeclared_variables(true).into_iter().collect();
    reads.retain(|path| !crate::expression::CONSTANTS.contains(&path.as_str()));
    // In the order in which they are written, so that evidence reads as the rule does; of two that begin alike, the longer first.
    reads.sort_by_key(|path| (rule.when.find(path.as_str()).unwrap_or(usize::MAX), std::cmp::Reverse(path.len()), path.clone()));
    reads
}

/// What a rule says of the facts of one of its examples, and its message where it fires.
pub fn example_outcome(rule: &CheckRule, facts: &serde_json::Value) -> (ExampleOutcome, String) {
    let mut nested = json!({});
    for (path, value) in facts.as_object().into_iter().flatten() {
        insert(&mut nested, path, value);
    }
    let mut tree = Tree::of(nested);
    let reads = reads(rule);
    for name in reads.iter().filter_map(|path| path.strip_prefix("env.")) {
        tree.unset(name);
    }
    let subject = match rule.subject {
        CheckSubject::Host => "host",
        CheckSubject::Gpu => "gpu:0",
        CheckSubject::Link => "link:0-1",
        CheckSubject::Engine => "engine",
    };
    let scope = Scope { subject: subject.to_owned(), value: Value::from(Serde(&tree.values)), tree: &tree, one: None };
    match (Asked { rule, reads }).ask(&scope, &environment(), &Catalog::builtin()) {
        Outcome::Passes => (ExampleOutcome::Passes, String::new()),
        Outcome::Fires(findings) => (ExampleOutcome::Fires, findings.into_iter().next().map(|finding| finding.message).unwrap_or_default()),
        Outcome::Skips(reason) | Outcome::Unseen(reason) => (ExampleOutcome::Skips, reason),
    }
}

/// Puts a value below a dotted path.
fn insert(tree: &mut serde_json::Value, path: &str, value: &serde_json::Value) {
    match path.split_once('.') {
        Some((first, rest)) => insert(&mut tree[first], rest, value),
        None => match (tree.get_mut(path).and_then(serde_json::Value::as_object_mut), value.as_object()) {
            (Some(_), Some(fields)) => fields.iter().for_each(|(name, value)| insert(&mut tree[path], name, value)),
            (None, Some(fields)) if !fields.contains_key("unreadable") => {
                tree[path] = json!({});
                fields.iter().for_each(|(name, value)| insert(&mut tree[path], name, value));
            }
            _ => tree[path] = value.clone(),
        },
    }
}

/// A rule and the facts that it reads.
struct Asked<'a> {
    rule: &'a CheckRule,
    reads: Vec<String>,
}

/// What a rule is asked of, and the facts from there.
struct Scope<'a> {
    subject: String,
    value: Value,
    tree: &'a Tree,
    /// The name for the one GPU or pair, its list, and its place there.
    one: Option<(&'static str, &'static str, usize)>,
}

impl Scope<'_> {
    fn unknown(&self, path: &str) -> Option<&Unknown> {
        match self.one {
            Some((name, list, place)) if path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) => {
                self.tree.unknown(&format!("{list}.{place}{}", path.get(name.len()..).unwrap_or_default()))
            }
            _ => self.tree.unknown(path),
        }
    }
}

/// Everything that rules can be asked of.
fn scopes<'a>(tree: &'a Tree, facts: &Facts) -> BTreeMap<&'static str, Vec<Scope<'a>>> {
    let base = Value::from(Serde(&tree.values));
    let one = |name: &'static str, list: &'static str, place: usize, subject: String| {
        let item = base.get_attr(list).and_then(|list| list.get_item_by_index(place)).unwrap_or_default();
        let value = if name == "gpu" {
            context! { gpu => item, ..base.clone() }
        } else {
            context! { link => item, ..base.clone() }
        };
        Scope { subject, value, tree, one: Some((name, list, place)) }
    };
    let gpus = facts.gpus.iter().enumerate().map(|(place, gpu)| one("gpu", "gpus", place, format!("gpu:{}", gpu.index)));
    let links = facts.links.iter().enumerate().map(|(place, link)| one("link", "links", place, format!("link:{}-{}", link.a, link.b)));
    let whole = |subject: &str| vec![Scope { subject: subject.to_owned(), value: base.clone(), tree, one: None }];
    BTreeMap::from([("gpu", gpus.collect()), ("link", links.collect()), ("host", whole("host")), ("engine", whole("engine"))])
}

impl Asked<'_> {
    /// The outcome over all that the rule is asked of: what fires counts, then what could not be seen.
    fn outcome(&self, scopes: &BTreeMap<&'static str, Vec<Scope<'_>>>, environment: &Environment<'_>, catalog: &Catalog) -> Outcome {
        let (name, nobody) = match self.rule.subject {
            CheckSubject::Host => ("host", ""),
            CheckSubject::Gpu => ("gpu", "no GPU is seen"),
            CheckSubject::Link => ("link", "there are not two GPUs"),
            CheckSubject::Engine => ("engine", "no engine is installed"),
        };
        let scopes = scopes.get(name).map(Vec::as_slice).unwrap_or_default();
        let (mut findings, mut unseen, mut skips, mut passes) = (Vec::new(), None, None, false);
        for scope in scopes {
            match self.ask(scope, environment, catalog) {
                Outcome::Passes => passes = true,
                Outcome::Fires(fired) => findings.extend(fired),
                Outcome::Skips(reason) => skips = skips.or(Some(reason)),
                Outcome::Unseen(reason) if scopes.len() > 1 => unseen = unseen.or_else(|| Some(format!("{}: {reason}", scope.subject))),
                Outcome::Unseen(reason) => unseen = unseen.or(Some(reason)),
            }
        }
        match (findings.is_empty(), unseen, skips) {
            (false, _, _) => Outcome::Fires(findings),
            (true, Some(reason), _) => Outcome::Unseen(reason),
            (true, None, Some(reason)) if !passes => Outcome::Skips(reason),
            (true, None, _) if passes => Outcome::Passes,
            _ => Outcome::Skips(nobody.to_owned()),
        }
    }

    fn ask(&self, scope: &Scope<'_>, environment: &Environment<'_>, catalog: &Catalog) -> Outcome {
        let rule = self.rule;
        let expression = match environment.compile_expression(&rule.when) {
            Ok(expression) => expression,
            Err(error) => return Outcome::Unseen(format!("the rule is not an expression: {error}")),
        };
        match expression.eval(&scope.value) {
            Ok(value) if value.is_undefined() || value.is_none() => self.without_answer(scope, None),
            Ok(value) if value.is_true() => match self.untested(scope).filter(|_| !self.holds_without(scope, environment)) {
                Some(path) => Outcome::Skips(format!("`{path}` is not there")),
                None => self.finding(scope, environment, catalog),
            },
            Ok(_) => Outcome::Passes,
            Err(error) => self.without_answer(scope, error.detail()),
        }
    }

    /// A fact that is absent and was compared with something that it is less than or other than, as "none" is to every
    /// number: that is no problem found, it is nothing to look at.
    fn untested(&self, scope: &Scope<'_>) -> Option<&String> {
        self.reads.iter().find(|path| scope.unknown(path) == Some(&Unknown::Absent) && is_ordered(&self.rule.when, path))
    }

    /// Whether one alternative of the expression is true by itself, and needs nothing that is absent.
    fn holds_without(&self, scope: &Scope<'_>, environment: &Environment<'_>) -> bool {
        alternatives(&self.rule.when).into_iter().any(|alternative| {
            let needs = |path: &&String| scope.unknown(path) == Some(&Unknown::Absent) && is_ordered(alternative, path);
            let value = environment.compile_expression(alternative).and_then(|expression| expression.eval(&scope.value));
            value.is_ok_and(|value| value.is_true()) && !self.reads.iter().any(|path| needs(&path))
        })
    }

    /// Why there is no answer: the fact that the error names, else the first that is unreadable, else the first absent one.
    fn without_answer(&self, scope: &Scope<'_>, detail: Option<&str>) -> Outcome {
        let named = detail.and_then(|detail| self.reads.iter().find(|path| detail.contains(&format!("`{path}`"))));
        let unreadable = |path: &&String| matches!(scope.unknown(path), Some(Unknown::Unreadable(_)));
        let path = named.filter(|path| scope.unknown(path).is_some()).or_else(|| self.reads.iter().find(unreadable));
        let path = path.or_else(|| self.reads.iter().find(|path| scope.unknown(path).is_some()));
        match path.and_then(|path| Some((path, scope.unknown(path)?))) {
            Some((path, Unknown::Unreadable(reason))) => Outcome::Unseen(format!("`{path}`: {reason}")),
            Some((path, Unknown::Absent)) => Outcome::Skips(format!("`{path}` is not there")),
            None => Outcome::Unseen(detail.unwrap_or("a fact is missing").to_owned()),
        }
    }

    fn finding(&self, scope: &Scope<'_>, environment: &Environment<'_>, catalog: &Catalog) -> Outcome {
        let rule = self.rule;
        let message = rule.message.all().iter().find_map(|message| environment.render_str(message, &scope.value).ok());
        let name = rule.advice.as_deref().unwrap_or(&rule.id);
        let mut fixes = catalog.advice(name).map(|advice| advice::fixes(&advice, &scope.value)).unwrap_or_default();
        for fix in &mut fixes {
            fix.verify.get_or_insert_with(|| format!("gpudoctor check --only {}", rule.id));
        }
        Outcome::Fires(vec![Finding {
            id: rule.id.clone(),
            severity: rule.severity,
            subject: scope.subject.clone(),
            message: message.unwrap_or_else(|| rule.summary.clone()),
            evidence: self.evidence(scope, environment),
            fixes,
        }])
    }

    /// The facts that the rule names as evidence, else those that it reads.
    fn evidence(&self, scope: &Scope<'_>, environment: &Environment<'_>) -> Vec<Evidence> {
        let shown = if self.rule.evidence.is_empty() { &self.reads } else { &self.rule.evidence };
        let value = |expression: &String| {
            let path = expression.split('|').next().unwrap_or(expression).trim();
            let value = environment.compile_expression(expression).ok()?.eval(&scope.value).ok()?;
            let text = match value.to_string() {
                _ if value.is_none() || value.is_undefined() => return None,
                text if text == "True" => "true".to_owned(),
                text if text == "False" => "false".to_owned(),
                text => text,
            };
            Some(Evidence { fact: path.to_owned(), value: text, source: source(path) })
        };
        shown.iter().filter_map(value).collect()
    }
}

/// What stands around each `or` of an expression that is inside no parentheses and no text.
fn alternatives(expression: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut start, mut found) = (0_usize, None, 0, Vec::new());
    for (at, c) in expression.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ' ') if depth == 0 && expression.get(at..).is_some_and(|rest| rest.starts_with(" or ")) => {
                found.push(expression.get(start..at).unwrap_or_default());
                start = at + " or ".len();
            }
            _ => {}
        }
    }
    found.push(expression.get(start..).unwrap_or_default());
    found
}

/// Whether an expression asks whether the fact at `path` is less, more or other than something, or reckons with it.
fn is_ordered(expression: &str, path: &str) -> bool {
    expression.match_indices(path).any(|(start, _)| {
        let before = expression.get(..start).unwrap_or_default().trim_end();
        let after = expression.get(start + path.len()..).unwrap_or_default();
        let whole = !after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        let behind = ["<", ">", "<=", ">=", "*", "+"].iter().any(|operator| before.ends_with(operator));
        whole && (behind || ["<", ">", "*", "+", "!=", "not in"].iter().any(|operator| after.trim_start().starts_with(operator)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_stand_around_or() {
        let parts = alternatives("a == 1 or (b > 2 or c) or d == ' or '");
        assert_eq!(parts, ["a == 1", "(b > 2 or c)", "d == ' or '"]);
    }

    #[test]
    fn comparisons_by_size_are_told_from_others() {
        assert!(is_ordered("gpu.pcie.width < gpu.pcie.max_width", "gpu.pcie.max_width"));
        assert!(is_ordered("gpu.memory.free * 10 < gpu.memory.total * 9", "gpu.memory.free"));
        assert!(!is_ordered("env.NCCL_ALGO == '1' or a > 3", "env.NCCL_ALGO"));
        assert!(!is_ordered("gpu.pcie.max_width > 3", "gpu.pcie.max"));
    }
}
