//! The environment as a whole: what is listed twice, what is imported in its place, what its packages require of each other.

use std::collections::BTreeMap;
use std::path::Path;

use crate::capture::metadata::{Requirement, normalised};
use crate::capture::python::{Overlay, Route};
use crate::capture::{Environment, Package};
use crate::check::facts::{Facts, evidence};
use crate::check::marker::Markers;
use crate::check::packages::finding;
use crate::check::{Outcome, fix};
use crate::finding::{Finding, Fix, Severity};
use crate::version::Version;

/// Most things of one kind that a finding names.
const MOST: usize = 6;

fn no_environment() -> Outcome {
    Outcome::Skips("there is no Python environment".to_owned())
}

/// Whether a package is PyTorch, the engine, or what they cannot start without; without an engine, whether it is an
/// extension, which then is what the environment is for.
pub(super) fn is_vital(facts: &Facts<'_>, package: &str) -> bool {
    let engine = facts.engine.as_ref().map(|engine| engine.package);
    let torch = facts.torch.as_ref().and_then(|torch| torch.package);
    let needs = |other: &Package| other.name == package || other.metadata.requires.iter().any(|required| required.name == package);
    let libraries = || facts.environment.into_iter().flat_map(|environment| &environment.libraries);
    package == "torch"
        || engine.into_iter().chain(torch).any(needs)
        || engine.is_none() && libraries().any(|library| library.package == package)
}

fn severity(vital: bool) -> Severity {
    if vital { Severity::Error } else { Severity::Warning }
}

/// No package has two entries in one directory, which is what an upgrade leaves that was cut off.
pub(super) fn broken_upgrade(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment else { return no_environment() };
    let mut listed: BTreeMap<(&str, &Path), Vec<&Package>> = BTreeMap::new();
    // Debian and conda keep an `.egg-info` beside the entry; it is nobody's upgrade.
    let entries = environment.packages.iter().filter(|package| package.place.ends_with(".dist-info"));
    for package in entries.filter(|package| package.name != "torch") {
        if let Some(site) = Path::new(&package.place).parent() {
            listed.entry((&package.name, site)).or_default().push(package);
        }
    }
    let id = "broken-upgrade";
    let findings = listed.into_iter().filter(|(_, packages)| packages.len() > 1).map(|((name, site), packages)| {
        let versions: Vec<&str> = packages.iter().map(|package| package.version.as_str()).collect();
        let message = format!(
            "{name} is listed {} times in `{}`, as {}, so its files are a mixture; one installation must be left",
            packages.len(),
            site.display(),
            versions.join(" and ")
        );
        let newest = packages.iter().max_by_key(|package| package.version.parse::<Version>().ok()).map(|package| &package.version);
        let again = newest.map_or_else(|| name.to_owned(), |version| format!("{name}=={version}"));
        let fixes = vec![
            fix::remove(facts, id, "remove it until none is left, once for each".to_owned(), &[name.to_owned()]),
            fix::install(facts, id, "then install it again".to_owned(), &[again], None),
        ];
        let read = packages.iter().map(|package| evidence(&format!("{name}.version"), &package.version, &package.place)).collect();
        Finding { severity: severity(is_vital(facts, name)), ..finding(id, &format!("package:{name}"), message, read, fixes) }
    });
    fired(findings.collect())
}

/// What a user has installed for themself is not imported in place of the environment's.
pub(super) fn user_site(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment else { return no_environment() };
    let id = "user-site-leaks";
    let findings = environment.overlays.iter().filter(|overlay| overlay.route == Route::UserSite).map(|overlay| {
        let (names, vital) = hidden(facts, environment, overlay);
        let message = format!("{names} in `{}` is imported before what the environment holds; one of them must be left out", overlay.place);
        let text = "leave the packages of the user out, here and in the image (`ENV PYTHONNOUSERSITE=1`)";
        let fixes = vec![fix::verified(facts, id, Fix::edit(text).with_command("export PYTHONNOUSERSITE=1"))];
        Finding { severity: severity(vital), ..finding(id, "python", message, vec![overlaid(overlay)], fixes) }
    });
    fired(findings.collect())
}

