//! The weight term: what each rank keeps on the device, and what the offloader moves to host memory.

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
    /// Layers whose weights are in host memory, wholly or partly.
    pub offloaded_layers: u64,
    /// Buffers that prefetched layers are copied into; part of `resident`.
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
}

/// The weights of a rank of `stage`.
pub fn weights(model: &ModelSpec, launch: &Launch, stage: &Stage, loader: Loader<'_>) -> Weights {
    let quantization = effective_quantization(model, launch);
    let has_head = model.tensors.iter().any(|group| group.role == Role::Head);
    let pieces: Vec<Piece<'_>> = model
        .tensors
        .iter()
        .filter(|group| stage.holds(group, model.tie_word_embeddings && !has_head))
        .map(|group| piece(group, quantization.as_ref(), launch, loader))
        .collect();
    let offloaded = offloaded(&pieces, launch.offload.as_ref());
    let mut weights = Weights::default();
    let mut layers = std::collections::BTreeSet::new();
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
    if let Some(Offload::Prefetch { step, .. }) = launch.offload {
        weights.buffers = prefetch_buffers(&pieces, &offloaded, step);
    }
    if let Some(rotary) = model.rotary.filter(|_| !stage.layers.is_empty()) {
        weights.rotary = Bytes(rotary.positions.saturating_mul(rotary.dim).saturating_mul(launch.dtype.bytes()));
    }
    weights.resident += weights.rotary + weights.buffers;
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
        quantized_head: false,
        method,
    })
}

fn piece<'a>(group: &'a TensorGroup, quantization: Option<&CheckpointQuantization>, launch: &Launch, loader: Loader<'_>) -> Piece<'a> {
    let part = share(group, launch.parallel);
    let layouts = group_layouts(group, quantization, launch, loader);
    let of = |storage: Storage| storage.bytes(part.rows, part.columns).saturating_mul(part.copies);
    let (stored, resident) = (of(layouts.stored), of(layouts.resident));
    let Some(exact) = group.stored.as_ref().filter(|_| !launch.quantized_in_flight && keeps_stored_type(group, launch)) else {
        return Piece { group, stored, resident };
    };
    let share_of_whole = part.elements() as f64 / group.elements().max(1) as f64;
    let exact = exact.bytes.scale(share_of_whole).0;
    Piece { group, stored: exact, resident: exact.saturating_add(resident).saturating_sub(stored) }
}

/// Whether the engine keeps the checkpoint's type: 32-bit tensors are narrowed to the launch's dtype.
fn keeps_stored_type(group: &TensorGroup, launch: &Launch) -> bool {
    let narrowed = group.stored.as_ref().is_some_and(|stored| stored.dtype == "F32") && launch.dtype.bytes() == 2;
    !narrowed || !matches!(group.role, Role::Linear(_) | Role::Expert(_) | Role::Embedding | Role::Head)
}

fn group_layouts(group: &TensorGroup, quantization: Option<&CheckpointQuantization>, launch: &Launch, loader: Loader<'_>) -> Layouts {
    let plain = Layouts { stored: Storage::Plain(launch.dtype.bytes()), resident: Storage::Plain(launch.dtype.bytes()), repacked: false };
    let Some(quantization) = quantization else { return plain };
    let skipped = quantization.skipped_modules.iter().any(|module| skips(module, &group.name));
    match group.role {
        Role::Linear(_) if !skipped => layouts(quantization, loader, false),
        Role::Expert(_) if !skipped => layouts(quantization, loader, true),
        Role::Head if quantization.quantized_head && !skipped => layouts(quantization, loader, false),
        _ => plain,
    }
}

/// Whether `module`, as a checkpoint names modules to skip, covers the tensor group `name`.
fn skips(module: &str, name: &str) -> bool {
    let module = module.trim_start_matches("re:").trim_start_matches("model.").trim_matches(['.', '*', '^', '$']);
    !module.is_empty()
        && (name == module
            || name.ends_with(&format!(".{module}"))
            || name.starts_with(&format!("{module}."))
            || name.contains(&format!(".{module}.")))
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
    let mut distinct = std::collections::BTreeMap::new();
    for piece in pieces.iter().zip(offloaded).filter_map(|(piece, moved)| moved.then_some(piece)) {
        let name = piece.group.name.split('.').skip(2).collect::<Vec<_>>().join(".");
        distinct.insert((name, piece.group.rows, piece.group.columns), piece.resident);
    }
    Bytes(distinct.values().sum::<u64>()) * step
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
