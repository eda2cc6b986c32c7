//! A rank's tensors one by one: what each takes as stored and as its kernel keeps it. Neither depends on batch
//! sizes or utilisation, so that a search computes them once for each split.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::engine::era::Era;
use crate::engine::launch::{Launch, ParallelSizes};
use crate::model::spec::{CheckpointQuantization, Dtype, Mlp, ModelSpec, Role, TensorGroup};
use crate::plan::sharding::{Stage, share};
use crate::plan::storage::{Layouts, Loader, Storage, layouts};
use crate::units::Bytes;

/// One tensor group as a rank loads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// Its index in [`ModelSpec::tensors`].
    pub group: usize,
    /// Its decoder layer.
    pub layer: Option<u32>,
    /// What it does.
    pub role: Role,
    /// Bytes as created, before any repacking: what the offloader counts.
    pub stored: u64,
    /// Bytes that torch allocates for it once loaded.
    pub resident: u64,
    /// Which parameter of the engine it is part of: projections that are fused into one have the same number.
    pub fused: usize,
    /// Of `resident`, what one token reads: of experts, those that it uses.
    pub active: u64,
    /// Bytes of each parameter as created: weights, scales, zero points, indices.
    pub parameters: [u64; 4],
    /// Of `resident`, what stays on the device when the rest is offloaded: the maxima of bitsandbytes are no
    /// parameters, and the offloader moves only those.
    pub state: u64,
    /// Whether a kernel repacks it.
    pub repacked: bool,
    /// Whether loading puts new tensors in its place, which in versions that lose an offload come to the device.
    pub replaced: bool,
}

/// The pieces of one model by what they depend on.
#[derive(Debug, Default)]
pub struct PieceCache(RefCell<Vec<(Key, Rc<[Piece]>)>>);

#[derive(Clone, Debug, PartialEq)]
struct Key {
    stage: Stage,
    parallel: ParallelSizes,
    dtype: Dtype,
    quantization: Option<String>,
}

impl PieceCache {
    /// The pieces of a rank of `stage` of `model`, which must be the same for each call on this cache.
    pub fn pieces(&self, model: &ModelSpec, launch: &Launch, era: &Era, stage: &Stage, loader: Loader<'_>) -> Rc<[Piece]> {
        let key = Key { stage: stage.clone(), parallel: launch.parallel, dtype: launch.dtype, quantization: launch.quantization.clone() };
        if let Some((_, pieces)) = self.0.borrow().iter().find(|(known, _)| *known == key) {
            return Rc::clone(pieces);
        }
        let computed: Rc<[Piece]> = pieces(model, launch, era, stage, loader).into();
        self.0.borrow_mut().push((key, Rc::clone(&computed)));
        computed
    }
}

/// A tensor group with its index in [`ModelSpec::tensors`].
type Indexed<'a> = (usize, &'a TensorGroup);