/// No directory of `PYTHONPATH`, and not the working directory, holds a module of the same name.
pub(super) fn hidden_module(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment else { return no_environment() };
    let id = "module-hidden";
    let editable = |overlay: &Overlay| {
        let sources = environment.packages.iter().filter_map(|package| package.source.as_ref()).filter(|source| source.editable);
        sources.filter_map(|source| source.url.strip_prefix("file://")).any(|place| place == overlay.place)
    };
    let others = environment.overlays.iter().filter(|overlay| overlay.route != Route::UserSite && !editable(overlay));
    let findings = others.filter_map(|overlay| {
        // A module that the environment does not have hides nothing.
        let both: Vec<&str> = overlay.modules.iter().map(String::as_str).filter(|module| has_module(environment, module)).collect();
        let vital = both.iter().any(|module| is_vital(facts, &normalised(module)));
        let (severity, how, change) = match overlay.route {
            Route::PythonPath => (severity(vital), "`PYTHONPATH` names it", Some("unset PYTHONPATH")),
            _ => (Severity::Warning, "`python -m` and a shell of Python search the working directory first", Some("cd /")),
        };
        let modules = both.join(", ");
        let message = format!(
            "`{}` holds {modules}, which is imported in place of the installed one: {how}; only one of them may be found",
            overlay.place
        );
        let text = match overlay.route {
            Route::PythonPath => "take the directory out of `PYTHONPATH`",
            _ => "start from another directory, or rename the one that holds it",
        };
        let mut fix = Fix::edit(text);
        fix.command = change.map(str::to_owned);
        let fixes = vec![fix::verified(facts, id, fix)];
        (!both.is_empty()).then(|| Finding { severity, ..finding(id, "python", message, vec![overlaid(overlay)], fixes) })
    });
    fired(findings.collect())
}

fn has_module(environment: &Environment, module: &str) -> bool {
    let name = normalised(module);
    let of = |package: &Package| package.name == name || package.name.starts_with(&format!("{name}-"));
    environment.packages.iter().any(of) || name == "torch" && environment.torch().is_some()
}

