//! What an engine says when memory does not suffice, and when in its start it said so.

use crate::startup::oom::OutOfMemory;
use crate::startup::printed::Printed;

/// Failures that are kept of one start: every worker repeats them in its own words.
const MOST_FAILURES: usize = 64;

/// How far a start had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing of a start was seen before.
    Unknown,
    /// Weights were being loaded.
    Loading,
    /// The engine tried its largest step, to see what is left for the cache.
    Profiling,
    /// The cache was being allocated, or graphs were about to be captured.
    Allocating,
    /// CUDA graphs were being captured.
    Capturing,
    /// The sampler was tried with as many requests as may come at once.
    WarmingUp,
    /// The server was up and served.
    Serving,
}

impl Phase {
    /// The phase as the end of "while …".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Unknown => "at a time that the log does not show",
            Self::Loading => "while weights were loaded",
            Self::Profiling => "in the profile run, before the KV cache was allocated",
            Self::Allocating => "after the profile run, while the KV cache was allocated",
            Self::Capturing => "while CUDA graphs were captured",
            Self::WarmingUp => "while the sampler was warmed up",
            Self::Serving => "while requests were served",
        }
    }

    /// The word of the JSON contract.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Loading => "loading",
            Self::Profiling => "profiling",
            Self::Allocating => "allocating",
            Self::Capturing => "capturing",
            Self::WarmingUp => "warming_up",
            Self::Serving => "serving",
        }
    }
}

/// A refusal of the engine, or a failed allocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// "No available memory for the cache blocks".
    NothingLeft {
        /// The line.
        line: u64,
    },
    /// "To serve at least one request with the model's max seq len …".
    RequestTooLong {
        /// The longest request, in tokens.
        length: u64,
        /// The cache that it needs.
        need: Printed,
        /// The cache that there is.
        have: Printed,
        /// The longest that fits, as the engine computes it; 0.8.5 leaves it out.
        estimate: Option<u64>,
    },
    /// "The model's max seq len (…) is larger than the maximum number of tokens that can be stored in KV cache (…)".
    TooFewTokens {
        /// The longest request, in tokens.
        length: u64,
        /// Tokens that the cache holds.
        tokens: u64,
        /// The line.
        line: u64,
    },
    /// "Cannot auto-fit max_model_len".
    NothingFits {
        /// The line.
        line: u64,
    },
    /// "Free memory on device … is less than desired GPU memory utilization".
    TooLittleFree {
        /// What was free.
        free: Printed,
        /// The device's memory.
        total: Printed,
        /// The utilisation.
        utilization: f64,
        /// Utilisation × total.
        requested: Printed,
    },
    /// "Error in memory profiling": another process gave memory back meanwhile.
    Released {
        /// What was free before.
        before: Option<Printed>,
        /// What was free after.
        after: Option<Printed>,
        /// The line.
        line: u64,
    },
    /// A failed allocation of torch.
    OutOfMemory {
        /// Its message.
        message: Box<OutOfMemory>,
        /// How far the start had come.
        phase: Phase,
        /// The process, by its key in [`crate::startup::Run::ranks`].
        process: String,
    },
    /// "CUDA out of memory occurred when warming up sampler with … dummy requests".
    Sampler {
        /// Requests that it was warmed up with.
        requests: u64,
        /// The line.
        line: u64,
    },
}

impl Failure {
    /// The line that says it.
    pub fn line(&self) -> u64 {
        match self {
            Self::NothingLeft { line }
            | Self::TooFewTokens { line, .. }
            | Self::NothingFits { line }
            | Self::Released { line, .. }
            | Self::Sampler { line, .. } => *line,
            Self::RequestTooLong { have, .. } => have.line,
            Self::TooLittleFree { free, .. } => free.line,
            Self::OutOfMemory { message, .. } => message.line,
        }
    }

    pub(super) const fn utilization(&self) -> Option<f64> {
        match self {
            Self::TooLittleFree { utilization, .. } => Some(*utilization),
            _ => None,
        }
    }

    pub(super) fn total(&self) -> Option<Printed> {
        match self {
            Self::TooLittleFree { total, .. } => Some(*total),
            Self::OutOfMemory { message, .. } => message.total,
            _ => None,
        }
    }

    pub(super) const fn free_at_start(&self) -> Option<Printed> {
        match self {
            Self::TooLittleFree { free, .. } => Some(*free),
            _ => None,
        }
    }
}

/// The failures of one start, in the order of the log and without repetitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures(Vec<Failure>);

impl Failures {
    /// Whether nothing went wrong.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of the log.
    pub fn iter(&self) -> std::slice::Iter<'_, Failure> {
        self.0.iter()
    }

    /// Adds one. What a wrapper or another worker says again is not kept twice.
    pub(super) fn push(&mut self, failure: Failure) {
        if let Failure::Sampler { .. } = &failure
            && let Some(phase) = self.0.iter_mut().rev().find_map(allocation_phase)
        {
            *phase = Phase::WarmingUp;
        }
        let repeated = self.0.iter().any(|known| is_same(known, &failure));
        if !repeated && self.0.len() < MOST_FAILURES {
            self.0.push(failure);
        }
    }
}

const fn allocation_phase(failure: &mut Failure) -> Option<&mut Phase> {
    match failure {
        Failure::OutOfMemory { phase, .. } => Some(phase),
        _ => None,
    }
}

/// Whether two failures are one, told twice.
fn is_same(left: &Failure, right: &Failure) -> bool {
    match (left, right) {
        (Failure::NothingLeft { .. }, Failure::NothingLeft { .. }) | (Failure::NothingFits { .. }, Failure::NothingFits { .. }) => true,
        (Failure::RequestTooLong { length, have, .. }, Failure::RequestTooLong { length: other, have: held, .. }) => {
            length == other && have.bytes == held.bytes
        }
        (Failure::TooFewTokens { tokens, .. }, Failure::TooFewTokens { tokens: other, .. }) => tokens == other,
        (Failure::TooLittleFree { free, .. }, Failure::TooLittleFree { free: other, .. }) => free.bytes == other.bytes,
        (Failure::Sampler { requests, .. }, Failure::Sampler { requests: other, .. }) => requests == other,
        (Failure::Released { .. }, Failure::Released { .. }) => true,
        (Failure::OutOfMemory { message, .. }, Failure::OutOfMemory { message: other, .. }) => {
            let figures = |message: &OutOfMemory| {
                [message.tried, message.free, message.in_use, message.allocated].map(|figure| figure.map(|figure| figure.bytes))
            };
            message.device == other.device && figures(message) == figures(other)
        }
        _ => false,
    }
}

/// What other processes held when an allocation failed, where torch says so.
pub(super) fn held_by_others(run: &crate::startup::Run) -> Option<crate::units::Bytes> {
    run.failures.iter().find_map(|failure| match failure {
        Failure::OutOfMemory { message, .. } => message.held_by_others(),
        _ => None,
    })
}
