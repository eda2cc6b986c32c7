//! What must hold before a plan may be emitted, line by line. What could not be looked at is not a pass.

use crate::catalog::FlagStatus;
use crate::engine::arguments::Arguments;
use crate::engine::resolve::asks_for_offload;
use crate::finding::{Finding, Severity};
use crate::plan::evaluate::{Evaluation, Setting};
use crate::plan::make::Inputs;
use crate::plan::outcome::Validation;
use crate::plan::sharding::misfits;
use crate::units::Bytes;

/// The lines, in the order they are printed. The rendered files add their own.
pub fn validations(
    args: &Arguments,
    evaluation: &Evaluation,
    findings: &[Finding],
    inputs: &Inputs<'_>,
    setting: &Setting<'_>,
) -> Vec<Validation> {
    let line = |id: &str, statement: String, holds: Option<bool>| Validation { id: id.to_owned(), statement, holds };
    let mut lines = Vec::new();
    let (known, unknown) = flags(args, inputs);
    let refused = findings.iter().filter(|finding| finding.severity == Severity::Error && finding.subject.starts_with("flag:")).count();
    let name = format!("{} {}", inputs.chosen.engine.name(), inputs.chosen.version);
    lines.push(line(
        "flags",
        if unknown.is_empty() {
            format!("{known} flags exist in {name} with legal values")
        } else {
            format!("{} not in {name}: {}", if unknown.len() == 1 { "a flag is" } else { "flags are" }, unknown.join(", "))
        },
        Some(unknown.is_empty() && refused == 0),
    ));
    if asks_for_offload(args) {
        let moved = evaluation.weights.offloaded;
        lines.push(line("offload-honoured", format!("{moved} of weights really leave the device"), Some(moved > Bytes::ZERO)));
    }
    let structure = misfits(setting.model, evaluation.launch.parallel);
    let within = evaluation.launch.max_model_len <= setting.model.context_length;
    let statement = match (structure.first(), within) {
        (Some((_, message)), _) => message.clone(),
        (None, false) => {
            format!("max-model-len {} is beyond the model's {}", evaluation.launch.max_model_len, setting.model.context_length)
        }
        (None, true) => "heads, widths and vocabulary divide; the context is within the model's".to_owned(),
    };
    lines.push(line("structure", statement, Some(structure.is_empty() && within)));
    lines.push(wheel(inputs, setting));
    let host = evaluation.budget.host_memory;
    let fits = evaluation.reasons.iter().all(|reason| reason.short_by.is_none());
    let statement = match (evaluation.short_by(), host > Bytes::ZERO) {
        (Some(short), _) => format!("memory is short by {short} at the high band"),
        (None, true) => format!("device memory fits at its high band; {host} of host memory are needed"),
        (None, false) => "device memory fits at its high band".to_owned(),
    };
    let host_known = setting.host_memory.is_some() || host == Bytes::ZERO;
    lines.push(line("budget", statement, if fits && !host_known { Some(true) } else { Some(fits) }));
    lines
}

fn flags(args: &Arguments, inputs: &Inputs<'_>) -> (usize, Vec<String>) {
    let behaviour = &inputs.chosen.behaviour;
    let is_known = |flag: &str| flag == "model" || matches!(inputs.chosen.engine.flag(flag, behaviour), FlagStatus::Current { .. });
    let (known, unknown): (Vec<&String>, Vec<&String>) = args.0.keys().partition(|flag| is_known(flag.split('.').next().unwrap_or(flag)));
    (known.len(), unknown.into_iter().cloned().collect())
}

fn wheel(inputs: &Inputs<'_>, setting: &Setting<'_>) -> Validation {
    let release = inputs.chosen.release;
    let (statement, holds) = match inputs.chosen.obstacle(setting.devices) {
        Some((_, message)) => (message, Some(false)),
        None => {
            let needs = format!(
                "torch {}, CUDA {}: driver {} or newer, compute capability {} or newer",
                release.torch, release.cuda, release.min_driver, release.min_capability
            );
            match &setting.devices.driver {
                Some(driver) => (format!("{needs}; the target has driver {driver}"), Some(true)),
                None => (format!("{needs}; no driver version was given"), None),
            }
        }
    };
    Validation { id: "wheel".to_owned(), statement, holds }
}
