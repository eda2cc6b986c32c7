//! The weight term: what each rank keeps on the device, and what the offloader moves to host memory.

use std::collections::BTreeMap;

use crate::engine::era::Era;
use crate::engine::launch::{Launch, Offload};
use crate::model::spec::{ModelSpec, Role};
use crate::plan::pieces::{Piece, module};
use crate::plan::sharding::Stage;
use crate::units::Bytes;

/// The weights of one rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// On the device after loading: what the engine prints as "Model loading took".
    pub resident: Bytes,
    /// Moved to host memory.
    pub offloaded: Bytes,
    /// Was to be moved, and came back to the device when loading replaced it; part of `resident`.
    pub came_back: Bytes,
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
    /// The part of `read_per_step` that kernels repacked, without experts: what a product with packed weights reads.
    pub read_packed: Bytes,
    /// The routed experts' part of `read_per_step`: those of one token.
    pub experts_per_token: Bytes,
    /// What a step reads from host memory.
    pub read_from_host: Bytes,
}

/// The weights of a rank of `stage`, from its `pieces`.
pub fn weights(model: &ModelSpec, launch: &Launch, era: &Era, stage: &Stage, pieces: &[Piece]) -> Weights {
    let mut offloaded = offloaded(pieces, launch.offload.as_ref());
    let mut weights = Weights::default();
    // Up to 0.16 loading that replaces weights puts the new tensors on the device, so that they come back.
    if !era.repacked_weights_stay_offloaded {
        for (moved, piece) in offloaded.iter_mut().zip(pieces).filter(|(moved, piece)| **moved && piece.replaced) {
            weights.came_back += Bytes(piece.resident);
            *moved = false;
        }
    }
    let mut layers = 0;
    let mut last_layer = None;
    for (piece, moved) in pieces.iter().zip(&offloaded) {
        let bytes = Bytes(piece.resident);
        let active = Bytes(piece.active);
        match piece.layer {
            Some(_) => weights.layers += bytes,
            None if matches!(piece.role, Role::Embedding | Role::Head) => weights.embeddings += bytes,
            None => {}
        }
        if *moved {
            let state = Bytes(piece.state);
            weights.offloaded += bytes - state;
            weights.resident += state;
            weights.read_from_host += active - state;
            weights.read_per_step += state;
            if piece.layer != last_layer {
                last_layer = piece.layer;
                layers += 1;
            }
        } else {
            weights.resident += bytes;
            if piece.role != Role::Embedding || model.tie_word_embeddings {
                weights.read_per_step += active;
                if matches!(piece.role, Role::Expert(_)) {
                    weights.experts_per_token += active;
                } else if piece.repacked {
                    weights.read_packed += active;
                }
            }
        }
    }
    weights.offloaded_layers = layers;
    weights.pinned = pinned(pieces, &offloaded);
    weights.repacked_layers = repacked_layers(pieces, &offloaded);
    if let Some(Offload::Prefetch { step, .. }) = launch.offload {
        weights.buffers = prefetch_buffers(model, pieces, &offloaded, step);
    }
    if let Some(rotary) = model.rotary.filter(|_| !stage.layers.is_empty()) {
        let bytes = if rotary.single_precision { 4 } else { launch.dtype.bytes() };
        weights.rotary = Bytes(rotary.positions.saturating_mul(rotary.dim).saturating_mul(bytes));
    }
    weights.resident += weights.rotary;
    weights
}

/// Which pieces go to host memory.
fn offloaded(pieces: &[Piece], offload: Option<&Offload>) -> Vec<bool> {
    match offload {
        None => vec![false; pieces.len()],
        // `UVAOffloader`: parameters of decoder layers in order, until the sum of stored bytes reaches the size.
        // A fused parameter goes as a whole.
        Some(Offload::Uva { requested }) => {
            let mut sum = Bytes::ZERO;
            let mut decided = None;
            let mut take = |piece: &Piece| {
                if piece.layer.is_none() {
                    return false;
                }
                let takes = match decided {
                    Some((fused, takes)) if fused == piece.fused => takes,
                    _ => sum < *requested,
                };
                decided = Some((piece.fused, takes));
                if takes {
                    sum += Bytes(piece.stored);
                }
                takes
            };
            pieces.iter().map(&mut take).collect()
        }
        // `PrefetchOffloader`: the last layers of each group of layers, whole.
        Some(Offload::Prefetch { group_size, in_group, .. }) => {
            let group_size = (*group_size).max(1);
            let moves = |layer: u32| u64::from(layer) % group_size >= group_size.saturating_sub(*in_group);
            pieces.iter().map(|piece| piece.layer.is_some_and(moves)).collect()
        }
    }
}

/// `StaticBufferPool`: for each prefetched step, one buffer for each distinct parameter of the offloaded layers.
fn prefetch_buffers(model: &ModelSpec, pieces: &[Piece], offloaded: &[bool], step: u64) -> Bytes {
    let mut distinct = BTreeMap::new();
    for (piece, _) in moved(pieces, offloaded) {
        let Some(group) = model.tensors.get(piece.group) else { continue };
        distinct.insert((module(group), group.rows, group.columns), piece.resident);
    }
    Bytes(distinct.values().sum::<u64>()) * step
}

/// The pieces in host memory, with their layer.
fn moved<'a>(pieces: &'a [Piece], offloaded: &'a [bool]) -> impl Iterator<Item = (&'a Piece, u32)> {
    pieces.iter().zip(offloaded).filter(|(_, moved)| **moved).filter_map(|(piece, _)| Some((piece, piece.layer?)))
}

/// Pinned memory: each fused parameter, rounded up to a power of two (`CachingHostAllocator`).
fn pinned(pieces: &[Piece], offloaded: &[bool]) -> Bytes {
    let mut total = Bytes::ZERO;
    let mut parameters: Vec<(usize, [u64; 4])> = Vec::new();
    let mut layer_now = None;
    for (piece, layer) in moved(pieces, offloaded) {
        if layer_now != Some(layer) {
            total += rounded(&parameters);
            parameters.clear();
            layer_now = Some(layer);
        }
        match parameters.iter_mut().find(|(known, _)| *known == piece.fused) {
            Some((_, sums)) => sums.iter_mut().zip(piece.parameters).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes)),
            None => parameters.push((piece.fused, piece.parameters)),
        }
    }
    total + rounded(&parameters)
}

fn rounded(parameters: &[(usize, [u64; 4])]) -> Bytes {
    let sizes = parameters.iter().flat_map(|(_, sizes)| sizes).filter(|bytes| **bytes > 0);
    sizes.map(|bytes| Bytes(bytes.checked_next_power_of_two().unwrap_or(u64::MAX))).sum()
}

/// Layers on the device whose dense and whose expert weights were repacked.
fn repacked_layers(pieces: &[Piece], offloaded: &[bool]) -> (u64, u64) {
    let layers = |experts: bool| {
        let on_device = pieces.iter().zip(offloaded).filter(|(piece, moved)| piece.repacked && !**moved);
        let of_kind = on_device.filter(|(piece, _)| matches!(piece.role, Role::Expert(_)) == experts);
        let mut last = None;
        // The pieces stand in the order of their layers.
        of_kind.filter(|(piece, _)| piece.layer.is_some() && last.replace(piece.layer) != Some(piece.layer)).count() as u64
    };
    (layers(false), layers(true))
}
