//! How a checkpoint is quantised: `quantization_config` of every method, reduced to what decides bytes.
//!
//! The fields are those that vLLM's `model_executor/layers/quantization/` reads; ModelOpt's
//! `hf_quant_config.json` is understood too.

mod skip;

use serde_json::Value;

use super::config::error::ConfigError;
use super::config::fields::Fields;
use super::spec::CheckpointQuantization;

/// Reads a `quantization_config`. `None` where it names a method that leaves the weights alone.
pub fn read(fields: &Fields<'_>) -> Result<Option<CheckpointQuantization>, ConfigError> {
    let inner = fields.object("quantization")?;
    let method = method(fields, inner.as_ref())?;
    let mut found = CheckpointQuantization {
        bits: fields.positive(&["bits", "w_bit", "num_bits", "wbits"])?.unwrap_or(0),
        group_size: fields
            .signed("group_size")?
            .or(fields.signed("q_group_size")?)
            .and_then(|size| u64::try_from(size).ok())
            .filter(|size| *size > 0),
        zero_point: fields.flag("zero_point")?.unwrap_or(false),
        desc_act: fields.flag("desc_act")?.unwrap_or(false),
        block: block(fields)?,
        static_activations: fields.text("activation_scheme")? == Some("static"),
        nested: fields.flag("bnb_4bit_use_double_quant")?.unwrap_or(false),
        format: None,
        skipped_modules: skipped(fields)?,
        experts: None,
        quantized_head: fields.flag("lm_head")?.unwrap_or(false),
        method,
    };
    match found.method.as_str() {
        "awq" | "gptq" | "auto-round" | "gptq_marlin" | "awq_marlin" => four_bit(fields, &mut found)?,
        "fp8" | "fbgemm_fp8" => eight_bit_float(fields, &mut found)?,
        "compressed-tensors" => compressed_tensors(fields, &mut found)?,
        "bitsandbytes" => bitsandbytes(fields, &mut found)?,
        "mxfp4" => block_float(&mut found, "mxfp4", 32),
        "quark" => quark(fields, &mut found)?,
        "torchao" => torchao(fields, &mut found)?,
        method if method.starts_with("modelopt") => modelopt(inner.as_ref().unwrap_or(fields), &mut found)?,
        _ => {}
    }
    if found.bits == 0 {
        found.bits = 8;
    }
    found.experts = experts(fields, &found)?.map(Box::new);
    Ok(Some(found))
}

/// DeepSeek V4 names the experts' type beside `quantization_config`, not in it.
pub fn add_expert_dtype(decoder: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    found.experts = experts(decoder, found)?.map(Box::new);
    Ok(())
}

/// Routed experts in another format than the rest: DeepSeek V4's `expert_dtype`, ModelOpt's `moe_quant_algo`.
fn experts(fields: &Fields<'_>, rest: &CheckpointQuantization) -> Result<Option<CheckpointQuantization>, ConfigError> {
    let modelopt = fields.text("moe_quant_algo")?.is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("NVFP4"));
    let native = fields.text("expert_dtype")? == Some("fp4");
    if !modelopt && !native {
        return Ok(None);
    }
    let mut experts = CheckpointQuantization { block: None, ..rest.clone() };
    if modelopt {
        block_float(&mut experts, "nvfp4", 16)
    } else {
        block_float(&mut experts, "mxfp4", 32)
    }
    Ok(Some(experts))
}

/// The method's name, as vLLM normalises it.
fn method(fields: &Fields<'_>, inner: Option<&Fields<'_>>) -> Result<String, ConfigError> {
    let stated = fields.text("quant_method")?.map(|method| method.to_lowercase().replace("compressed_tensors", "compressed-tensors"));
    let algorithm = match inner {
        Some(inner) => inner.text("quant_algo")?,
        None => fields.text("quant_algo")?,
    };
    Ok(match (stated, algorithm) {
        (Some(method), _) if method != "modelopt" => method,
        (_, Some(algorithm)) if algorithm.to_uppercase().contains("NVFP4") => "modelopt_fp4".to_owned(),
        (_, Some(algorithm)) if algorithm.eq_ignore_ascii_case("MIXED_PRECISION") => "modelopt_mixed".to_owned(),
        (Some(method), _) => method,
        (None, Some(_)) => "modelopt".to_owned(),
        (None, None) => return Err(fields.missing("quant_method")),
    })
}

/// `weight_block_size`, rows × columns; an empty list means none.
fn block(fields: &Fields<'_>) -> Result<Option<(u64, u64)>, ConfigError> {
    match fields.numbers("weight_block_size")?.as_deref() {
        None | Some([]) => Ok(None),
        Some([rows, columns]) if *rows > 0 && *columns > 0 => Ok(Some((*rows, *columns))),
        Some(_) => Err(fields.invalid("weight_block_size", "two positive whole numbers")),
    }
}

/// Modules that stay in 16 bit, under each method's name for them.
fn skipped(fields: &Fields<'_>) -> Result<Vec<String>, ConfigError> {
    let mut modules = Vec::new();
    for name in ["modules_to_not_convert", "ignored_layers", "ignore", "llm_int8_skip_modules", "exclude", "exclude_modules"] {
        modules.extend(fields.texts(name)?);
    }
    if fields.text("targets").ok().flatten() == Some("routed experts only") {
        modules.extend(
            ["self_attn", "linear_attn", "shared_experts", "gate_proj", "up_proj", "down_proj", "lm_head"]
                .iter()
                .map(|name| if name.ends_with("_proj") { format!("mlp.{name}") } else { (*name).to_owned() }),
        );
    }
    Ok(modules)
}

