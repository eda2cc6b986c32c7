//! What lies outside weights, cache, activations and graphs: the CUDA context and communicators, what libraries
//! take beside torch, and what torch's allocator keeps after start.

use crate::catalog::AccountingEra;
use crate::engine::launch::{GraphMode, Launch, Offload, Runner};
use crate::plan::activations::{peaks, rows};
use crate::plan::budget::{Band, Input, Part, Term, TermName};
use crate::plan::evaluate::Setting;
use crate::plan::sharding::Stage;
use crate::plan::weights::Weights;
use crate::plan::widths::widths;
use crate::units::Bytes;

/// The context term: what is gone before the engine's first snapshot. In the oldest era it counts against the
/// requested size, later it lies outside.
pub fn context(launch: &Launch, setting: &Setting<'_>) -> Term {
    let context = setting.mebibytes("context");
    let mut size = context;
    let mut inputs = vec![setting.constant_input("context")];
    let mut parts = vec![Part { name: "CUDA context".to_owned(), bytes: context.expected }];
    if launch.parallel.devices() > 1 && (setting.era.communicators_before_snapshot || setting.era.accounting == AccountingEra::DeviceInUse)
    {
        let name = communicator(setting);
        let communicators = setting.mebibytes(name);
        size = size + communicators;
        inputs.push(setting.constant_input(name));
        parts.push(Part { name: "NCCL and custom all-reduce".to_owned(), bytes: communicators.expected });
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

fn communicator(setting: &Setting<'_>) -> &'static str {
    if setting.devices.nvlink { "communicators.nvlink" } else { "communicators.pcie" }
}

/// The non-torch term: growth outside torch's allocator between the first snapshot and the end of profiling.
pub fn non_torch(launch: &Launch, setting: &Setting<'_>, weights: &Weights) -> Term {
    let base = setting.mebibytes("non_torch.modules");
    let mut size = base;
    let mut inputs = vec![setting.constant_input("non_torch.modules")];
    let mut parts = vec![Part { name: "kernel modules and library handles".to_owned(), bytes: base.expected }];
    let mut add = |name: &str, title: &str, band: Band, input: Input| {
        size = size + band;
        inputs.push(input);
        parts.push(Part { name: format!("{title} ({name})"), bytes: band.expected });
    };
    if matches!(launch.offload, Some(Offload::Uva { .. })) {
        let gib = weights.offloaded.gib();
        let share = setting.constant("non_torch.per_pinned_gib");
        let mib = |each: f64| Bytes::from_f64(each * gib * 1_048_576.0);
        let band = Band { low: mib(share.low), expected: mib(share.value), high: mib(share.high) };
        add("non_torch.per_pinned_gib", "page tables of pinned host memory", band, setting.constant_input("non_torch.per_pinned_gib"));
    }
    if launch.parallel.devices() > 1 {
        let name = "non_torch.collectives";
        add(name, "collectives' first use", setting.mebibytes(name), setting.constant_input(name));
        if !setting.era.communicators_before_snapshot && setting.era.accounting != AccountingEra::DeviceInUse {
            let name = communicator(setting);
            add(name, "NCCL and custom all-reduce", setting.mebibytes(name), setting.constant_input(name));
        }
    }
    Term {
        name: TermName::NonTorch,
        size,
        formula: "modules and handles + page tables × offloaded GiB + collectives".to_owned(),
        inputs,
        parts,
        inside_requested: true,
        note: match (&launch.offload, launch.parallel.devices()) {
            (Some(Offload::Uva { .. }), _) => "with offload in place".to_owned(),
            (_, 2..) => "with collectives".to_owned(),
            _ => "kernel modules, library handles".to_owned(),
        },
    }
}

/// What stays in use after start beside the other terms: buffers that the runner keeps, workspaces, and
/// segments that torch's allocator does not give back after the warm-up. Part of what nvidia-smi shows.
pub fn retained(launch: &Launch, setting: &Setting<'_>, stage: &Stage) -> Term {
    let widths = widths(setting.model, launch, stage.layers.len() as u64);
    let peaks = peaks(launch, setting, stage);
    let (rows, vocabulary, tokens) = (rows(launch), widths.vocabulary, launch.max_num_batched_tokens);
    let bytes = launch.dtype.bytes();
    let persistent = match launch.runner {
        // Output token counts, two bit masks of the vocabulary, and per-request tables of sampling parameters.
        Runner::V2 => launch.max_num_seqs * (vocabulary * 4 + 8 * vocabulary.div_ceil(32) + 4 * 4353),
        Runner::V0 | Runner::V1 => tokens * widths.hidden * bytes,
    };
    let multiprocessors = u64::from(setting.devices.multiprocessors.unwrap_or(108));
    let mut sampler = vec![4 * rows * vocabulary, bytes * rows * vocabulary];
    match launch.runner {
        Runner::V2 => sampler.push(4 * multiprocessors * vocabulary),
        Runner::V0 | Runner::V1 => sampler.extend([4 * rows * vocabulary; 2]),
    }
    if !stage.last {
        sampler.clear();
    }
    let forward = forward_segments(&widths, tokens, bytes);
    let kept = if launch.graph_mode == GraphMode::None {
        forward.iter().sum::<u64>() + placed(&forward, &sampler)
    } else {
        sampler.iter().sum::<u64>() + (80 << 20)
    };
    let workspace = setting.mebibytes("cublas.workspace");
    let band = setting.constant("retained.share");
    let kept_band = Band { low: Bytes(kept).scale(band.low), expected: Bytes(kept).scale(band.value), high: Bytes(kept).scale(band.high) };
    Term {
        name: TermName::Headroom,
        size: kept_band + Band::exact(Bytes(persistent) + peaks.expert_workspace) + workspace + workspace,
        formula: "buffers of the runner + expert workspace + 2 cuBLAS workspaces + segments kept by the allocator".to_owned(),
        inputs: vec![setting.constant_input("cublas.workspace"), setting.constant_input("retained.share")],
        parts: vec![
            Part { name: "buffers of the runner".to_owned(), bytes: Bytes(persistent) },
            Part { name: "segments kept by the allocator".to_owned(), bytes: Bytes(kept) },
        ],
        inside_requested: false,
        note: "kept after start".to_owned(),
    }
}

/// Segments that the eager forward pass leaves in the allocator.
fn forward_segments(widths: &crate::plan::widths::Widths, tokens: u64, bytes: u64) -> Vec<u64> {
    let all = bytes * tokens;
    let (hidden, query, key, inner) = (widths.hidden, widths.query, widths.key, widths.intermediate);
    let mut segments = vec![all * hidden; 4];
    if widths.experts_per_token > 0 {
        segments.extend([all * (query + 2 * key); 2]);
        segments.extend([all * query; 2]);
    } else {
        segments.extend([all * 2 * inner, all * inner, all * (query + 2 * key), all * (query + key)]);
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
