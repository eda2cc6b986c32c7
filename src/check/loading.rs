//! What the loader would do: libraries that are nowhere, hidden ones, mixtures, and versions of symbols that are too old.

use std::collections::BTreeMap;

use crate::capture::Environment;
use crate::capture::library::{Load, Rule, Unmet};
use crate::check::environment::{fired, is_vital};
use crate::check::extension::unread;
use crate::check::facts::{Facts, evidence};
use crate::check::packages::finding;
use crate::check::{Outcome, fix};
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::version::Version;

/// Most pieces of evidence of one finding.
const MOST: usize = 6;

/// The environment, if anything of it was followed through the loader.
fn followed<'a>(facts: &Facts<'a>) -> Option<&'a Environment> {
    facts.environment.filter(|environment| !environment.loads.is_empty())
}

/// How a library is found, as evidence.
fn found(load: &Load) -> Evidence {
    let version = load.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    let place = load.place.as_deref().unwrap_or("nowhere");
    evidence(&format!("{}{version}", load.name), format!("by {}, for {}", load.rule.name(), file_name(&load.by)), place)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The package whose library a path is: by the libraries that were read, else by the directory.
fn package_of<'a>(environment: &'a Environment, place: &str) -> &'a str {
    let read = environment.libraries.iter().find(|library| library.place == place).map(|library| library.package.as_str());
    read.unwrap_or("torch")
}

/// Every library that is needed is somewhere.
pub(super) fn not_found(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = followed(facts) else { return unread() };
    let id = "library-not-found";
    // A package that brings the library itself may open it by its path first.
    let absent = environment.loads.iter().filter(|load| load.rule == Rule::Nowhere && load.shadows.is_empty());
    let mut by_package: BTreeMap<&str, Vec<&Load>> = BTreeMap::new();
    absent.for_each(|load| by_package.entry(package_of(environment, &load.by)).or_default().push(load));
    let cuda = facts.torch.as_ref().and_then(|torch| torch.cuda.as_ref());
    let findings = by_package.into_iter().map(|(package, loads)| {
        let names: Vec<String> = loads.iter().take(MOST).map(|load| format!("`{}`", load.name)).collect();
        let runtime = loads.iter().find_map(|load| load.name.strip_prefix("libcudart.so."));
        let other = runtime.zip(cuda).filter(|(built, cuda)| **built != cuda.major().to_string());
        let (why, text) = match other {
            Some((built, cuda)) => (
                format!("it is built for CUDA {built}, and torch for CUDA {cuda}"),
                format!("install the build of {package} for CUDA {cuda}"),
            ),
            None => ("neither the environment nor the system has it".to_owned(), format!("install {package} again with what it requires")),
        };
        let more = if loads.len() > MOST { format!(" and {} more", loads.len() - MOST) } else { String::new() };
        let message = format!("{package} needs {}{more}, which the loader does not find: {why}", names.join(", "));
        // Of torch the files count, which may be of another version than the entry.
        let of_torch = facts.torch.as_ref().and_then(|torch| torch.version.as_ref()).filter(|_| package == "torch");
        let listed = environment.package(package).map_or("", |package| package.version.as_str());
        let version =
            of_torch.map_or_else(|| listed.split('+').next().unwrap_or(listed).to_owned(), |version| version.public().to_string());
        let again = ["--force-reinstall".to_owned(), format!("{package}=={version}")];
        let fixes = vec![fix::install(facts, id, text, &again, cuda)];
        let severity = if is_vital(facts, package) { Severity::Error } else { Severity::Warning };
        let read = loads.iter().take(MOST).map(|load| evidence("needed", &load.name, &load.by)).collect();
        Finding { severity, ..finding(id, &format!("package:{package}"), message, read, fixes) }
    });
    fired(findings.collect())
}