/// What a directory hides, in words, and whether anything of it is vital.
fn hidden(facts: &Facts<'_>, environment: &Environment, overlay: &Overlay) -> (String, bool) {
    let modules = overlay.modules.iter().filter(|module| has_module(environment, module));
    let packages = overlay.packages.iter().map(|package| package.split(' ').next().unwrap_or_default());
    let mut names: Vec<String> = modules.map(|module| normalised(module)).chain(packages.map(str::to_owned)).collect();
    names.sort_unstable();
    names.dedup();
    let vital = names.iter().any(|name| is_vital(facts, name));
    if names.is_empty() {
        names.extend(overlay.modules.iter().cloned());
    }
    let more = names.len().saturating_sub(MOST);
    names.truncate(MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (format!("{}{rest}", names.join(", ")), vital)
}

fn overlaid(overlay: &Overlay) -> crate::finding::Evidence {
    let held = if overlay.packages.is_empty() { overlay.modules.join(", ") } else { overlay.packages.join(", ") };
    evidence("python.overlay", held, &overlay.place)
}

/// What conda installed is not overwritten by pip.
pub(super) fn conda_mixed(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment else { return no_environment() };
    let Some(conda) = &environment.conda else { return Outcome::Skips("the environment is none of conda's".to_owned()) };
    let id = "conda-and-pip-mixed";
    let both = conda.packages.iter().filter_map(|own| {
        let name = if own.name == "pytorch" { "torch".to_owned() } else { normalised(&own.name) };
        let package = environment.package(&name).filter(|package| package.installer.as_deref() != Some("conda"))?;
        let differs = |a: &str, b: &str| match (a.parse::<Version>(), b.parse::<Version>()) {
            (Ok(a), Ok(b)) => a.public() != b.public(),
            _ => a != b,
        };
        differs(&package.version, &own.version).then_some((own, package))
    });
    let both: Vec<_> = both.collect();
    let Some((own, package)) = both.first() else { return Outcome::Passes };
    let vital = both.iter().any(|(_, package)| is_vital(facts, &package.name));
    let more = if both.len() > 1 { format!(" and {} more", both.len() - 1) } else { String::new() };
    let message = format!(
        "{} {} of conda{more} was overwritten by pip with {}; one of the two must manage a package",
        own.name, own.version, package.version
    );
    let names: Vec<String> = both.iter().take(MOST).map(|(own, _)| own.name.clone()).collect();
    let again: Vec<String> = both.iter().take(MOST).map(|(_, package)| format!("{}=={}", package.name, package.version)).collect();
    let fixes = vec![
        fix::conda_remove(facts, id, &names),
        fix::install(facts, id, "then install what pip had installed again".to_owned(), &again, None),
    ];
    let read = both.iter().take(MOST).flat_map(|(own, package)| {
        let meta = format!("{}/conda-meta/{}-{}-{}.json", environment.root, own.name, own.version, own.build);
        [evidence("conda.version", &own.version, &meta), evidence("pip.version", &package.version, &package.place)]
    });
    Outcome::Fires(vec![Finding { severity: severity(vital), ..finding(id, "python", message, read.collect(), fixes) }])
}

/// The engine is not installed into conda's own environment, which every update of conda changes.
pub(super) fn base_environment(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment else { return no_environment() };
    let Some(conda) = &environment.conda else { return Outcome::Skips("the environment is none of conda's".to_owned()) };
    let held = facts.engine.as_ref().map(|engine| engine.title()).or_else(|| facts.torch.as_ref().map(|torch| torch.title()));
    let Some(held) = held.filter(|_| conda.base) else { return Outcome::Passes };
    let id = "base-environment-used";
    let message = format!("{held} is installed in `(base)`, whose packages conda itself needs; an environment of its own is safer");
    let python = environment.python.as_deref().unwrap_or("3.12");
    let fix = Fix::edit("make an environment for it").with_command(format!("conda create -n serving python={python} pip"));
    let read = vec![evidence("conda.base", "true", &format!("{}/condabin", environment.root))];
    let fixes = vec![fix::verified(facts, id, fix)];
    Outcome::Fires(vec![Finding { severity: Severity::Info, ..finding(id, "python", message, read, fixes) }])
}

/// What the engine and PyTorch require is installed, in a version that they allow.
pub(super) fn requirement_unmet(facts: &Facts<'_>) -> Outcome {
    let Some(environment) = facts.environment else { return no_environment() };
    let torch = facts.torch.as_ref().and_then(|torch| torch.package);
    let packages: Vec<&Package> = facts.engine.as_ref().map(|engine| engine.package).into_iter().chain(torch).collect();
    if packages.iter().all(|package| package.metadata.requires.is_empty()) {
        return Outcome::Skips("no package says what it requires".to_owned());
    }
    let id = "requirement-unmet";
    let markers = Markers::new(facts.image, environment);
    let findings = packages.iter().filter_map(|package| {
        let required = package.metadata.requires.iter().filter(|required| required.name != "torch");
        // The marker is the slower question and is asked of what is not met alone.
        let unmet: Vec<_> = required.filter_map(|required| Some((required, state(environment, required)?))).collect();
        let unmet: Vec<_> = unmet.into_iter().filter(|(required, _)| markers.hold(required)).collect();
        let (first, state) = unmet.first()?;
        let more = if unmet.len() > 1 { format!(", and {} more requirements are not met", unmet.len() - 1) } else { String::new() };
        let message = format!("{} {} requires {}{}; {state}{more}", package.name, package.version, first.name, first.versions);
        let names: Vec<String> = unmet.iter().take(MOST).map(|(required, _)| format!("{}{}", required.name, required.versions)).collect();
        let fixes = vec![fix::install(facts, id, format!("install what {} requires", package.name), &names, None)];
        let read = unmet.iter().take(MOST).map(|(required, state)| {
            evidence(&format!("{}.requires", package.name), format!("{}{}: {state}", required.name, required.versions), &package.place)
        });
        let subject = format!("package:{}", package.name);
        Some(Finding { severity: Severity::Warning, ..finding(id, &subject, message, read.collect(), fixes) })
    });
    fired(findings.collect())
}

/// Why a requirement is not met; nothing where it is, or where its versions cannot be compared.
fn state(environment: &Environment, required: &Requirement) -> Option<String> {
    let Some(package) = environment.package(&required.name) else { return Some("it is not installed".to_owned()) };
    let (versions, installed) = (required.specifier()?, package.version.parse::<Version>().ok()?);
    (!versions.allows(&installed)).then(|| format!("{} is installed", package.version))
}

pub(super) fn fired(findings: Vec<Finding>) -> Outcome {
    if findings.is_empty() { Outcome::Passes } else { Outcome::Fires(findings) }
}
