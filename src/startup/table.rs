//! Predicted against printed, term by term.

use crate::plan::budget::{Band, TermName};
use crate::plan::evaluate::Evaluation;
use crate::startup::figures::{Rank, Run};
use crate::startup::rebuilt::Rebuilt;
use crate::units::Bytes;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// One term of the budget.
    Term(TermName),
    /// What the requested size lost beside weights, cache and graphs: several terms, where the log has only their sum.
    Rest,
}

impl Subject {
    /// The name in tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Term(name) => name.title(),
            Self::Rest => "activation and the rest",
        }
    }

    /// The name in the JSON contract.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Term(name) => name.id(),
            Self::Rest => "rest",
        }
    }
}

/// Where a figure of the log comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It was printed.
    Printed,
    /// It follows from figures that were printed.
    Derived,
}

/// One row of the table, of the rank that needs most.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is about.
    pub subject: Subject,
    /// What the planner expects; `None` where it could not compute.
    pub predicted: Option<Band>,
    /// What the log has, and how it has it. It may be negative, where nothing was left.
    pub actual: Option<(i64, Basis)>,
    /// Whether the engine counts it inside the requested size.
    pub inside_requested: bool,
    /// What else to know, as a phrase.
    pub note: String,
}

/// The cache as the engine counts it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cache {
    /// Tokens that the planner expects.
    pub predicted_tokens: Option<u64>,
    /// "GPU KV cache size".
    pub tokens: Option<u64>,
    /// The longest request, in tokens.
    pub request_length: Option<u64>,
    /// Requests of that length at once that the planner expects.
    pub predicted_concurrency: Option<f64>,
    /// "Maximum concurrency".
    pub concurrency: Option<f64>,
}

/// The rows of `run`.
pub(super) fn rows(run: &Run, rebuilt: Option<&Rebuilt<'_>>) -> Vec<Row> {
    let Some(rank) = run.tightest() else { return Vec::new() };
    let evaluation = rebuilt.map(Rebuilt::predicted);
    let measured = rebuilt.and_then(Rebuilt::measured);
    let printed = |figure: Option<Band>| figure.map(|band| (band.expected.0 as i64, Basis::Printed));
    let non_torch = match (measured, rank.non_torch) {
        (Some(measured), None) => measured.non_torch.map(|band| (band.expected.0 as i64, Basis::Derived)),
        (_, printed) => printed.map(|printed| (printed.bytes, Basis::Printed)),
    };
    let peak = measured.map_or_else(|| printed(rank.activation_peak.map(|peak| peak.band())), |measured| printed(measured.activation_peak));
    let rest = measured.and_then(|measured| measured.rest).map(|band| (band.expected.0 as i64, Basis::Derived));
    let graphs = rank.graphs.map(|printed| (printed.bytes, Basis::Printed)).or_else(|| no_graphs(run, evaluation.as_ref()));
    let context = context(run, rank);
    let cache = run.available().map(|printed| (printed.bytes, Basis::Printed)).or_else(|| cache(run, rebuilt, evaluation.as_ref()));
    let weights = rank.weights.map(|printed| (printed.bytes, Basis::Printed));
    let row = |name: TermName, actual| row(name, actual, evaluation.as_ref());
    let mut rows = vec![row(TermName::Weights, weights), row(TermName::ActivationPeak, peak), row(TermName::NonTorch, non_torch)];
    if let Some(rest) = rest {
        rows.push(Row {
            subject: Subject::Rest,
            predicted: evaluation.as_ref().map(sum_of_rest),
            actual: Some(rest),
            inside_requested: true,
            note: "requested − weights − cache: the log has only the sum".to_owned(),
        });
    }
    rows.extend([row(TermName::KvCache, cache), row(TermName::CudaGraphs, graphs), row(TermName::Context, context)]);
    rows.retain(|row| row.predicted.is_some() || row.actual.is_some());
    rows
}

fn row(name: TermName, actual: Option<(i64, Basis)>, evaluation: Option<&Evaluation>) -> Row {
    let term = evaluation.and_then(|evaluation| evaluation.budget.term(name));
    Row {
        subject: Subject::Term(name),
        predicted: term.map(|term| term.size),
        actual,
        inside_requested: term.map_or(!matches!(name, TermName::CudaGraphs | TermName::Context), |term| term.inside_requested),
        note: term.map_or_else(String::new, |term| term.note.clone()),
    }
}

/// The terms inside the requested size beside weights, cache and graphs.
fn sum_of_rest(evaluation: &Evaluation) -> Band {
    let parts = [TermName::ActivationPeak, TermName::NonTorch, TermName::Context];
    let terms = parts.iter().filter_map(|name| evaluation.budget.term(*name)).filter(|term| term.inside_requested);
    terms.fold(Band::default(), |sum, term| sum + term.size)
}

/// Without graphs there is nothing to print, and nothing is what they take.
fn no_graphs(run: &Run, evaluation: Option<&Evaluation>) -> Option<(i64, Basis)> {
    let off = evaluation.is_some_and(|evaluation| evaluation.launch.capture_sizes.is_empty())
        || run.configuration.effective.flag("enforce-eager");
    (off && run.serving).then_some((0, Basis::Derived))
}

/// What was gone before the engine came: its context, and what others hold.
fn context(run: &Run, rank: &Rank) -> Option<(i64, Basis)> {
    let (free, total) = (rank.free_at_start.or_else(|| run.free_at_start())?, rank.total.or_else(|| run.total())?);
    Some((total.bytes.saturating_sub(free.bytes).max(0), Basis::Derived))
}

/// The cache by its tokens, where its size is not printed.
fn cache(run: &Run, rebuilt: Option<&Rebuilt<'_>>, evaluation: Option<&Evaluation>) -> Option<(i64, Basis)> {
    let band = rebuilt?.cache(run, evaluation?)?;
    Some((i64::try_from(band.expected.0).ok()?, Basis::Derived))
}

/// The cache of `run` in tokens.
pub(super) fn tokens(run: &Run, rebuilt: Option<&Rebuilt<'_>>) -> Cache {
    let evaluation = rebuilt.map(Rebuilt::predicted);
    let predicted = evaluation.as_ref().map(|evaluation| evaluation.budget.kv_cache);
    Cache {
        predicted_tokens: predicted.map(|cache| cache.tokens),
        tokens: run.kv_tokens.or_else(|| Some(run.blocks? * rebuilt.map_or(16, |rebuilt| rebuilt.predicted().launch.block_size))),
        request_length: run.concurrency.map(|(length, _)| length).or_else(|| run.count("max-model-len")),
        predicted_concurrency: predicted.map(|cache| cache.max_concurrency),
        concurrency: run.concurrency.map(|(_, times)| times),
    }
}

/// The least and the most of a figure over all ranks, where they differ by more than the digits printed.
pub(super) fn spread(run: &Run, figure: fn(&Rank) -> Option<Bytes>) -> Option<(Bytes, Bytes)> {
    let figures = || run.ranks.values().filter_map(figure);
    let (least, most) = (figures().min()?, figures().max()?);
    (most - least > Bytes::from_mib(16)).then_some((least, most))
}
