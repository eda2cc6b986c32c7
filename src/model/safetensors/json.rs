//! The JSON of a safetensors header, read without a tree and without copying names.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::SafetensorsError;
use crate::model::headers::quotable;

/// A tensor as the header spells it.
#[derive(Deserialize)]
pub(super) struct RawTensor<'a> {
    #[serde(borrow)]
    pub(super) dtype: Cow<'a, str>,
    pub(super) shape: Shape,
    pub(super) data_offsets: (u64, u64),
}

/// Dimensions, at most [`Shape::RANK_LIMIT`] of them, so that a hostile header cannot make them fill memory.
pub(super) struct Shape(pub(super) Vec<u64>);

impl Shape {
    const RANK_LIMIT: usize = 64;
}

type Entries<'a> = Vec<(Cow<'a, str>, RawTensor<'a>)>;

pub(super) fn parse(header: &[u8]) -> Result<Entries<'_>, SafetensorsError> {
    match serde_json::from_slice(header) {
        Ok(Header(entries)) => Ok(entries),
        Err(problem) => Err(SafetensorsError::InvalidHeader { problem: quotable(&problem.to_string()) }),
    }
}

struct Header<'a>(Entries<'a>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match map.next_value() {
                Ok(tensor) => entries.push((name, tensor)),
                Err(problem) => return Err(A::Error::custom(format_args!("tensor `{}`: {problem}", quotable(&name)))),
            }
        }
        Ok(Header(entries))
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} dimensions", Shape::RANK_LIMIT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Shape, A::Error> {
        let mut dimensions = Vec::new();
        while let Some(dimension) = sequence.next_element()? {
            if dimensions.len() == Shape::RANK_LIMIT {
                return Err(A::Error::invalid_length(dimensions.len() + 1, &self));
            }
            dimensions.push(dimension);
        }
        Ok(Shape(dimensions))
    }
}
