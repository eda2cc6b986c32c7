//! Whether the checkpoint and the device take the quantisation and the dtype that are asked for.

use super::line::{Found, Lines};
use crate::catalog::{Method, MethodSpan};
use crate::finding::{Fix, Severity};
use crate::model::spec::{CheckpointQuantization, ModelSpec};

const FLAG: &str = "quantization";

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    if let Some(name) = lines.text(FLAG) {
        found.extend(method(lines, name));
    } else if let Some(checkpoint) = lines.context.model.and_then(|model| model.quantization.as_ref()) {
        found.extend(unsupported_checkpoint(lines, checkpoint));
    }
    found.extend(dtype(lines));
    found
}

fn method(lines: &Lines<'_>, name: &str) -> Vec<Found> {
    let Ok(method) = lines.context.engine.quantization_method(name) else { return Vec::new() };
    let Some(span) = method.at(lines.version) else { return vec![gone(lines, method)] };
    let mut found: Vec<Found> = deprecated(lines, method, span).into_iter().chain(capability(lines, method, span)).collect();
    if let Some(model) = lines.context.model {
        found.extend(match &model.quantization {
            Some(checkpoint) => mismatch(lines, name, checkpoint, model),
            None => not_quantized(lines, method, model),
        });
    }
    found
}

/// A method that other versions have, or that moved into a plugin.
fn gone(lines: &Lines<'_>, method: &Method) -> Found {
    let name = &method.name;
    let left = method.span.iter().filter_map(|span| span.until.as_ref()).filter(|until| *until <= lines.version).max();
    let text = match left {
        Some(until) => format!("{name} left vLLM in {until}"),
        None => format!("vLLM {} does not have {name} yet", lines.version),
    };
    match (&method.plugin, left) {
        (Some(plugin), Some(_)) => lines
            .found("quantization-needs-plugin", Severity::Error, FLAG, &format!("{text}; without the plugin the engine refuses to start"))
            .fix(Fix::edit(format!("install {plugin}")).with_command(format!("pip install {plugin}")))
            .fix(Fix::edit("or use a quantised checkpoint, such as an AWQ one, and delete the line: the method is then read from it")),
        _ => {
            let found = lines.found("quantization-removed", Severity::Error, FLAG, &format!("{text}; the engine refuses to start"));
            let later = method.span.iter().map(|span| &span.since).filter(|since| *since > lines.version).min();
            match (&method.replacement, later) {
                (_, Some(since)) if left.is_none() => found.fix(Fix::edit(format!("use vLLM {since} or newer"))),
                (Some(replacement), _) => found.line("use instead", format!("{FLAG}: {replacement}")),
                (None, _) => found.fix(Fix::edit("delete the line: the method is read from the checkpoint")),
            }
        }
    }
}

fn unsupported_checkpoint(lines: &Lines<'_>, checkpoint: &CheckpointQuantization) -> Option<Found> {
    let method = lines.context.engine.quantization_method(&checkpoint.method).ok()?;
    match method.at(lines.version) {
        None => Some(gone(lines, method).because("model.quantization", &checkpoint.method, "config.json")),
        Some(span) => deprecated(lines, method, span).or_else(|| capability(lines, method, span)),
    }
}

fn deprecated(lines: &Lines<'_>, method: &Method, span: &MethodSpan) -> Option<Found> {
    if !span.deprecated || lines.is_on("allow-deprecated-quantization") {
        return None;
    }
    let text =
        format!("{} is deprecated in vLLM {}, which refuses it unless allow-deprecated-quantization is set", method.name, lines.version);
    let found = lines.found("quantization-deprecated", Severity::Error, FLAG, &text);
    Some(found.line("allow it", "allow-deprecated-quantization: true"))
}

fn capability(lines: &Lines<'_>, method: &Method, span: &MethodSpan) -> Option<Found> {
    let devices = lines.context.devices?;
    let (has, least) = (devices.compute_capability?, span.min_capability?);
    let text = format!(
        "{} needs compute capability {least}, and {} has {}.{}; vLLM refuses to start",
        method.name,
        devices.name,
        has / 10,
        has % 10
    );
    (has < u32::from(least.sm())).then(|| {
        lines
            .found("quantization-unsupported-by-gpu", Severity::Error, FLAG, &text)
            .because("device.compute-capability", format!("{}.{}", has / 10, has % 10), &devices.name)
            .fix(Fix::edit("use another quantisation, or a newer GPU"))
    })
}

fn mismatch(lines: &Lines<'_>, name: &str, checkpoint: &CheckpointQuantization, model: &ModelSpec) -> Option<Found> {
    let stored = checkpoint.method.as_str();
    if name == stored || overrides(stored, name) {
        return forced_slow_kernel(lines, name, stored);
    }
    let text = format!("`{name}` is not what the checkpoint is quantised with, `{stored}`; vLLM refuses to start");
    let found = lines.found("quantization-mismatch", Severity::Error, FLAG, &text).because("model.quantization", stored, &model.id);
    Some(found.fix(Fix::edit("delete the line: the method is read from the checkpoint")))
}

