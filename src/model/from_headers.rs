//! A model whose tensor headers were read: exact bytes for each group.
//!
//! What config.json implies says what the engine builds; the headers say what the checkpoint stores for it.
//! Each stored tensor goes to the group of its module; what has no group becomes one.

mod names;

use std::collections::{BTreeMap, HashMap};

use super::headers::TensorHeader;
use super::spec::{ModelSpec, Origin, Parallel, Role, Stored, TensorGroup};
use crate::units::Bytes;
use names::{Part, Place};

/// Names of tensors that a sentence lists at most.
const LISTED: usize = 3;

/// What the checkpoint stores for one group.
#[derive(Clone, Default)]
struct Share {
    dtype: Option<String>,
    bytes: u64,
    elements: u64,
}

/// What was left out or not found, for the sentences of `assumed`.
#[derive(Default)]
struct Remarks {
    buffers: Vec<String>,
    prediction: Vec<String>,
    tied: Vec<String>,
    extra: Vec<String>,
    missing: Vec<String>,
}

impl ModelSpec {
    /// The same model with what the checkpoint at `place` stores for each group.
    ///
    /// Buffers that the engine computes, layers of multi-token prediction and copies of a tied head are left
    /// out and named in `assumed`; so is what the inventory has and the checkpoint has not.
    #[must_use]
    pub fn with_headers(mut self, headers: &[TensorHeader], place: &str) -> Self {
        let mut remarks = Remarks::default();
        let mut shares: Vec<Share> = vec![Share::default(); self.tensors.len()];
        let index: HashMap<String, usize> = self.tensors.iter().enumerate().map(|(at, group)| (group.name.clone(), at)).collect();
        let (mut encoder, mut unmatched) = (Share::default(), Vec::new());
        for header in headers {
            let name = super::gguf::hf_name(&header.name, &self.model_type).unwrap_or_else(|| header.name.clone());
            let position = names::place(&name);
            if names::is_buffer(&name) {
                remarks.buffers.push(header.name.clone());
            } else if names::is_encoder(&name) {
                encoder.add(header, Part::Main);
            } else if names::is_prediction(&name, &position, self.layers.len() as u64) {
                remarks.prediction.push(header.name.clone());
            } else if self.tie_word_embeddings && position.layer.is_none() && names::candidates(&position.module) == ["lm_head"] {
                remarks.tied.push(header.name.clone());
            } else {
                let groups = groups_of(&position, &index);
                if groups.is_empty() {
                    unmatched.push((header, position));
                } else {
                    divide(header, position.part, &groups, &self.tensors, &mut shares);
                }
            }
        }
        let unmatched = pair_by_size(unmatched, &self.tensors, &mut shares);
        self.store(shares, &mut remarks);
        self.add_encoder(&encoder);
        self.add_extra(&unmatched, &mut remarks);
        self.recount(headers, &remarks);
        self.origin = Origin::Checkpoint { place: place.to_owned(), bytes: headers.iter().map(|header| header.bytes).sum() };
        self.assumed.extend(remarks.sentences());
        self
    }

    /// Writes the shares into the groups and notes the groups that got nothing.
    fn store(&mut self, shares: Vec<Share>, remarks: &mut Remarks) {
        for (group, share) in self.tensors.iter_mut().zip(shares) {
            if share.bytes > 0 {
                group.stored = Some(Stored { dtype: share.dtype.unwrap_or_else(|| "unknown".to_owned()), bytes: Bytes(share.bytes) });
            } else if group.role != Role::Encoder {
                remarks.missing.push(group.name.clone());
            }
        }
    }

