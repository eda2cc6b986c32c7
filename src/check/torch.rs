//! PyTorch: whether it is there, alone, the one that was built against, and beside the right CUDA libraries.

use crate::capture::{Package, TorchBuild};
use crate::check::facts::{Facts, Torch, evidence};
use crate::check::packages::finding;
use crate::check::{Outcome, fix};
use crate::finding::{Finding, Severity};
use crate::version::Version;

/// What a check says where there is no PyTorch to judge.
fn absent() -> Outcome {
    Outcome::Skips("torch is not installed".to_owned())
}

/// An engine has a PyTorch beside it.
pub(super) fn missing(facts: &Facts<'_>) -> Outcome {
    let id = "torch-missing";
    let Some(engine) = &facts.engine else {
        return if facts.torch.is_some() { Outcome::Passes } else { Outcome::Skips("no engine is installed".to_owned()) };
    };
    match &facts.torch {
        Some(torch) if torch.build.is_some() => Outcome::Passes,
        torch => {
            let pin = pins(engine.package).and_then(|(_, _, pin)| pin).or_else(|| Some(engine.release?.torch.clone()));
            let package = pin.map_or_else(|| "torch".to_owned(), |version| format!("torch=={version}"));
            let fixes = vec![fix::install(facts, id, "install it".to_owned(), &[package], engine.cuda.as_ref())];
            let (message, place) = match torch.as_ref().and_then(|torch| torch.package) {
                Some(package) => {
                    (format!("torch {} is listed, and its files are gone; {} needs them", package.version, engine.title()), &package.place)
                }
                None => (format!("torch is not installed beside {}, which needs it", engine.title()), &engine.package.place),
            };
            Outcome::Fires(vec![finding(id, "torch", message, vec![evidence("engine.version", &engine.package.version, place)], fixes)])
        }
    }
}

/// Only one PyTorch can be imported, and it is the one that is listed.
pub(super) fn two(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment.filter(|_| facts.torch.is_some()) else { return absent() };
    let id = "two-torches";
    let listed: Vec<&Package> = environment.packages.iter().filter(|package| package.name == "torch").collect();
    // What is hidden by its order is not imported; what is mixed in one directory is neither of the two.
    let wrong = if let [first, second, ..] = environment.torches.as_slice() {
        Some((Severity::Warning, format!("{} hides {}; one of them must go", described(first), described(second))))
    } else if let [first, second, ..] = listed.as_slice() {
        let message = format!("torch is listed twice, as {} and {}; one installation must be left", first.version, second.version);
        Some((Severity::Error, message))
    } else {
        differing(&listed, environment.torches.first()).map(|message| (Severity::Error, message))
    };
    let read = || {
        let builds = environment.torches.iter().map(|build| evidence("torch.version", described(build), &build.place));
        builds.chain(listed.iter().map(|package| evidence("torch.package", &package.version, &package.place))).collect::<Vec<_>>()
    };
    if let Some((severity, message)) = wrong {
        let mut fixes = vec![fix::remove(facts, id, "remove torch until none is left, once for each".to_owned(), &["torch".to_owned()])];
        let pin = facts.engine.as_ref().and_then(|engine| Some((pins(engine.package)?.2?, engine.cuda.as_ref())));
        if let Some((version, cuda)) = pin {
            fixes.push(fix::install(facts, id, "install the one that the engine needs".to_owned(), &[format!("torch=={version}")], cuda));
        }
        return Outcome::Fires(vec![Finding { severity, ..finding(id, "torch", message, read(), fixes) }]);
    }
    let others: Vec<&TorchBuild> =
        facts.image.environments.iter().filter(|other| !std::ptr::eq(*other, environment)).filter_map(|other| other.torch()).collect();
    let Some(other) = others.first() else { return Outcome::Passes };
    let message = format!("another environment has {}; only that of {} was judged", described(other), environment.root);
    let all = read().into_iter().chain(others.iter().take(8).map(|other| evidence("torch.version", described(other), &other.place)));
    Outcome::Fires(vec![Finding { severity: Severity::Info, ..finding(id, "torch", message, all.collect(), Vec::new()) }])
}

/// A PyTorch whose files are of another version than its entry: it was replaced.
fn differing(listed: &[&Package], build: Option<&TorchBuild>) -> Option<String> {
    let (package, build) = (listed.first()?, build?);
    let entry: Version = package.version.parse().ok()?;
    let files: Version = build.version.as_ref()?.parse().ok()?;
    (entry.public() != files.public())
        .then(|| format!("torch is listed as {entry}, and its files are {files}; both must be of one installation"))
}

fn described(build: &TorchBuild) -> String {
    format!("torch {}", build.version.as_deref().unwrap_or("of an unknown version"))
}

