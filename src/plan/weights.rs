//! The weight term: what each rank keeps on the device, and what the offloader moves to host memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::era::Era;
use crate::engine::launch::{Launch, Offload};
use crate::model::spec::{CheckpointQuantization, ModelSpec, Role, TensorGroup};
use crate::plan::sharding::{Stage, share};
use crate::plan::storage::{Layouts, Loader, Storage, layouts};
use crate::units::Bytes;

/// The weights of one rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// On the device after loading: what the engine prints as "Model loading took".
    pub resident: Bytes,
    /// Moved to host memory.
    pub offloaded: Bytes,
    /// Pinned host memory of one rank: torch's pinned allocator rounds each parameter up to a power of two.
    pub pinned: Bytes,
    /// Linear layers of the rank that a kernel repacked, by layers: dense, and of experts.
    pub repacked_layers: (u64, u64),
    /// Layers whose weights are in host memory, wholly or partly.
    pub offloaded_layers: u64,
    /// Buffers that prefetched layers are copied into. Allocated after loading: no term that the engine prints
    /// has them, nvidia-smi does.
    pub buffers: Bytes,
    /// Embeddings and head, quantised or not; part of `resident`.
    pub embeddings: Bytes,
    /// The rotary table; part of `resident`.
    pub rotary: Bytes,
    /// Everything in decoder layers, before offload.
    pub layers: Bytes,
    /// What a step reads from the device for one token: resident weights without the embedding table and
    /// without experts that a token skips.
    pub read_per_step: Bytes,
    /// The routed experts' part of `read_per_step`: those of one token.
    pub experts_per_token: Bytes,
    /// What a step reads from host memory.
    pub read_from_host: Bytes,
}

/// One tensor group as this rank loads it.
struct Piece<'a> {
    group: &'a TensorGroup,
    stored: u64,
    resident: u64,
    /// Bytes of each parameter as created: weights, scales, zero points, indices.
    parameters: [u64; 4],
    repacked: bool,
}

/// The weights of a rank of `stage`.
pub fn weights(model: &ModelSpec, launch: &Launch, era: &Era, stage: &Stage, loader: Loader<'_>) -> Weights {
    let quantization = effective_quantization(model, launch);
    let settings =
        Settings { launch, era, loader, plain_dense: quantization.as_ref().is_some_and(|q| leaves_dense_layers_plain(model, era, q)) };
    let has_head = model.tensors.iter().any(|group| group.role == Role::Head);
    let pieces: Vec<Piece<'_>> = model
        .tensors
        .iter()
        .filter(|group| stage.holds(group, model.tie_word_embeddings && !has_head))
        .map(|group| piece(group, quantization.as_ref(), settings))
        .collect();
    let mut offloaded = offloaded(&pieces, launch.offload.as_ref());
    // Up to 0.16 a kernel that repacks its weights puts new tensors on the device, so that they come back.
    if !era.repacked_weights_stay_offloaded {
        for (moved, piece) in offloaded.iter_mut().zip(&pieces) {
            *moved &= !piece.repacked;
        }
    }
    let mut weights = Weights::default();
    let mut layers = BTreeSet::new();
    for (piece, moved) in pieces.iter().zip(&offloaded) {
        let bytes = Bytes(piece.resident);
        let active = bytes.scale(active_share(piece.group, model));
        match piece.group.layer {
            Some(_) => weights.layers += bytes,
            None if matches!(piece.group.role, Role::Embedding | Role::Head) => weights.embeddings += bytes,
            None => {}
        }
        if *moved {
            weights.offloaded += bytes;
            weights.read_from_host += active;
            layers.extend(piece.group.layer);
        } else {
            weights.resident += bytes;
            if piece.group.role != Role::Embedding || model.tie_word_embeddings {
                weights.read_per_step += active;
                if matches!(piece.group.role, Role::Expert(_)) {
                    weights.experts_per_token += active;
                }
            }
        }
    }
    weights.offloaded_layers = layers.len() as u64;
    weights.pinned = pinned(&pieces, &offloaded);
    weights.repacked_layers = repacked_layers(&pieces, &offloaded);
    if let Some(Offload::Prefetch { step, .. }) = launch.offload {
        weights.buffers = prefetch_buffers(&pieces, &offloaded, step);
    }
    if let Some(rotary) = model.rotary.filter(|_| !stage.layers.is_empty()) {
        weights.rotary = Bytes(rotary.positions.saturating_mul(rotary.dim).saturating_mul(launch.dtype.bytes()));
    }
    weights.resident += weights.rotary;
    weights
}

