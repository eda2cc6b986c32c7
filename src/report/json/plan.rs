//! `gpudoctor.plan/1`: what `plan --format json` prints. Fields may be added; none is renamed or removed under `/1`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::plan::outcome;
use crate::report::View;
use crate::report::json::finding::Finding;

mod from;

/// The contract's name and version.
pub const SCHEMA: &str = "gpudoctor.plan/1";

/// The report of `gpudoctor plan`. All figures are per GPU, for the rank that needs most.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanReport {
    /// `gpudoctor.plan/1`.
    pub schema: &'static str,
    /// The exit code of the command.
    pub exit_code: u8,
    /// `fits`, `fits_with_offload`, `does_not_fit` or `invalid`.
    pub verdict: &'static str,
    /// Why, for verdicts that are not plainly good.
    pub reasons: Vec<Reason>,
    /// How each word of the request was understood.
    pub interpretations: Vec<Interpretation>,
    /// The model.
    pub model: Model,
    /// The engine release.
    pub engine: Engine,
    /// The devices; entries differ in kind, `count` says how many of each.
    pub devices: Vec<Device>,
    /// What to start.
    pub launch: Launch,
    /// The memory; `null` where it cannot be computed.
    pub budget: Option<Budget>,
    /// The speed.
    pub performance: Performance,
    /// Why each value was chosen.
    pub decisions: Vec<Decision>,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// Other launches, best first.
    pub alternatives: Vec<Alternative>,
    /// What was considered and refused.
    pub rejected: Vec<Rejected>,
    /// What was proven.
    pub validation: Vec<Validation>,
    /// The files that were written.
    pub artifacts: Vec<Artifact>,
}

/// Why a launch was refused, or what it costs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reason {
    /// Kebab-case code.
    pub code: String,
    /// The fact, then the requirement.
    pub message: String,
    /// By how many bytes memory is short.
    pub short_by_bytes: Option<u64>,
}

/// How one word of the request was understood.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Interpretation {
    /// The word.
    pub given: String,
    /// What it means.
    pub meaning: String,
}

/// The model.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Model {
    /// The hub id or path.
    pub id: String,
    /// The architecture that the engine dispatches on.
    pub architecture: String,
    /// All parameters.
    pub parameters: u64,
    /// Parameters that one token uses.
    pub active_parameters: u64,
    /// The longest context without an override, in tokens.
    pub context_length: u64,
    /// Where the shape was read.
    pub source: String,
    /// What was assumed.
    pub assumed: Vec<String>,
}

/// The engine release.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Engine {
    /// `vllm`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The torch version that its wheel pins.
    pub torch: String,
    /// The CUDA version of its default wheel.
    pub cuda: String,
    /// The oldest driver that runs it.
    pub min_driver: String,
    /// The container image.
    pub image: String,
}

/// Devices of one kind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Device {
    /// The name.
    pub name: String,
    /// How many.
    pub count: u64,
    /// Memory of one as nvidia-smi shows it.
    pub memory_bytes: u64,
    /// The most that nvidia-smi may show for this server.
    pub limit_bytes: u64,
    /// What was assumed.
    pub assumed: Vec<String>,
}

/// What to start.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Launch {
    /// Flags without dashes, and their values. Secrets are masked.
    pub args: IndexMap<String, Value>,
    /// Environment variables. Secrets are masked.
    pub env: IndexMap<String, String>,
    /// The command.
    pub command: String,
}

/// The memory of one GPU.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Budget {
    /// Total memory as the engine sees it.
    pub memory_total_bytes: u64,
    /// What the engine may take.
    pub requested_bytes: u64,
    /// The terms.
    pub terms: Vec<Term>,
    /// The KV cache.
    pub kv_cache: KvCache,
    /// What nvidia-smi will show after start.
    pub device_used_bytes: u64,
    /// The most that nvidia-smi will show.
    pub device_used_high_bytes: u64,
    /// Host memory that the launch needs, all ranks together.
    pub host_memory_bytes: u64,
}

/// One term of the budget.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Term {
    /// `weights`, `kv_cache`, `activation_peak`, `non_torch`, `cuda_graphs`, `context` or `headroom`.
    pub name: &'static str,
    /// What it will be.
    pub bytes: u64,
    /// The least that it can be.
    pub low: u64,
    /// The most that it can be.
    pub high: u64,
    /// The formula.
    pub formula: String,
    /// What went in.
    pub inputs: Vec<Input>,
    /// Whether the engine counts it inside the requested size.
    pub inside_requested: bool,
}

/// A value that a formula used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Input {
    /// Its name in the formula.
    pub name: String,
    /// Its value, with its unit.
    pub value: String,
    /// Where it was read.
    pub source: String,
}

/// The KV cache.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KvCache {
    /// Bytes allocated.
    pub bytes: u64,
    /// Tokens it holds.
    pub tokens: u64,
    /// Blocks.
    pub blocks: u64,
    /// Tokens a block.
    pub block_size: u64,
    /// Bytes a token.
    pub bytes_per_token: u64,
    /// Requests of the full length that fit at once.
    pub max_concurrency: f64,
}

/// The speed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Performance {
    /// `measured` or `nominal`.
    pub basis: &'static str,
    /// Where measured rates are from.
    pub source: Option<String>,
    /// Decode steps.
    pub decode: Vec<Decode>,
    /// The ways in which the devices could share the model; `null` for one device, and where what they exchange was not measured.
    pub ways: Option<Ways>,
}

