//! The catalogue's quirks that apply to these lines.

use std::collections::HashSet;

use super::line::{Found, Lines, number, plain, shown};
use crate::catalog::{Host, OffloadBackend, Quirk, QuirkCondition, QuirkEffect, Runner as CatalogRunner};
use crate::engine::launch::Runner;
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::model::spec::{Mixer, ModelSpec, RecurrentFamily, Span};

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    let quirks = lines.context.engine.quirks_for(lines.version).map(|quirk| (quirk, applies(lines, &quirk.when)));
    let applying: Vec<(&Quirk, Option<bool>)> = quirks.filter(|(_, applies)| *applies != Some(false)).collect();
    let undone = applying
        .iter()
        .any(|(quirk, applies)| *applies == Some(true) && quirk.effect == QuirkEffect::Broken && quirk.when.offload.is_some());
    let costs_nothing = |quirk: &Quirk| undone && quirk.when.offload.is_some() && quirk.effect == QuirkEffect::CostsTime;
    applying.into_iter().filter(|(quirk, _)| !costs_nothing(quirk)).filter_map(|(quirk, applies)| report(lines, quirk, applies)).collect()
}

/// The finding of a quirk. One that cannot be decided is still told, if it would stop the launch. What holds for a
/// launch whatever its lines say is the planner's to tell, unless it stops the launch.
fn report(lines: &Lines<'_>, quirk: &Quirk, applies: Option<bool>) -> Option<Found> {
    let worst = severity(quirk.effect);
    let severity = match applies {
        Some(true) => worst,
        Some(false) => return None,
        None if worst == Severity::Error && quirk.when.offload.is_some() => Severity::Warning,
        None if worst == Severity::Error => Severity::Info,
        None => return None,
    };
    let flag = concerned(lines, quirk);
    if flag.is_none() && quirk.when.environment.is_none() && severity != Severity::Error {
        return None;
    }
    let message =
        quirk.message.replace("{value}", &flag.as_deref().and_then(|flag| Some(shown(flag, lines.args.get(flag)?))).unwrap_or_default());
    let message = message.trim_end_matches('.');
    let offloaded = lines.context.offloaded.filter(|_| quirk.when.offload.is_some() && quirk.effect == QuirkEffect::CostsTime);
    let message = match (offloaded, applies) {
        (Some(bytes), _) => format!("{message}; here {bytes} for every step"),
        (None, None) => format!("{message}; whether this launch is concerned could not be told"),
        (None, _) => message.to_owned(),
    };
    let id = if quirk.effect == QuirkEffect::NoEffect && quirk.when.environment.is_none() { "flag-without-effect" } else { &quirk.id };
    let mut found = match &flag {
        Some(flag) => lines.found(id, severity, flag, &message),
        None => about_variable(lines, quirk, id, severity, &message),
    };
    found.finding.evidence.push(Evidence {
        fact: format!("vllm.{}", quirk.id),
        value: versions(quirk),
        source: quirk.sources.first().cloned().unwrap_or_else(|| quirk.origin.to_string()),
    });
    found.finding.fixes.extend(fixes(lines, quirk, flag.as_deref()));
    Some(found)
}

const fn severity(effect: QuirkEffect) -> Severity {
    match effect {
        QuirkEffect::Broken | QuirkEffect::Refused => Severity::Error,
        QuirkEffect::NoEffect | QuirkEffect::Deprecated | QuirkEffect::CostsMemory | QuirkEffect::CostsTime | QuirkEffect::Dangerous => {
            Severity::Warning
        }
        QuirkEffect::Misreports | QuirkEffect::Explained => Severity::Info,
    }
}

/// The given flag that a quirk is about.
fn concerned(lines: &Lines<'_>, quirk: &Quirk) -> Option<String> {
    let when = &quirk.when;
    let implied = [
        (when.offload.is_some(), &["cpu-offload-gb", "offload-group-size"][..]),
        (!when.kv_cache_dtype.is_empty(), &["kv-cache-dtype"][..]),
        (!when.quantization.is_empty() || when.prequantized.is_some(), &["quantization"][..]),
        (when.tensor_parallel_over.is_some(), &["tensor-parallel-size"][..]),
    ];
    let implied = implied.into_iter().filter(|(asked, _)| *asked).flat_map(|(_, flags)| flags.iter().map(|flag| (*flag).to_owned()));
    when.flag.iter().cloned().chain(implied).find(|flag| lines.args.get(flag).is_some())
}

