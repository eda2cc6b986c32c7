//! The figures of each start of an engine in a log, gathered line by line in constant memory.

use indexmap::IndexMap;

use crate::engine::arguments::Arguments;
use crate::startup::dump::Configuration;
use crate::startup::failure::{Failure, Failures};
use crate::startup::printed::Printed;
use crate::units::Bytes;
use crate::version::Version;

/// Starts that are kept of one log: a container that restarts for ever prints more, of which the last ones count.
const MOST_RUNS: usize = 16;
/// Processes that are kept of one start.
const MOST_RANKS: usize = 1024;

/// What was printed for one worker process: a rank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rank {
    /// The process as the log names it, such as `Worker_TP0`; empty where it names none.
    pub process: String,
    /// "Model loading took": what torch holds on this device.
    pub weights: Option<Printed>,
    /// Seconds of it.
    pub load_seconds: Option<f64>,
    /// "Total CPU offloaded parameters".
    pub offloaded: Option<Printed>,
    /// What the profile run took at most beside the weights.
    pub activation_peak: Option<Printed>,
    /// Whether the line that prints the peak is the one with all usage, to which 0.27 and later add the estimate of the graphs.
    pub peak_of_usage: bool,
    /// What grew outside torch while profiling.
    pub non_torch: Option<Printed>,
    /// Weights and all growth outside torch, which 0.27 and later print in one.
    pub consumed: Option<Printed>,
    /// "Available KV cache memory"; negative where nothing is left.
    pub available: Option<Printed>,
    /// What the engine expects graphs to take.
    pub graph_estimate: Option<Printed>,
    /// What capturing graphs took.
    pub graphs: Option<Printed>,
    /// Seconds of it.
    pub graph_seconds: Option<f64>,
    /// How many sizes were captured, of how many.
    pub captured: Option<(u64, u64)>,
    /// What was free at the engine's first look.
    pub free_at_start: Option<Printed>,
    /// The device's memory, as `cudaMemGetInfo` gives it.
    pub total: Option<Printed>,
    /// The requested size: utilisation × total.
    pub requested: Option<Printed>,
    /// The utilisation as this worker prints it.
    pub utilization: Option<f64>,
}

/// One start of an engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Its first line, counted from 1; 0 where no line begins it.
    pub first_line: u64,
    /// Its last line with a figure.
    pub last_line: u64,
    /// vLLM's version.
    pub version: Option<Version>,
    /// Whether the legacy engine (V0) ran.
    pub legacy: bool,
    /// Whether the API server was started, whose batch defaults differ from those of the `LLM` class.
    pub server: bool,
    /// The arguments that were given, as far as they were printed.
    pub given: Arguments,
    /// Whether the arguments were printed: one that is missing then has its default.
    pub arguments_seen: bool,
    /// What the engine made of them.
    pub configuration: Configuration,
    /// Longest request, as printed apart: "Using max model len", or what auto-fit came to.
    pub max_model_len: Option<u64>,
    /// "Chunked prefill is enabled with max_num_batched_tokens".
    pub max_num_batched_tokens: Option<u64>,
    /// "Defaulting max_num_seqs to".
    pub max_num_seqs: Option<u64>,
    /// Whether the V2 model runner ran; `None` where the log does not say.
    pub second_runner: Option<bool>,
    /// Whether the estimate of the graphs was kept out of the KV cache; `None` where the log does not say.
    pub graphs_subtracted: Option<bool>,
    /// The offloader that was set up, such as `UVAOffloader`.
    pub offloader: Option<String>,
    /// Blocks of the cache, which the legacy engine prints.
    pub blocks: Option<u64>,
    /// "GPU KV cache size" in tokens; the least where ranks differ.
    pub kv_tokens: Option<u64>,
    /// "Maximum concurrency": the length of a request, and how many of them fit at once.
    pub concurrency: Option<(u64, f64)>,
    /// What each worker printed, by process.
    pub ranks: IndexMap<String, Rank>,
    /// What went wrong with memory.
    pub failures: Failures,
    /// Whether the engine came up.
    pub serving: bool,
    /// The architecture that the model was found to have, such as `Qwen3ForCausalLM`.
    pub architecture: Option<String>,
}

/// The figures of a whole log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    runs: Vec<Run>,
    /// Starts that were forgotten for later ones.
    forgotten: u64,
}

impl Figures {
    /// Takes in one line: its number from 1, the process that printed it where that is known, and its text without colours
    /// and without the prefixes of containers.
    pub fn observe(&mut self, number: u64, process: Option<&str>, text: &str) {
        super::lines::observe(self, number, process, text);
    }

    /// The starts, oldest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// How many starts the log had.
    pub fn starts(&self) -> u64 {
        self.runs.len() as u64 + self.forgotten
    }