    /// Encoders are one group, whose size config.json may not tell.
    fn add_encoder(&mut self, encoder: &Share) {
        if encoder.bytes == 0 {
            return;
        }
        let stored = Stored { dtype: encoder.dtype.clone().unwrap_or_default(), bytes: Bytes(encoder.bytes) };
        match self.tensors.iter_mut().find(|group| group.role == Role::Encoder) {
            Some(group) => {
                (group.rows, group.columns, group.copies) = (encoder.elements, 1, 1);
                group.stored = Some(stored);
            }
            None => self.tensors.push(TensorGroup {
                name: "vision_tower".to_owned(),
                layer: None,
                role: Role::Encoder,
                rows: encoder.elements,
                columns: 1,
                copies: 1,
                stored: Some(stored),
            }),
        }
        self.multimodal = true;
        self.assumed.retain(|sentence| !sentence.contains("encoder is"));
    }

    /// Tensors of no group, one group for each module.
    fn add_extra(&mut self, unmatched: &[(&TensorHeader, Place)], remarks: &mut Remarks) {
        let mut modules: BTreeMap<(Option<u64>, &str), Share> = BTreeMap::new();
        for (header, place) in unmatched {
            modules.entry((place.layer, place.module.as_str())).or_default().add(header, place.part);
        }
        for ((layer, module), share) in modules {
            let name = layer.map_or_else(|| module.to_owned(), |layer| format!("layers.{layer}.{module}"));
            remarks.extra.push(name.clone());
            self.tensors.push(TensorGroup {
                name,
                layer: layer.and_then(|layer| u32::try_from(layer).ok()),
                role: Role::Vector(Parallel::Replicated),
                rows: share.elements,
                columns: 1,
                copies: 1,
                stored: Some(Stored { dtype: share.dtype.unwrap_or_default(), bytes: Bytes(share.bytes) }),
            });
        }
    }

    /// In a checkpoint without packed weights each element is a parameter, and the headers know best.
    fn recount(&mut self, headers: &[TensorHeader], remarks: &Remarks) {
        if !headers.iter().all(|header| matches!(header.dtype.as_str(), "BF16" | "F16" | "F32")) {
            return;
        }
        let left_out: std::collections::HashSet<&str> =
            remarks.buffers.iter().chain(&remarks.prediction).chain(&remarks.tied).map(String::as_str).collect();
        let kept = headers.iter().filter(|header| !left_out.contains(header.name.as_str()));
        let total = kept.map(elements).fold(0, u64::saturating_add);
        let encoder: u64 = self.tensors.iter().filter(|group| group.role == Role::Encoder).map(TensorGroup::elements).sum();
        let idle =
            self.tensors.iter().filter(|group| group.role != Role::Encoder).map(|group| idle(self, group)).fold(0, u64::saturating_add);
        self.parameters.total = total;
        self.parameters.active = total.saturating_sub(encoder).saturating_sub(idle);
    }
}

/// Elements of the group that a token does not use.
fn idle(model: &ModelSpec, group: &TensorGroup) -> u64 {
    let layer = group.layer.and_then(|layer| model.layers.get(layer as usize));
    match layer.map(|layer| &layer.mlp) {
        Some(super::spec::Mlp::Experts { per_token, .. }) if group.copies > 1 => {
            group.rows.saturating_mul(group.columns).saturating_mul(group.copies.saturating_sub(*per_token))
        }
        _ => 0,
    }
}

impl Share {
    fn add(&mut self, header: &TensorHeader, part: Part) {
        self.take(header, part, header.bytes.0, elements(header));
    }

    fn take(&mut self, header: &TensorHeader, part: Part, bytes: u64, elements: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if part == Part::Main {
            self.dtype = Some(header.dtype.clone());
        } else {
            self.dtype.get_or_insert_with(|| header.dtype.clone());
        }
        self.elements = self.elements.saturating_add(elements);
    }
}

fn elements(header: &TensorHeader) -> u64 {
    header.shape.iter().fold(1, |product, size| product.saturating_mul(*size))
}

