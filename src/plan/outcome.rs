//! What planning yields: the verdict, the launch with its budget, and everything that explains them.

use indexmap::IndexMap;

use crate::catalog::ComputeCapability;
use crate::engine::arguments::Arguments;
use crate::engine::launch::Launch;
use crate::finding::Finding;
use crate::model::spec::ModelSpec;
use crate::plan::budget::{Budget, Input};
use crate::plan::interconnect::Interconnect;
use crate::plan::rates::Rates;
use crate::plan::ways::Comparison;
use crate::units::{Bytes, BytesPerSecond, Milliseconds};
use crate::version::Version;

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits on the devices.
    Fits,
    /// It fits with weights in host memory.
    FitsWithOffload,
    /// It does not fit.
    DoesNotFit,
    /// It would not start, or not do what it says, whatever the memory.
    Invalid,
}

impl Verdict {
    /// The word of the JSON contract.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::FitsWithOffload => "fits_with_offload",
            Self::DoesNotFit => "does_not_fit",
            Self::Invalid => "invalid",
        }
    }

    /// Whether the launch is good to go.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Fits | Self::FitsWithOffload)
    }
}

/// Why a launch was refused, or what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Kebab-case code, such as `kv-cache-too-small`.
    pub code: String,
    /// The fact, then the requirement.
    pub message: String,
    /// By how much memory is short, where it is.
    pub short_by: Option<Bytes>,
}

/// The devices that a plan is for: all alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Devices {
    /// The name as nvidia-smi prints it, or "7 GiB of device memory" where only a size is known.
    pub name: String,
    /// How many.
    pub count: u64,
    /// Memory of one as nvidia-smi shows it.
    pub memory: Bytes,
    /// Total memory of one as `cudaMemGetInfo` reports it.
    pub cuda_total: Bytes,
    /// The most that it may be, where it was not measured on this card.
    pub cuda_total_high: Bytes,
    /// The most that nvidia-smi may show for this server (`--vram`); else all of it.
    pub limit: Bytes,
    /// Compute capability × 10: 89 for 8.9. `None` where only a size is known.
    pub compute_capability: Option<u32>,
    /// Memory bandwidth from the data sheet, where known.
    pub memory_bandwidth: Option<BytesPerSecond>,
    /// Host link rate of the card's PCIe generation, where known.
    pub host_link: Option<BytesPerSecond>,
    /// The card's PCIe generation, where known.
    pub pcie_generation: Option<u8>,
    /// Dense 16-bit tensor throughput in 10^12 operations a second, where known.
    pub tflops_16bit: Option<f64>,
    /// Whether devices talk over NVLink.
    pub nvlink: bool,
    /// Streaming multiprocessors, where known.
    pub multiprocessors: Option<u32>,
    /// Driver version of the target, if given.
    pub driver: Option<Version>,
    /// Rates that were measured on such a card.
    pub rates: Option<Rates>,
    /// What was measured between such cards.
    pub interconnect: Option<Interconnect>,
    /// What was assumed about the devices, as sentences.
    pub assumed: Vec<String>,
}

impl Devices {
    /// The compute capability, where known.
    pub fn capability(&self) -> Option<ComputeCapability> {
        self.compute_capability.and_then(|sm| u16::try_from(sm).ok()).map(ComputeCapability::from_sm)
    }
}

/// The engine release of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineRelease {
    /// `vllm`.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// The torch version that its wheel pins.
    pub torch: String,
    /// The CUDA version that its default wheel is built for, such as `13.0`.
    pub cuda: String,
    /// The oldest driver that runs this wheel.
    pub min_driver: Version,
    /// The lowest compute capability × 10 with kernels in the wheel.
    pub min_compute_capability: u32,
    /// The container image to use, with its tag.
    pub image: String,
}

/// An environment variable that the launch needs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentVariable {
    /// Its value.
    pub value: String,
    /// Why it is needed, as a phrase that follows "because".
    pub reason: String,
}

