//! What a model is to the planner: its shape, layer by layer, and its tensors, group by group.
//!
//! The same [`spec::ModelSpec`] comes from a catalogue entry, from a `config.json`, or from a checkpoint whose
//! tensor headers were read; only the exactness of [`spec::TensorGroup::stored`] differs. Everything is
//! brought to a [`shape::Shape`] first: [`config`] reads config.json into one, the catalogue's entries are
//! one, and [`inventory`] makes layers and tensors of it.

pub mod build;
pub mod catalogue_entry;
pub mod check;
pub mod config;
pub mod difference;
pub mod family;
pub mod from_headers;
pub mod gguf;
pub mod headers;
pub mod inventory;
pub mod quantization;
pub mod recurrent;
pub mod rope;
pub mod safetensors;
pub mod shape;
pub mod spec;
pub mod vision;
