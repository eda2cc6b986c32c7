//! What lies outside weights, cache, activations and graphs: the CUDA context and communicators, what libraries
//! take beside torch, and what torch's allocator keeps after start.

use crate::catalog::AccountingEra;
use crate::engine::launch::{GraphMode, Launch, Offload, Runner};
use crate::plan::activations::{USUAL_MULTIPROCESSORS, latent_workspace, peaks, rows};
use crate::plan::budget::{Band, Input, Part, Term, TermName};
use crate::plan::evaluate::Setting;
use crate::plan::pieces::{effective_quantization, leaves_dense_layers_plain};
use crate::plan::sharding::Stage;
use crate::plan::weights::Weights;
use crate::plan::widths::{Widths, widths};
use crate::units::Bytes;

/// The context term: what is gone before the engine's first snapshot. In the oldest era it counts against the
/// requested size, later it lies outside.
pub fn context(launch: &Launch, setting: &Setting<'_>) -> Term {
    let (context, mut inputs) = bare_context(setting);
    let mut size = context;
    let mut parts = vec![Part { name: "CUDA context".to_owned(), bytes: context.expected }];
    let together = setting.era.communicators_before_snapshot || setting.era.accounting == AccountingEra::DeviceInUse;
    if launch.parallel.devices() > 1 && together {
        // NCCL's start runs the first kernels, so that their modules are loaded before the snapshot, too.
        let early = setting.era.communicators_before_snapshot.then_some("non_torch.first_kernels");
        let names = early.into_iter().chain(communicators(launch, setting));
        for name in names {
            let band = setting.mebibytes(name);
            size = size + band;
            inputs.push(setting.constant_input(name));
            parts.push(Part { name: name.to_owned(), bytes: band.expected });
        }
    }
    let inside = setting.era.accounting == AccountingEra::DeviceInUse;
    Term {
        name: TermName::Context,
        size,
        formula: "CUDA context + communicators set up before the first snapshot".to_owned(),
        inputs,
        parts,
        inside_requested: inside,
        note: if inside { "counted inside the requested size up to 0.9.0" } else { "outside the requested size" }.to_owned(),
    }
}

/// The context alone: as measured on this architecture, else from the threads that the card keeps resident, else,
/// where not even those are known, as on cards of that capability.
fn bare_context(setting: &Setting<'_>) -> (Band, Vec<Input>) {
    let measured = setting.devices.compute_capability == Some(90);
    let Some(multiprocessors) = setting.devices.multiprocessors.filter(|_| !measured) else {
        return (setting.mebibytes("context"), vec![setting.constant_input("context")]);
    };
    let threads = f64::from(multiprocessors) * setting.constant("context.threads_per_multiprocessor").value;
    let each = setting.constant("context.per_thread");
    let kibibytes = |each: f64| Bytes::from_f64(each * threads * 1024.0);
    let local = Band { low: kibibytes(each.low), expected: kibibytes(each.value), high: kibibytes(each.high) };
    let names = ["context.base", "context.per_thread", "context.threads_per_multiprocessor"];
    let mut inputs = vec![Input::new("multiprocessors", multiprocessors, "the card")];
    inputs.extend(names.map(|name| setting.constant_input(name)));
    (setting.mebibytes("context.base") + local, inputs)
}