/// What limits a decode step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Offloaded weights over PCIe.
    HostLink,
    /// Resident weights and KV from device memory.
    Hbm,
    /// Arithmetic.
    Compute,
    /// All-reduces between devices.
    Interconnect,
    /// Kernel launches.
    Launch,
}

impl Bound {
    /// The word of the JSON contract.
    pub const fn id(self) -> &'static str {
        match self {
            Self::HostLink => "host_link",
            Self::Hbm => "hbm",
            Self::Compute => "compute",
            Self::Interconnect => "interconnect",
            Self::Launch => "launch",
        }
    }
}

/// One decode estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct Decode {
    /// Requests in the batch.
    pub batch: u64,
    /// Tokens of context of each.
    pub context: u64,
    /// Time of one step: from one token of a request to its next.
    pub step: Milliseconds,
    /// Of it, what devices wait for each other: all-reduces, where they were measured, and hand-overs between stages.
    pub exchange: Milliseconds,
    /// Tokens a second of all requests together.
    pub tokens_per_second: f64,
    /// What limits it.
    pub bound_by: Bound,
    /// The host link that was assumed, such as "PCIe 4.0 x16", where it matters.
    pub host_link: Option<String>,
}

/// The speed estimate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// Where measured rates are from; `None` for nominal ones.
    pub source: Option<String>,
    /// What went into the estimates, with where each figure is from.
    pub inputs: Vec<Input>,
    /// Estimates, the launch's own concurrency first.
    pub decode: Vec<Decode>,
    /// The formula, for `explain`.
    pub formula: String,
    /// The ways in which the devices could share the model, where what they exchange was measured.
    pub ways: Option<Comparison>,
}

/// A value that the planner chose, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The flag.
    pub flag: String,
    /// The value chosen.
    pub value: String,
    /// Why, as a phrase.
    pub why: String,
}

/// Another launch worth knowing.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// What differs, as a phrase: "Qwen3-8B AWQ, no offload".
    pub change: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its arguments.
    pub args: Arguments,
    /// What nvidia-smi would show.
    pub device_used: Bytes,
    /// Its KV cache, in tokens.
    pub kv_tokens: u64,
    /// Its speed at batch 1, if estimated.
    pub tokens_per_second: Option<f64>,
}

/// A candidate that was considered and refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What it would have changed.
    pub change: String,
    /// Why not: code and sentence.
    pub reason: Reason,
}

/// One line of the validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Kebab-case id: `flags`, `offload-honoured`, `structure`, `wheel`, `budget`, `files`.
    pub id: String,
    /// What was proven or not, as a phrase: "14 flags exist in vLLM 0.25.1".
    pub statement: String,
    /// Whether it holds; `None` when it could not be looked at, which is not a pass.
    pub holds: Option<bool>,
}

/// The result of planning.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the user's words were understood, one line each: ("70b", "DeepSeek-R1-Distill-Llama-70B …", "--model to choose another").
    pub interpretations: Vec<Interpretation>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, for verdicts that are not plainly good.
    pub reasons: Vec<Reason>,
    /// Findings on the configuration that was given or chosen.
    pub findings: Vec<Finding>,
    /// The model.
    pub model: ModelSpec,
    /// The devices.
    pub devices: Devices,
    /// The engine release.
    pub engine: EngineRelease,
    /// The arguments to start with.
    pub args: Arguments,
    /// The environment to start with.
    pub env: IndexMap<String, EnvironmentVariable>,
    /// What the engine makes of them; `None` if that cannot be said.
    pub launch: Option<Launch>,
    /// The budget; `None` if it cannot be computed.
    pub budget: Option<Budget>,
    /// The speed.
    pub performance: Performance,
    /// Why each value was chosen.
    pub decisions: Vec<Decision>,
    /// Other launches, best first.
    pub alternatives: Vec<Alternative>,
    /// What was considered and refused.
    pub rejected: Vec<Rejected>,
    /// The validation, line by line.
    pub validation: Vec<Validation>,
}

/// How one word of the user's was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpretation {
    /// The word.
    pub given: String,
    /// What it means.
    pub meaning: String,
    /// How to say something else.
    pub instead: Option<String>,
}
