//! The environment that counts, its engine and its PyTorch, beside what is known of them.

use crate::capture::{Environment, Image, Package, Setting, TorchBuild};
use crate::catalog::{Catalog, Gpu, Release, TorchVariant};
use crate::facts::question::Question;
use crate::finding::Evidence;
use crate::version::Version;

/// Everything that a check may look at.
#[derive(Debug)]
pub struct ImageFacts<'a> {
    /// What was read.
    pub image: &'a Image,
    /// What was asked.
    pub question: &'a Question,
    /// What is known.
    pub catalog: &'a Catalog,
    /// The environment that is judged: the first with the engine, else the first with PyTorch, else the first.
    pub environment: Option<&'a Environment>,
    /// The engine in it.
    pub engine: Option<Engine<'a>>,
    /// The PyTorch in it.
    pub torch: Option<Torch<'a>>,
    /// The card that the image must run on.
    pub gpu: Option<&'a Gpu>,
    /// The driver that it must run on.
    pub driver: Option<TargetDriver>,
}

/// A driver, and who named it.
#[derive(Clone, Debug)]
pub struct TargetDriver {
    /// Its version, or a branch.
    pub version: Version,
    /// `--target-driver`, or where it was read.
    pub source: String,
    /// Whether it is the driver of the machine that is examined.
    pub is_here: bool,
}

/// An installed engine.
#[derive(Debug)]
pub struct Engine<'a> {
    /// Its name, `vllm`.
    pub name: &'a str,
    /// Its package.
    pub package: &'a Package,
    /// Its version, where it is one.
    pub version: Option<Version>,
    /// What is known of exactly this version.
    pub release: Option<&'a Release>,
    /// The CUDA of its build: named by the version's local part, else that of the release's default wheel.
    pub cuda: Option<Version>,
    /// Whether it is the release's default wheel.
    pub default_build: bool,
}

/// An installed PyTorch.
#[derive(Debug)]
pub struct Torch<'a> {
    /// What is imported.
    pub build: Option<&'a TorchBuild>,
    /// Its package.
    pub package: Option<&'a Package>,
    /// Its version with its build, where it is one.
    pub version: Option<Version>,
    /// The CUDA that it was built with.
    pub cuda: Option<Version>,
    /// What is known of this build.
    pub variant: Option<&'a TorchVariant>,
}

impl<'a> ImageFacts<'a> {
    /// The facts of an image, as far as they can be told.
    pub fn new(image: &'a Image, question: &'a Question, catalog: &'a Catalog) -> Self {
        let names: Vec<&str> = match &question.engine {
            Some(engine) => catalog.engine(&engine.name).map(|engine| engine.name()).into_iter().collect(),
            None => catalog.engines().iter().map(crate::catalog::Engine::name).collect(),
        };
        let installed = |environment: &'a Environment| names.iter().find_map(|name| Some((*name, environment.package(name)?)));
        let environments = &image.environments;
        let environment = (environments.iter().find(|environment| installed(environment).is_some()))
            .or_else(|| environments.iter().find(|environment| has_torch(environment)))
            .or_else(|| environments.first());
        let engine = environment.and_then(installed).map(|(name, package)| engine(name, package, catalog));
        let torch = environment.filter(|environment| has_torch(environment)).map(|environment| torch(environment, catalog));
        let gpu = question.gpu.as_ref().and_then(|name| catalog.gpu(name).ok());
        let named = |version: &Version| TargetDriver { version: version.clone(), source: "--target-driver".to_owned(), is_here: false };
        let driver = question.driver.as_ref().map(named);
        Self { image, question, catalog, environment, engine, torch, gpu, driver }
    }

    /// What is examined, in one line.
    pub fn subject(&self) -> Option<String> {
        let environment = self.environment?;
        let mut parts = vec![environment.root.clone()];
        parts.extend(environment.python.as_ref().map(|python| format!("Python {python}")));
        parts.extend(self.engine.as_ref().map(Engine::title));
        parts.extend(self.torch.as_ref().map(Torch::title));
        Some(parts.join(", "))
    }

    /// The package directory that is searched first.
    pub fn site(&self) -> Option<&'a str> {
        self.environment.and_then(|environment| environment.sites.first()).map(String::as_str)
    }
}

