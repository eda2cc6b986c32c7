//! Causes of failures, and how logs show them (`rules/causes/*.toml`, `rules/roots.toml`).

use serde::Deserialize;

use super::literal;
use super::origin::Origin;
use crate::version::Version;

/// The file of root causes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootFile {
    /// The roots.
    #[serde(default)]
    pub(super) root: Vec<Root>,
    /// Where the list comes from.
    #[serde(default)]
    #[expect(dead_code, reason = "read by people and by tests/rules.rs")]
    pub(super) sources: Vec<String>,
}

/// A class of causes, which statistics and other tools count: one root has several causes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its name, kebab-case.
    pub id: String,
    /// What it is, in one sentence without a full stop.
    pub title: String,
}

/// One cause of failures, and the texts that show it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Its name, kebab-case: the name of its file. A check of the same problem has the same id.
    pub id: String,
    /// The class that it belongs to, one of `rules/roots.toml`.
    pub root: String,
    /// Whether it says why something failed.
    #[serde(default)]
    pub kind: CauseKind,
    /// The headline of a report; may use captures.
    pub title: String,
    /// What happened, as templates over the captures of the pattern that matched; the first that renders is printed.
    #[serde(default)]
    pub messages: Vec<String>,
    /// Ids of causes, or `root:` and a root, that follow from this one where both are seen.
    #[serde(default)]
    pub explains: Vec<String>,
    /// The advice, by file name; the id where it is absent.
    pub advice: Option<String>,
    /// What to look for in the rest of the log; of wrappers and consequences.
    pub look_for: Option<String>,
    /// Where the texts are printed from.
    pub sources: Vec<String>,
    /// The part of the memory arithmetic that answers this with figures.
    pub memory: Option<MemoryTopic>,
    /// The texts that show it.
    #[serde(default)]
    pub pattern: Vec<Pattern>,
    /// Of a fork: the causes that print this text, the likeliest first.
    #[serde(default)]
    pub branch: Vec<Branch>,
    /// What would make it sure.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Logs that it is tested with.
    #[serde(default)]
    pub example: Vec<Example>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// What an entry says about a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// Why something failed.
    #[default]
    Cause,
    /// What follows from a failure elsewhere.
    Consequence,
    /// That something failed, and no more.
    Wrapper,
    /// One text of several causes.
    Fork,
}

/// The parts of the memory arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryTopic {
    /// The KV cache is too small.
    Kv,
    /// The weights do not fit.
    Weights,
    /// An allocation failed.
    Oom,
    /// Less memory is free than the engine wants.
    Free,
    /// CUDA graphs do not fit.
    Graphs,
    /// The sampler's buffers do not fit.
    Sampler,
    /// Host memory is too small.
    Host,
}

/// A text that shows a cause.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// The program that prints it: `vllm`, `torch`, `kernel`.
    pub program: String,
    /// A regular expression, matched on one cleaned line.
    pub regex: String,
    /// A text that every match contains, where it cannot or should not be derived from the expression.
    pub literal: Option<String>,
    /// The first version of the program that prints it.
    pub since: Option<Version>,
    /// The first version that no longer does.
    pub until: Option<Version>,
    /// What happened, where this is the surest text that was seen; else `messages` of the cause are printed.
    pub message: Option<String>,
    /// Expressions that each must match some line of the log.
    #[serde(default)]
    pub with: Vec<String>,
    /// Expressions of which none may match a line of the log.
    #[serde(default)]
    pub without: Vec<String>,
    /// Expressions that each must match a line nearby.
    #[serde(default)]
    pub near: Vec<String>,
    /// How sure this text alone makes the cause, from 0 to 1.
    #[serde(default = "usually")]
    pub confidence: f64,
    /// Expressions with named groups that take more figures from other lines.
    #[serde(default)]
    pub captures_from: Vec<String>,
}

/// The confidence of a pattern that names none.
const fn usually() -> f64 {
    0.9
}

/// One of the causes that print the text of a fork.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The cause, by id.
    pub cause: String,
    /// How likely it is where nothing else is known, from 0 to 1.
    pub share: f64,
    /// Expressions; a line that matches any of them settles for this branch.
    #[serde(default)]
    pub if_log: Vec<String>,
    /// Expressions; a line that matches any of them rules this branch out.
    #[serde(default)]
    pub unless_log: Vec<String>,
    /// A minijinja expression over the facts of the machine; true settles for this branch, false rules it out.
    pub if_fact: Option<String>,
    /// The question that decides for this branch.
    pub question: Option<String>,
    /// The command that answers it.
    pub command: Option<String>,
}