/// No CUDA library that the environment brings is hidden by another.
pub(super) fn shadowed(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = followed(facts) else { return unread() };
    let id = "library-shadowed";
    let outside = |place: &str| !environment.sites.iter().any(|site| place.starts_with(site.as_str()));
    let of_cuda =
        |name: &str| facts.catalog.libraries().family(name).is_some_and(|family| !matches!(family.id.as_str(), "libstdcxx" | "glibc"));
    let hidden = environment.loads.iter().filter(|load| of_cuda(&load.name) && !load.shadows.is_empty());
    let hidden: Vec<(&Load, &str)> =
        hidden.filter_map(|load| Some((load, load.place.as_deref().filter(|place| outside(place))?))).collect();
    let mut by_folder: BTreeMap<(&str, Rule), Vec<&Load>> = BTreeMap::new();
    for (load, place) in hidden {
        by_folder.entry((folder(place), load.rule)).or_default().push(load);
    }
    let findings = by_folder.into_iter().map(|((folder, rule), loads)| {
        let names: Vec<String> = loads.iter().take(MOST).map(|load| titled(load)).collect();
        let broken = environment.unmet.iter().any(|unmet| self::folder(&unmet.place) == folder || self::folder(&unmet.by) == folder);
        let message = format!(
            "{} {} loaded from `{folder}` by {}, and hides what the wheels brought; torch must find its own",
            names.join(", "),
            if loads.len() == 1 { "is" } else { "are" },
            rule.name()
        );
        let (text, command) = match rule {
            Rule::LibraryPath => (format!("take `{folder}` out of `LD_LIBRARY_PATH`; the wheels need none"), Some("unset LD_LIBRARY_PATH")),
            Rule::Cache | Rule::System => (format!("take `{folder}` out of the system's library path"), None),
            _ => (format!("install the package whose search path names `{folder}` from its wheel"), None),
        };
        let mut change = Fix::edit(text);
        change.command = command.map(str::to_owned);
        let fixes = vec![fix::verified(facts, id, change)];
        let read = loads.iter().take(MOST).flat_map(|load| {
            let own = load.shadows.first().map(|own| evidence(&format!("{} hidden", load.name), "not loaded", own));
            std::iter::once(found(load)).chain(own)
        });
        let severity = if broken { Severity::Error } else { Severity::Warning };
        Finding { severity, ..finding(id, "libraries", message, read.collect(), fixes) }
    });
    fired(findings.collect())
}

fn titled(load: &Load) -> String {
    load.version.as_ref().map_or_else(|| load.name.clone(), |version| format!("{} {version}", load.name))
}

/// The CUDA runtime is the one that PyTorch was built with, and there is only one.
pub(super) fn cuda_runtime(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = followed(facts) else { return unread() };
    let Some(cuda) = facts.torch.as_ref().and_then(|torch| torch.cuda.as_ref()) else {
        return Outcome::Skips("the CUDA build of torch is not known".to_owned());
    };
    let id = "cuda-runtime-of-other-version";
    let is_runtime = |load: &&Load| facts.catalog.libraries().family(&load.name).is_some_and(|family| family.id == "cuda-runtime");
    let runtimes: Vec<&Load> = environment.loads.iter().filter(is_runtime).filter(|load| load.place.is_some()).collect();
    let Some(first) = runtimes.first() else { return Outcome::Skips("no CUDA runtime is loaded".to_owned()) };
    let version = |load: &Load| load.version.as_ref().and_then(|version| version.parse::<Version>().ok());
    let older = version(first).filter(|version| (version.major(), version.minor()) < (cuda.major(), cuda.minor()));
    let message = match (&older, runtimes.get(1)) {
        (Some(older), _) => format!("torch is built for CUDA {cuda} and would load the CUDA runtime {older}; it needs {cuda} or newer"),
        (None, Some(second)) => format!(
            "two CUDA runtimes are loaded into one process, `{}` for {} and `{}` for {}; all must be built for one",
            first.name,
            file_name(&first.by),
            second.name,
            file_name(&second.by)
        ),
        (None, None) => return Outcome::Passes,
    };
    let wheel = if cuda.major() < 13 { format!("nvidia-cuda-runtime-cu{}", cuda.major()) } else { "nvidia-cuda-runtime".to_owned() };
    let wanted = format!("{wheel}=={}.{}.*", cuda.major(), cuda.minor());
    let fixes = match older {
        Some(_) => vec![fix::install(facts, id, "install the runtime that torch was built with".to_owned(), &[wanted], None)],
        None => {
            let package = runtimes.get(1).map_or("torch", |second| package_of(environment, &second.by)).to_owned();
            vec![fix::install(facts, id, format!("install the build of {package} for CUDA {cuda}"), &[package], Some(cuda))]
        }
    };
    let read = runtimes.iter().take(MOST).map(|load| found(load)).collect();
    Outcome::Fires(vec![Finding { severity: Severity::Warning, ..finding(id, "libraries", message, read, fixes) }])
}

/// Libraries that must be of one build are.
pub(super) fn one_build(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = followed(facts) else { return unread() };
    let id = "cudnn-mixed";
    let families = facts.catalog.libraries().family.iter().filter(|family| family.of_one_build);
    let findings = families.filter_map(|family| {
        let loads: Vec<&Load> = environment.loads.iter().filter(|load| load.place.is_some() && family.holds(&load.name)).collect();
        let mut folders: Vec<&str> = loads.iter().filter_map(|load| load.place.as_deref()).map(folder).collect();
        folders.dedup();
        folders.sort_unstable();
        folders.dedup();
        if folders.len() < 2 {
            return None;
        }
        let message = format!(
            "{} would be loaded from {} directories, `{}`; all of its libraries must be of one version",
            family.title,
            folders.len(),
            folders.join("`, `")
        );
        let text = "leave only the directory of the wheel in the library path";
        let fixes = vec![fix::verified(facts, id, Fix::edit(text).with_command("unset LD_LIBRARY_PATH"))];
        Some(finding(id, "libraries", message, loads.iter().take(MOST).map(|load| found(load)).collect(), fixes))
    });
    fired(findings.collect())
}

