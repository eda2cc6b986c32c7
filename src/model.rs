//! What a model is to the planner: its shape, layer by layer, and its tensors, group by group.
//!
//! The same [`ModelSpec`] comes from a catalogue entry, from a `config.json`, or from a checkpoint whose
//! tensor headers were read; only the exactness of [`TensorGroup::stored`] differs.

pub mod gguf;
pub mod headers;
pub mod safetensors;
pub mod spec;
