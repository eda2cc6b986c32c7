//! The quantisations that a model may be launched in: as it is, quantised while loading, or as another checkpoint.

use crate::catalog::{Catalog, Engine, Scheme, Unknown};
use crate::model::spec::{CheckpointQuantization, ModelSpec, Role};
use crate::plan::outcome::Devices;
use crate::plan::search::Variant;
use crate::version::Version;

/// A quantisation that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariantError {
    /// The scheme is not known.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The checkpoint is quantised otherwise.
    #[error("`--quantization {asked}`: {model} is quantised with {found}, and a checkpoint keeps its quantisation")]
    OtherCheckpoint {
        /// The method that was asked for.
        asked: String,
        /// The model.
        model: String,
        /// The checkpoint's method.
        found: String,
    },
}

impl crate::hint::Hint for VariantError {
    fn hint(&self) -> Option<String> {
        match self {
            // The message names the nearest known ones.
            Self::Unknown(_) => None,
            Self::OtherCheckpoint { asked, .. } => Some(format!("leave out `--quantization`, or name a checkpoint in {asked}")),
        }
    }
}

/// The variants of `model`, best weights first.
///
/// # Errors
/// When `asked` is unknown or contradicts the checkpoint.
pub fn variants(
    model: &ModelSpec,
    asked: Option<&str>,
    catalog: &Catalog,
    engine: &Engine,
    version: &Version,
    devices: &Devices,
) -> Result<Vec<Variant>, VariantError> {
    let asked = asked.map(|name| catalog.quantization(name)).transpose()?;
    if let Some(quantization) = &model.quantization {
        if let Some(scheme) = asked.filter(|scheme| !same_method(scheme, &quantization.method)) {
            return Err(VariantError::OtherCheckpoint {
                asked: scheme.id.clone(),
                model: model.id.clone(),
                found: quantization.method.clone(),
            });
        }
        return Ok(vec![checkpoint(model.clone(), label(quantization))]);
    }
    let plain = || Variant {
        model: model.clone(),
        label: format!("{} weights", model.dtype.name()),
        flags: Vec::new(),
        why: "the checkpoint as it is".to_owned(),
    };
    let found = match asked.map(|scheme| scheme.id.as_str()) {
        Some("none" | "fp32") => vec![plain()],
        Some(id @ ("awq" | "gptq")) => vec![four_bit(model.clone(), id, catalog)],
        Some(id) => vec![in_flight(model, engine_method(id))],
        None => {
            let mut all = vec![plain()];
            if supports(engine, "fp8", version, devices) {
                all.push(in_flight(model, "fp8"));
            }
            all.push(four_bit(model.clone(), four_bit_scheme(engine, version, devices), catalog));
            all
        }
    };
    Ok(found)
}

/// Of the variants of `model`, the one with the smallest weights.
pub fn smallest(model: ModelSpec, catalog: &Catalog, engine: &Engine, version: &Version, devices: &Devices) -> Variant {
    match model.quantization.as_ref().map(label) {
        Some(label) => checkpoint(model, label),
        None => four_bit(model, four_bit_scheme(engine, version, devices), catalog),
    }
}

/// A quantised checkpoint as it is.
fn checkpoint(model: ModelSpec, label: String) -> Variant {
    Variant { model, why: format!("the checkpoint is in {label}"), label, flags: Vec::new() }
}

/// The scheme of 4-bit checkpoints: GPTQ's kernels run on older cards than AWQ's.
fn four_bit_scheme(engine: &Engine, version: &Version, devices: &Devices) -> &'static str {
    if supports(engine, "awq", version, devices) || !supports(engine, "gptq", version, devices) { "awq" } else { "gptq" }
}

fn same_method(scheme: &Scheme, method: &str) -> bool {
    let bare = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let (method, id) = (bare(method), bare(&scheme.id));
    method.starts_with(&id) || id.starts_with(&method)
}

/// The engine's name for quantising while loading.
fn engine_method(scheme: &str) -> &'static str {
    match scheme {
        id if id.starts_with("bnb") || id.starts_with("bitsandbytes") || id == "nf4" => "bitsandbytes",
        _ => "fp8",
    }
}

