//! The engine release of a plan: the one that was asked for, or one that the target can run.

use crate::catalog::{Catalog, ComputeCapability, Engine, Release, Unknown, UnsupportedVersion};
use crate::plan::outcome::{Devices, EngineRelease};
use crate::plan::request::EngineRequest;
use crate::version::Version;

/// An engine that no plan can be made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// The engine is not known.
    #[error(transparent)]
    UnknownEngine(#[from] Unknown),
    /// The version is not known.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedVersion),
    /// No known release runs on the target.
    #[error("no known release of {engine} runs on {target}")]
    NoneRuns {
        /// The engine.
        engine: String,
        /// The target.
        target: String,
    },
}

impl crate::hint::Hint for ReleaseError {
    fn hint(&self) -> Option<String> {
        match self {
            // The message names the nearest known ones.
            Self::UnknownEngine(_) => None,
            Self::Unsupported(UnsupportedVersion::TooOld { engine, oldest, .. }) => {
                Some(format!("the oldest is `--engine {engine}@{oldest}`"))
            }
            Self::Unsupported(UnsupportedVersion::TooNew { engine, newest, .. }) => {
                Some(format!("the newest is `--engine {engine}@{newest}`"))
            }
            Self::NoneRuns { .. } => Some("name a newer driver with `--target-driver`, or another card with `--gpu`".to_owned()),
        }
    }
}

/// A release with the version whose rules it follows.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Its row.
    pub release: &'a Release,
    /// The version to launch.
    pub version: Version,
    /// The version whose source was read and whose rules hold.
    pub behaviour: Version,
    /// What to say about the choice, as a sentence, if it is not plain.
    pub note: Option<String>,
}

/// The release for `request` on `devices`.
///
/// # Errors
/// When engine or version are not known, or nothing runs there.
pub fn choose<'a>(request: &EngineRequest, devices: &Devices, catalog: &'a Catalog) -> Result<Chosen<'a>, ReleaseError> {
    let engine = catalog.engine(&request.name)?;
    let runs = |release: &Release| runs_on(release, devices);
    let version = match &request.version {
        Some(version) => version.clone(),
        None => {
            let default =
                engine.default_version().and_then(|version| engine.release(version).ok()).filter(|resolved| runs(resolved.release));
            let newest = || engine.releases().iter().rev().find(|release| engine.release(&release.version).is_ok() && runs(release));
            match default.map(|resolved| resolved.asked).or_else(|| newest().map(|release| release.version.clone())) {
                Some(version) => version,
                None => return Err(ReleaseError::NoneRuns { engine: request.name.clone(), target: target(devices) }),
            }
        }
    };
    let resolved = engine.release(&version)?;
    let note = (!resolved.is_exact())
        .then(|| format!("the source of {} {version} was not read; the rules of {} are taken", engine.name(), resolved.behaviour));
    let behaviour = resolved.behaviour.clone();
    Ok(Chosen { engine, release: resolved.release, version, behaviour, note })
}

fn target(devices: &Devices) -> String {
    match &devices.driver {
        Some(driver) => format!("{} with driver {driver}", devices.name),
        None => devices.name.clone(),
    }
}

fn runs_on(release: &Release, devices: &Devices) -> bool {
    let driver = devices.driver.as_ref().is_none_or(|driver| driver.reaches(&release.min_driver));
    let capable = devices.capability().is_none_or(|capability| has_code(release, capability));
    driver && capable
}

fn has_code(release: &Release, capability: ComputeCapability) -> bool {
    capability >= release.min_capability && (release.targets.is_empty() || release.runs_on(capability))
}

impl Chosen<'_> {
    /// What a plan says of the release.
    pub fn summary(&self, catalog: &Catalog, devices: &Devices) -> EngineRelease {
        EngineRelease {
            name: self.engine.name().to_owned(),
            version: self.version.clone(),
            torch: self.release.torch.to_string(),
            cuda: self.release.cuda.to_string(),
            min_driver: self.release.min_driver.clone(),
            min_compute_capability: u32::from(self.release.min_capability.sm()),
            image: self.image(catalog, devices),
        }
    }

    /// The image whose CUDA the target's driver runs: the plain tag, or the variant of an older CUDA.
    fn image(&self, catalog: &Catalog, devices: &Devices) -> String {
        let repository = self.engine.image().unwrap_or("vllm/vllm-openai");
        let plain = format!("{repository}:v{}", self.version);
        let fits = |cuda: &Version| match (&devices.driver, catalog.cuda().family(cuda)) {
            (Some(driver), Some(family)) => driver.reaches(&family.min_driver),
            _ => true,
        };
        if fits(&self.release.image_cuda) {
            return plain;
        }
        let variant = self.release.image_variants.iter().find(|variant| {
            let digits = variant.trim_start_matches("cu");
            digits.split_at_checked(2).and_then(|(major, minor)| format!("{major}.{minor}").parse().ok()).is_some_and(|cuda| fits(&cuda))
        });
        variant.map_or_else(|| plain.clone(), |variant| format!("{plain}-{variant}"))
    }

    /// What keeps the release's wheel from running on `devices`; `None` if nothing known does.
    pub fn obstacle(&self, devices: &Devices) -> Option<(&'static str, String)> {
        let name = format!("{} {}", self.engine.name(), self.version);
        if let Some(driver) = devices.driver.as_ref().filter(|driver| !driver.reaches(&self.release.min_driver)) {
            return Some((
                "driver-too-old",
                format!(
                    "{name}'s wheel is built for CUDA {} and needs driver {} or newer; the target has {driver}",
                    self.release.cuda, self.release.min_driver
                ),
            ));
        }
        let capability = devices.capability().filter(|capability| !has_code(self.release, *capability))?;
        Some(("no-kernels-for-gpu", format!("{name}'s wheel has no kernels for compute capability {capability} ({})", devices.name)))
    }
}