    /// The start that matters: the last one.
    pub fn last(&self) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.has_figures()).or(self.runs.last())
    }

    /// The start that `line` belongs to: the last that began before it.
    pub fn at(&self, line: u64) -> Option<&Run> {
        self.runs.iter().rev().find(|run| run.first_line <= line).or_else(|| self.last())
    }

    /// The start in progress.
    pub(super) fn current(&mut self, line: u64) -> &mut Run {
        if self.runs.is_empty() {
            self.runs.push(Run { first_line: line, ..Run::default() });
        }
        let last = self.runs.len() - 1;
        &mut self.runs[last]
    }

    /// A line that begins a start: a new one where the one in progress has come further than that.
    pub(super) fn begin(&mut self, line: u64, process: &str) -> &mut Run {
        let goes_on = self.runs.last().is_none_or(|run| !run.has_begun(process));
        if !goes_on {
            if self.runs.len() == MOST_RUNS {
                self.runs.remove(0);
                self.forgotten += 1;
            }
            self.runs.push(Run { first_line: line, ..Run::default() });
        }
        self.current(line)
    }
}

impl Run {
    /// Whether any figure of memory was seen.
    pub fn has_figures(&self) -> bool {
        self.ranks.values().any(|rank| rank.weights.is_some() || rank.available.is_some() || rank.graphs.is_some())
            || self.kv_tokens.is_some()
            || self.blocks.is_some()
            || !self.failures.is_empty()
    }

    /// Whether any line shows that this is vLLM.
    pub fn is_engine(&self) -> bool {
        let figures =
            |rank: &Rank| rank.weights.is_some() || rank.available.is_some() || rank.graphs.is_some() || rank.free_at_start.is_some();
        self.version.is_some() || self.arguments_seen || self.kv_tokens.is_some() || self.ranks.values().any(figures)
    }

    /// Whether it is past its beginning, so that another beginning is another start. Data-parallel engines begin side by side.
    fn has_begun(&self, process: &str) -> bool {
        let sibling = process.contains("DP") && self.ranks.keys().all(|known| known != process) && !self.serving;
        self.serving || self.has_figures() && !sibling
    }

    /// The rank of `process`, whose key is its id where the log prints one.
    pub(super) fn rank(&mut self, key: &str, label: &str) -> Option<&mut Rank> {
        if !self.ranks.contains_key(key) && self.ranks.len() >= MOST_RANKS {
            return None;
        }
        let rank = self.ranks.entry(key.to_owned()).or_default();
        if rank.process.len() < label.len() {
            label.clone_into(&mut rank.process);
        }
        Some(rank)
    }

    /// The worker that needs most memory, whose figures stand for all: the one with the largest weights, among equals the one
    /// with the least left.
    pub fn tightest(&self) -> Option<&Rank> {
        let key = |rank: &Rank| {
            let bytes = |printed: Option<Printed>| printed.map_or(i64::MIN, |printed| printed.bytes);
            (bytes(rank.weights).max(bytes(rank.consumed)), rank.available.map_or(i64::MIN, |left| -left.bytes))
        };
        let workers = self.ranks.values().filter(|rank| rank.weights.is_some() || rank.available.is_some() || rank.graphs.is_some());
        workers.max_by_key(|rank| key(rank))
    }

    /// The value of a whole-number flag in effect, as far as the log tells.
    pub fn count(&self, flag: &str) -> Option<u64> {
        match flag {
            "max-model-len" => self.max_model_len,
            "max-num-batched-tokens" => self.max_num_batched_tokens,
            "max-num-seqs" => self.max_num_seqs,
            _ => None,
        }
        .or_else(|| self.configuration.effective.count(flag))
        .or_else(|| self.given.count(flag))
    }

    /// The utilisation in effect, as far as the log tells.
    pub fn utilization(&self) -> Option<f64> {
        let printed = self.ranks.values().find_map(|rank| rank.utilization);
        let refused = || self.failures.iter().find_map(Failure::utilization);
        self.given.number("gpu-memory-utilization").or(printed).or_else(refused).filter(|share| (0.0..=1.0).contains(share))
    }

    /// The memory of the device as the engine sees it, where any line prints it.
    pub fn total(&self) -> Option<Printed> {
        let ranks = self.ranks.values().filter_map(|rank| rank.total);
        ranks.chain(self.failures.iter().filter_map(Failure::total)).min_by_key(|total| total.rounding)
    }

    /// What was free before this start, where any line prints it.
    pub fn free_at_start(&self) -> Option<Printed> {
        let least = self.ranks.values().filter_map(|rank| rank.free_at_start).min_by_key(|free| free.bytes);
        least.or_else(|| self.failures.iter().find_map(Failure::free_at_start))
    }

    /// The name or path of the model.
    pub fn model(&self) -> Option<&str> {
        self.configuration.effective.text("model").or_else(|| self.given.text("model"))
    }

    /// What was left for the cache: as a worker printed it, or as the engine refused it.
    pub fn available(&self) -> Option<Printed> {
        let refused = || {
            self.failures.iter().find_map(|failure| match failure {
                Failure::RequestTooLong { have, .. } => Some(*have),
                _ => None,
            })
        };
        self.tightest().and_then(|rank| rank.available).or_else(refused)
    }

    /// What other processes held when the engine came, beyond what its own context explains. `None` where the log lacks a figure.
    pub fn held_by_others(&self, context: Bytes) -> Option<Bytes> {
        let (total, free) = (self.total()?.size()?, self.free_at_start()?.size()?);
        let gone = total - free;
        // A context differs by a quarter of a GiB between drivers.
        Some(if gone > context + Bytes::from_mib(256) { gone - context } else { Bytes::ZERO })
    }
}