/// Whether `version` has `method` with kernels for the devices.
fn supports(engine: &Engine, method: &str, version: &Version, devices: &Devices) -> bool {
    let Ok(method) = engine.quantization_method(method) else { return false };
    method.at(version).is_some_and(|span| {
        let least = span.min_capability;
        devices.capability().zip(least).is_none_or(|(capability, least)| capability >= least)
    })
}

fn in_flight(model: &ModelSpec, method: &'static str) -> Variant {
    let label = if method == "bitsandbytes" { "bitsandbytes 4-bit (nf4), applied while loading" } else { "fp8, applied while loading" };
    Variant {
        model: model.clone(),
        label: label.to_owned(),
        flags: vec![("quantization", method.to_owned())],
        why: format!("{label}: 16-bit weights would not leave enough for the KV cache"),
    }
}

/// The shape of a quantised checkpoint that the catalogue names beside the model that it was made from, as a plan
/// with it has it: the model's own id, and the scheme.
pub fn known_checkpoint<'a>(id: &str, catalog: &'a Catalog) -> Option<(&'a str, &'a str)> {
    catalog.model_sizes().iter().find_map(|size| {
        let checkpoint = size.quantized.iter().find(|checkpoint| checkpoint.id.eq_ignore_ascii_case(id))?;
        Some((size.model.as_str(), checkpoint.scheme.as_str()))
    })
}

/// `model` as its known checkpoint in `scheme` has it.
pub fn as_checkpoint(model: &ModelSpec, scheme: &str, catalog: &Catalog) -> ModelSpec {
    four_bit(model.clone(), scheme, catalog).model
}

/// Group sizes of 4-bit checkpoints, the usual one first.
const GROUPS: [u64; 3] = [128, 64, 32];

/// The largest of them that divides the inputs of every linear layer.
fn whole_group(model: &ModelSpec) -> u64 {
    let inputs = || model.tensors.iter().filter(|group| matches!(group.role, Role::Linear(_) | Role::Expert(_))).map(|group| group.columns);
    GROUPS.into_iter().find(|size| inputs().all(|columns| columns.is_multiple_of(*size))).unwrap_or(GROUPS[0])
}

/// A 4-bit checkpoint of the same model: one that the catalogue knows, else one that the user must bring.
fn four_bit(model: ModelSpec, scheme: &str, catalog: &Catalog) -> Variant {
    let known = catalog
        .model_sizes()
        .iter()
        .filter(|size| size.model == model.id)
        .flat_map(|size| &size.quantized)
        .find(|checkpoint| checkpoint.scheme == scheme);
    let quantization = CheckpointQuantization {
        method: scheme.to_owned(),
        bits: 4,
        group_size: Some(if known.is_some() { GROUPS[0] } else { whole_group(&model) }),
        zero_point: scheme == "awq",
        skipped_modules: vec!["gate".to_owned()],
        ..CheckpointQuantization::default()
    };
    let label = label(&quantization);
    let mut model = ModelSpec { quantization: Some(quantization), ..model };
    let why = match known {
        Some(checkpoint) => {
            model.assumed.push(format!("{} is taken to be in {label}; its tensor headers were not read", checkpoint.id));
            model.id.clone_from(&checkpoint.id);
            format!("{label}: larger weights would not leave enough for the KV cache")
        }
        None => {
            let name = model.id.rsplit('/').next().unwrap_or(&model.id);
            let place = format!("/models/{name}-{}", scheme.to_ascii_uppercase());
            model.assumed.push(format!(
                "no {} checkpoint of {} is known here: put yours at {place}, or edit `model`",
                scheme.to_ascii_uppercase(),
                model.id
            ));
            model.id = place;
            format!("your {label} checkpoint of this model: larger weights would not leave enough for the KV cache")
        }
    };
    Variant { model, label, flags: Vec::new(), why }
}

/// What to call a checkpoint's quantisation.
pub fn label(quantization: &CheckpointQuantization) -> String {
    let method = match quantization.method.as_str() {
        "awq" => "AWQ",
        "gptq" => "GPTQ",
        other => other,
    };
    match (quantization.group_size, quantization.block) {
        (Some(group), _) => format!("{method} {}-bit, group {group}", quantization.bits),
        (None, Some((rows, columns))) => format!("{method} {}-bit, blocks of {rows}×{columns}", quantization.bits),
        (None, None) => format!("{method} {}-bit", quantization.bits),
    }
}
