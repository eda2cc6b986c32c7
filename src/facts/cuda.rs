//! The CUDA driver library: which one is loaded, and whether it answers.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::call::first_stuck;
use crate::facts::image::ImageFacts;
use crate::facts::nvml::{code, name, silent, stuck};
use crate::facts::text::{api_version, library_version};
use crate::reading::Reading;
use crate::version::Version;

/// The CUDA driver library.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Cuda {
    /// Whether `libcuda.so.1` was found.
    pub found: Reading<bool>,
    /// The library file that is really loaded.
    pub library: Reading<String>,
    /// Its version: the number behind `libcuda.so`.
    pub library_version: Reading<Version>,
    /// Whether it is the toolkit's stub, which has no driver in it.
    pub stub: Reading<bool>,
    /// Whether it comes from a forward-compatibility package (`cuda-compat`).
    pub compat: Reading<bool>,
    /// What `cuInit` returned; 0 is success.
    pub code: Reading<i64>,
    /// The name of that code.
    pub name: Reading<String>,
    /// The CUDA version that the library reports.
    pub version: Reading<Version>,
    /// Why it gave no answer: it did not return in time, or ended the process; absent where it answered.
    pub no_answer: Reading<String>,
    /// How many GPUs CUDA sees.
    pub devices: Reading<u64>,
    /// The oldest driver that runs the CUDA of engine and PyTorch.
    pub min_driver: Reading<Version>,
    /// The branch of that driver.
    pub driver_branch: Reading<u64>,
    /// Whether the compiler of PTX (`libnvidia-ptxjitcompiler.so.1`) was found.
    pub ptx_compiler: Reading<bool>,
    /// The PTX compiler's file.
    pub ptx_library: Reading<String>,
}
/// Reads how the CUDA driver library answers.
pub(super) fn read(capture: &Capture, image: &ImageFacts<'_>) -> Cuda {
    let taken = capture.libraries.get("libcuda.so.1").and_then(|found| found.first());
    let library = capture.cuda.known().map_or(Reading::Absent, |cuda| cuda.library.clone());
    let library = match (library, taken) {
        (Reading::Known(path), _) => Reading::Known(path),
        (_, Some(taken)) => Reading::Known(taken.path.clone()),
        (other, None) => other,
    };
    let real = library.clone().map(|path| {
        let behind = taken.filter(|taken| taken.path == path).and_then(|taken| taken.real_path.known().cloned());
        behind.unwrap_or(path)
    });
    let loaded: Option<Version> =
        capture.files.get("/sys/module/nvidia/version").and_then(|text| text.known()).and_then(|text| text.trim().parse().ok());
    let driver = min_driver(image);
    let compiler = capture.libraries.get("libnvidia-ptxjitcompiler.so.1");
    let mut cuda = Cuda {
        stub: library.clone().map(|path| path.contains("/stubs/") || taken.is_some_and(|taken| taken.stub)),
        // The driver's own library has the note, too: it is another version that makes a forward-compatibility library.
        compat: library.clone().map(|path| {
            let other = real.known().and_then(|real| library_version(real)).is_some_and(|version| loaded.as_ref() != Some(&version));
            path.contains("/compat") || other && taken.is_some_and(|taken| taken.compat_note.known().is_some())
        }),
        library_version: real.and_then(|path| Reading::from(library_version(&path))),
        library,
        driver_branch: driver.clone().map(|driver| driver.major()),
        min_driver: driver,
        ptx_compiler: compiler.map_or(Reading::unreadable("it was not looked for"), |found| Reading::Known(!found.is_empty())),
        ptx_library: compiler.and_then(|found| found.first()).map_or(Reading::Absent, |found| Reading::Known(found.path.clone())),
        ..Cuda::default()
    };
    match &capture.cuda {
        Reading::Known(answers) => {
            cuda.found = Reading::Known(true);
            cuda.code = code(&answers.init);
            cuda.name = name(&answers.init, "CUDA_SUCCESS");
            cuda.version = answers.driver_version.reading().and_then(api_version);
            cuda.devices = answers.device_count.reading().map(|count| u64::try_from(count).unwrap_or(0));
            // A device that did not even tell its address belongs to no card.
            let nameless = answers.devices.iter().filter_map(Reading::known).filter(|device| device.pci.value().is_none());
            let no_answer = silent(&answers.init, "cuInit").or_else(|| stuck(&answers.device_count));
            cuda.no_answer = Reading::from(no_answer.or_else(|| nameless.into_iter().find_map(first_stuck)));
        }
        Reading::Absent => cuda.found = Reading::Known(false),
        Reading::Unreadable(reason) => {
            cuda.found = Reading::Unreadable(reason.clone());
            cuda.code = Reading::Unreadable(reason.clone());
            cuda.name = Reading::Unreadable(reason.clone());
            cuda.devices = Reading::Unreadable(reason.clone());
            cuda.no_answer = Reading::Known(reason.clone());
        }
    }
    cuda
}

/// The oldest driver that runs both the engine's and PyTorch's CUDA.
fn min_driver(image: &ImageFacts<'_>) -> Reading<Version> {
    let engine = image.engine.as_ref().and_then(|engine| engine.cuda.as_ref());
    let torch = image.torch.as_ref().and_then(|torch| torch.cuda.as_ref());
    let families = engine.into_iter().chain(torch).filter_map(|cuda| image.catalog.cuda().family(cuda));
    Reading::from(families.map(|family| family.min_driver.clone()).max())
}