/// Layers are mostly alike, so that the pieces of one are computed only if no layer before it has the same tensors.
fn pieces(model: &ModelSpec, launch: &Launch, era: &Era, stage: &Stage, loader: Loader<'_>) -> Vec<Piece> {
    let quantization = effective_quantization(model, launch);
    let plain_dense = quantization.as_ref().is_some_and(|quantization| leaves_dense_layers_plain(model, era, quantization));
    let replaced = quantization.as_ref().is_some_and(|quantization| era.loses_offload.contains(&quantization.method));
    let settings = Settings { launch, era, loader, quantization: quantization.as_ref(), plain_dense, replaced };
    let has_head = model.tensors.iter().any(|group| group.role == Role::Head);
    // A list of modules to skip that names layers decides layer by layer; any other decides alike for all.
    let by_layer = quantization.as_ref().is_some_and(|quantization| quantization.skipped_modules.iter().any(|module| names_layers(module)));
    let held = model.tensors.iter().enumerate().filter(|(_, group)| stage.holds(group, model.tie_word_embeddings && !has_head));
    let held: Vec<Indexed<'_>> = held.collect();
    let mut pieces: Vec<Piece> = Vec::with_capacity(held.len());
    let mut kinds: Vec<(&[Indexed<'_>], Rc<[Piece]>)> = Vec::new();
    for layer in held.chunk_by(|(_, left), (_, right)| left.layer == right.layer) {
        let known = kinds.iter().find(|(known, _)| !by_layer && alike(known, layer, model)).map(|(_, pieces)| Rc::clone(pieces));
        let like = known.unwrap_or_else(|| {
            let computed: Rc<[Piece]> = layer_pieces(layer, model, settings).into();
            kinds.push((layer, Rc::clone(&computed)));
            computed
        });
        let start = pieces.len();
        let placed = like.iter().zip(layer);
        pieces.extend(placed.map(|(piece, (index, group))| Piece {
            group: *index,
            layer: group.layer,
            fused: start + piece.fused,
            ..*piece
        }));
    }
    pieces
}

/// Whether two layers have the same tensors in the same order, and route tokens alike.
fn alike(left: &[Indexed<'_>], right: &[Indexed<'_>], model: &ModelSpec) -> bool {
    let same = |((_, left), (_, right)): (&Indexed<'_>, &Indexed<'_>)| {
        (left.rows, left.columns, left.copies, left.role) == (right.rows, right.columns, right.copies, right.role)
            && left.stored == right.stored
            && left.layer.is_some() == right.layer.is_some()
            && module(left) == module(right)
    };
    let mlp = |layer: &[Indexed<'_>]| layer.first().and_then(|(_, group)| mlp(group, model));
    left.len() == right.len() && left.iter().zip(right).all(same) && mlp(left) == mlp(right)
}

/// The pieces of one layer; parameters are counted from its first group.
fn layer_pieces(layer: &[Indexed<'_>], model: &ModelSpec, settings: Settings<'_>) -> Vec<Piece> {
    let mut parameters: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pieces = Vec::with_capacity(layer.len());
    for (offset, &(index, group)) in layer.iter().enumerate() {
        let fused = *parameters.entry(fused(module(group))).or_insert(offset);
        pieces.push(Piece { fused, ..piece(index, group, model, settings) });
    }
    pieces
}

fn names_layers(module: &str) -> bool {
    module.starts_with("re:") || module.contains('*') || module.contains("layers.")
}

/// The module's name without its layer: `self_attn.q_proj` of `layers.3.self_attn.q_proj`.
pub fn module(group: &TensorGroup) -> &str {
    let in_layer = group.layer.and_then(|_| group.name.strip_prefix("layers.")?.split_once('.'));
    in_layer.map_or(&group.name, |(_, module)| module)
}

/// The engine fuses query, key and value projections, and gate and up projections, into one parameter each.
fn fused(module: &str) -> &str {
    match module.rsplit('.').next().unwrap_or(module) {
        "q_proj" | "k_proj" | "v_proj" => "qkv_proj",
        "gate_proj" | "up_proj" => "gate_up_proj",
        _ => module,
    }
}

/// The share of a group that one token reads: of routed experts those that it uses.
fn active_share(group: &TensorGroup, model: &ModelSpec) -> f64 {
    if !matches!(group.role, Role::Expert(_)) {
        return 1.0;
    }
    match mlp(group, model) {
        Some(Mlp::Experts { count, per_token, .. }) => *per_token as f64 / (*count).max(1) as f64,
        _ => 1.0,
    }
}

/// The feed-forward block of a group's layer.
fn mlp<'a>(group: &TensorGroup, model: &'a ModelSpec) -> Option<&'a Mlp> {
    group.layer.and_then(|layer| model.layers.get(layer as usize)).map(|layer| &layer.mlp)
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
    /// The quantisation in effect.
    quantization: Option<&'a CheckpointQuantization>,
    /// Whether dense linear layers stay in 16 bits although the checkpoint is quantised.
    plain_dense: bool,
    /// Whether loading replaces quantised parameters in a version that loses an offload by it.
    replaced: bool,
}

/// Whether the engine loads the dense linear layers of a quantised model in 16 bits: GPTQ in versions that look
/// for quantised layers in tensor headers, when the folder has none (`AutoGPTQConfig.maybe_update_config`).
pub fn leaves_dense_layers_plain(model: &ModelSpec, era: &Era, quantization: &CheckpointQuantization) -> bool {
    era.gptq_reads_headers && model.without_tensors && quantization.method.contains("gptq")
}

/// The piece of `group`, which stands at `index`; which parameter it is part of its layer tells.
fn piece(index: usize, group: &TensorGroup, model: &ModelSpec, settings: Settings<'_>) -> Piece {
    let launch = settings.launch;
    let layouts = group_layouts(group, settings);
    let part = share(group, launch.parallel);
    let mut parameters = layouts.stored.parameters(part.rows, part.columns).map(|bytes| bytes.saturating_mul(part.copies));
    let resident =
        layouts.resident.parameters(part.rows, part.columns).map(|bytes| allocated(bytes.saturating_mul(part.copies), settings.era));
    let mut state = 0;
    if matches!(layouts.stored, Storage::Absmax { .. }) {
        state = resident[1..].iter().copied().fold(0, u64::saturating_add);
        parameters[1..].fill(0);
    }
    let stored = parameters.into_iter().fold(0, u64::saturating_add);
    let resident = resident.into_iter().fold(0, u64::saturating_add);
    let (layer, role, repacked) = (group.layer, group.role, layouts.repacked);
    let replaced = repacked || settings.replaced && layouts.stored != Storage::Plain(launch.dtype.bytes());
    let exact = group.stored.as_ref().filter(|_| !launch.quantized_in_flight && keeps_stored_type(group, launch));
    let (stored, resident) = exact.map_or((stored, resident), |exact| {
        let exact = exact.bytes.scale(part.elements() as f64 / group.elements().max(1) as f64).0;
        (exact, exact.saturating_add(resident).saturating_sub(stored))
    });
    let active = Bytes(resident).scale(active_share(group, model)).0;
    Piece { group: index, fused: 0, active, layer, role, stored, resident, parameters, state, repacked, replaced }
}

/// Whether the engine keeps the checkpoint's type: 32-bit tensors are narrowed to the launch's dtype.
fn keeps_stored_type(group: &TensorGroup, launch: &Launch) -> bool {
    let narrowed = group.stored.as_ref().is_some_and(|stored| stored.dtype == "F32") && launch.dtype.bytes() == 2;
    !narrowed || !matches!(group.role, Role::Linear(_) | Role::Expert(_) | Role::Embedding | Role::Head)
}

fn group_layouts(group: &TensorGroup, settings: Settings<'_>) -> Layouts {
    let plain = Storage::Plain(settings.launch.dtype.bytes());
    let plain = Layouts { stored: plain, resident: plain, repacked: false };
    let Some(quantization) = settings.quantization else { return plain };
    let loader = settings.loader;
    let skipped = || quantization.skips(&group.name);
    match group.role {
        Role::Linear(_) if !settings.plain_dense && !skipped() => layouts(quantization, loader, false),
        Role::Expert(_) if !skipped() => layouts(quantization.experts.as_deref().unwrap_or(quantization), loader, true),
        Role::Head if quantization.quantized_head && !skipped() => layouts(quantization, loader, false),
        _ => plain,
    }
}

/// What torch allocates for a tensor: while loading, blocks of 20 MiB and more are whole multiples of 2 MiB.
fn allocated(bytes: u64, era: &Era) -> u64 {
    if era.rounds_large_tensors && bytes >= 20 << 20 { bytes.next_multiple_of(2 << 20) } else { bytes.next_multiple_of(512) }
}