fn about_variable(lines: &Lines<'_>, quirk: &Quirk, id: &str, severity: Severity, message: &str) -> Found {
    let variable = quirk.when.environment.clone();
    let value = variable.as_ref().and_then(|variable| lines.env.get(variable));
    let key =
        variable.clone().unwrap_or_else(|| if quirk.when.quantization.is_empty() { String::new() } else { "quantization".to_owned() });
    let subject = variable.as_ref().map_or_else(|| "engine".to_owned(), |variable| format!("env:{variable}"));
    let message = variable.as_ref().map_or_else(|| message.to_owned(), |variable| format!("{variable}: {message}"));
    let evidence = variable.iter().zip(value).map(|(variable, value)| Evidence {
        fact: format!("env.{variable}"),
        value: value.clone(),
        source: "the environment of the launch".to_owned(),
    });
    let finding = Finding { id: id.to_owned(), severity, subject, message, evidence: evidence.collect(), fixes: Vec::new() };
    Found { key, finding }
}

fn versions(quirk: &Quirk) -> String {
    match (&quirk.since, &quirk.until) {
        (None, None) => "every version".to_owned(),
        (Some(since), None) => format!("vLLM {since} and newer"),
        (None, Some(until)) => format!("vLLM before {until}"),
        (Some(since), Some(until)) => format!("vLLM {since} until {until}"),
    }
}

fn fixes(lines: &Lines<'_>, quirk: &Quirk, flag: Option<&str>) -> Vec<Fix> {
    let text = |fallback: String| quirk.fix.as_deref().map_or(fallback, |fix| fix.trim_end_matches('.').to_owned());
    let mut fixes = Vec::new();
    for (name, value) in &quirk.fix_env {
        fixes.push(Fix::edit(text(format!("set {name}"))).with_command(format!("{name}={value}")));
    }
    for (name, value) in &quirk.fix_flags {
        let given = flag.and_then(|flag| lines.args.get(flag)).map(plain);
        let given =
            given.or_else(|| quirk.when.environment.as_ref().and_then(|variable| lines.env.get(variable).cloned())).unwrap_or_default();
        fixes.push(Fix::edit(text(format!("set {name}"))).with_command(format!("{name}: {}", value.replace("{value}", &given))));
    }
    if let Some(package) = &quirk.fix_package {
        fixes.push(Fix::edit(text(format!("install {package}"))).with_command(format!("pip install {package}")));
    }
    if let Some(fix) = quirk.fix.as_deref().filter(|_| fixes.is_empty()) {
        fixes.push(Fix::edit(fix.trim_end_matches('.')));
    }
    fixes
}

/// Whether all conditions hold; `None` where nothing speaks against it but not everything could be told.
fn applies(lines: &Lines<'_>, when: &QuirkCondition) -> Option<bool> {
    let parts = [
        given(lines, when),
        Some(when.environment.as_ref().is_none_or(|variable| lines.env.contains_key(variable))),
        when.offload.map_or(Some(true), |wanted| Some(offloads(lines, wanted))),
        when.runner.map_or(Some(true), |wanted| runner(lines, wanted)),
        quantization(lines, when),
        when.weight_bits.map_or(Some(true), |bits| weight_bits(lines).map(|has| has == u64::from(bits))),
        when.prequantized.map_or(Some(true), |wanted| lines.context.model.map(|model| model.quantization.is_some() == wanted)),
        attention(lines, &when.attention),
        Some(
            when.kv_cache_dtype.is_empty()
                || lines.text("kv-cache-dtype").is_some_and(|dtype| when.kv_cache_dtype.iter().any(|one| one == dtype)),
        ),
        when.tensor_parallel_over.map_or(Some(true), |least| Some(lines.number("tensor-parallel-size").unwrap_or(1.0) > f64::from(least))),
        when.cuda_graphs.map_or(Some(true), |wanted| Some(lines.is_on("enforce-eager") != wanted)),
        when.min_capability.map_or(Some(true), |least| capability(lines).map(|has| has >= u32::from(least.sm()))),
        when.below_capability.map_or(Some(true), |bound| capability(lines).map(|has| has < u32::from(bound.sm()))),
        when.host.map_or(Some(true), |Host::Wsl| Some(false)),
    ];
    if parts.contains(&Some(false)) {
        Some(false)
    } else if parts.contains(&None) {
        None
    } else {
        Some(true)
    }
}

