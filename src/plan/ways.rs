//! The ways in which devices can share a model, and which of them serves faster.

use crate::engine::launch::ParallelSizes;
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::plan::interconnect::Reductions;
use crate::units::Milliseconds;

/// How many times as fast another way must be to be chosen: steps are predicted within 15 %.
const CLEARLY: f64 = 1.15;

/// The flag of the tensor parallel size.
pub const TENSOR: &str = "tensor-parallel-size";
/// The flag of the pipeline parallel size.
pub const PIPELINE: &str = "pipeline-parallel-size";

/// How devices share a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Tensor parallel size.
    pub tensor: u64,
    /// Pipeline parallel size.
    pub pipeline: u64,
}

impl From<ParallelSizes> for Way {
    fn from(sizes: ParallelSizes) -> Self {
        Self { tensor: sizes.tensor, pipeline: sizes.pipeline }
    }
}

impl Way {
    /// One device.
    pub const ALONE: Self = Self { tensor: 1, pipeline: 1 };

    /// Its sizes, as they follow what is divided; empty for one device.
    pub fn sizes(self) -> String {
        match (self.tensor, self.pipeline) {
            (1, 1) => String::new(),
            (tensor, 1) => format!(", tensor parallel size {tensor}"),
            (tensor, pipeline) => format!(", tensor parallel size {tensor}, pipeline parallel size {pipeline}"),
        }
    }

    /// What one calls it.
    pub fn name(self) -> String {
        match (self.tensor, self.pipeline) {
            (_, 1) => "tensor parallel".to_owned(),
            (1, _) => "pipeline parallel".to_owned(),
            (tensor, pipeline) => format!("tensor parallel {tensor} × pipeline parallel {pipeline}"),
        }
    }
}

/// How fast requests are served one way.
#[derive(Clone, Debug, PartialEq)]
pub struct Served {
    /// The way.
    pub way: Way,
    /// Requests at once: as many as were asked for, or as the KV cache holds.
    pub requests: u64,
    /// From one token of a request to its next.
    pub step: Milliseconds,
    /// Of it, what devices wait for each other.
    pub exchange: Milliseconds,
    /// Time that a prompt takes of the engine.
    pub prefill: Milliseconds,
    /// Tokens of answers a second, of all requests together, prompts counted in.
    pub tokens_per_second: f64,
    /// The all-reduces of the step; `None` without tensor parallelism.
    pub reductions: Option<Reductions>,
}

impl Served {
    /// How fast it is, in words.
    fn words(&self) -> String {
        let requests = if self.requests == 1 { "1 request".to_owned() } else { format!("{} requests at once", self.requests) };
        format!("{} serves {requests} at {:.0} tokens/s", self.way.name(), self.tokens_per_second)
    }

    /// Whether this way is faster than `other` by more than estimates err.
    pub fn is_clearly_faster_than(&self, other: &Self) -> bool {
        self.tokens_per_second > other.tokens_per_second * CLEARLY
    }
}

/// The ways that were compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Where the measurements are from.
    pub source: String,
    /// The way of the plan.
    pub chosen: Served,
    /// The others that fit, fastest first.
    pub others: Vec<Served>,
}

impl Comparison {
    /// The comparison of `chosen` with `others`, by measurements from `source`; `None` without others.
    pub fn of(chosen: Served, mut others: Vec<Served>, source: &str) -> Option<Self> {
        others.sort_by(|left, right| right.tokens_per_second.total_cmp(&left.tokens_per_second));
        (!others.is_empty()).then(|| Self { source: source.to_owned(), chosen, others })
    }

    /// The other way that is clearly faster than the chosen one, if any is.
    pub fn faster(&self) -> Option<&Served> {
        self.others.first().filter(|other| other.is_clearly_faster_than(&self.chosen))
    }

    /// Why the chosen way was chosen, with the figures.
    pub fn why(&self) -> String {
        let Some(other) = self.others.first() else { return String::new() };
        let near = if self.chosen.tokens_per_second < other.tokens_per_second { ", which is as near as estimates are" } else { "" };
        let reductions = self.reductions().map(|text| format!("; {text}")).unwrap_or_default();
        format!("{}, {} at {:.0}{near}{reductions} ({})", self.chosen.words(), other.way.name(), other.tokens_per_second, self.source)
    }