/// The quantisation that is in effect: the checkpoint's, or the one applied while loading.
pub fn effective_quantization(model: &ModelSpec, launch: &Launch) -> Option<CheckpointQuantization> {
    if let Some(quantization) = &model.quantization {
        return Some(quantization.clone());
    }
    let method = launch.quantization.clone()?;
    let four_bits = method == "bitsandbytes";
    Some(CheckpointQuantization {
        bits: if four_bits { 4 } else { 8 },
        group_size: None,
        zero_point: false,
        desc_act: false,
        block: (method == "fp8_per_block").then_some((128, 128)),
        static_activations: matches!(method.as_str(), "fp8" | "fp8_per_tensor"),
        nested: false,
        format: four_bits.then(|| "nf4".to_owned()),
        skipped_modules: Vec::new(),
        experts: None,
        quantized_head: false,
        method,
    })
}

/// How the pieces of one launch are loaded.
#[derive(Clone, Copy)]
struct Settings<'a> {
    launch: &'a Launch,
    era: &'a Era,
    loader: Loader<'a>,
    /// Whether dense linear layers stay in 16 bits although the checkpoint is quantised.
    plain_dense: bool,
}

/// Whether the engine loads the dense linear layers of a quantised model in 16 bits: GPTQ in versions that look
/// for quantised layers in tensor headers, when the folder has none (`AutoGPTQConfig.maybe_update_config`).
pub fn leaves_dense_layers_plain(model: &ModelSpec, era: &Era, quantization: &CheckpointQuantization) -> bool {
    era.gptq_reads_headers && model.without_tensors && quantization.method.contains("gptq")
}

fn piece<'a>(group: &'a TensorGroup, quantization: Option<&CheckpointQuantization>, settings: Settings<'_>) -> Piece<'a> {
    let launch = settings.launch;
    let part = share(group, launch.parallel);
    let layouts = group_layouts(group, quantization, settings);
    let parameters = layouts.stored.parameters(part.rows, part.columns).map(|bytes| bytes.saturating_mul(part.copies));
    let stored = parameters.into_iter().fold(0, u64::saturating_add);
    let resident =
        layouts.resident.parameters(part.rows, part.columns).map(|bytes| allocated(bytes.saturating_mul(part.copies), settings.era));
    let resident = resident.into_iter().fold(0, u64::saturating_add);
    let computed = Piece { group, stored, resident, parameters, repacked: layouts.repacked };
    let Some(exact) = group.stored.as_ref().filter(|_| !launch.quantized_in_flight && keeps_stored_type(group, launch)) else {
        return computed;
    };
    let share_of_whole = part.elements() as f64 / group.elements().max(1) as f64;
    let exact = exact.bytes.scale(share_of_whole).0;
    Piece { stored: exact, resident: exact.saturating_add(resident).saturating_sub(stored), ..computed }
}

/// Whether the engine keeps the checkpoint's type: 32-bit tensors are narrowed to the launch's dtype.
fn keeps_stored_type(group: &TensorGroup, launch: &Launch) -> bool {
    let narrowed = group.stored.as_ref().is_some_and(|stored| stored.dtype == "F32") && launch.dtype.bytes() == 2;
    !narrowed || !matches!(group.role, Role::Linear(_) | Role::Expert(_) | Role::Embedding | Role::Head)
}

fn group_layouts(group: &TensorGroup, quantization: Option<&CheckpointQuantization>, settings: Settings<'_>) -> Layouts {
    let plain = Storage::Plain(settings.launch.dtype.bytes());
    let plain = Layouts { stored: plain, resident: plain, repacked: false };
    let Some(quantization) = quantization else { return plain };
    let loader = settings.loader;
    let skipped = quantization.skips(&group.name);
    match group.role {
        Role::Linear(_) if !skipped && !settings.plain_dense => layouts(quantization, loader, false),
        Role::Expert(_) if !skipped => layouts(quantization.experts.as_deref().unwrap_or(quantization), loader, true),
        Role::Head if quantization.quantized_head && !skipped => layouts(quantization, loader, false),
        _ => plain,
    }
}

/// What torch allocates for a tensor: while loading, blocks of 20 MiB and more are whole multiples of 2 MiB.
fn allocated(bytes: u64, era: &Era) -> u64 {
    if era.rounds_large_tensors && bytes >= 20 << 20 { bytes.next_multiple_of(2 << 20) } else { bytes.next_multiple_of(512) }
}

