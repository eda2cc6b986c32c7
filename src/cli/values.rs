//! Readers of option values. Each says what is wrong and what a good value looks like.

use serde_json::Value;

use crate::engine::arguments::{Argument, Arguments, Place};
use crate::error::nearest;
use crate::measurement::Family;
use crate::plan::request::{EngineRequest, GivenSize};
use crate::units::Bytes;
use crate::version::Version;

/// Engines that plans can be made for.
const ENGINES: [&str; 1] = ["vllm"];

/// Below this, a size was meant in another unit: no CUDA context fits.
const SMALLEST_DEVICE: Bytes = Bytes::from_mib(256);

/// What `--vram` may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceMemory {
    /// A size.
    Size(GivenSize),
    /// A MIG profile such as `7g.80gb`, which names a device rather than a size.
    MigProfile(String),
}

/// Reads `--vram`.
pub fn device_memory(text: &str) -> Result<DeviceMemory, String> {
    if is_mig_profile(text) {
        return Ok(DeviceMemory::MigProfile(text.to_ascii_lowercase()));
    }
    let given = size(text)?;
    if given.bytes < SMALLEST_DEVICE {
        let digits = text.trim();
        let hint = if digits.bytes().all(|byte| byte.is_ascii_digit()) && digits != "0" {
            format!("write `{digits}g` for {digits} GiB")
        } else {
            "write for example `7g` for 7 GiB".to_owned()
        };
        return Err(format!("{} is less than a CUDA context takes; {hint}", given.bytes));
    }
    Ok(DeviceMemory::Size(given))
}

/// Reads a size and keeps its text.
pub fn size(text: &str) -> Result<GivenSize, String> {
    let bytes = text.parse::<Bytes>().map_err(|error| error.problem)?;
    Ok(GivenSize { text: text.trim().to_owned(), bytes })
}

/// Whether `text` has the form of a MIG profile: `1g.10gb`, `3g.40gb`, `1g.5gb+me`.
fn is_mig_profile(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let bare = lower.split('+').next().unwrap_or_default();
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    bare.split_once("g.").is_some_and(|(slices, memory)| numeric(slices) && memory.strip_suffix("gb").is_some_and(numeric))
}

/// Reads a number of tokens: `4096`, `8k` (8192), `1m` (1,048,576).
pub fn tokens(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, scale) = match (lower.strip_suffix('k'), lower.strip_suffix('m')) {
        (Some(number), _) => (number, 1024.0),
        (_, Some(number)) => (number, 1_048_576.0),
        _ => (lower.as_str(), 1.0),
    };
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let tokens = number.parse::<f64>().ok().filter(|_| plain).map(|number| number * scale);
    match tokens {
        Some(tokens) if (1.0..=1e9).contains(&tokens) && tokens.fract() == 0.0 => Ok(tokens as u64),
        _ => Err("it is not a number of tokens; write for example `8192` or `8k`".to_owned()),
    }
}

/// Reads `vllm` or `vllm@0.25.1`.
pub fn engine(text: &str) -> Result<EngineRequest, String> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let name = name.trim().to_ascii_lowercase();
    if !ENGINES.contains(&name.as_str()) {
        let known = nearest(&name, ENGINES).unwrap_or("vllm");
        return Err(format!("engine `{name}` is not known; the nearest is `{known}`, written `{known}` or `{known}@0.25.1`"));
    }
    let version = version.map(|version| version.parse::<Version>().map_err(|error| error.to_string())).transpose()?;
    Ok(EngineRequest { name, version })
}

/// Reads `FLAG=VALUE`, or `FLAG` alone for a switch that is on.
pub fn flag(text: &str) -> Result<(String, Argument), String> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let name = Arguments::canonical(name.trim());
    let valid = |character: char| character.is_ascii_alphanumeric() || "-.".contains(character);
    if name.is_empty() || !name.chars().all(valid) {
        return Err("it has no flag name; write for example `max-num-seqs=8`".to_owned());
    }
    let value = value.map_or(Value::Bool(true), scalar);
    Ok((name, Argument { value, place: Some(Place { file: "--set".to_owned(), line: 0, column: 0 }) }))
}

/// A value as the engine's own parser would take it: JSON where it is JSON, else the text.
fn scalar(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

/// Reads `NAME=VALUE`.
pub fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if is_variable_name(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is not a variable; write for example `VLLM_USE_V2_MODEL_RUNNER=0`".to_owned()),
    }
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A family of measurements.
pub fn family(text: &str) -> Result<Family, String> {
    Family::named(text).ok_or_else(|| {
        let names: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
        format!("nothing of that name is measured; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vram_is_a_size_or_a_mig_profile() {
        let seven = GivenSize { text: "7g".to_owned(), bytes: Bytes(7 << 30) };
        assert_eq!(device_memory("7g"), Ok(DeviceMemory::Size(seven)));
        assert_eq!(device_memory("7g.80gb"), Ok(DeviceMemory::MigProfile("7g.80gb".to_owned())));
        assert_eq!(device_memory("1G.5GB+me"), Ok(DeviceMemory::MigProfile("1g.5gb+me".to_owned())));
    }

    #[test]
    fn a_bare_number_names_the_size_that_was_meant() {
        assert_eq!(device_memory("7"), Err("7 B is less than a CUDA context takes; write `7g` for 7 GiB".to_owned()));
        assert!(device_memory("0").is_err_and(|problem| problem.contains("`7g`")));
        assert!(device_memory("-1").is_err_and(|problem| problem.contains("negative")));
        assert!(device_memory("7x").is_err_and(|problem| problem.contains("unknown unit `x`")));
    }

    #[test]
    fn a_k_of_tokens_is_1024() {
        assert_eq!(tokens("8k"), Ok(8192));
        assert_eq!(tokens("0.5K"), Ok(512));
        assert_eq!(tokens("1m"), Ok(1 << 20));
        for text in ["", "k", "0", "-8", "1.5", "8kb", "1e3", "inf", "nan"] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_engine_may_carry_a_version() {
        let version = "0.25.1".parse().ok();
        assert_eq!(engine("vLLM@0.25.1"), Ok(EngineRequest { name: "vllm".to_owned(), version }));
        assert!(engine("vlm").is_err_and(|problem| problem.contains("nearest is `vllm`")));
        assert!(engine("vllm@newest").is_err());
    }

    #[test]
    fn a_set_value_is_json_where_it_is_json() {
        let value = |text: &str| flag(text).map(|(name, argument)| (name, argument.value));
        assert_eq!(value("--max_num_seqs=8"), Ok(("max-num-seqs".to_owned(), Value::from(8))));
        assert_eq!(value("enforce-eager"), Ok(("enforce-eager".to_owned(), Value::Bool(true))));
        assert_eq!(value("enforce-eager=False"), Ok(("enforce-eager".to_owned(), Value::Bool(false))));
        assert_eq!(value("dtype=bfloat16"), Ok(("dtype".to_owned(), Value::from("bfloat16"))));
        assert!(value("=8").is_err());
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(variable("A").is_err() && variable("=b").is_err() && variable("1A=b").is_err());
    }
}