/// A flag is given when its line asks for something: not `false`, null or zero, unless such values are listed.
fn given(lines: &Lines<'_>, when: &QuirkCondition) -> Option<bool> {
    let Some(flag) = &when.flag else { return Some(true) };
    let Some(value) = lines.given(flag) else { return Some(false) };
    if !when.values.is_empty() {
        return Some(when.values.iter().any(|wanted| wanted.eq_ignore_ascii_case(&plain(value))));
    }
    let asks_nothing = value.is_null() || *value == serde_json::Value::Bool(false) || number(value) == Some(0.0);
    Some(!asks_nothing)
}

fn offloads(lines: &Lines<'_>, wanted: OffloadBackend) -> bool {
    let positive = |flag| lines.number(flag).is_some_and(|number| number > 0.0);
    let prefetch = positive("offload-group-size") || lines.text("offload-backend") == Some("prefetch");
    let uva = positive("cpu-offload-gb") && !prefetch;
    match wanted {
        OffloadBackend::Any => uva || prefetch,
        OffloadBackend::Uva => uva,
        OffloadBackend::Prefetch => prefetch,
    }
}

fn runner(lines: &Lines<'_>, wanted: CatalogRunner) -> Option<bool> {
    lines.runner.map(|runner| match wanted {
        CatalogRunner::V1 => runner == Runner::V1,
        CatalogRunner::V2 => runner == Runner::V2,
    })
}

/// The engine takes the Marlin kernel for AWQ and GPTQ by itself, so a checkpoint stands for both names.
fn quantization(lines: &Lines<'_>, when: &QuirkCondition) -> Option<bool> {
    if when.quantization.is_empty() {
        return Some(true);
    }
    let mut names = HashSet::new();
    match (lines.text("quantization"), lines.context.model) {
        (Some(asked), _) => names.insert(asked.to_owned()),
        (None, Some(model)) => match &model.quantization {
            Some(stored) => names.insert(stored.method.clone()) | names.insert(format!("{}_marlin", stored.method)),
            None => return Some(false),
        },
        (None, None) => return None,
    };
    Some(when.quantization.iter().any(|name| names.contains(name)))
}

fn weight_bits(lines: &Lines<'_>) -> Option<u64> {
    match (lines.context.model?.quantization.as_ref(), lines.text("quantization")) {
        (Some(stored), _) => Some(stored.bits),
        (None, Some("bitsandbytes" | "rtn")) => Some(4),
        (None, Some(_)) => Some(8),
        (None, None) => Some(16),
    }
}

fn attention(lines: &Lines<'_>, families: &[String]) -> Option<bool> {
    if families.is_empty() {
        return Some(true);
    }
    lines.context.model.map(|model| families.iter().any(|family| has_family(model, family)))
}

/// Whether a layer is of this attention family, by the id of its rule file.
fn has_family(model: &ModelSpec, family: &str) -> bool {
    model.layers.iter().any(|layer| match (&layer.mixer, family) {
        (Mixer::Latent { index_head_dim, .. }, "dsa") => index_head_dim.is_some(),
        (Mixer::Recurrent { family: RecurrentFamily::GatedDelta, .. }, "gdn")
        | (Mixer::Recurrent { family: RecurrentFamily::Mamba1, .. }, "mamba1")
        | (Mixer::Recurrent { family: RecurrentFamily::Mamba2, .. }, "mamba2")
        | (Mixer::Recurrent { family: RecurrentFamily::ShortConv, .. }, "short-convolution")
        | (Mixer::Latent { .. }, "mla")
        | (Mixer::Attention { span: Span::Sliding(_), .. }, "sliding-window")
        | (Mixer::Attention { span: Span::Chunked(_), .. }, "chunked-local")
        | (Mixer::Attention { span: Span::Full, .. }, "gqa") => true,
        _ => false,
    })
}

fn capability(lines: &Lines<'_>) -> Option<u32> {
    lines.context.devices.and_then(|devices| devices.compute_capability)
}
