//! Findings on what was not measured, or not in full.

use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::measurement::{GpuMeasured, Refused, RefusedKind, Stop};
use crate::units::Bytes;

/// The least share of a device's memory that is free when nobody else holds any: contexts of the measuring processes and what
/// the driver keeps are below the rest.
const FREE_OF_IDLE: f64 = 0.7;

/// What stopped, one finding for each reason, and what had to be smaller.
pub(super) fn findings(measured: &GpuMeasured, subject: &str) -> Vec<Finding> {
    let mut reasons: Vec<(&Stop, Vec<String>)> = Vec::new();
    for family in &measured.families {
        for (name, stop) in &family.stopped {
            let what = if name.is_empty() { family.family.name().to_owned() } else { name.clone() };
            match reasons.iter_mut().find(|(known, _)| *known == stop) {
                Some((_, names)) => names.push(what),
                None => reasons.push((stop, vec![what])),
            }
        }
    }
    let stopped = reasons.into_iter().filter_map(|(stop, names)| one(stop, &names, subject));
    stopped.chain(short_of_memory(measured, subject)).collect()
}

fn one(stop: &Stop, names: &[String], subject: &str) -> Option<Finding> {
    let quoted = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let reason = stop.reason();
    let (id, message, fixes) = match stop {
        Stop::Unsupported(_) | Stop::OutOfMemory(_) => return None,
        Stop::NotCompiled(refused) => {
            ("gpu-kernels-not-compiled", format!("{}, so that {quoted} could not be measured: {reason}", refusal(refused)), mended(refused))
        }
        Stop::DeviceLost(_) => (
            "gpu-lost",
            format!("the GPU was lost while it was measured ({quoted}): {reason}"),
            vec![
                Fix::edit("see what the kernel logged: Xid 79 is a GPU that has fallen off its bus")
                    .with_command("dmesg | grep -i -e xid -e nvrm"),
                Fix::edit("reset the GPU, or restart the machine; if it comes back, look at power cables, riser and temperature")
                    .with_command("nvidia-smi --gpu-reset"),
            ],
        ),
        Stop::Failed(_) | Stop::Lost(_) => (
            "gpu-measurement-failed",
            format!("{quoted} could not be measured to the end: {reason}"),
            vec![
                Fix::edit("see what the kernel logged about the GPU").with_command("dmesg | grep -i -e xid -e nvrm"),
                Fix::edit("measure again, with more time for each step").with_command("gpudoctor bench --timeout 120"),
            ],
        ),
    };
    let source = "gpudoctor bench".to_owned();
    let evidence =
        names.iter().map(|name| Evidence { fact: name.clone(), value: reason.to_owned(), source: source.clone() }).take(1).collect();
    Some(Finding { id: id.to_owned(), severity: Severity::Error, subject: subject.to_owned(), message, evidence, fixes })
}

/// What a refusal means.
const fn refusal(refused: &Refused) -> &'static str {
    match refused.kind {
        RefusedKind::NoBinary => "the kernels have no form for this GPU",
        RefusedKind::NoCompiler => "the driver's compiler `libnvidia-ptxjitcompiler.so.1` is missing",
        RefusedKind::DriverTooOld => "the driver is older than the kernels, which need R470 or newer",
        RefusedKind::SwitchedOff => "compiling for the GPU is switched off",
        RefusedKind::Invalid => "the driver's compiler takes the kernels for invalid",
    }
}

fn mended(refused: &Refused) -> Vec<Fix> {
    vec![match refused.kind {
        RefusedKind::NoCompiler => Fix::edit("in a container, let the runtime mount the compiler: the capability `compute` brings it")
            .with_command("docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility …"),
        RefusedKind::SwitchedOff => Fix::edit("leave `CUDA_DISABLE_PTX_JIT` unset").with_command("unset CUDA_DISABLE_PTX_JIT"),
        RefusedKind::DriverTooOld => Fix::edit("install driver R470 or newer").with_command("gpudoctor check"),
        RefusedKind::NoBinary | RefusedKind::Invalid => {
            Fix::edit("install a newer driver; if that does not help, report this as a defect of gpudoctor").with_command("gpudoctor check")
        }
    }]
}

/// What was measured smaller, or not at all, because memory was not free.
fn short_of_memory(measured: &GpuMeasured, subject: &str) -> Option<Finding> {
    let source = |what: &str| what.to_owned();
    let smaller = measured.families.iter().flat_map(|family| &family.samples).filter_map(|sample| {
        let value = sample.note.clone().filter(|_| sample.reduced || sample.kernel.starts_with("hbm"))?;
        Some(Evidence { fact: sample.kernel.clone(), value, source: source("measured smaller") })
    });
    let skipped = measured.families.iter().flat_map(|family| &family.stopped).filter_map(|(name, stop)| match stop {
        Stop::OutOfMemory(reason) => Some(Evidence { fact: name.clone(), value: reason.clone(), source: source("not measured") }),
        _ => None,
    });
    let mut evidence: Vec<Evidence> = smaller.chain(skipped).collect();
    // One line for each kernel says enough.
    evidence.dedup_by(|later, earlier| later.fact == earlier.fact);
    if evidence.is_empty() {
        return None;
    }
    let total = measured.device.memory;
    let free = measured.families.iter().filter_map(|family| family.free).min().unwrap_or(Bytes::ZERO);
    let others = (free.0 as f64) < FREE_OF_IDLE * total.0 as f64;
    Some(Finding {
        id: "gpu-memory-short".to_owned(),
        // On a small card that nobody else uses, there is nothing to mend.
        severity: if others { Severity::Warning } else { Severity::Info },
        subject: subject.to_owned(),
        message: format!("{free} of {total} were free, so that {} measured smaller than usual or not at all", counted(evidence.len())),
        evidence,
        fixes: vec![Fix::edit("see who holds the memory, and measure when it is free").with_command("gpudoctor gpus")],
    })
}

fn counted(kernels: usize) -> String {
    if kernels == 1 { "one kernel was".to_owned() } else { format!("{kernels} kernels were") }
}