/// The groups that a stored tensor is, or is fused of. A bias has a group of its own where the family has biases.
fn groups_of(place: &Place, index: &HashMap<String, usize>) -> Vec<usize> {
    let prefix = place.layer.map(|layer| format!("layers.{layer}.")).unwrap_or_default();
    let find = |suffix: &str| -> Vec<usize> {
        let group = |module: &str| index.get(&format!("{prefix}{module}{suffix}")).copied();
        let found: Vec<usize> = names::candidates(&place.module).iter().filter_map(|module| group(module)).collect();
        if found.is_empty() { group(&place.written).into_iter().collect() } else { found }
    };
    if place.part == Part::Bias {
        let own = find(".bias");
        if !own.is_empty() {
            return own;
        }
    }
    find("")
}

/// Divides a stored tensor among its groups, by their elements.
fn divide(header: &TensorHeader, part: Part, groups: &[usize], tensors: &[TensorGroup], shares: &mut [Share]) {
    // A name that can be fused need not be: then the first group is as large as the tensor.
    let alone = groups.first().and_then(|at| tensors.get(*at)).is_some_and(|group| group.elements() == elements(header));
    let groups = if alone { groups.get(..1).unwrap_or_default() } else { groups };
    let total: u64 = groups.iter().filter_map(|at| tensors.get(*at)).map(TensorGroup::elements).fold(0, u64::saturating_add);
    let (mut bytes_left, mut elements_left) = (header.bytes.0, elements(header));
    for (number, at) in groups.iter().enumerate() {
        let (Some(group), Some(share)) = (tensors.get(*at), shares.get_mut(*at)) else { continue };
        let last = number + 1 == groups.len();
        let part_of = |whole: u64| (u128::from(whole) * u128::from(group.elements()) / u128::from(total.max(1))) as u64;
        let bytes = if last { bytes_left } else { part_of(header.bytes.0).min(bytes_left) };
        let elements = if last { elements_left } else { part_of(elements(header)).min(elements_left) };
        bytes_left -= bytes;
        elements_left -= elements;
        share.take(header, part, bytes, elements);
    }
}

/// Pairs tensors of unknown name with groups of the same layer and as many elements; returns the rest.
fn pair_by_size<'a>(
    unmatched: Vec<(&'a TensorHeader, Place)>,
    tensors: &[TensorGroup],
    shares: &mut [Share],
) -> Vec<(&'a TensorHeader, Place)> {
    let mut open: HashMap<(Option<u64>, u64), Vec<usize>> = HashMap::new();
    for (at, group) in tensors.iter().enumerate().rev() {
        if shares.get(at).is_some_and(|share| share.bytes == 0) && group.role != Role::Encoder {
            open.entry((group.layer.map(u64::from), group.elements())).or_default().push(at);
        }
    }
    let mut rest = Vec::new();
    for (header, place) in unmatched {
        match open.get_mut(&(place.layer, elements(header))).and_then(Vec::pop) {
            Some(at) => {
                if let Some(share) = shares.get_mut(at) {
                    share.add(header, place.part);
                }
            }
            None => rest.push((header, place)),
        }
    }
    rest
}

impl Remarks {
    fn sentences(&self) -> Vec<String> {
        let listed: [(&[String], &str); 5] = [
            (&self.buffers, "left out, as the engine computes them itself"),
            (&self.prediction, "left out, as they predict further tokens and load for speculative decoding only"),
            (&self.tied, "left out, as the head is the embedding"),
            (&self.extra, "not known for this architecture and counted whole on every rank"),
            (&self.missing, "not in the checkpoint and counted as the architecture has them"),
        ];
        let sentence = |(names, what): &(&[String], &str)| {
            let (count, noun) = (names.len(), if names.len() == 1 { "tensor" } else { "tensors" });
            let shown =
                names.iter().take(LISTED).map(|name| format!("`{}`", super::headers::quotable(name))).collect::<Vec<_>>().join(", ");
            let more = if count > LISTED { " …" } else { "" };
            format!("{count} {noun} {what}: {shown}{more}")
        };
        listed.iter().filter(|(names, _)| !names.is_empty()).map(sentence).collect()
    }
}