impl Engine<'_> {
    /// `vLLM 0.25.1`.
    pub fn title(&self) -> String {
        format!("{} {}", title(self.name), self.package.version)
    }

    /// The evidence of its CUDA.
    pub fn cuda_evidence(&self) -> Option<Evidence> {
        let source = match (&self.release, self.default_build) {
            (Some(release), true) => format!("{}: {}, {}", self.package.place, self.package.version, release.origin),
            _ => format!("{}: {}", self.package.place, self.package.version),
        };
        Some(evidence("engine.cuda", self.cuda.as_ref()?, &source))
    }
}

impl Torch<'_> {
    /// `torch 2.11.0+cu130`.
    pub fn title(&self) -> String {
        match (&self.version, self.package) {
            (Some(version), _) => format!("torch {version}"),
            (None, Some(package)) if !package.version.is_empty() => format!("torch {}", package.version),
            _ => "torch of an unknown version".to_owned(),
        }
    }

    /// The file or directory that tells of it.
    pub fn place(&self) -> &str {
        self.build.map(|build| build.place.as_str()).or(self.package.map(|package| package.place.as_str())).unwrap_or_default()
    }

    /// The evidence of its CUDA.
    pub fn cuda_evidence(&self) -> Option<Evidence> {
        Some(evidence("torch.cuda", self.cuda.as_ref()?, self.place()))
    }

    /// Whether it says itself that it was built without CUDA.
    pub fn is_without_cuda(&self) -> bool {
        self.build.is_some_and(|build| build.cuda == Setting::Nothing)
    }
}

/// A fact that was read.
pub fn evidence(fact: &str, value: impl std::fmt::Display, source: &str) -> Evidence {
    Evidence { fact: fact.to_owned(), value: value.to_string(), source: source.to_owned() }
}

/// The engine's name as it is written in a sentence.
pub fn title(name: &str) -> &str {
    if name == "vllm" { "vLLM" } else { name }
}

/// `cu129` of CUDA 12.9, as wheel indexes and local versions are named.
pub fn build_name(cuda: &Version) -> String {
    format!("cu{}{}", cuda.major(), cuda.minor())
}

fn has_torch(environment: &Environment) -> bool {
    environment.torch().is_some() || environment.package("torch").is_some()
}

fn engine<'a>(name: &'a str, package: &'a Package, catalog: &'a Catalog) -> Engine<'a> {
    let version: Option<Version> = package.version.parse().ok();
    let known = version.as_ref().zip(catalog.engine(name).ok());
    let release = known.and_then(|(version, engine)| engine.releases().iter().find(|release| release.version == version.public()));
    let named = local_cuda(&package.version);
    let default_build = named.is_none();
    let cuda = named.or_else(|| release.map(|release| release.cuda.clone()));
    Engine { name, package, version, release, cuda, default_build }
}

fn torch<'a>(environment: &'a Environment, catalog: &'a Catalog) -> Torch<'a> {
    let (build, package) = (environment.torch(), environment.package("torch"));
    let text = build.and_then(|build| build.version.as_ref()).or(package.map(|package| &package.version));
    let version: Option<Version> = text.and_then(|text| text.parse().ok());
    let written = build.and_then(|build| build.cuda.text()).and_then(|text| text.parse().ok());
    let without = build.is_some_and(|build| build.cuda == Setting::Nothing);
    let cuda = written.or_else(|| text.and_then(|text| local_cuda(text)).filter(|_| !without));
    let row = version.as_ref().and_then(|version| catalog.torch().release(version));
    let variant = row.zip(cuda.as_ref()).and_then(|(row, cuda)| row.variant(&build_name(cuda)));
    Torch { build, package, version, cuda, variant }
}

/// CUDA 12.9 of `0.25.1+cu129`.
fn local_cuda(version: &str) -> Option<Version> {
    let (_, local) = version.split_once('+')?;
    let digits = local.split('.').find_map(|part| part.strip_prefix("cu").filter(|digits| digits.bytes().all(|c| c.is_ascii_digit())))?;
    let (major, minor) = digits.split_at_checked(2)?;
    format!("{major}.{minor}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_version_names_the_cuda() {
        let cuda = |text| local_cuda(text).map(|cuda| cuda.to_string());
        assert_eq!(cuda("0.25.1+cu129"), Some("12.9".to_owned()));
        assert_eq!(cuda("0.11.0rc2+g12ab.cu130"), Some("13.0".to_owned()));
        assert_eq!([cuda("2.11.0+cpu"), cuda("2.11.0"), cuda("2.11.0+cu1"), cuda("2.11.0+custom")], [None, None, None, None]);
    }
}
