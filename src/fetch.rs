//! Reads what a checkpoint says about itself, from disk or from a hub: its config and its tensor headers.
//!
//! Weights are never read. A local file is opened for its first bytes, a remote one is asked for them by range.

mod cache;
mod client;
mod error;
mod failure;
mod gguf;
mod hints;
mod hub;
mod input;
mod local;
mod prefix;
mod remote;
mod settings;
mod shards;

pub use error::FetchError;
pub use hub::hub;
pub use input::{HubId, ModelInput};
pub use local::local;
pub use settings::{Deadlines, Environment, Hub, HubSettings};

use crate::model::headers::TensorHeader;

/// What could be read of a model without its weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The file, directory or address that was read.
    pub place: String,
    /// The text of `config.json`, or its equivalent from GGUF metadata.
    pub config: Option<String>,
    /// The text of `hf_quant_config.json`, which older ModelOpt checkpoints have instead of `quantization_config`.
    pub hf_quant_config: Option<String>,
    /// Every tensor of the checkpoint; `None` where only the config could be read.
    pub headers: Option<Vec<TensorHeader>>,
    /// What is worth knowing about the reading, as sentences to show.
    pub notes: Vec<String>,
}
