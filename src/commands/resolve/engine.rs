//! The engine release that a request names, or the newest that the target can run.

use crate::catalog::{Catalog, ComputeCapability, Engine, Release};
use crate::error::Error;
use crate::plan::outcome::{Devices, EngineRelease, Interpretation};
use crate::plan::request::EngineRequest;
use crate::version::Version;

/// An engine release, and the version whose behaviour holds for it.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// The engine's rules.
    pub engine: &'a Engine,
    /// The release to launch.
    pub release: EngineRelease,
    /// The version whose source was read: the release's own, or the nearest.
    pub behaviour: Version,
    /// Why this release, where that is not plain.
    pub interpretations: Vec<Interpretation>,
}

/// The release of `request` for `devices`.
///
/// # Errors
/// When the engine or its version is not known.
pub fn engine<'a>(request: &EngineRequest, devices: &Devices, catalog: &'a Catalog) -> Result<Chosen<'a>, Error> {
    let engine = catalog.engine(&request.name).map_err(|unknown| Error::usage(unknown.to_string()))?;
    let mut interpretations = Vec::new();
    let version = match &request.version {
        Some(version) => version.clone(),
        None => default_version(engine, devices, &mut interpretations)?,
    };
    let resolved = engine.release(&version).map_err(|unsupported| unknown_version(engine, unsupported.to_string()))?;
    if !resolved.is_exact() {
        interpretations.push(Interpretation {
            given: format!("{}@{version}", engine.name()),
            meaning: format!("a version that was not read itself; {} stands in for it", resolved.behaviour),
            instead: None,
        });
    }
    let behaviour = resolved.behaviour.clone();
    Ok(Chosen { engine, release: release(engine, version, resolved.release), behaviour, interpretations })
}

/// The default version, or the newest that the target's driver and compute capability run.
fn default_version(engine: &Engine, devices: &Devices, interpretations: &mut Vec<Interpretation>) -> Result<Version, Error> {
    let none = || unknown_version(engine, format!("no release of {} is known", engine.name()));
    let default = engine.default_version().or_else(|| engine.newest()).ok_or_else(none)?;
    let runs = |release: &&Release| runs_on(release, devices);
    let row = engine.releases().iter().find(|release| release.version == *default);
    if row.is_none_or(|row| runs_on(row, devices)) {
        return Ok(default.clone());
    }
    let older = engine.releases().iter().rev().find(runs).ok_or_else(|| {
        Error::input(format!("no release of {} runs on {}", engine.name(), target(devices)))
            .with_hint("raise `--target-driver`, or name another card with `--gpu`")
    })?;
    interpretations.push(Interpretation {
        given: engine.name().to_owned(),
        meaning: format!("{}, the newest release that runs on {}", older.version, target(devices)),
        instead: Some("--engine to choose another".to_owned()),
    });
    Ok(older.version.clone())
}

fn runs_on(release: &Release, devices: &Devices) -> bool {
    let driver = devices.driver.as_ref().is_none_or(|driver| *driver >= release.min_driver);
    driver && devices.capability().is_none_or(|capability: ComputeCapability| release.runs_on(capability))
}

fn target(devices: &Devices) -> String {
    match &devices.driver {
        Some(driver) => format!("{} with driver {driver}", devices.name),
        None => devices.name.clone(),
    }
}

fn unknown_version(engine: &Engine, message: String) -> Error {
    let error = Error::usage(message);
    match (engine.oldest(), engine.newest()) {
        (Some(oldest), Some(newest)) => error.with_hint(format!("choose a version from {oldest} to {newest}")),
        _ => error,
    }
}

fn release(engine: &Engine, version: Version, row: &Release) -> EngineRelease {
    let image = engine.image().map_or_else(String::new, |image| format!("{image}:v{version}"));
    EngineRelease {
        name: engine.name().to_owned(),
        torch: row.torch.to_string(),
        cuda: row.cuda.to_string(),
        min_driver: row.min_driver.clone(),
        min_compute_capability: u32::from(row.min_capability.sm()),
        image,
        version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::resolve::devices::devices;
    use crate::plan::request::Target;

    fn chosen(engine_text: &str, driver: Option<&str>) -> Result<String, Error> {
        let catalog = Catalog::builtin();
        let driver = driver.map(|text| text.parse().unwrap());
        let target = Target { vram: None, gpu: Some("a10".to_owned()), count: 1, driver };
        let devices = devices(&target, &catalog)?.devices;
        let request = crate::cli::values::engine(engine_text).unwrap();
        engine(&request, &devices, &catalog).map(|chosen| chosen.release.version.to_string())
    }

    #[test]
    fn a_named_version_is_taken() {
        assert_eq!(chosen("vllm@0.8.5.post1", None).unwrap(), "0.8.5.post1");
    }

    #[test]
    fn an_old_driver_gets_the_newest_release_that_runs_on_it() {
        let newest = chosen("vllm", Some("580.65.06")).unwrap();
        let older = chosen("vllm", Some("550.54.14")).unwrap();
        assert!(older.parse::<Version>().unwrap() < newest.parse::<Version>().unwrap(), "{older} and {newest}");
    }

    #[test]
    fn a_version_from_the_future_names_the_range() {
        let error = chosen("vllm@9.9", None).unwrap_err();
        assert!(error.hints[0].contains("from 0.8.5"), "{error}: {:?}", error.hints);
    }
}
