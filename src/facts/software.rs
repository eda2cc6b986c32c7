//! The engine and the PyTorch that are judged, and what was asked of them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::facts::image::ImageFacts;
use crate::facts::question::Question;
use crate::reading::Reading;
use crate::version::Version;

/// The engine.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Engine {
    /// Its name: `vllm`.
    pub name: String,
    /// Its name and version, as in a sentence.
    pub title: String,
    /// Its version.
    pub version: Reading<Version>,
    /// The CUDA of its build.
    pub cuda: Reading<Version>,
    /// The oldest driver that runs its build.
    pub min_driver: Reading<Version>,
    /// The oldest compute capability that it runs on.
    pub min_capability: Reading<String>,
    /// Where it is installed.
    pub place: Reading<String>,
}

/// PyTorch.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Torch {
    /// Its name and version.
    pub title: String,
    /// Its version.
    pub version: Reading<Version>,
    /// The CUDA of its build.
    pub cuda: Reading<Version>,
    /// The NCCL beside it.
    pub nccl: Reading<Version>,
    /// The Triton beside it.
    pub triton: Reading<Version>,
    /// Where it is installed.
    pub place: Reading<String>,
}

/// Packages that change what is needed.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Python {
    /// The environment that is judged.
    pub root: Reading<String>,
    /// Packages that compile CUDA code when they are used: flashinfer, deepspeed and so on.
    pub compiling: Reading<String>,
}

/// What was asked.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Target {
    /// The engine that was named with `--for`.
    pub engine: Reading<String>,
    /// The driver that was named with `--target-driver`.
    pub driver: Reading<Version>,
    /// The card that was named with `--target-gpu`.
    pub gpu: Reading<String>,
    /// Whether a GPU must be there.
    pub require_gpu: bool,
    /// Whether an image is judged, not the machine.
    pub image: bool,
    /// The data type that will be served with.
    pub dtype: Reading<String>,
    /// The quantisation that will be served with.
    pub quantization: Reading<String>,
    /// The oldest compute capability that this quantisation runs on.
    pub quantization_capability: Reading<String>,
}

/// The engine that is judged.
pub(super) fn engine(image: &ImageFacts<'_>) -> Reading<Engine> {
    Reading::from(image.engine.as_ref().map(|engine| {
        let family = engine.cuda.as_ref().and_then(|cuda| image.catalog.cuda().family(cuda));
        Engine {
            name: engine.name.to_owned(),
            title: engine.title(),
            version: Reading::from(engine.version.clone()),
            cuda: Reading::from(engine.cuda.clone()),
            min_driver: Reading::from(family.map(|family| family.min_driver.clone())),
            min_capability: Reading::from(engine.release.map(|release| release.min_capability.to_string())),
            place: Reading::Known(engine.package.place.clone()),
        }
    }))
}

/// The PyTorch that is judged.
pub(super) fn torch(image: &ImageFacts<'_>) -> Reading<Torch> {
    Reading::from(image.torch.as_ref().map(|torch| {
        let packages = image.environment.map(|environment| environment.packages.as_slice()).unwrap_or_default();
        let beside = |wanted: &dyn Fn(&str) -> bool| {
            Reading::from(packages.iter().find(|package| wanted(&package.name)).and_then(|package| package.version.parse().ok()))
        };
        Torch {
            title: torch.title(),
            version: Reading::from(torch.version.clone()),
            cuda: Reading::from(torch.cuda.clone()),
            nccl: beside(&|name| name.starts_with("nvidia-nccl-cu")),
            triton: beside(&|name| name == "triton"),
            place: Reading::Known(torch.place().to_owned()),
        }
    }))
}

/// Packages that compile CUDA code when they are used.
const COMPILING: [&str; 6] = ["flashinfer-python", "deepspeed", "gptqmodel", "sgl-kernel", "deep-gemm", "tilelang"];

/// What else the environment holds.
pub(super) fn python(image: &ImageFacts<'_>) -> Python {
    let packages = image.environment.map(|environment| environment.packages.as_slice()).unwrap_or_default();
    let compiling: Vec<&str> = packages.iter().map(|package| package.name.as_str()).filter(|name| COMPILING.contains(name)).collect();
    Python {
        root: Reading::from(image.environment.map(|environment| environment.root.clone())),
        compiling: if compiling.is_empty() { Reading::Absent } else { Reading::Known(compiling.join(", ")) },
    }
}

/// What was asked.
pub(super) fn target(question: &Question, image: &ImageFacts<'_>) -> Target {
    let engine = question.engine.as_ref().map(|engine| match &engine.version {
        Some(version) => format!("{}@{version}", engine.name),
        None => engine.name.clone(),
    });
    Target {
        engine: Reading::from(engine),
        driver: Reading::from(question.driver.clone()),
        gpu: Reading::from(question.gpu.clone()),
        require_gpu: question.require_gpu,
        image: question.image,
        dtype: Reading::from(question.dtype.clone()),
        quantization_capability: Reading::from(quantization(question, image)),
        quantization: Reading::from(question.quantization.clone()),
    }
}

/// The oldest compute capability that the engine's method of this name runs on.
fn quantization(question: &Question, image: &ImageFacts<'_>) -> Option<String> {
    let method = question.quantization.as_ref()?;
    let name = question.engine.as_ref().map(|engine| engine.name.as_str()).or(image.engine.as_ref().map(|engine| engine.name))?;
    let engine = image.catalog.engine(name).ok()?;
    let version = image.engine.as_ref().and_then(|engine| engine.version.clone()).or_else(|| question.engine.as_ref()?.version.clone());
    let spans = &engine.quantization_method(method).ok()?.span;
    let holds = |span: &&crate::catalog::MethodSpan| {
        version.as_ref().is_none_or(|version| *version >= span.since && span.until.as_ref().is_none_or(|until| version < until))
    };
    spans.iter().rev().find(holds).and_then(|span| span.min_capability).map(|capability| capability.to_string())
}