/// The constants of what communication takes when it is set up.
fn communicators(launch: &Launch, setting: &Setting<'_>) -> Vec<&'static str> {
    let mut names = vec![if setting.devices.nvlink { "communicators.nvlink" } else { "communicators.pcie" }];
    if setting.devices.nvlink && launch.parallel.tensor > 1 {
        names.push("communicators.tensor");
        if setting.model.is_mixture_of_experts() {
            names.push("communicators.experts");
        }
    }
    names
}

/// The non-torch term of a rank of `stage`: growth outside torch's allocator between the first snapshot and the
/// end of profiling.
pub fn non_torch(launch: &Launch, setting: &Setting<'_>, weights: &Weights, stage: &Stage) -> Term {
    let mut size = Band::default();
    let mut inputs = Vec::new();
    let mut parts = Vec::new();
    let mut add = |name: &str, band: Band| {
        size = size + band;
        inputs.push(setting.constant_input(name));
        parts.push(Part { name: name.to_owned(), bytes: band.expected });
    };
    for name in grown_modules(launch, setting, stage) {
        add(name, setting.mebibytes(name));
    }
    if weights.pinned > Bytes::ZERO {
        let share = setting.constant("non_torch.per_pinned_gib");
        let mib = |each: f64| Bytes::from_f64(each * weights.pinned.gib() * 1_048_576.0);
        add("non_torch.per_pinned_gib", Band { low: mib(share.low), expected: mib(share.value), high: mib(share.high) });
    }
    if launch.parallel.tensor > 1 {
        add("non_torch.collectives", setting.mebibytes("non_torch.collectives"));
    }
    let counted_here = !setting.era.communicators_before_snapshot && setting.era.accounting != AccountingEra::DeviceInUse;
    if launch.parallel.devices() > 1 && counted_here {
        for name in communicators(launch, setting) {
            add(name, setting.mebibytes(name));
        }
    }
    Term {
        name: TermName::NonTorch,
        size,
        formula: "kernel modules loaded after the snapshot + page tables × pinned GiB + collectives".to_owned(),
        inputs,
        parts,
        inside_requested: true,
        note: match (&launch.offload, launch.parallel.tensor) {
            (Some(Offload::Uva { .. }), _) => "with offload in place".to_owned(),
            (_, 2..) => "with collectives".to_owned(),
            _ => "kernel modules, library handles".to_owned(),
        },
    }
}

/// The constants of the modules that load after the snapshot: all of them on one device; with several ranks only
/// those of cuBLAS, on a rank that has a 16-bit product in its layers or its head.
fn grown_modules(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Vec<&'static str> {
    if launch.parallel.devices() == 1 || !setting.era.communicators_before_snapshot {
        return vec!["non_torch.modules"];
    }
    let quantization = effective_quantization(setting.model, launch);
    let plain = quantization.is_none_or(|quantization| leaves_dense_layers_plain(setting.model, setting.era, &quantization));
    if plain || stage.last { vec!["non_torch.cublas"] } else { Vec::new() }
}

/// Buffers that the runner and the offloader keep. No term that the engine prints has them up to 0.26; from 0.27
/// on they count as consumed.
pub fn persistent(launch: &Launch, setting: &Setting<'_>, stage: &Stage, weights: &Weights) -> Bytes {
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let hidden = launch.max_num_batched_tokens * widths.hidden * launch.dtype.bytes();
    let received = if stage.first { 0 } else { 2 * hidden };
    let own = match launch.runner {
        // Output token counts, two bit masks of the vocabulary, and per-request tables of sampling parameters.
        Runner::V2 if stage.last => launch.max_num_seqs * (4 * widths.vocabulary + 8 * widths.vocabulary.div_ceil(32) + 4 * 4353),
        Runner::V2 => 0,
        Runner::V0 | Runner::V1 => hidden,
    };
    Bytes(own + received) + weights.buffers
}

/// What stays in use after start beside the other terms: buffers that the runner keeps, workspaces, and
/// segments that torch's allocator does not give back after the warm-up. Part of what nvidia-smi shows.
pub fn retained(launch: &Launch, setting: &Setting<'_>, stage: &Stage, weights: &Weights) -> Term {
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let peaks = peaks(launch, setting, stage);
    let persistent = persistent(launch, setting, stage, weights);
    let sampler = sampler_segments(&widths, launch, setting, stage);
    let kept = if launch.graph_mode == GraphMode::None {
        let forward = forward_segments(&widths, launch);
        forward.iter().sum::<u64>() + placed(&forward, &sampler)
    } else {
        // Capture begins with an empty cache; what the sampler's warm-up takes after it stays.
        sampler.iter().sum::<u64>() + (80 << 20)
    };
    let workspace = setting.mebibytes("cublas.workspace");
    let channels = pipeline_channels(launch, setting, stage);
    let share = setting.constant("retained.share");
    let kept_band =
        Band { low: Bytes(kept).scale(share.low), expected: Bytes(kept).scale(share.value), high: Bytes(kept).scale(share.high) };
    Term {
        name: TermName::Headroom,
        size: kept_band + Band::exact(persistent + peaks.expert_workspace) + workspace + workspace + channels,
        formula: "buffers of the runner + expert workspace + 2 cuBLAS workspaces + segments kept by the allocator".to_owned(),
        inputs: vec![setting.constant_input("cublas.workspace"), setting.constant_input("retained.share")],
        parts: vec![
            Part { name: "buffers of the runner".to_owned(), bytes: persistent },
            Part { name: "segments kept by the allocator".to_owned(), bytes: Bytes(kept) },
        ],
        inside_requested: false,
        note: "kept after start".to_owned(),
    }
}

/// Channels that pipeline stages open at their first step, after the KV cache was sized. The V1 runner takes no
/// such step at start: it opens them with the first request.
fn pipeline_channels(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Band {
    if launch.parallel.pipeline == 1 {
        return Band::default();
    }
    let when = |applies: bool, name: &str| if applies { setting.mebibytes(name) } else { Band::default() };
    let links = when(!stage.last, "pipeline.sender") + when(!stage.first, "pipeline.receiver");
    match launch.runner {
        Runner::V2 => links + setting.mebibytes("pipeline.v2_broadcast"),
        Runner::V0 | Runner::V1 => Band { low: Bytes::ZERO, expected: Bytes::ZERO, high: links.high },
    }
}

/// Segments that the sampler's warm-up leaves.
fn sampler_segments(widths: &Widths, launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Vec<u64> {
    if !stage.last {
        return Vec::new();
    }
    let (rows, vocabulary, bytes) = (rows(launch), widths.vocabulary, launch.dtype.bytes());
    let mut segments = vec![4 * rows * vocabulary, bytes * rows * vocabulary];
    if launch.parallel.tensor > 1 {
        segments.push(bytes * rows * vocabulary);
    }
    match launch.runner {
        Runner::V2 => {
            let multiprocessors = u64::from(setting.devices.multiprocessors.unwrap_or(USUAL_MULTIPROCESSORS));
            segments.push(4 * multiprocessors * vocabulary);
        }
        Runner::V0 | Runner::V1 => segments.extend([4 * rows * vocabulary; 2]),
    }
    segments
}

/// Segments that the eager forward pass leaves in the allocator.
fn forward_segments(widths: &Widths, launch: &Launch) -> Vec<u64> {
    let all = launch.dtype.bytes() * launch.max_num_batched_tokens;
    let Widths { hidden, query, key, intermediate, .. } = *widths;
    let mut segments = vec![all * hidden; 4];
    if widths.experts_per_token > 0 {
        segments.extend([all * (query + 2 * key); 2]);
        segments.extend([all * query; 2]);
    } else {
        segments.extend([all * 2 * intermediate, all * intermediate, all * (query + 2 * key), all * (query + key)]);
    }
    if widths.up_projected > 0 {
        segments.push(latent_workspace(widths, launch).0);
    }
    if launch.parallel.tensor > 1 {
        // The all-reduce writes to a tensor of its own.
        segments.extend([all * hidden; 2]);
    }
    segments
}

/// Best fit, as torch's allocator places blocks: what `requests` need beyond the free `segments`.
fn placed(segments: &[u64], requests: &[u64]) -> u64 {
    let mut free = segments.to_vec();
    let mut requests = requests.to_vec();
    requests.sort_unstable_by(|left, right| right.cmp(left));
    let mut new = 0;
    for request in requests {
        let request = request.next_multiple_of(2 << 20);
        match free.iter_mut().filter(|segment| **segment >= request).min() {
            Some(segment) => *segment -= request,
            None => new += request,
        }
    }
    new
}
