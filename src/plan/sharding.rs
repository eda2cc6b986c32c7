//! What one rank holds: pipeline stages by layers, tensor and expert parallelism by tensors.

use std::ops::Range;

use crate::engine::launch::ParallelSizes;
use crate::model::spec::{ModelSpec, Parallel, Role, TensorGroup};

/// The engine pads the vocabulary to a multiple of this before dividing it (`DEFAULT_VOCAB_PADDING_SIZE`).
const VOCABULARY_PADDING: u64 = 64;

/// A pipeline stage: its layers, and whether it holds the embedding and the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Indices of its decoder layers.
    pub layers: Range<u32>,
    /// Whether it holds the token embedding.
    pub first: bool,
    /// Whether it holds the final norm, the head and the sampler.
    pub last: bool,
}

impl Stage {
    /// Whether `group` is loaded on this stage. A tied head makes the last stage hold the embedding, too.
    pub fn holds(&self, group: &TensorGroup, tied: bool) -> bool {
        match (group.layer, group.role) {
            (Some(layer), _) => self.layers.contains(&layer),
            (None, Role::Embedding) => self.first || (self.last && tied),
            (None, Role::Encoder | Role::Plain) => self.first,
            (None, Role::Head | Role::Linear(_) | Role::Expert(_) | Role::Vector(_)) => self.last,
        }
    }
}

/// The pipeline stages (`distributed/utils.py: get_pp_indices`): equal shares, the remainder one layer each to
/// the stages before the last, from the second-last backwards, since the last also holds the head.
pub fn stages(layers: u64, pipeline: u64) -> Vec<Stage> {
    let pipeline = pipeline.clamp(1, layers.max(1));
    let (share, remainder) = (layers / pipeline, layers % pipeline);
    let mut sizes = vec![share; pipeline as usize];
    for back in 2..remainder + 2 {
        if let Some(size) = sizes.len().checked_sub(back as usize).and_then(|index| sizes.get_mut(index)) {
            *size += 1;
        }
    }
    let mut start = 0;
    let last = sizes.len() - 1;
    let stage = |(index, size): (usize, &u64)| {
        let layers = start..start + *size as u32;
        start = layers.end;
        Stage { layers, first: index == 0, last: index == last }
    };
    sizes.iter().enumerate().map(stage).collect()
}

/// The rank's share of a tensor group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Output features of one tensor on this rank.
    pub rows: u64,
    /// Input features of one tensor on this rank.
    pub columns: u64,
    /// Tensors on this rank.
    pub copies: u64,
}

impl Share {
    /// Elements on this rank.
    pub const fn elements(&self) -> u64 {
        self.rows.saturating_mul(self.columns).saturating_mul(self.copies)
    }
}

/// What one rank of `parallel` holds of `group`.
pub fn share(group: &TensorGroup, parallel: ParallelSizes) -> Share {
    let tensor = parallel.tensor;
    let whole = Share { rows: group.rows, columns: group.columns, copies: group.copies };
    match group.role {
        Role::Embedding | Role::Head => Share { rows: group.rows.next_multiple_of(VOCABULARY_PADDING).div_ceil(tensor), ..whole },
        Role::Expert(_) if parallel.expert => Share { copies: group.copies.div_ceil(tensor.saturating_mul(parallel.data)), ..whole },
        Role::Linear(split) | Role::Expert(split) | Role::Vector(split) => divide(whole, split, tensor),
        Role::Encoder => Share { rows: group.rows.div_ceil(tensor), ..whole },
        Role::Plain => whole,
    }
}

fn divide(whole: Share, split: Parallel, tensor: u64) -> Share {
    match split {
        Parallel::Column => Share { rows: whole.rows.div_ceil(tensor), ..whole },
        Parallel::Row => Share { columns: whole.columns.div_ceil(tensor), ..whole },
        Parallel::KeyValue(heads) => Share { rows: whole.rows / heads.max(1) * local_kv_heads(heads, tensor), ..whole },
        Parallel::Replicated => whole,
    }
}

