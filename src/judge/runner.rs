//! The model runner that a version picks by itself.

use indexmap::IndexMap;

use crate::catalog::{Engine, RunnerRule};
use crate::engine::launch::Runner;
use crate::model::spec::ModelSpec;
use crate::version::Version;

/// The runner that `version` picks for `model` in this environment; `None` where what was read does not decide it.
pub fn default_runner(engine: &Engine, version: &Version, env: &IndexMap<String, String>, model: Option<&ModelSpec>) -> Option<Runner> {
    let rule = &engine.v2_model_runner(version)?.value;
    match env.get("VLLM_USE_V2_MODEL_RUNNER").map(|value| value.trim().to_ascii_lowercase()).as_deref() {
        Some("0" | "false" | "no" | "off") => return Some(Runner::V1),
        Some("1" | "true" | "yes" | "on") => return Some(Runner::V2),
        _ => {}
    }
    let listed = |architectures: &[String], model: &ModelSpec| architectures.contains(&model.architecture);
    match (rule, model) {
        (RunnerRule::Never, _) => Some(Runner::V1),
        (RunnerRule::Everything, _) => Some(Runner::V2),
        (_, None) => None,
        (RunnerRule::Listed { architectures, unquantized_only, complete }, Some(model)) => {
            let allowed = !unquantized_only || model.quantization.is_none();
            decided(listed(architectures, model) && allowed, *complete || !allowed)
        }
        (RunnerRule::DenseGenerate { architectures, complete }, Some(model)) => {
            let dense = !model.is_mixture_of_experts() && !model.is_hybrid();
            decided(dense || listed(architectures, model), *complete)
        }
    }
}

const fn decided(chosen: bool, complete: bool) -> Option<Runner> {
    if chosen {
        Some(Runner::V2)
    } else if complete {
        Some(Runner::V1)
    } else {
        None
    }
}
