//! What the user decides about a deployment, beside the plan.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::catalog::{Engine, FlagStatus};
use crate::plan::outcome::Plan;
use crate::version::Version;

/// The port that the server listens on unless told otherwise: vLLM's own.
pub const DEFAULT_PORT: u16 = 8000;
/// The variable that chooses GPUs by the host's numbers, which mean nothing inside a container.
pub const GPU_CHOICE: &str = "CUDA_VISIBLE_DEVICES";
/// The user of the container unless told otherwise; any but root will do.
pub const DEFAULT_UID: u32 = 1000;

/// What the user decides about a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// The address that the server is reached at from outside its container; loopback unless asked.
    pub bind: IpAddr,
    /// The port, inside and outside.
    pub port: u16,
    /// Where the weights come from.
    pub model: ModelSource,
    /// Whether the server may not reach the hub.
    pub offline: bool,
    /// What the image is built on.
    pub install: Install,
    /// The user and group of the process; never 0.
    pub uid: u32,
    /// The name of the service, of its container and of its Kubernetes objects.
    pub service: ServiceName,
    /// Which GPUs of the host.
    pub gpus: GpuSelection,
    /// The driver that the image must run on; the engine's oldest where neither this nor the plan names one.
    pub target_driver: Option<Version>,
    /// Whether requests need the key that the secret holds. Only a loopback address may do without.
    pub api_key: bool,
    /// Whether the hub asks for a token (gated models); it comes from a secret too.
    pub hub_token: bool,
    /// Flags of this engine version that have a `--no-` form. A configuration file cannot say `false` to all
    /// engine versions, so `false` is written as the flag's `no-` form where there is one: [`negatable_flags`].
    pub negatable: BTreeSet<String>,
}

impl RenderOptions {
    /// The defaults for `plan`: loopback, the hub unless the model is a path, as many GPUs as planned.
    pub fn for_plan(plan: &Plan) -> Self {
        let port = plan.args.get("port").and_then(serde_json::Value::as_u64).and_then(|port| u16::try_from(port).ok());
        let modelscope = plan.env.get("VLLM_USE_MODELSCOPE").is_some_and(|variable| is_true(&variable.value));
        let id = plan.args.get("model").and_then(serde_json::Value::as_str).unwrap_or(&plan.model.id);
        let model = if id.starts_with('/') || id.starts_with("./") || id.starts_with("../") || id.starts_with('~') {
            ModelSource::directory(id)
        } else if modelscope {
            ModelSource::ModelScope { id: id.to_owned() }
        } else {
            ModelSource::Hub { id: id.to_owned() }
        };
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: port.filter(|port| *port != 0).unwrap_or(DEFAULT_PORT),
            model,
            offline: plan.env.get("HF_HUB_OFFLINE").is_some_and(|variable| is_true(&variable.value)),
            install: Install::Image,
            uid: DEFAULT_UID,
            service: ServiceName::default(),
            gpus: chosen_gpus(plan),
            target_driver: plan.devices.driver.clone(),
            api_key: true,
            hub_token: false,
            negatable: BTreeSet::new(),
        }
    }
}

/// The flags of `plan` with a `--no-` form in its version of `engine`.
pub fn negatable_flags(plan: &Plan, engine: &Engine) -> BTreeSet<String> {
    let negatable = |name: &&String| match engine.flag(name, &plan.engine.version) {
        FlagStatus::Current { flag, span } => flag.name == **name && span.negatable,
        _ => false,
    };
    plan.args.0.keys().filter(negatable).cloned().collect()
}

/// The GPUs that the plan's environment names, if it names as many as it is for.
fn chosen_gpus(plan: &Plan) -> GpuSelection {
    let Some(variable) = plan.env.get(GPU_CHOICE) else { return GpuSelection::Any };
    let names: Vec<String> = variable.value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if names.len() as u64 == plan.devices.count { GpuSelection::These(names) } else { GpuSelection::Any }
}

/// Whether an environment variable says yes, as vLLM and the hub clients read it.
fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

/// Where the weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A directory of the host, mounted read-only.
    Directory {
        /// The directory, as Docker and the user see it.
        path: String,
        /// The file in it to serve, for formats of one file (GGUF).
        file: Option<String>,
    },
    /// The Hugging Face hub or a mirror of it.
    Hub {
        /// `organisation/name`.
        id: String,
    },
    /// ModelScope.
    ModelScope {
        /// `organisation/name`.
        id: String,
    },
}

impl ModelSource {
    /// A directory, or a GGUF file in its directory.
    pub fn directory(path: &str) -> Self {
        let is_file = std::path::Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
        match path.rsplit_once('/') {
            Some((directory, file)) if is_file => {
                let directory = if directory.is_empty() { "/" } else { directory };
                Self::Directory { path: directory.to_owned(), file: Some(file.to_owned()) }
            }
            _ => Self::Directory { path: path.to_owned(), file: None },
        }
    }
}

/// What the image is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// The engine's own image, as the plan names it.
    Image,
    /// The engine's wheel on a Python image.
    Wheel,
}

/// Which GPUs of the host the container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuSelection {
    /// As many as the plan is for; the runtime chooses.
    Any,
    /// These: indices as nvidia-smi counts, or UUIDs of GPUs or MIG devices.
    These(Vec<String>),
}

/// A name that Docker and Kubernetes both take: a DNS label of at most 40 characters, so that suffixes fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(String);

impl ServiceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServiceName {
    fn default() -> Self {
        Self("vllm-server".to_owned())
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a service name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a service name: it needs 1 to 40 of `a-z`, `0-9` and `-`, a letter first and no `-` last")]
pub struct InvalidServiceName(pub String);

impl FromStr for ServiceName {
    type Err = InvalidServiceName;

    fn from_str(text: &str) -> Result<Self, InvalidServiceName> {
        let characters = text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        let ends = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-');
        if characters && ends && text.len() <= 40 { Ok(Self(text.to_owned())) } else { Err(InvalidServiceName(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_is_a_dns_label() {
        for name in ["vllm", "a", "vllm-70b"] {
            assert!(name.parse::<ServiceName>().is_ok(), "{name}");
        }
        for name in ["", "7b", "-a", "a-", "A", "a_b", "a.b", "a\n", &"a".repeat(41)] {
            assert!(name.parse::<ServiceName>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_gguf_file_is_mounted_by_its_directory() {
        assert_eq!(
            ModelSource::directory("/models/a/b.gguf"),
            ModelSource::Directory { path: "/models/a".to_owned(), file: Some("b.gguf".to_owned()) }
        );
        assert_eq!(ModelSource::directory("/models/a"), ModelSource::Directory { path: "/models/a".to_owned(), file: None });
    }
}
