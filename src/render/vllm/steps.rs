//! How to start the server, step by step: printed in compose.yaml, in PLAN.md and after planning.

use serde::Serialize;

use crate::render::RenderError;
use crate::render::options::{ModelSource, RenderOptions};
use crate::render::quote;
use crate::render::vllm::{Image, Model, Server};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is for, as a phrase.
    pub title: String,
    /// The command, run in the directory of the files.
    pub command: String,
    /// A Markdown fence that the command cannot close.
    pub fence: String,
    /// Title and command in comment lines.
    pub comment: Vec<String>,
}

/// The steps from the written files to a running server.
pub fn steps(options: &RenderOptions, model: &Model, image: &Image, server: &Server) -> Result<Vec<Step>, RenderError> {
    let mut steps = vec![];
    if server.api_key || server.hub_token {
        // The directory keeps other users out; the file in it must be readable for the container's user.
        let mut commands = vec!["mkdir -p -m 700 secrets".to_owned()];
        if server.api_key {
            commands.push("openssl rand -hex 32 > secrets/vllm_api_key".to_owned());
        }
        if server.hub_token {
            commands.push("cp PATH_OF_YOUR_TOKEN secrets/hf_token".to_owned());
        }
        commands.push("chmod 444 secrets/*".to_owned());
        steps.push(step("create the secret, once", commands.join(" && ")));
    }
    steps.push(step("put the preflight's binary beside the Dockerfile", "cp \"$(command -v gpudoctor)\" .".to_owned()));
    steps.push(step(
        &format!("build the image; it stops unless driver {} can run it", image.target_driver),
        "docker compose build".to_owned(),
    ));
    if options.offline && model.mount.is_none() {
        let library = if matches!(options.model, ModelSource::ModelScope { .. }) { "modelscope" } else { "huggingface_hub" };
        let fetch = format!("import sys, {library}; {library}.snapshot_download(sys.argv[1])");
        let words =
            ["docker", "compose", "run", "--rm", "-e", "HF_HUB_OFFLINE=0", &server.service, "python3", "-c", &fetch, &model.container];
        let words = words.map(str::to_owned);
        steps.push(step("fill the cache volume, once, while there is a network", quote::shell(&words)?));
    }
    steps.push(step("start the server and wait until it is healthy", "docker compose up --detach --wait".to_owned()));
    Ok(steps)
}

fn step(title: &str, command: String) -> Step {
    let comment = vec![format!("{title}:"), format!("  {}", quote::one_line(&command))];
    Step { title: title.to_owned(), fence: quote::markdown_fence(&command), command, comment }
}
