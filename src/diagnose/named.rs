//! A cause as a report names it.

use std::collections::BTreeMap;

use minijinja::Value;

use super::matches::Matched;
use super::sightings::{Sighting, shown_capture};
use crate::advice;
use crate::catalog::{Cause, CauseKind, MemoryTopic, Need};
use crate::diagnose::fork::Context;
use crate::finding::{Evidence, Fix};

/// A cause, the lines that show it and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The cause, by id; `gpudoctor explain ID` has its page.
    pub id: String,
    /// The class that it belongs to.
    pub root: String,
    /// What it is, in a few words.
    pub title: String,
    /// Whether it is a cause, or only says that something failed.
    pub kind: CauseKind,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// The lines that show it, redacted; the surest first.
    pub lines: Vec<Sighting>,
    /// The first line that shows it.
    pub first: u64,
    /// The last line that shows it.
    pub last: u64,
    /// How many lines show it.
    pub count: u64,
    /// What happened, with the figures of the log.
    pub message: Option<String>,
    /// What to do, best first.
    pub fixes: Vec<Fix>,
    /// What would make it sure.
    pub needs: Vec<Need>,
    /// Facts of the machine that decided for it.
    pub evidence: Vec<Evidence>,
    /// What decides between this cause and others that print the same text.
    pub question: Option<Question>,
    /// What else was seen and follows from it, in the order of the log.
    pub explains: Vec<Consequence>,
    /// What to look for in the rest of the log; of wrappers and consequences.
    pub look_for: Option<String>,
    /// The part of the memory arithmetic that answers it with figures.
    pub memory: Option<MemoryTopic>,
}

/// A question that decides, and the command that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question.
    pub text: String,
    /// The command.
    pub command: Option<String>,
}

/// What was seen and follows from a cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Its id.
    pub id: String,
    /// The first line that shows it.
    pub first: u64,
    /// The last line that shows it.
    pub last: u64,
}

impl Consequence {
    pub(super) fn new(matched: &Matched<'_>) -> Self {
        Self { id: matched.cause.id.clone(), first: matched.first, last: matched.last }
    }
}

impl Named {
    /// `cause`, shown by the lines of `matched`, which may be those of a fork.
    pub(super) fn new(cause: &Cause, matched: &Matched<'_>, confidence: f64, context: &Context<'_>) -> Self {
        // Of a group that several expressions have, that of the matched line counts.
        let pairs = matched.captures.iter().rev().map(|(name, value)| (name.clone(), shown_capture(value)));
        let captures = Value::from(pairs.collect::<BTreeMap<String, String>>());
        // The messages of a branch speak of texts that were not seen; those of the fork speak of the one that was.
        let messages = matched.message.into_iter().chain(matched.cause.messages.iter().map(String::as_str));
        let with_log = minijinja::context! { log => captures.clone(), ..context.machine.facts().clone() };
        let lines = matched.lines.iter().map(|line| line.shown());
        Self {
            id: cause.id.clone(),
            root: cause.root.clone(),
            title: advice::filled(&cause.title, &captures).unwrap_or_else(|| cause.title.clone()),
            kind: cause.kind,
            confidence,
            lines: lines.collect(),
            first: matched.first,
            last: matched.last,
            count: matched.count,
            message: messages.into_iter().find_map(|message| advice::filled(message, &captures)),
            fixes: context.catalog.advice(cause.advice()).map(|found| advice::fixes(&found, &with_log)).unwrap_or_default(),
            needs: cause.needs.clone(),
            evidence: Vec::new(),
            question: None,
            explains: Vec::new(),
            look_for: cause.look_for.clone(),
            memory: cause.memory,
        }
    }
}
