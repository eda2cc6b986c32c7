//! The lines under judgement, and the findings about them.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::Value;

use super::{JudgeContext, parsed, runner};
use crate::catalog::{FlagSpan, FlagStatus};
use crate::engine::arguments::{Arguments, suffixed};
use crate::engine::launch::Runner;
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::version::Version;

/// Everything that the rules read.
pub(super) struct Lines<'a> {
    /// The flags as given.
    pub(super) args: &'a Arguments,
    /// The environment as given.
    pub(super) env: &'a IndexMap<String, String>,
    /// The version that is asked about.
    pub(super) version: &'a Version,
    /// What else is known.
    pub(super) context: &'a JudgeContext<'a>,
    /// The runner in effect, if it can be told.
    pub(super) runner: Option<Runner>,
}

/// A finding and the flag or variable that it is about.
pub(super) struct Found {
    /// The flag's canonical name, or the variable's.
    pub(super) key: String,
    /// The finding.
    pub(super) finding: Finding,
}

impl<'a> Lines<'a> {
    pub(super) fn new(args: &'a Arguments, env: &'a IndexMap<String, String>, version: &'a Version, context: &'a JudgeContext<'a>) -> Self {
        let runner = context.runner.or_else(|| runner::default_runner(context.engine, version, env, context.model));
        Self { args, env, version, context, runner }
    }

    /// What this version makes of `flag`.
    pub(super) fn status(&self, flag: &str) -> FlagStatus<'a> {
        parsed::status(self.context.engine, self.version, flag)
    }

    /// Whether `name` turns its flag off: `no-x`, or the inverse of `enable-x` or `disable-x`.
    pub(super) fn negates(&self, name: &str) -> bool {
        matches!(self.status(name), FlagStatus::Current { flag, .. } if parsed::negates(flag, name))
    }

    /// How `flag` looks in this version, if it exists.
    pub(super) fn span(&self, flag: &str) -> Option<&'a FlagSpan> {
        match self.status(flag) {
            FlagStatus::Current { span, .. } => Some(span),
            _ => None,
        }
    }

    /// The value of `flag` as given; none where this version does not know the flag.
    pub(super) fn given(&self, flag: &str) -> Option<&'a Value> {
        self.args.get(flag).filter(|_| self.span(flag).is_some())
    }

    /// The number given for `flag`, with a suffix or without.
    pub(super) fn number(&self, flag: &str) -> Option<f64> {
        self.given(flag).and_then(number)
    }

    /// The text given for `flag`.
    pub(super) fn text(&self, flag: &str) -> Option<&'a str> {
        self.given(flag).and_then(Value::as_str)
    }

    /// Whether `flag` is given as true.
    pub(super) fn is_on(&self, flag: &str) -> bool {
        self.given(flag) == Some(&Value::Bool(true))
    }

    /// Whether this version is `version` or newer.
    pub(super) fn since(&self, version: &str) -> bool {
        parsed::since(self.version, version)
    }

    /// A finding about `flag`, with its line as subject and first evidence. `text` follows the flag's name.
    pub(super) fn found(&self, id: &str, severity: Severity, flag: &str, text: &str) -> Found {
        let place = self.args.place(flag);
        let mut evidence = Vec::new();
        if let Some(value) = self.args.get(flag) {
            let source = place.map_or_else(|| "the plan".to_owned(), ToString::to_string);
            evidence.push(Evidence { fact: format!("vllm.{flag}"), value: shown(flag, value), source });
        }
        let finding = Finding {
            id: id.to_owned(),
            severity,
            subject: place.map_or_else(|| format!("flag:{flag}"), |place| format!("file:{place}")),
            message: format!("{flag}: {text}"),
            evidence,
            fixes: Vec::new(),
        };
        Found { key: flag.to_owned(), finding }
    }
}

impl Found {
    /// The same with a fix.
    pub(super) fn fix(mut self, fix: Fix) -> Self {
        self.finding.fixes.push(fix);
        self
    }

    /// The same with the line to write instead.
    pub(super) fn line(self, text: &str, line: impl Into<String>) -> Self {
        self.fix(Fix::edit(text).with_command(line))
    }

    /// The same with a further fact.
    pub(super) fn because(mut self, fact: &str, value: impl ToString, source: &str) -> Self {
        self.finding.evidence.push(Evidence { fact: fact.to_owned(), value: value.to_string(), source: source.to_owned() });
        self
    }
}

/// The findings in the order of their lines. On one line the weightiest kind stands alone: that a line says nothing new
/// gives way to what is wrong with it, and what its flag does in general gives way to both and to what it does here.
pub(super) fn in_order(mut found: Vec<Found>, lines: &Lines<'_>) -> Vec<Finding> {
    let mut weightiest: HashMap<String, u8> = HashMap::new();
    for one in &found {
        let weight = weightiest.entry(one.key.clone()).or_default();
        *weight = (*weight).max(weight_of(&one.finding));
    }
    found.retain(|one| weightiest.get(&one.key).is_none_or(|weight| weight_of(&one.finding) == *weight));
    let deprecated: HashSet<String> = found.iter().filter(|one| one.finding.id == "flag-deprecated").map(|one| one.key.clone()).collect();
    found.retain(|one| one.finding.id != "flag-without-effect" || !deprecated.contains(&one.key));
    let mut said = HashSet::new();
    found.reverse();
    found.retain(|one| one.finding.id != "flag-explained" || said.insert(one.key.clone()));
    found.reverse();
    let position = |found: &Found| {
        let flag = lines.args.0.get_index_of(&found.key);
        let variable = lines.env.get_index_of(&found.key).map(|index| lines.args.0.len() + index);
        flag.or(variable).unwrap_or(usize::MAX)
    };
    found.sort_by_key(|found| (position(found), std::cmp::Reverse(found.finding.severity)));
    found.into_iter().map(|found| found.finding).collect()
}

fn weight_of(finding: &Finding) -> u8 {
    match finding.id.as_str() {
        "flag-explained" => 0,
        "flag-is-default" => 1,
        _ => 2,
    }
}

/// A value as messages show it: secrets only by their length.
pub(super) fn shown(flag: &str, value: &Value) -> String {
    if is_secret(flag) {
        let secrets: Vec<&Value> = value.as_array().map_or_else(|| vec![value], |several| several.iter().collect());
        let lengths: Vec<String> = secrets.iter().map(|secret| format!("{} characters", plain(secret).chars().count())).collect();
        return format!("({})", lengths.join(", "));
    }
    plain(value)
}

/// Whether the values of `flag` must not be repeated anywhere.
pub(super) fn is_secret(flag: &str) -> bool {
    matches!(flag, "api-key" | "hf-token" | "ssl-keyfile-password")
}

/// A value as the engine's command line would carry it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

/// The number that a value means: `8192`, `"8192"`, `8k` (8000), `8K` (8192), `1e-3`.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().or_else(|| suffixed(text.trim())),
        _ => None,
    }
}
