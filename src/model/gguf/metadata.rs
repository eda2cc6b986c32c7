//! Metadata: typed values by key. Of long arrays, such as a tokenizer's, only the length is kept.

use indexmap::IndexMap;

use super::GgufError;
use super::cursor::{Cursor, duplicate};
use crate::model::headers::quotable;

/// The most keys that are read; real files have about fifty.
pub(super) const COUNT_LIMIT: u64 = 4096;

/// Arrays longer than this are reduced to their length; the longest of interest has an element for each layer.
const KEPT_ELEMENTS: u64 = 1024;

/// The deepest nesting of arrays that is read.
const NESTING_LIMIT: u32 = 4;

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A string; what is not UTF-8 in it is replaced.
    Text(String),
    /// An array: its length and, where it is short and not of strings, its elements.
    Array {
        /// How many elements it has.
        length: u64,
        /// The elements that were kept: all or none.
        elements: Vec<Self>,
    },
}

/// Metadata by key, in the file's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(IndexMap<String, Value>);

impl Metadata {
    pub(super) fn read(cursor: &mut Cursor<'_>, count: u64) -> Result<Self, GgufError> {
        let mut entries = IndexMap::new();
        for _ in 0..count {
            let key = cursor.name("metadata key")?;
            let kind = cursor.u32("metadata type")?;
            let value = read_value(cursor, key, kind, 0)?;
            if entries.insert(key.to_owned(), value).is_some() {
                return Err(duplicate("metadata key", key));
            }
        }
        Ok(Self(entries))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The value of `key` as a whole number that is not negative.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(Value::unsigned)
    }

    /// The value of `key` as a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The length of the array at `key`.
    pub fn array_length(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Array { length, .. } => Some(*length),
            _ => None,
        }
    }
}

impl Value {
    /// The value as a whole number that is not negative.
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}

fn read_value(cursor: &mut Cursor<'_>, key: &str, kind: u32, depth: u32) -> Result<Value, GgufError> {
    const WHAT: &str = "metadata value";
    Ok(match kind {
        0 => Value::Unsigned(cursor.array::<1>(WHAT)?[0].into()),
        1 => Value::Signed(i8::from_le_bytes(cursor.array(WHAT)?).into()),
        2 => Value::Unsigned(u16::from_le_bytes(cursor.array(WHAT)?).into()),
        3 => Value::Signed(i16::from_le_bytes(cursor.array(WHAT)?).into()),
        4 => Value::Unsigned(cursor.u32(WHAT)?.into()),
        5 => Value::Signed(i32::from_le_bytes(cursor.array(WHAT)?).into()),
        6 => Value::Float(f32::from_le_bytes(cursor.array(WHAT)?).into()),
        7 => Value::Bool(cursor.array::<1>(WHAT)?[0] != 0),
        8 => Value::Text(String::from_utf8_lossy(cursor.string(WHAT)?).into_owned()),
        9 => read_array(cursor, key, depth + 1)?,
        10 => Value::Unsigned(cursor.u64(WHAT)?),
        11 => Value::Signed(i64::from_le_bytes(cursor.array(WHAT)?)),
        12 => Value::Float(f64::from_le_bytes(cursor.array(WHAT)?)),
        _ => return Err(GgufError::UnknownValueType { at: cursor.at() - 4, key: quotable(key), kind }),
    })
}

fn read_array(cursor: &mut Cursor<'_>, key: &str, depth: u32) -> Result<Value, GgufError> {
    const WHAT: &str = "metadata array";
    if depth > NESTING_LIMIT {
        return Err(GgufError::DeepArray { at: cursor.at(), key: quotable(key), limit: NESTING_LIMIT });
    }
    let kind = cursor.u32(WHAT)?;
    let length = cursor.u64(WHAT)?;
    let mut elements = Vec::new();
    match kind {
        8 => {
            for _ in 0..length {
                cursor.string(WHAT)?;
            }
        }
        9 => {
            for _ in 0..length {
                read_array(cursor, key, depth + 1)?;
            }
        }
        _ if length <= KEPT_ELEMENTS && !key.starts_with("tokenizer.") => {
            for _ in 0..length {
                elements.push(read_value(cursor, key, kind, depth)?);
            }
        }
        _ => {
            cursor.take(length.saturating_mul(scalar_size(cursor, key, kind)?), WHAT)?;
        }
    }
    Ok(Value::Array { length, elements })
}

fn scalar_size(cursor: &Cursor<'_>, key: &str, kind: u32) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(GgufError::UnknownValueType { at: cursor.at() - 12, key: quotable(key), kind }),
    }
}