/// Every package that pins PyTorch has the one that it pins.
pub(super) fn not_the_pinned(facts: &Facts<'_>) -> Outcome {
    let (Some(environment), Some(torch)) = (facts.environment, &facts.torch) else { return absent() };
    let Some(version) = &torch.version else { return unseen(torch, "version") };
    let id = "torch-not-the-pinned";
    let engine = facts.engine.as_ref().map(|engine| engine.package);
    let others = environment.packages.iter().filter(|package| engine.is_none_or(|engine| !std::ptr::eq(*package, engine)));
    let requiring: Vec<_> = engine.into_iter().chain(others).filter_map(pins).collect();
    if requiring.is_empty() {
        return Outcome::Skips("no package says which torch it needs".to_owned());
    }
    let broken =
        requiring.iter().filter(|(_, versions, _)| !versions.parse::<crate::version::Specifier>().is_ok_and(|it| it.allows(version)));
    let findings: Vec<Finding> = broken
        .map(|(package, versions, pin)| {
            let wanted = pin.as_ref().map_or_else(|| format!("torch{versions}"), |pin| format!("torch=={pin}"));
            let cuda = facts.engine.as_ref().and_then(|engine| engine.cuda.as_ref()).or(torch.cuda.as_ref());
            let text = format!("install the torch that {} needs", package.name);
            let read = vec![
                evidence("torch.version", version, torch.place()),
                evidence(&format!("{}.requires", package.name), format!("torch{versions}"), &package.place),
            ];
            let built = if pin.is_some() { "is built against" } else { "needs" };
            let message = format!("{} {} {built} torch{versions}; {version} is installed", package.name, package.version);
            let fixes = vec![fix::install(facts, id, text, &[wanted], cuda)];
            let severity = if pin.is_some() { Severity::Error } else { Severity::Warning };
            Finding { severity, ..finding(id, &format!("package:{}", package.name), message, read, fixes) }
        })
        .collect();
    if findings.is_empty() { Outcome::Passes } else { Outcome::Fires(findings) }
}

/// What a package requires of torch, as written, and the version where it is one alone. Requirements that depend on the
/// platform are left out, unless there is only that one.
fn pins(package: &Package) -> Option<(&Package, &str, Option<Version>)> {
    let all: Vec<_> = package.metadata.requires.iter().filter(|required| required.name == "torch").collect();
    let chosen = all.iter().find(|required| required.marker.is_none()).or(if all.len() == 1 { all.first() } else { None })?;
    let pin = chosen.specifier()?.pinned();
    Some((package, chosen.versions.as_str(), pin))
}

fn unseen(torch: &Torch<'_>, what: &str) -> Outcome {
    Outcome::Unseen(format!("the {what} of torch cannot be read in `{}`", torch.place()))
}

/// PyTorch is built with CUDA.
pub(super) fn without_cuda(facts: &Facts<'_>) -> Outcome {
    let Some(torch) = &facts.torch else { return absent() };
    if torch.cuda.is_some() {
        return Outcome::Passes;
    }
    if !torch.is_without_cuda() {
        return if torch.build.is_some() { unseen(torch, "CUDA build") } else { Outcome::Skips("the files of torch are gone".to_owned()) };
    }
    let id = "torch-without-cuda";
    let rocm = torch.build.and_then(|build| build.hip.text());
    let what = rocm.map_or_else(|| "without CUDA".to_owned(), |rocm| format!("for ROCm {rocm}, without CUDA"));
    let message = format!("{} is built {what}; an NVIDIA GPU needs a CUDA build", torch.title());
    let version = torch.version.as_ref().map(Version::public);
    let row = version.as_ref().and_then(|version| facts.catalog.torch().release(version)).and_then(|row| row.default_variant());
    let cuda = facts.engine.as_ref().and_then(|engine| engine.cuda.as_ref()).or(row.map(|variant| &variant.cuda));
    // A local part is named, since the version alone is installed already.
    let package = match (&version, cuda) {
        (Some(version), Some(cuda)) => format!("torch=={version}+{}", crate::check::facts::build_name(cuda)),
        (Some(version), None) => format!("torch=={version}"),
        (None, _) => "torch".to_owned(),
    };
    let fixes = vec![fix::install(facts, id, "install the CUDA build of the same version".to_owned(), &[package], cuda)];
    Outcome::Fires(vec![finding(id, "torch", message, vec![evidence("torch.cuda", "None", torch.place())], fixes)])
}

/// Engine and PyTorch are built with the same CUDA major: one process cannot use two.
pub(super) fn cuda_differs(facts: &Facts<'_>) -> Outcome {
    let Some(engine) = &facts.engine else { return Outcome::Skips("no engine is installed".to_owned()) };
    let Some(torch) = &facts.torch else { return absent() };
    let Some(built) = &engine.cuda else {
        return Outcome::Skips(format!("the CUDA build of {} is not known", engine.title()));
    };
    let Some(cuda) = &torch.cuda else { return Outcome::Skips("the CUDA build of torch is not known".to_owned()) };
    if built.major() == cuda.major() {
        return Outcome::Passes;
    }
    let id = "torch-cuda-differs-from-engine";
    let message = format!("{} is built for CUDA {cuda}, and {} for CUDA {built}; both need the same major", torch.title(), engine.title());
    let version = torch.version.as_ref().map(Version::public);
    let package =
        version.map_or_else(|| "torch".to_owned(), |version| format!("torch=={version}+{}", crate::check::facts::build_name(built)));
    let text = format!("install the build of torch for CUDA {built}");
    let fixes = vec![fix::install(facts, id, text, &[package], Some(built))];
    let read = torch.cuda_evidence().into_iter().chain(engine.cuda_evidence()).collect();
    Outcome::Fires(vec![finding(id, "torch", message, read, fixes)])
}

