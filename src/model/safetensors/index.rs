//! The index of a sharded checkpoint: which file holds which tensor.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::SafetensorsError;
use crate::model::headers::quotable;
use crate::units::Bytes;

/// `model.safetensors.index.json`, reduced to what finding the shards takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The files that hold the tensors, sorted, each once.
    pub shards: Vec<String>,
    /// Tensors that the index names.
    pub tensors: usize,
    /// `metadata.total_size`: bytes of all tensors, if the index says.
    pub total_size: Option<Bytes>,
}

/// Reads an index file. Shard names that are not plain file names are refused.
pub fn parse_index(text: &[u8]) -> Result<Index, SafetensorsError> {
    let invalid = |problem: &str| SafetensorsError::InvalidIndex { problem: quotable(problem) };
    let raw: RawIndex<'_> = serde_json::from_slice(text).map_err(|problem| invalid(&problem.to_string()))?;
    let mut shards: Vec<String> = raw.weight_map.files.iter().map(|name| name.clone().into_owned()).collect();
    if shards.is_empty() {
        return Err(invalid("`weight_map` names no shard"));
    }
    shards.sort_unstable();
    if let Some(name) = shards.iter().find(|name| !is_plain(name)) {
        return Err(SafetensorsError::ForeignShard { name: quotable(name) });
    }
    let total_size = raw.metadata.as_ref().and_then(|metadata| metadata.get("total_size")).and_then(whole_bytes);
    Ok(Index { shards, tensors: raw.weight_map.tensors, total_size })
}

#[derive(Deserialize)]
struct RawIndex<'a> {
    #[serde(borrow)]
    weight_map: WeightMap<'a>,
    metadata: Option<serde_json::Value>,
}

/// The weight map without its tensor names: they stand in the shards' own headers.
struct WeightMap<'a> {
    files: HashSet<Cow<'a, str>>,
    tensors: usize,
}

#[derive(Deserialize)]
struct File<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for WeightMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WeightMapVisitor)
    }
}

struct WeightMapVisitor;

impl<'de> Visitor<'de> for WeightMapVisitor {
    type Value = WeightMap<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from tensor to file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap<'de>, A::Error> {
        const SHARD_LIMIT: usize = 100_000;
        let mut weight_map = WeightMap { files: HashSet::new(), tensors: 0 };
        let mut latest = None;
        while let Some((serde::de::IgnoredAny, File(file))) = map.next_entry()? {
            weight_map.tensors += 1;
            if latest.as_ref() != Some(&file) {
                weight_map.files.insert(file.clone());
                latest = Some(file);
            }
            if weight_map.files.len() > SHARD_LIMIT {
                return Err(A::Error::custom(format_args!("more than {SHARD_LIMIT} shards")));
            }
        }
        Ok(weight_map)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '?', '#', '%']) && !name.chars().any(char::is_control)
}

/// Some writers store the size as a float.
fn whole_bytes(size: &serde_json::Value) -> Option<Bytes> {
    size.as_u64().map(Bytes).or_else(|| size.as_f64().map(Bytes::from_f64))
}