/// Key/value heads on one rank: divided, or repeated when there are more ranks than heads.
pub const fn local_kv_heads(heads: u64, tensor: u64) -> u64 {
    let local = heads / tensor;
    if local == 0 { 1 } else { local }
}

/// Why `tensor` ranks cannot divide this model; empty if they can. Each entry is a code and a sentence.
pub fn misfits(model: &ModelSpec, parallel: ParallelSizes) -> Vec<(&'static str, String)> {
    let tensor = parallel.tensor;
    let mut misfits = Vec::new();
    if let Some((heads, kv_heads)) = model.attention_heads() {
        if !heads.is_multiple_of(tensor) {
            misfits.push((
                "heads-not-divisible",
                format!("the model's {heads} attention heads do not divide by tensor parallel size {tensor}"),
            ));
        }
        if tensor <= kv_heads && !kv_heads.is_multiple_of(tensor) || tensor > kv_heads && !tensor.is_multiple_of(kv_heads) {
            misfits.push((
                "kv-heads-not-divisible",
                format!("the model's {kv_heads} key/value heads and tensor parallel size {tensor} do not divide each other"),
            ));
        }
    }
    if !model.vocab_size.next_multiple_of(VOCABULARY_PADDING).is_multiple_of(tensor) {
        misfits.push((
            "vocabulary-not-divisible",
            format!("the vocabulary of {}, padded to a multiple of 64, does not divide by tensor parallel size {tensor}", model.vocab_size),
        ));
    }
    let layers = model.layers.len() as u64;
    if parallel.pipeline > layers {
        misfits
            .push(("too-few-layers", format!("pipeline parallel size {} is larger than the model's {layers} layers", parallel.pipeline)));
    }
    misfits.extend(linear_misfits(model, parallel));
    misfits
}

fn linear_misfits(model: &ModelSpec, parallel: ParallelSizes) -> Option<(&'static str, String)> {
    let tensor = parallel.tensor;
    let group_size = model.quantization.as_ref().and_then(|quantization| quantization.group_size);
    model.tensors.iter().find_map(|group| {
        let (Role::Linear(split) | Role::Expert(split)) = group.role else { return None };
        if matches!(group.role, Role::Expert(_)) && parallel.expert {
            return None;
        }
        let (size, side) = match split {
            Parallel::Column => (group.rows, "outputs"),
            Parallel::Row => (group.columns, "inputs"),
            Parallel::KeyValue(_) | Parallel::Replicated => return None,
        };
        if !size.is_multiple_of(tensor) {
            return Some((
                "width-not-divisible",
                format!("the {size} {side} of {} do not divide by tensor parallel size {tensor}", group.name),
            ));
        }
        let group_size = group_size.filter(|_| split == Parallel::Row)?;
        (!(size / tensor).is_multiple_of(group_size)).then(|| {
            (
                "group-size-not-divisible",
                format!("{size} inputs of {} over {tensor} ranks are not whole quantisation groups of {group_size}", group.name),
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remainder_goes_to_the_stages_before_the_last() {
        let sizes: Vec<u32> = stages(10, 4).into_iter().map(|stage| stage.layers.end - stage.layers.start).collect();
        assert_eq!(sizes, [2, 3, 3, 2]);
        let only = stages(80, 1);
        assert_eq!(only, [Stage { layers: 0..80, first: true, last: true }]);
    }

    #[test]
    fn key_value_heads_are_repeated_beyond_their_number() {
        assert_eq!(local_kv_heads(8, 2), 4);
        assert_eq!(local_kv_heads(8, 16), 1);
    }

    #[test]
    fn the_vocabulary_is_padded_before_it_is_divided() {
        let parallel = ParallelSizes { tensor: 2, pipeline: 1, data: 1, decode_context: 1, expert: false };
        let head = TensorGroup { name: "lm_head".into(), layer: None, role: Role::Head, rows: 32001, columns: 16, copies: 1, stored: None };
        assert_eq!(share(&head, parallel).rows, 16032);
    }
}