/// CUDA libraries that are wheels of their own. From CUDA 13 on most carry no suffix.
const LIBRARIES: [&str; 15] = [
    "cublas",
    "cuda-cupti",
    "cuda-nvrtc",
    "cuda-runtime",
    "cudnn",
    "cufft",
    "cufile",
    "curand",
    "cusolver",
    "cusparse",
    "cusparselt",
    "nccl",
    "nvjitlink",
    "nvshmem",
    "nvtx",
];

/// Those whose wheels write to the same directory whatever their CUDA: the one installed last has overwritten the other.
const SHARED: [&str; 4] = ["cudnn", "cusparselt", "nccl", "nvshmem"];

/// No CUDA library of another major lies beside PyTorch.
pub(super) fn mixed_wheels(facts: &Facts<'_>) -> Outcome {
    let (Some(environment), Some(torch)) = (facts.environment, &facts.torch) else { return absent() };
    let Some(cuda) = &torch.cuda else { return Outcome::Skips("the CUDA build of torch is not known".to_owned()) };
    let own = |name: &str| torch.package.is_some_and(|package| package.metadata.requires.iter().any(|required| required.name == name));
    let foreign: Vec<(&Package, &str, u64)> = environment
        .packages
        .iter()
        .filter_map(|package| library(&package.name, cuda.major()).map(|(library, major)| (package, library, major)))
        .filter(|(package, _, major)| *major != cuda.major() && !own(&package.name))
        .collect();
    let Some((first, _, major)) = foreign.first() else { return Outcome::Passes };
    let id = "mixed-cuda-wheels";
    let overwrites = foreign.iter().find(|(_, library, _)| SHARED.contains(library));
    let (severity, why) = match overwrites {
        Some((package, _, _)) => (Severity::Error, format!("`{}` writes to the directory that torch's own is in", package.name)),
        None => (Severity::Warning, "what loads first wins in a process".to_owned()),
    };
    let number = foreign.len();
    let others = if number > 1 { format!(" and {} more", number - 1) } else { String::new() };
    let message =
        format!("{}{others} of CUDA {major} beside {} of CUDA {cuda}; {why}, so only one CUDA may be there", first.name, torch.title());
    let names: Vec<String> = foreign.iter().map(|(package, _, _)| package.name.clone()).collect();
    let mut fixes = vec![fix::remove(facts, id, "remove them".to_owned(), &names)];
    if overwrites.is_some()
        && let Some(version) = torch.version.as_ref()
    {
        let text = "then install torch's own libraries again, with `--force-reinstall`".to_owned();
        fixes.push(fix::install(facts, id, text, &["--force-reinstall".to_owned(), format!("torch=={}", version.public())], Some(cuda)));
    }
    let mut read: Vec<_> = torch.cuda_evidence().into_iter().collect();
    read.extend(foreign.iter().take(8).map(|(package, _, _)| evidence(&package.name, &package.version, &package.place)));
    Outcome::Fires(vec![Finding { severity, ..finding(id, "torch", message, read, fixes) }])
}

/// The first CUDA major whose wheels carry no suffix.
const WITHOUT_SUFFIX: u64 = 13;

/// The library of a package, and its CUDA major: `nvidia-cudnn-cu12`, or `nvidia-cublas` of CUDA 13 and later. What
/// carries no suffix beside a torch of CUDA 13 or later is taken to be of that major.
fn library(package: &str, torch: u64) -> Option<(&str, u64)> {
    let name = package.strip_prefix("nvidia-")?;
    let (library, major) = match name.rsplit_once("-cu") {
        Some((library, digits)) if digits.bytes().all(|c| c.is_ascii_digit()) => (library, digits.get(..2)?.parse().ok()?),
        _ => (name, torch.max(WITHOUT_SUFFIX)),
    };
    LIBRARIES.contains(&library).then_some((library, major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_names_its_library_and_cuda() {
        assert_eq!(library("nvidia-cudnn-cu12", 13), Some(("cudnn", 12)));
        assert_eq!(library("nvidia-cublas", 13), Some(("cublas", 13)));
        assert_eq!(library("nvidia-cublas", 12), Some(("cublas", 13)));
        assert_eq!(library("nvidia-cuda-runtime-cu11", 13), Some(("cuda-runtime", 11)));
        assert_eq!([library("nvidia-ml-py", 13), library("nvidia-cudnn-frontend", 13), library("numpy", 13)], [None, None, None]);
    }
}