fn four_bit(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    if found.bits == 0 {
        found.bits = 4;
    }
    if found.method.contains("awq") {
        found.zero_point = fields.flag("zero_point")?.unwrap_or(true);
    } else {
        found.zero_point = !fields.flag("sym")?.unwrap_or(true);
    }
    found.format = Some(format!("int{}", found.bits));
    Ok(())
}

fn eight_bit_float(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    found.bits = 8;
    found.format = Some(if fields.text("fmt")?.is_some_and(|format| format.contains("e5m2")) { "e5m2" } else { "e4m3" }.to_owned());
    found.group_size = None;
    Ok(())
}

fn bitsandbytes(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    let eight = fields.flag("load_in_8bit")?.unwrap_or(false);
    found.bits = if eight { 8 } else { 4 };
    found.group_size = if eight { None } else { Some(64) };
    found.format = Some(if eight { "int8" } else { fields.text("bnb_4bit_quant_type")?.unwrap_or("fp4") }.to_owned());
    found.nested = !eight && found.nested;
    Ok(())
}

/// The first config group decides; a checkpoint with several kinds of group is rare and reads as its first.
fn compressed_tensors(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    let stored = fields.text("format")?.unwrap_or_default();
    let group = match fields.object("config_groups")? {
        Some(groups) => groups.first_object(),
        None => None,
    };
    let weights = match &group {
        Some(group) => group.object("weights")?,
        None => None,
    };
    let weights = weights.as_ref().unwrap_or(fields);
    found.bits = weights.positive(&["num_bits"])?.unwrap_or(if found.bits == 0 { 8 } else { found.bits });
    found.group_size = weights.signed("group_size")?.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
    found.zero_point = weights.flag("symmetric")? == Some(false);
    found.desc_act = matches!(weights.text("actorder").unwrap_or(None), Some("group"));
    let kind = weights.text("type")?.unwrap_or("int");
    let strategy = weights.text("strategy")?.unwrap_or_default();
    if strategy == "block" {
        if let Some([rows, columns]) = weights.numbers("block_structure")?.as_deref() {
            found.block = Some((*rows, *columns));
        }
        found.group_size = None;
    }
    found.format = Some(match (kind, found.bits) {
        ("float", 4) if stored.contains("mxfp4") || found.group_size == Some(32) => "mxfp4".to_owned(),
        ("float", 4) => "nvfp4".to_owned(),
        ("float", _) => "e4m3".to_owned(),
        (_, _) if stored.contains("mxfp4") => "mxfp4".to_owned(),
        (_, bits) => format!("int{bits}"),
    });
    if let Some(group) = &group {
        if let Some(activations) = group.object("input_activations")? {
            found.static_activations = !matches!(activations.get("dynamic"), Some(Value::Bool(true) | Value::String(_)));
        }
        let targets = group.texts("targets")?;
        found.quantized_head = targets.iter().any(|target| target.contains("lm_head"));
    }
    Ok(())
}

fn modelopt(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    let algorithm = fields.text("quant_algo")?.unwrap_or("FP8").to_uppercase();
    found.skipped_modules.extend(fields.texts("exclude_modules")?);
    found.skipped_modules.sort();
    found.skipped_modules.dedup();
    if algorithm.contains("NVFP4") || found.method == "modelopt_fp4" {
        block_float(found, "nvfp4", fields.positive(&["group_size"])?.unwrap_or(16));
    } else if algorithm.contains("W4A16") || algorithm.contains("INT4") {
        found.bits = 4;
        found.format = Some("int4".to_owned());
    } else if algorithm.contains("MXFP8") {
        block_float(found, "mxfp8", 32);
        found.bits = 8;
    } else {
        found.bits = 8;
        found.format = Some("e4m3".to_owned());
        found.static_activations = algorithm == "FP8";
        if algorithm == "FP8_PB_WO" {
            found.block = Some((128, 128));
        }
    }
    Ok(())
}

fn quark(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    let global = fields.object("global_quant_config")?;
    let weight = match &global {
        Some(global) => global.object("weight")?,
        None => None,
    };
    let Some(weight) = weight else { return Ok(()) };
    let dtype = weight.text("dtype")?.unwrap_or_default();
    found.group_size = weight.signed("group_size")?.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
    if dtype.contains("4") && dtype.contains("fp") {
        block_float(found, "mxfp4", 32);
    } else if dtype.contains("int4") {
        found.bits = 4;
        found.format = Some("int4".to_owned());
    } else {
        found.bits = 8;
        found.format = Some(if dtype.starts_with("int") { "int8" } else { "e4m3" }.to_owned());
    }
    if let Some(inputs) = global.as_ref().map(|global| global.object("input_tensors")).transpose()?.flatten() {
        found.static_activations = inputs.flag("is_dynamic")? == Some(false);
    }
    Ok(())
}

/// torchao names its scheme in the type of the config: `Int4WeightOnlyConfig`, `float8_dynamic_…`.
fn torchao(fields: &Fields<'_>, found: &mut CheckpointQuantization) -> Result<(), ConfigError> {
    let scheme = fields.get("quant_type").map(|scheme| scheme.to_string().to_lowercase()).unwrap_or_default();
    let four = scheme.contains("int4");
    found.bits = if four { 4 } else { 8 };
    found.group_size = if four { Some(found.group_size.unwrap_or(128)) } else { None };
    found.format = Some(
        if four {
            "int4"
        } else if scheme.contains("float8") {
            "e4m3"
        } else {
            "int8"
        }
        .to_owned(),
    );
    Ok(())
}

fn block_float(found: &mut CheckpointQuantization, format: &str, group: u64) {
    found.bits = 4;
    found.group_size = Some(group);
    found.format = Some(format.to_owned());
}