/// Which pieces go to host memory.
fn offloaded(pieces: &[Piece<'_>], offload: Option<&Offload>) -> Vec<bool> {
    match offload {
        None => vec![false; pieces.len()],
        // `UVAOffloader`: parameters of decoder layers in order, until the sum of stored bytes reaches the size.
        Some(Offload::Uva { requested }) => {
            let mut sum = Bytes::ZERO;
            let take = |piece: &Piece<'_>| {
                let takes = piece.group.layer.is_some() && sum < *requested;
                if takes {
                    sum += Bytes(piece.stored);
                }
                takes
            };
            pieces.iter().map(take).collect()
        }
        // `PrefetchOffloader`: the last layers of each group of layers, whole.
        Some(Offload::Prefetch { group_size, in_group, .. }) => {
            let group_size = (*group_size).max(1);
            let moves = |layer: u32| u64::from(layer) % group_size >= group_size.saturating_sub(*in_group);
            pieces.iter().map(|piece| piece.group.layer.is_some_and(moves)).collect()
        }
    }
}

/// `StaticBufferPool`: for each prefetched step, one buffer for each distinct parameter of the offloaded layers.
fn prefetch_buffers(pieces: &[Piece<'_>], offloaded: &[bool], step: u64) -> Bytes {
    let mut distinct = BTreeMap::new();
    for (piece, _) in moved(pieces, offloaded) {
        distinct.insert((module(&piece.group.name), piece.group.rows, piece.group.columns), piece.resident);
    }
    Bytes(distinct.values().sum::<u64>()) * step
}

/// The pieces in host memory, with their layer.
fn moved<'a, 'b>(pieces: &'a [Piece<'b>], offloaded: &'a [bool]) -> impl Iterator<Item = (&'a Piece<'b>, u32)> {
    pieces.iter().zip(offloaded).filter(|(_, moved)| **moved).filter_map(|(piece, _)| Some((piece, piece.group.layer?)))
}

/// The module's name inside its layer: `self_attn.q_proj` of `layers.3.self_attn.q_proj`.
fn module(name: &str) -> &str {
    name.splitn(3, '.').nth(2).unwrap_or(name)
}

/// The engine fuses query, key and value projections, and gate and up projections, into one parameter each.
fn fused(module: &str) -> &str {
    match module.rsplit('.').next().unwrap_or(module) {
        "q_proj" | "k_proj" | "v_proj" => "qkv_proj",
        "gate_proj" | "up_proj" => "gate_up_proj",
        other => other,
    }
}

/// Pinned memory: each fused parameter, rounded up to a power of two (`CachingHostAllocator`).
fn pinned(pieces: &[Piece<'_>], offloaded: &[bool]) -> Bytes {
    let mut parameters: BTreeMap<(u32, &str), [u64; 4]> = BTreeMap::new();
    for (piece, layer) in moved(pieces, offloaded) {
        let sums = parameters.entry((layer, fused(&piece.group.name))).or_default();
        for (sum, bytes) in sums.iter_mut().zip(piece.parameters) {
            *sum = sum.saturating_add(bytes);
        }
    }
    let rounded = parameters.values().flatten().filter(|bytes| **bytes > 0);
    rounded.map(|bytes| Bytes(bytes.checked_next_power_of_two().unwrap_or(u64::MAX))).sum()
}

/// Layers on the device whose dense and whose expert weights were repacked.
fn repacked_layers(pieces: &[Piece<'_>], offloaded: &[bool]) -> (u64, u64) {
    let layers = |experts: bool| {
        let on_device = pieces.iter().zip(offloaded).filter(|(piece, moved)| piece.repacked && !**moved);
        let of_kind = on_device.filter(|(piece, _)| matches!(piece.group.role, Role::Expert(_)) == experts);
        of_kind.filter_map(|(piece, _)| piece.group.layer).collect::<BTreeSet<_>>().len() as u64
    };
    (layers(false), layers(true))
}

/// The share of a group that one token reads: the routed experts that it uses.
fn active_share(group: &TensorGroup, model: &ModelSpec) -> f64 {
    if !matches!(group.role, Role::Expert(_)) {
        return 1.0;
    }
    let layer = group.layer.and_then(|layer| model.layers.get(layer as usize));
    match layer.map(|layer| &layer.mlp) {
        Some(crate::model::spec::Mlp::Experts { count, per_token, .. }) => *per_token as f64 / (*count).max(1) as f64,
        _ => 1.0,
    }
}