/// Naming the plain method keeps the engine from its faster kernel.
fn forced_slow_kernel(lines: &Lines<'_>, name: &str, stored: &str) -> Option<Found> {
    let fast = match name {
        "awq" if !lines.since("0.24.0") => "awq_marlin",
        "gptq" if !lines.since("0.22.0") => "gptq_marlin",
        _ => return None,
    };
    let turing = lines.context.devices.and_then(|devices| devices.compute_capability).is_some_and(|has| has < 80);
    if name != stored || turing {
        return None;
    }
    let text = format!("naming `{name}` forces its slow kernel; without the line the engine takes {fast} by itself");
    let source = format!("vllm/model_executor/layers/quantization/{fast}.py, override_quantization_method");
    let found = lines.found("quantization-forces-slow-kernel", Severity::Warning, FLAG, &text).because("vllm.kernel", name, &source);
    Some(found.fix(Fix::edit("delete the line")))
}

/// Methods that take another's checkpoint over: kernels for the same stored format.
fn overrides(stored: &str, asked: &str) -> bool {
    let family = |name: &str| match name {
        "awq" | "awq_marlin" | "auto_awq" | "cpu_awq" => "awq",
        "gptq" | "gptq_marlin" | "gptq_marlin_24" | "gptq_bitblas" | "auto_gptq" | "cpu_gptq" | "marlin" => "gptq",
        "modelopt" | "modelopt_fp4" | "nvfp4" | "petit_nvfp4" | "modelopt_mxfp8" | "modelopt_mixed" => "modelopt",
        "mxfp4" | "gpt_oss_mxfp4" => "mxfp4",
        "auto-round" | "inc" => "inc",
        "fp8" | "deepseek_v4_fp8" => "fp8",
        _ => "",
    };
    let any = matches!(asked, "moe_wna16" | "ipex" | "bitblas" | "inc" | "humming") && matches!(family(stored), "awq" | "gptq" | "inc");
    any || asked == "humming" || (!family(stored).is_empty() && family(stored) == family(asked))
}

/// A method that needs a quantised checkpoint, on a 16-bit one.
fn not_quantized(lines: &Lines<'_>, method: &Method, model: &ModelSpec) -> Option<Found> {
    let scheme = method.scheme.as_deref().and_then(|scheme| lines.context.catalog.quantization(scheme).ok());
    let stored_only =
        ["awq", "gptq", "auto_awq", "auto_gptq", "compressed-tensors", "modelopt", "mxfp4", "gpt_oss_mxfp4", "quark", "aqlm", "gguf"];
    if scheme.is_some_and(|scheme| scheme.online) || !stored_only.iter().any(|family| method.name.starts_with(family)) {
        return None;
    }
    let text =
        format!("{} reads weights that are quantised already, and {} holds 16-bit weights; vLLM refuses to start", method.name, model.id);
    let found = lines.found("quantization-mismatch", Severity::Error, FLAG, &text).because("model.quantization", "none", &model.id);
    Some(found.fix(Fix::edit(format!("name a checkpoint that is quantised with {}", method.name))).fix(Fix::edit("or delete the line")))
}

fn dtype(lines: &Lines<'_>) -> Option<Found> {
    let asked = lines.text("dtype")?;
    let devices = lines.context.devices;
    if let Some((devices, has)) = devices.and_then(|devices| Some((devices, devices.compute_capability?)))
        && asked == "bfloat16"
        && has < 80
    {
        let text =
            format!("bfloat16 needs compute capability 8.0, and {} has {}.{}; vLLM refuses to start", devices.name, has / 10, has % 10);
        let found = lines.found("dtype-unsupported-by-gpu", Severity::Error, "dtype", &text);
        return Some(
            found.because("device.compute-capability", format!("{}.{}", has / 10, has % 10), &devices.name).line("write", "dtype: half"),
        );
    }
    let model = lines.context.model?;
    if asked == "bfloat16" && lines.text(FLAG) == Some("awq") && !lines.since("0.24.0") {
        let text = "the awq kernel takes float16 only, and vLLM refuses to start";
        let source = "vllm/model_executor/layers/quantization/awq.py, get_supported_act_dtypes";
        let found = lines.found("dtype-unsupported-by-quantization", Severity::Error, "dtype", text);
        return Some(
            found
                .because("vllm.quantization", "awq", source)
                .line("write", "dtype: half")
                .fix(Fix::edit("or delete the quantization line")),
        );
    }
    let full = asked == model.dtype.name() || (asked == "half" && model.dtype.name() == "float16");
    let text = format!("{asked} is the checkpoint's own dtype; the line changes nothing");
    full.then(|| lines.found("flag-is-default", Severity::Info, "dtype", &text).because("model.dtype", model.dtype.name(), &model.id))
}