    /// What speaks against `other`, with the figures.
    pub fn against(&self, other: &Served) -> String {
        format!("{}, {} at {:.0}", other.words(), self.chosen.way.name(), self.chosen.tokens_per_second)
    }

    /// The all-reduces of the way that has most of them.
    fn reductions(&self) -> Option<String> {
        let all = std::iter::once(&self.chosen).chain(&self.others);
        let served = all.filter(|served| served.reductions.is_some()).max_by_key(|served| served.way.tensor)?;
        let reductions = served.reductions?;
        Some(format!(
            "{} all-reduces of {} take {:.0} µs each, {} of {} a step{}",
            reductions.count,
            reductions.bytes,
            reductions.each.time.0 * 1e3,
            reductions.time(),
            served.step,
            if served.way == self.chosen.way { String::new() } else { format!(" as {}", served.way.name()) }
        ))
    }

    /// What is to be said of a way that the user chose and that is clearly slower than another.
    pub fn finding(&self) -> Option<Finding> {
        let other = self.faster()?;
        let (own, way) = (&self.chosen, other.way);
        let (words, name) = (own.words(), way.name());
        let message = format!("{words} over these GPUs, and {name} would at {:.0}", other.tokens_per_second);
        let evidence = |fact: &str, value: String| Evidence { fact: fact.to_owned(), value, source: self.source.clone() };
        let mut seen = vec![
            evidence("a step", format!("{}, {} of it waiting for other GPUs", own.step, own.exchange)),
            evidence(&format!("a step, {}", way.name()), format!("{}, {} of it", other.step, other.exchange)),
        ];
        seen.extend(self.reductions().map(|text| evidence("all-reduces", text)));
        let fix = Fix::edit("divide the model the other way; `--concurrency` says for how many requests")
            .with_command(format!("vllm serve MODEL --tensor-parallel-size {} --pipeline-parallel-size {}", way.tensor, way.pipeline));
        Some(Finding {
            id: "parallel-sizes-slow".to_owned(),
            severity: Severity::Warning,
            subject: "host".to_owned(),
            message,
            evidence: seen,
            fixes: vec![fix],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::interconnect::{Exchange, Reach};
    use crate::units::Bytes;

    const TENSOR: Way = Way { tensor: 2, pipeline: 1 };
    const STAGES: Way = Way { tensor: 1, pipeline: 2 };

    fn serves(way: Way, tokens_per_second: f64) -> Served {
        let each = Exchange { time: Milliseconds(0.05), reach: Reach::Between };
        let reductions = (way.tensor > 1).then_some(Reductions { count: 160, bytes: Bytes::MIB, each });
        let (step, exchange, prefill) = (Milliseconds(30.0), Milliseconds(8.0), Milliseconds(90.0));
        Served { way, requests: 64, step, exchange, prefill, tokens_per_second, reductions }
    }

    fn compared(chosen: Served, other: Served) -> Comparison {
        Comparison::of(chosen, vec![other], "measured: a test").unwrap()
    }

    /// The line has both speeds, and what the all-reduces of the tensor-parallel way take.
    #[test]
    fn the_reason_has_both_speeds_and_the_all_reduces() {
        assert_eq!(
            compared(serves(TENSOR, 1600.0), serves(STAGES, 1200.0)).why(),
            "tensor parallel serves 64 requests at once at 1600 tokens/s, pipeline parallel at 1200; \
             160 all-reduces of 1 MiB take 50 µs each, 8.0 ms of 30.0 ms a step (measured: a test)"
        );
    }

    /// What is faster by less than estimates err is not said to be faster.
    #[test]
    fn ways_as_near_as_estimates_are_equal() {
        let near = compared(serves(TENSOR, 1100.0), serves(STAGES, 1200.0));
        assert!(near.why().contains("which is as near as estimates are") && near.finding().is_none(), "{}", near.why());
        let slow = compared(serves(TENSOR, 1000.0), serves(STAGES, 1200.0));
        let finding = slow.finding().unwrap();
        assert_eq!(
            finding.message,
            "tensor parallel serves 64 requests at once at 1000 tokens/s over these GPUs, and pipeline parallel would at 1200"
        );
    }

    /// Nothing to compare with is no comparison.
    #[test]
    fn one_way_is_no_comparison() {
        assert_eq!(Comparison::of(serves(TENSOR, 1.0), Vec::new(), ""), None);
    }
}