/// Libraries define the symbols that others need of them.
pub(super) fn lacking_symbols(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = followed(facts) else { return unread() };
    let id = "library-lacks-symbols";
    let others = environment.unmet.iter().filter(|unmet| !matches!(family_of(facts, unmet), Some("libstdcxx" | "glibc")));
    let mut by_place: BTreeMap<&str, Vec<&Unmet>> = BTreeMap::new();
    others.for_each(|unmet| by_place.entry(&unmet.place).or_default().push(unmet));
    let findings = by_place.into_iter().filter_map(|(place, unmet)| {
        let first = unmet.first()?;
        let message = format!(
            "`{}` needs `{}` of `{}`, and `{place}` does not have it; both must be of one CUDA",
            file_name(&first.by),
            first.needs,
            first.library
        );
        let torch = facts.torch.as_ref().and_then(|torch| torch.version.as_ref().map(|version| (version, torch.cuda.as_ref())));
        let again = torch.map(|(version, cuda)| {
            let options = ["--force-reinstall".to_owned(), format!("torch=={}", version.public())];
            fix::install(facts, id, "install torch again with its own libraries".to_owned(), &options, cuda)
        });
        let path = fix::verified(
            facts,
            id,
            Fix::edit("leave only the wheels' directories in the library path").with_command("unset LD_LIBRARY_PATH"),
        );
        let read = unmet.iter().take(MOST).map(|unmet| evidence("undefined", &unmet.needs, &unmet.by));
        let read = read.chain([evidence("loaded", &first.library, place)]).collect();
        Some(finding(id, "libraries", message, read, std::iter::once(path).chain(again).collect()))
    });
    fired(findings.collect())
}

fn family_of<'a>(facts: &Facts<'a>, unmet: &Unmet) -> Option<&'a str> {
    facts.catalog.libraries().family(&unmet.library).map(|family| family.id.as_str())
}

/// The C++ standard library has the versions that extensions need.
pub(super) fn libstdcxx(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = followed(facts) else { return unread() };
    let id = "libstdcxx-too-old";
    let unmet = strictest(environment.unmet.iter().filter(|unmet| family_of(facts, unmet) == Some("libstdcxx")));
    let Some(first) = unmet.first() else { return Outcome::Passes };
    let of_conda = environment.conda.is_some() && first.place.starts_with(environment.root.as_str());
    let message = format!(
        "`{}` needs {}, and `{}` ends before it{}; a newer libstdc++ must be found first",
        file_name(&first.by),
        first.needs,
        first.place,
        if of_conda { ", which conda puts before the system's" } else { "" }
    );
    let fix = match of_conda {
        true => {
            Fix::edit("update the one of conda").with_command(format!("conda install -p {} -c conda-forge libstdcxx-ng", environment.root))
        }
        false => Fix::edit("build on a distribution with a newer GCC").with_command("FROM python:3.12-slim-bookworm"),
    };
    let fixes = vec![fix::verified(facts, id, fix)];
    let read = unmet.iter().take(MOST).map(|unmet| evidence("version needed", &unmet.needs, &unmet.by));
    let read = read.chain([evidence("libstdc++", "loaded", &first.place)]).collect();
    Outcome::Fires(vec![finding(id, "libraries", message, read, fixes)])
}

/// The versions of the C library's symbols that are needed and that it does not have, newest first.
pub(super) fn missing_glibc<'a>(facts: &Facts<'a>) -> Vec<&'a Unmet> {
    let unmet = facts.environment.into_iter().flat_map(|environment| &environment.unmet);
    strictest(unmet.filter(|unmet| family_of(facts, unmet) == Some("glibc")))
}

/// Sorted by the version that is needed, newest first.
fn strictest<'a>(unmet: impl Iterator<Item = &'a Unmet>) -> Vec<&'a Unmet> {
    let mut unmet: Vec<&Unmet> = unmet.collect();
    let number = |needs: &str| needs.rsplit_once('_').and_then(|(_, number)| number.parse::<Version>().ok());
    unmet.sort_by(|a, b| number(&b.needs).cmp(&number(&a.needs)).then_with(|| a.by.cmp(&b.by)));
    unmet
}
