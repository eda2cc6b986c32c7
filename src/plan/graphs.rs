//! The CUDA graph term: what the driver keeps for each captured kernel, and the pool that captured steps share.

use crate::catalog::Bounded;
use crate::engine::launch::{GraphMode, Launch, Runner};
use crate::plan::budget::{Band, Input, Part, Term, TermName};
use crate::plan::evaluate::Setting;
use crate::plan::pieces::effective_quantization;
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
    let driver = driver_memory(captures, &widths, launch, setting);
    let pool = if captures.pieces + captures.steps > 0 { pool(captures, &widths, launch, setting) } else { Band::default() };
    let workspace = if captures.pieces + captures.steps > 0 { setting.mebibytes("graph.capture_workspace") } else { Band::default() };
    Term {
        name: TermName::CudaGraphs,
        size: driver + pool + workspace,
        formula:
            "sizes × (layers + 1) × driver memory a piece + decode sizes × layers × driver memory a layer + pool + workspace of the capture"
                .to_owned(),
        inputs: vec![
            Input { name: "mode".to_owned(), value: launch.graph_mode.name().to_owned(), source: "the launch".to_owned() },
            Input::new("captured sizes", captures.pieces.max(captures.steps), "the launch"),
            Input::new("of them whole decode steps", captures.steps, "max_num_seqs bounds them"),
            Input::new("layers", widths.layers, "the model"),
            setting.constant_input("graph.piece"),
            setting.constant_input(step_constant(&widths)),
            setting.constant_input("graph.capture_workspace"),
        ]
        .into_iter()
        .chain(unpacks_each_projection(launch, setting).then(|| setting.constant_input("graph.bitsandbytes_kernels")))
        .collect(),
        parts: [("driver", driver), ("pool", pool), ("workspace of the capture", workspace)]
            .map(|(name, band)| Part { name: name.to_owned(), bytes: band.expected })
            .into(),
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

/// What the engine subtracts for graphs, if it does: it captures the first two sizes of each mode and takes the
/// second one's cost for all others, at least 1 MiB each (`profile_cudagraph_memory`).
pub fn estimate(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Option<Band> {
    if !subtracted(launch, setting) {
        return None;
    }
    let captures = captures(launch);
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let mib = |mib: f64| Bytes::from_f64(mib * 1_048_576.0);
    let first = Bytes(piece_pool(captures, &widths, launch)) + setting.mebibytes("graph.capture_workspace").expected + mib(20.0);
    let first = first.max(Bytes(accumulator(captures, &widths)));
    let step_mib = 2.0 * (widths.layers as f64 * setting.constant(step_constant(&widths)).value / 2.0 + 0.5).floor();
    let kernels = kernels(launch, setting).value;
    let others = mib(1.0_f64.max(2.0 * kernels * chunks_opened(widths.layers + 1) as f64)) * captures.pieces.saturating_sub(1)
        + mib((kernels * step_mib).max(1.0)) * captures.steps.saturating_sub(1);
    let share = setting.constant("graph.estimate_share");
    let expected = first + others;
    Some(Band { low: expected.scale(share.low), expected, high: expected.scale(share.high) })
}

/// Chunks of 2 MiB that the driver opens while the second size of `pieces` graphs is captured: a new one for
/// every 32nd and every 43rd graph.
fn chunks_opened(pieces: u64) -> u64 {
    (pieces..2 * pieces).filter(|graph| graph % 32 == 8 || *graph >= 35 && (graph - 35) % 43 == 0).count() as u64
}

/// Whether each projection is unpacked in kernels of its own: bitsandbytes in 4 bits.
fn unpacks_each_projection(launch: &Launch, setting: &Setting<'_>) -> bool {
    effective_quantization(setting.model, launch)
        .is_some_and(|quantization| quantization.method == "bitsandbytes" && quantization.bits == 4)
}

/// Kernels of a piece, times those of a plain one.
fn kernels(launch: &Launch, setting: &Setting<'_>) -> Bounded {
    if unpacks_each_projection(launch, setting) {
        setting.constant("graph.bitsandbytes_kernels")
    } else {
        Bounded { low: 1.0, value: 1.0, high: 1.0 }
    }
}

fn driver_memory(captures: Captures, widths: &Widths, launch: &Launch, setting: &Setting<'_>) -> Band {
    let pieces = (captures.pieces * (widths.layers + 1)) as f64;
    let layers = (captures.steps * widths.layers) as f64;
    let (piece, step) = (setting.constant("graph.piece"), setting.constant(step_constant(widths)));
    let kernels = kernels(launch, setting);
    let mib = |piece: f64, step: f64, kernels: f64| Bytes::from_f64((pieces * piece + layers * step) * kernels * 1_048_576.0);
    Band {
        low: mib(piece.low, step.low, kernels.low),
        expected: mib(piece.value, step.value, kernels.value),
        high: mib(piece.high, step.high, kernels.high),
    }
}

/// Which constant says what the driver keeps for a layer of a whole step.
const fn step_constant(widths: &Widths) -> &'static str {
    if widths.experts_per_token > 0 { "graph.expert_step_layer" } else { "graph.step_layer" }
}

/// Intermediates of the largest captured pieces.
const fn piece_pool(captures: Captures, widths: &Widths, launch: &Launch) -> u64 {
    let dense = if widths.experts_per_token > 0 { 0 } else { 3 * widths.intermediate };
    launch.dtype.bytes() * captures.largest_piece * (dense + 2 * (widths.query + 2 * widths.key) + 6 * widths.hidden)
}

/// FlashAttention 3 keeps the partial outputs of 32 splits in fp32 (`flash_attn_max_num_splits_for_cuda_graph`).
const fn accumulator(captures: Captures, widths: &Widths) -> u64 {
    32 * captures.largest_step * widths.query * 4
}

/// The pool that captured steps share. The V2 runner captures whole steps on a stream of its own, so that they
/// cannot reuse the pieces' blocks, and allocates the accumulator twice when a layer buffer splits the first.
fn pool(captures: Captures, widths: &Widths, launch: &Launch, setting: &Setting<'_>) -> Band {
    let unpacked = if unpacks_each_projection(launch, setting) { widths.unpacked_projection(launch.dtype) } else { Bytes::ZERO };
    let pieces = Bytes(piece_pool(captures, widths, launch)) + unpacked;
    if captures.steps == 0 {
        return Band::exact(pieces);
    }
    let splits = setting.devices.compute_capability.is_none_or(|capability| capability == 90);
    let once = Bytes(accumulator(captures, widths));
    let twice = launch.runner == Runner::V2 && 2 * captures.largest_step * widths.hidden > 1 << 20;
    let stream = if launch.runner == Runner::V2 { setting.mebibytes("graph.v2_stream") } else { Band::default() };
    let kept = if twice { once + once } else { once };
    let accumulators = Band {
        low: if setting.devices.compute_capability == Some(90) { kept } else { Bytes::ZERO },
        expected: if splits { kept } else { Bytes::ZERO },
        high: kept,
    };
    Band::exact(pieces) + stream + accumulators
}
