//! The environment of the server: the plan's variables, and those of the hub clients.

use serde::Serialize;

use crate::plan::outcome::Plan;
use crate::render::RenderError;
use crate::render::options::{GPU_CHOICE, ModelSource, RenderOptions};
use crate::render::quote;

/// Columns of a comment, `# ` not counted.
const COMMENT_WIDTH: usize = 110;

/// One variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VariableLine {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Its value as `.env` holds it.
    pub dotenv: String,
    /// Whether it is set; else it is there as a comment, ready to be.
    pub set: bool,
    /// Whether the plan asks for it, rather than the container; without a container it is set in any case.
    pub planned: bool,
    /// Why, in comment lines.
    pub why: Vec<String>,
}

/// Whether a variable of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["_TOKEN", "_KEY", "_SECRET", "_PASSWORD", "_CREDENTIALS"].iter().any(|end| name.ends_with(end))
}

/// The variables of `plan`, then those of the container. Secrets are left out.
pub fn lines(plan: &Plan, options: &RenderOptions) -> Result<Vec<VariableLine>, RenderError> {
    let mut lines = vec![];
    let container = container(options);
    for (name, variable) in &plan.env {
        let first = name.bytes().next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
        if !first || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
            return Err(RenderError::Unwritable { name: name.clone(), format: "a `.env` file" });
        }
        if is_secret(name) || container.iter().any(|(own, ..)| own == name) {
            continue;
        }
        if name == GPU_CHOICE {
            lines.push(line(name, &variable.value, false, true, "a container counts its own GPUs from 0: compose.yaml chooses them")?);
        } else {
            lines.push(line(name, &variable.value, true, true, &format!("because {}", variable.reason))?);
        }
    }
    for (name, value, set, why) in container {
        lines.push(line(name, value, set, false, why)?);
    }
    Ok(lines)
}

/// The variables that the container and the model's source decide: name, value, whether it is set, why.
fn container(options: &RenderOptions) -> Vec<(&'static str, &'static str, bool, &'static str)> {
    let mut variables = vec![("HF_HOME", "/cache/huggingface", true, "the cache volume, so that a restart downloads nothing again")];
    let (set, why) = match &options.model {
        ModelSource::Directory { .. } => (true, "the weights are mounted, so nothing needs the hub"),
        ModelSource::Hub { .. } | ModelSource::ModelScope { .. } if options.offline => {
            (true, "as asked: the weights must be in the cache volume already")
        }
        ModelSource::Hub { .. } | ModelSource::ModelScope { .. } => {
            (false, "once the weights are in the cache, this starts without a word to the hub")
        }
    };
    variables.push(("HF_HUB_OFFLINE", "1", set, why));
    if matches!(options.model, ModelSource::ModelScope { .. }) {
        variables.push(("VLLM_USE_MODELSCOPE", "True", true, "the model's id is one of ModelScope"));
        variables.push(("MODELSCOPE_CACHE", "/cache/modelscope", true, "the cache volume again"));
    }
    variables
}

fn line(name: &str, value: &str, set: bool, planned: bool, why: &str) -> Result<VariableLine, RenderError> {
    Ok(VariableLine {
        name: name.to_owned(),
        value: value.to_owned(),
        dotenv: quote::dotenv(name, value)?,
        set,
        planned,
        why: quote::comment(why, COMMENT_WIDTH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["VLLM_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "modelscope_api_token"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("VLLM_USE_V2_MODEL_RUNNER"));
    }
}