/// The ways in which devices could share the model, for requests with 768 tokens of prompt and 512 of answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ways {
    /// Where the measurements between the devices are from.
    pub source: String,
    /// The way of the launch first, then the others that fit, fastest first.
    pub compared: Vec<Way>,
}

/// How fast requests are served one way.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Way {
    /// Tensor parallel size.
    pub tensor_parallel_size: u64,
    /// Pipeline parallel size.
    pub pipeline_parallel_size: u64,
    /// Whether it is that of the launch.
    pub chosen: bool,
    /// Requests at once.
    pub requests: u64,
    /// Time from one token of a request to its next, in milliseconds.
    pub step_ms: f64,
    /// Of it, what devices wait for each other.
    pub exchange_ms: f64,
    /// Time that a prompt takes of the engine, in milliseconds.
    pub prefill_ms: f64,
    /// Tokens of answers a second of all requests together, prompts counted in.
    pub tokens_per_second: f64,
    /// The all-reduces of a step; `null` without tensor parallelism.
    pub all_reduces: Option<AllReduces>,
}

/// The all-reduces of a step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AllReduces {
    /// How many.
    pub count: u64,
    /// Bytes of each.
    pub bytes: u64,
    /// Time of each in microseconds.
    pub each_us: f64,
    /// How that follows from what was measured: `between` two sizes, as the `smallest`, or at the rate of the `largest`.
    pub reach: &'static str,
}

/// A decode step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Decode {
    /// Requests in the batch.
    pub batch: u64,
    /// Tokens of context of each.
    pub context: u64,
    /// Time of a step in milliseconds.
    pub step_ms: f64,
    /// Tokens a second of all requests together.
    pub tokens_per_second: f64,
    /// Of the step, what devices wait for each other, as far as it was measured.
    pub exchange_ms: f64,
    /// `host_link`, `hbm`, `compute`, `interconnect` or `launch`.
    pub bound_by: &'static str,
    /// The host link that was assumed, where it matters.
    pub host_link: Option<String>,
}

/// Why a value was chosen.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Decision {
    /// The flag.
    pub flag: String,
    /// The value.
    pub value: String,
    /// Why.
    pub why: String,
}

/// Another launch.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alternative {
    /// What differs.
    pub change: String,
    /// Its verdict.
    pub verdict: &'static str,
    /// Its flags.
    pub args: IndexMap<String, Value>,
    /// What nvidia-smi would show.
    pub device_used_bytes: u64,
    /// Tokens of its KV cache.
    pub kv_tokens: u64,
    /// Its speed for one request.
    pub tokens_per_second: Option<f64>,
}

/// A refused candidate.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Rejected {
    /// What it would have changed.
    pub change: String,
    /// Why not, as a code.
    pub code: String,
    /// Why not.
    pub reason: String,
    /// By how many bytes memory is short.
    pub short_by_bytes: Option<u64>,
}

/// One line of the validation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validation {
    /// Kebab-case id.
    pub id: String,
    /// What was proven or not.
    pub statement: String,
    /// Whether it holds; `null` when it could not be looked at.
    pub holds: Option<bool>,
}

/// A file that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Artifact {
    /// Where.
    pub path: String,
    /// `engine_config`, `environment`, `dockerfile`, `compose`, `kubernetes` or `explanation`.
    pub kind: &'static str,
}

/// The report as JSON, indented. Ends with a line break.
///
/// # Errors
/// When a value has no JSON form.
pub fn render(plan: &outcome::Plan, view: &View, exit_code: u8) -> Result<String, serde_json::Error> {
    let mut report = PlanReport::from(plan);
    report.exit_code = exit_code;
    report.artifacts = view.written.iter().map(|file| Artifact { path: file.path.display().to_string(), kind: file.kind.id() }).collect();
    serde_json::to_string_pretty(&report).map(|text| text + "\n")
}

/// The JSON Schema of the contract.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(PlanReport);
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_report_is_the_contract() {
        let text = render(&sample::plan(), &View::default(), 0).unwrap();
        snapbox::assert_data_eq!(text, snapbox::file!["plan/sample.json"]);
    }

    #[test]
    fn the_contract_has_every_field_of_the_design() {
        let report = serde_json::to_value(PlanReport::from(&sample::plan())).unwrap();
        let missing = |pointer: &&str| report.pointer(pointer).is_none();
        let wanted = [
            "/schema",
            "/verdict",
            "/reasons/0/short_by_bytes",
            "/model/source",
            "/model/assumed",
            "/engine/version",
            "/devices/0/memory_bytes",
            "/devices/0/assumed",
            "/launch/args",
            "/launch/env",
            "/launch/command",
            "/budget/memory_total_bytes",
            "/budget/requested_bytes",
            "/budget/terms/0/inside_requested",
            "/budget/kv_cache/max_concurrency",
            "/budget/device_used_bytes",
            "/budget/host_memory_bytes",
            "/performance/basis",
            "/performance/decode/0/bound_by",
            "/alternatives",
            "/rejected/0/code",
            "/artifacts",
            "/validation/0/holds",
            "/findings/0/evidence/0/source",
        ];
        let missing: Vec<&str> = wanted.into_iter().filter(missing).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