/// A fact that would make a cause sure.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// The fact.
    pub fact: String,
    /// The command that shows it.
    pub command: Option<String>,
}

/// A log that an entry is tested with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Whether the entry must be found in it.
    pub matches: bool,
    /// The log.
    pub log: String,
    /// Whether the entry must also come first.
    #[serde(default = "yes")]
    pub rank: bool,
}

const fn yes() -> bool {
    true
}

/// What is wrong with an entry that its types do not show, and the text of the entry that is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// A text that stands at the place in the file.
    pub(super) at: String,
    /// What is wrong there.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into() }
    }
}

impl Cause {
    /// The name of its advice.
    pub fn advice(&self) -> &str {
        self.advice.as_deref().unwrap_or(&self.id)
    }

    /// Whether it follows from `other` where both are seen.
    pub fn is_explained_by(&self, other: &Self) -> bool {
        let names = |name: &String| name == &self.id || name.strip_prefix("root:").is_some_and(|root| root == self.root);
        self.id != other.id && other.explains.iter().any(names)
    }

    /// Every expression of the entry, with the literal that the file gives for it.
    pub fn expressions(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let patterns = self.pattern.iter().flat_map(|pattern| {
            let others = pattern.with.iter().chain(&pattern.without).chain(&pattern.near).chain(&pattern.captures_from);
            std::iter::once((pattern.regex.as_str(), pattern.literal.as_deref())).chain(others.map(|regex| (regex.as_str(), None)))
        });
        let branches = self.branch.iter().flat_map(|branch| branch.if_log.iter().chain(&branch.unless_log));
        patterns.chain(branches.map(|regex| (regex.as_str(), None)))
    }

    /// What is wrong with it that its types do not show.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.check_shape()?;
        for (regex, literal) in self.expressions() {
            literal::of(regex, literal).map_err(|message| Problem::new(regex, message))?;
            compiled(regex).map_err(|error| Problem::new(regex, format!("not a regular expression: {error}")))?;
        }
        let environment = minijinja::Environment::new();
        for template in self.messages.iter().chain([&self.title]).chain(self.pattern.iter().filter_map(|pattern| pattern.message.as_ref()))
        {
            environment.template_from_str(template).map_err(|error| Problem::new(template, format!("not a template: {error}")))?;
        }
        for expression in self.branch.iter().filter_map(|branch| branch.if_fact.as_ref()) {
            environment.compile_expression(expression).map_err(|error| Problem::new(expression, format!("not an expression: {error}")))?;
        }
        Ok(())
    }

    fn check_shape(&self) -> Result<(), Problem> {
        let stem = self.origin.stem();
        if stem != self.id {
            return Err(Problem::new(&self.id, format!("`id` must be the name of the file, `{stem}`")));
        }
        let fork = self.kind == CauseKind::Fork;
        if fork == self.branch.is_empty() {
            return Err(Problem::new("kind", "`[[branch]]` belongs to `kind = \"fork\"`, which needs at least one"));
        }
        if self.kind == CauseKind::Wrapper && self.look_for.is_none() {
            return Err(Problem::new("kind", "a wrapper needs `look_for`: what to search the log for"));
        }
        if self.branch.iter().map(|branch| branch.share).sum::<f64>() > 1.0 + 1e-9 {
            return Err(Problem::new("[[branch]]", "the shares of the branches are more than 1 in all"));
        }
        let chances = self.pattern.iter().map(|pattern| ("confidence", pattern.confidence));
        let chances = chances.chain(self.branch.iter().map(|branch| ("share", branch.share)));
        for (name, value) in chances {
            if !(0.0..=1.0).contains(&value) {
                return Err(Problem::new(name, format!("`{name}` is {value}, and must be from 0 to 1")));
            }
        }
        Ok(())
    }
}

/// Compiles an expression of the rules. Linear in the text that it searches; sizes are bounded, so that a rule cannot take
/// the memory of the machine.
///
/// # Errors
/// When it is none, or when it is too large.
pub fn compiled(expression: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(expression).size_limit(1 << 21).dfa_size_limit(1 << 20).build()
}
