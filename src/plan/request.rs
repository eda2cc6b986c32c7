//! What the user asked for, typed but not yet resolved: names are still names. `commands` looks them up.

use std::net::IpAddr;
use std::path::PathBuf;

use indexmap::IndexMap;

use crate::engine::arguments::Arguments;
use crate::engine::launch::UsageContext;
use crate::units::Bytes;
use crate::version::Version;

/// A request for a plan. `None` leaves a value to the planner; whatever is given stays fixed.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    /// What to plan from: a model to find a launch for, or a configuration to judge as it is.
    pub subject: Subject,
    /// The devices that the launch runs on.
    pub target: Target,
    /// The engine and, if given, its version.
    pub engine: EngineRequest,
    /// How the engine is started; decides its batch defaults.
    pub usage: UsageContext,
    /// Longest request in tokens, prompt and answer together (`--context`).
    pub context: Option<u64>,
    /// Requests that are served at once (`--concurrency`).
    pub concurrency: Option<u64>,
    /// The quantisation, by its rule's id (`--quantization`).
    pub quantization: Option<String>,
    /// Engine flags that stay as given (`--set`), canonical, in the order given.
    pub fixed: Arguments,
    /// Environment of the engine's process (`--env`), in the order given.
    pub env: IndexMap<String, String>,
    /// The address that the server listens on (`--bind`); loopback unless asked.
    pub bind: Option<IpAddr>,
    /// Host memory that the launch may take (`--host-memory`).
    pub host_memory: Option<Bytes>,
    /// Where the model may be read from.
    pub access: ModelAccess,
}

/// What a plan starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Find a launch for this model: a path, a hub id, a catalogue name or a size such as `70b`.
    Model(String),
    /// Judge this engine configuration as it is.
    Configuration {
        /// The YAML file.
        file: PathBuf,
        /// The model, if it is not the one that the file names.
        model: Option<String>,
    },
}

/// The devices as the user named them. All fields empty means "no device was named".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The most that nvidia-smi may show for this server, on each device (`--vram`).
    pub vram: Option<GivenSize>,
    /// The card's name, or a MIG profile such as `1g.10gb` (`--gpu`).
    pub gpu: Option<String>,
    /// How many of them (`--gpus`).
    pub count: u64,
    /// The driver version of the target (`--target-driver`).
    pub driver: Option<Version>,
}

/// A size together with the text it was read from, so that the answer can echo both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenSize {
    /// The text: `7g`.
    pub text: String,
    /// The size that it means.
    pub bytes: Bytes,
}

/// The engine as the user named it: `vllm` or `vllm@0.25.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineRequest {
    /// The engine's name, in lower case.
    pub name: String,
    /// The version; `None` for the newest that the target can run.
    pub version: Option<Version>,
}

impl Default for EngineRequest {
    fn default() -> Self {
        Self { name: "vllm".to_owned(), version: None }
    }
}

/// Where a model may be read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelAccess {
    /// Whether hubs are left alone (`--offline`, `HF_HUB_OFFLINE`): paths, caches and the catalogue only.
    pub offline: bool,
    /// The hub revision: a branch, tag or commit (`--revision`).
    pub revision: Option<String>,
}
