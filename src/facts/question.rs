//! What was asked of the checks.

use crate::plan::request::EngineRequest;
use crate::version::Version;

/// What is examined, and what it is meant for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The engine that it must hold.
    pub engine: Option<EngineRequest>,
    /// The driver that it must run on.
    pub driver: Option<Version>,
    /// The card that it must run on: a name that the catalogue knows.
    pub gpu: Option<String>,
    /// Whether the image alone is judged, and not the machine that it runs on.
    pub image: bool,
    /// Whether a GPU must be there, and everything that tells of it must be seen.
    pub require_gpu: bool,
    /// The data type that will be served with, `bfloat16` or `float16`.
    pub dtype: Option<String>,
    /// The quantisation that will be served with.
    pub quantization: Option<String>,
    /// The environment that was chosen with `--python`.
    pub python: Option<String>,
    /// The only checks to run; all if empty.
    pub only: Vec<String>,
    /// Checks to leave out.
    pub skip: Vec<String>,
}
