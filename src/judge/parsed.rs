//! The arguments as the engine's parser takes them: one name a flag, negations as `false`, lost lines gone.

use serde_json::Value;

use crate::catalog::{Engine, Flag, FlagStatus, FlagType};
use crate::engine::arguments::{Argument, Arguments};
use crate::version::Version;

/// The first version read that turns `flag: false` in a file into `--no-flag`; older ones drop the line.
pub(super) const FALSE_SINCE: &str = "0.28.0";
/// The first version read in which every `enable-x` is also `disable-x`, and the other way round.
const PAIRS_SINCE: &str = "0.33.0";

/// `args` under the flags' own names: aliases, abbreviations, `no-x: true` and `disable-x: true` become what they mean, and
/// lines that this version's file reader drops are left out. What the version does not know stays as it is.
pub fn as_parsed(args: &Arguments, engine: &Engine, version: &Version) -> Arguments {
    let mut parsed = Arguments::default();
    for (name, argument) in &args.0 {
        let unknown = matches!(status(engine, version, name), FlagStatus::Unknown { .. });
        let whole = if unknown { completions(engine, version, name) } else { Vec::new() };
        let name = if let [only] = whole.as_slice() { only } else { name };
        if let Some((name, argument)) = one(engine, version, name, argument) {
            parsed.0.insert(name, argument);
        }
    }
    parsed
}

fn one(engine: &Engine, version: &Version, name: &str, argument: &Argument) -> Option<(String, Argument)> {
    let FlagStatus::Current { flag, span } = status(engine, version, name) else { return Some((name.to_owned(), argument.clone())) };
    let in_file = argument.place.as_ref().is_some_and(|place| place.line > 0);
    let mut argument = argument.clone();
    if let Value::Bool(value) = argument.value {
        let negative = negates(flag, name);
        let read = span.takes == FlagType::Boolean && span.negatable && !negative && since(version, FALSE_SINCE);
        if !value && in_file && !read && (negative || span.default != Some(Value::Bool(false))) {
            return None;
        }
        argument.value = Value::Bool(value != negative);
    }
    Some((flag.name.clone(), argument))
}

/// What `version` makes of `name`, inverse names included.
pub(super) fn status<'a>(engine: &'a Engine, version: &Version, name: &str) -> FlagStatus<'a> {
    let status = engine.flag(name, version);
    if matches!(status, FlagStatus::Current { .. }) || !since(version, PAIRS_SINCE) {
        return status;
    }
    match inverse_of(name).map(|inverse| engine.flag(&inverse, version)) {
        Some(FlagStatus::Current { flag, span }) if span.takes == FlagType::Boolean && span.negatable => FlagStatus::Current { flag, span },
        _ => status,
    }
}

/// Whether `name` turns `flag` off: `no-x`, or the inverse of `enable-x` or `disable-x`.
pub(super) fn negates(flag: &Flag, name: &str) -> bool {
    name.strip_prefix("no-") == Some(&flag.name) || inverse_of(name).is_some_and(|inverse| inverse == flag.name)
}

/// The flags of `version` that start with `beginning`: the engine's parser takes an unambiguous beginning for the flag.
pub(super) fn completions(engine: &Engine, version: &Version, beginning: &str) -> Vec<String> {
    let flags = engine.flags_for(version).map(|flag| &flag.name);
    flags.filter(|name| beginning.len() > 1 && name.starts_with(beginning)).cloned().collect()
}

/// Whether `version` is `least` or newer.
pub(super) fn since(version: &Version, least: &str) -> bool {
    least.parse::<Version>().is_ok_and(|least| *version >= least)
}

fn inverse_of(name: &str) -> Option<String> {
    let enabled = name.strip_prefix("disable-").map(|rest| format!("enable-{rest}"));
    enabled.or_else(|| name.strip_prefix("enable-").map(|rest| format!("disable-{rest}")))
}
