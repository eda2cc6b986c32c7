//! The programs that builds and launches call.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::tool::Tool;
use crate::facts::text::version_in;
use crate::reading::Reading;
use crate::version::Version;

/// The programs that builds and launches call.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Tools {
    /// A C compiler.
    pub c_compiler: Reading<String>,
    /// The CUDA compiler.
    pub nvcc: Reading<String>,
    /// Its version.
    pub nvcc_version: Reading<Version>,
    /// Docker.
    pub docker: Reading<String>,
    /// Podman.
    pub podman: Reading<String>,
    /// The NVIDIA container toolkit.
    pub nvidia_ctk: Reading<String>,
    /// The version of the NVIDIA container toolkit.
    pub nvidia_ctk_version: Reading<Version>,
    /// nvidia-smi.
    pub nvidia_smi: Reading<String>,
}

/// Reads which programs are there.
pub(super) fn read(capture: &Capture) -> Tools {
    let tool = |name: &str| capture.tools.get(name).map_or(Reading::unreadable("it was not looked for"), Reading::as_ref);
    let path = |name: &str| tool(name).map(|tool: &Tool| tool.path.clone());
    let version = |name: &str| tool(name).and_then(|tool: &Tool| tool.version.as_ref().and_then(|text| Reading::from(version_in(text, 2))));
    let compilers = ["cc", "gcc", "clang"].map(path);
    let found = compilers.iter().find(|compiler| compiler.known().is_some());
    Tools {
        c_compiler: found.cloned().unwrap_or_else(|| compilers[0].clone()),
        nvcc: path("nvcc"),
        nvcc_version: version("nvcc"),
        docker: path("docker"),
        podman: path("podman"),
        nvidia_ctk: path("nvidia-ctk"),
        nvidia_ctk_version: version("nvidia-ctk"),
        nvidia_smi: path("nvidia-smi"),
    }
}
