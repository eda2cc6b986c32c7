//! A plan to the files that launch it. Pure: what is written where is decided in [`crate::write`].
//!
//! Decisions are made in [`vllm`], which turns a plan and the user's options into a typed context; the
//! templates only print it. [`validate`] reads every file back and compares it with what was meant, and
//! only a [`validate::Validated`] set of files can be written.

pub mod options;
pub mod quote;
pub mod templates;
pub mod validate;
pub mod vllm;

use crate::hint::Hint;
use crate::picture::{budget, pen};
use crate::plan::outcome::Plan;
use crate::render::options::RenderOptions;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    /// The engine's configuration.
    EngineConfig,
    /// Environment variables.
    Environment,
    /// The recipe of the image.
    Dockerfile,
    /// The Compose file.
    Compose,
    /// Kubernetes objects.
    Kubernetes,
    /// The explanation, for people.
    Explanation,
    /// The budget as a picture, which the explanation shows.
    Picture,
}

impl ArtifactKind {
    /// All kinds, in the order they are listed.
    pub const ALL: [Self; 7] =
        [Self::EngineConfig, Self::Environment, Self::Dockerfile, Self::Compose, Self::Kubernetes, Self::Explanation, Self::Picture];

    /// The name of the file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::EngineConfig => "serve.yaml",
            Self::Environment => ".env",
            Self::Dockerfile => "Dockerfile",
            Self::Compose => "compose.yaml",
            Self::Kubernetes => "kubernetes.yaml",
            Self::Explanation => "PLAN.md",
            Self::Picture => "budget.svg",
        }
    }

    /// The word of the JSON contract.
    pub const fn id(self) -> &'static str {
        match self {
            Self::EngineConfig => "engine_config",
            Self::Environment => "environment",
            Self::Dockerfile => "dockerfile",
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
            Self::Explanation => "explanation",
            Self::Picture => "picture",
        }
    }

    /// The permission bits of the file. People add secrets to `.env` files, so only the owner reads ours.
    pub const fn mode(self) -> u32 {
        match self {
            Self::Environment => 0o600,
            _ => 0o644,
        }
    }
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What it is for; this names the file.
    pub kind: ArtifactKind,
    /// Its text.
    pub text: String,
}

/// Renders every file of `plan`.
pub fn render(plan: &Plan, options: &RenderOptions) -> Result<Vec<Artifact>, RenderError> {
    let context = vllm::context(plan, options)?;
    let mut artifacts = templates::print(&context)?;
    artifacts.push(Artifact { kind: ArtifactKind::Picture, text: picture(plan).ok_or(RenderError::Incomplete("budget"))? });
    Ok(artifacts)
}

/// The memory of one GPU as a picture.
fn picture(plan: &Plan) -> Option<String> {
    let title = if plan.devices.count > 1 { "Memory of each GPU" } else { "GPU memory" };
    let title = format!("{title}: {} on {}", plan.model.id, plan.devices.name);
    let drawing = budget::draw(plan.budget.as_ref()?, plan.devices.limit, &title)?;
    Some(pen::document("gpudoctor plan", &[drawing]))
}

/// Why a plan cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The plan is not one to start.
    #[error("the plan's verdict is `{0}`, and only a plan that fits is written")]
    NotGood(&'static str),
    /// The plan has no budget or launch.
    #[error("the plan has no {0}, so what it needs is unknown")]
    Incomplete(&'static str),
    /// A flag's name is none.
    #[error("`{0}` is not the name of a flag")]
    NotAFlag(String),
    /// A flag's value would be taken for a flag, or is null.
    #[error("the engine would not read `{flag}: {value}` as a value")]
    NotAValue {
        /// The flag.
        flag: String,
        /// Its value.
        value: String,
    },
    /// A value cannot be written in a format.
    #[error("the value of `{name}` cannot be written in {format} so that every reader gets it back")]
    Unwritable {
        /// Whose value.
        name: String,
        /// The format.
        format: &'static str,
    },
    /// The model's place cannot be mounted.
    #[error("`{0}` is not an absolute path, and a container needs one to mount the model")]
    RelativePath(String),
    /// The wrong number of GPUs was named.
    #[error("the plan is for {planned} GPUs, and {named} were named")]
    GpuCount {
        /// GPUs of the plan.
        planned: u64,
        /// GPUs named.
        named: u64,
    },
    /// A GPU is named by something else than an index or a UUID.
    #[error("`{0}` is neither the index nor the UUID of a GPU")]
    NotAGpu(String),
    /// The process would run as root.
    #[error("user 0 is root, and the server runs as an ordinary user")]
    Root,
    /// The server would be open to the network.
    #[error("{0} is reachable from other machines, and the server would take requests without a key")]
    Open(std::net::IpAddr),
    /// The wheel cannot run on the target.
    #[error("the wheel of {engine} needs driver {needs} or newer, and the target runs {target}")]
    DriverTooOld {
        /// Engine and version.
        engine: String,
        /// The oldest driver that runs it.
        needs: String,
        /// The target's driver.
        target: String,
    },
    /// The wheel's image has no compiler for what the launch compiles.
    #[error("the FlashInfer sampler of this launch is compiled with nvcc on its first use, and an image with the wheel alone has none")]
    NoCompiler,
    /// A template is wrong: gpudoctor's own fault.
    #[error("the template of `{file}` failed")]
    Template {
        /// The file.
        file: &'static str,
        /// What the template engine says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Hint for RenderError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotGood(_) => "read the reasons, and choose one of the alternatives".to_owned(),
            Self::Incomplete(_) | Self::Template { .. } => return None,
            Self::NotAFlag(_) => "write flags as `max-model-len`, without dashes in front".to_owned(),
            Self::NotAValue { flag, .. } => format!("give `{flag}` a value that does not start with `-`, or leave it out"),
            Self::Unwritable { name, .. } => format!("choose a value for `{name}` without control characters, quotes and backslashes"),
            Self::RelativePath(path) => format!("give the whole path: `$(realpath {path})`"),
            Self::GpuCount { planned, .. } => format!("name {planned} GPUs, or none to take any {planned}"),
            Self::NotAGpu(_) => "take a number or a UUID from `nvidia-smi -L`".to_owned(),
            Self::Root => format!("use any other user id, such as {}", options::DEFAULT_UID),
            Self::Open(_) => "keep the key, or bind to 127.0.0.1".to_owned(),
            Self::NoCompiler => "use the engine's image, or plan with `--env VLLM_USE_FLASHINFER_SAMPLER=0`".to_owned(),
            Self::DriverTooOld { .. } => "use the engine's image, or an engine version built for an older CUDA".to_owned(),
        })
    }
}
