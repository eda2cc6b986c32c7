//! The CUDA graph term: what the driver keeps for each captured kernel, and the pool that captured steps share.

use crate::engine::launch::{GraphMode, Launch, Runner};
use crate::plan::budget::{Band, Input, Part, Term, TermName};
use crate::plan::evaluate::Setting;
use crate::plan::sharding::Stage;
use crate::plan::widths::{Widths, widths};
use crate::units::Bytes;

/// How many graphs of each kind a launch captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captures {
    /// Sizes for which the pieces between attention calls are captured.
    pub pieces: u64,
    /// Sizes for which whole steps are captured.
    pub steps: u64,
    /// The largest size of the pieces.
    pub largest_piece: u64,
    /// The largest size of a whole step.
    pub largest_step: u64,
}

/// What `launch` captures: whole decode steps only up to `max_num_seqs`.
pub fn captures(launch: &Launch) -> Captures {
    let steps = || launch.capture_sizes.iter().copied().filter(|size| *size <= launch.max_num_seqs);
    let (pieces, whole) = match launch.graph_mode {
        GraphMode::None => (false, false),
        GraphMode::Piecewise => (true, false),
        GraphMode::Full | GraphMode::FullDecodeOnly => (false, true),
        GraphMode::FullAndPiecewise => (true, true),
    };
    Captures {
        pieces: if pieces { launch.capture_sizes.len() as u64 } else { 0 },
        steps: if whole { steps().count() as u64 } else { 0 },
        largest_piece: if pieces { launch.capture_sizes.last().copied().unwrap_or(0) } else { 0 },
        largest_step: if whole { steps().max().unwrap_or(0) } else { 0 },
    }
}

/// The graph term of a rank of `stage`. It lies inside the requested size only where the engine subtracts its
/// own estimate from the KV budget, which the V2 runner does not do (`profile_cudagraph_memory` returns 0).
pub fn cuda_graphs(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Term {
    let captures = captures(launch);
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let driver = driver_memory(captures, &widths, setting);
    let pool = Band::exact(pool(captures, &widths, launch));
    let workspace = if captures.pieces + captures.steps > 0 { setting.mebibytes("graph.capture_workspace") } else { Band::default() };
    let number =
        |name: &str, value: u64, source: &str| Input { name: name.to_owned(), value: value.to_string(), source: source.to_owned() };
    Term {
        name: TermName::CudaGraphs,
        size: driver + pool + workspace,
        formula: "sizes × (layers + 1) × driver memory a piece + decode sizes × layers × driver memory a layer + pool".to_owned(),
        inputs: vec![
            Input { name: "mode".to_owned(), value: launch.graph_mode.name().to_owned(), source: "the launch".to_owned() },
            number("captured sizes", captures.pieces.max(captures.steps), "the launch"),
            number("of them whole decode steps", captures.steps, "max_num_seqs bounds them"),
            number("layers", widths.layers, "the model"),
            setting.constant_input("graph.piece"),
            setting.constant_input("graph.step_layer"),
        ],
        parts: vec![Part { name: "driver".to_owned(), bytes: driver.expected }, Part { name: "pool".to_owned(), bytes: pool.expected }],
        inside_requested: subtracted(launch, setting),
        note: match launch.graph_mode {
            GraphMode::None => "off".to_owned(),
            mode => format!("{}, {} sizes", mode.name(), launch.capture_sizes.len()),
        },
    }
}

/// Whether the engine subtracts its estimate of the graphs from the KV budget.
pub fn subtracted(launch: &Launch, setting: &Setting<'_>) -> bool {
    if launch.graph_mode == GraphMode::None || launch.runner == Runner::V2 && !setting.era.v2_runner_estimates_graphs {
        return false;
    }
    match launch.env.get("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS").map(String::as_str) {
        Some("0") => false,
        Some(_) => setting.era.graphs_can_be_subtracted,
        None => setting.era.graphs_subtracted,
    }
}

fn driver_memory(captures: Captures, widths: &Widths, setting: &Setting<'_>) -> Band {
    let pieces = (captures.pieces * (widths.layers + 1)) as f64;
    let layers = (captures.steps * widths.layers) as f64;
    let step = if widths.experts_per_token > 0 { "graph.expert_step_layer" } else { "graph.step_layer" };
    let (piece, step) = (setting.constant("graph.piece"), setting.constant(step));
    let mib = |piece: f64, step: f64| Bytes::from_f64((pieces * piece + layers * step) * 1_048_576.0);
    Band { low: mib(piece.low, step.low), expected: mib(piece.value, step.value), high: mib(piece.high, step.high) }
}

/// The pool: intermediates of the largest pieces, and of whole steps the split-KV accumulators of attention.
fn pool(captures: Captures, widths: &Widths, launch: &Launch) -> Bytes {
    let bytes = launch.dtype.bytes();
    let pieces = bytes * captures.largest_piece * (3 * widths.intermediate + 2 * (widths.query + 2 * widths.key) + 6 * widths.hidden);
    // flash_fwd_splitkv keeps its partial outputs in fp32, one a query head.
    let accumulator = 32 * captures.largest_step * widths.query * 4;
    let steps = match launch.runner {
        Runner::V2 if captures.steps > 0 => {
            let twice = 2 * captures.largest_step * widths.hidden > 1 << 20;
            (54 << 20) + if twice { 2 * accumulator } else { accumulator }
        }
        _ => accumulator,
    };
    Bytes(pieces + steps)
}
