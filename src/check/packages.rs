//! The engine's package, and what every wheel asks of the interpreter and the C library.

use crate::capture::Package;
use crate::check::facts::{Facts, evidence, title};
use crate::check::{Outcome, fix};
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::version::{Specifier, Version};

/// Without `--for`, something that can be judged is there.
pub(super) fn nothing(facts: &Facts<'_>) -> Outcome {
    if facts.question.engine.is_some() {
        return Outcome::Skips("`--for` says what must be there".to_owned());
    }
    if facts.torch.is_some() || facts.engine.is_some() {
        return Outcome::Passes;
    }
    let message = match facts.image.environments.len() {
        0 => "there is no Python environment in the usual places; an image for inference needs one with torch".to_owned(),
        _ => "no Python environment here holds torch or a known engine; an image for inference needs them".to_owned(),
    };
    let text = "name the environment with `--python`, or what must be there with `--for vllm`";
    let fixes = vec![fix::verified(facts, "", Fix::edit(text))];
    Outcome::Fires(vec![finding("nothing-to-check", "image", message, looked(facts), fixes)])
}

/// The engine that was asked for is installed.
pub(super) fn engine_missing(facts: &Facts<'_>) -> Outcome {
    let Some(wanted) = &facts.question.engine else { return Outcome::Skips("no `--for` was given".to_owned()) };
    if facts.engine.is_some() {
        return Outcome::Passes;
    }
    let name = title(&wanted.name);
    let message = match facts.image.environments.len() {
        0 => format!("{name} is not installed: there is no Python environment in the usual places"),
        1 => format!("{name} is not installed in the one Python environment that was found"),
        number => format!("{name} is not installed in any of the {number} Python environments that were found"),
    };
    let package = match &wanted.version {
        Some(version) => format!("{}=={version}", wanted.name),
        None => wanted.name.clone(),
    };
    let known = facts.catalog.engine(&wanted.name).ok();
    let cuda = known.zip(wanted.version.as_ref()).and_then(|(engine, version)| Some(&engine.release(version).ok()?.release.cuda));
    let id = "engine-missing";
    let fixes = vec![
        fix::install(facts, id, "install it".to_owned(), &[package], cuda),
        fix::verified(facts, id, Fix::edit("name the environment that holds it with `--python`")),
    ];
    Outcome::Fires(vec![finding(id, "engine", message, looked(facts), fixes)])
}

/// The installed version is the one that was asked for.
pub(super) fn engine_version(facts: &Facts<'_>) -> Outcome {
    let wanted = facts.question.engine.as_ref().and_then(|engine| engine.version.as_ref());
    let Some(wanted) = wanted else { return Outcome::Skips("`--for` names no version".to_owned()) };
    let Some(engine) = &facts.engine else { return Outcome::Skips("the engine is not installed".to_owned()) };
    let Some(version) = &engine.version else {
        return Outcome::Unseen(format!("the version of {} in `{}` cannot be read", title(engine.name), engine.package.place));
    };
    // A build, `+cu129`, counts only where it was asked for.
    let same = if wanted.public() == *wanted { version.public() == *wanted } else { version == wanted };
    if same {
        return Outcome::Passes;
    }
    let id = "engine-version-differs";
    let package = format!("{}=={wanted}", engine.name);
    let release = facts.catalog.engine(engine.name).ok().and_then(|known| Some(known.release(wanted).ok()?.release));
    let fixes =
        vec![fix::install(facts, id, "install the version that was asked for".to_owned(), &[package], release.map(|row| &row.cuda))];
    let message = format!("{} {version} is installed; `--for` asks for {wanted}", title(engine.name));
    Outcome::Fires(vec![finding(id, "engine", message, vec![evidence("engine.version", version, &engine.package.place)], fixes)])
}

/// The wheels are for this interpreter.
pub(super) fn python_version(facts: &Facts<'_>) -> Outcome {
    let Some(python) = facts.environment.and_then(|environment| environment.python.as_ref()) else {
        return Outcome::Skips("the version of Python is not known".to_owned());
    };
    let packages = judged(facts);
    let said = |package: &&Package| package.metadata.requires_python.is_some() || !package.tags.is_empty();
    if !packages.iter().any(said) {
        return Outcome::Skips("no package says which Python it needs".to_owned());
    }
    let id = "python-version-unsupported";
    let refused = packages.iter().filter_map(|package| {
        let (needs, source) = refusal(package, python)?;
        let text = "build the image on a Python that every wheel accepts, then install again";
        let fixes = vec![fix::verified(facts, id, Fix::edit(text))];
        let message = format!("{} {} {needs}; the environment has Python {python}", package.name, package.version);
        let read = vec![evidence("python.version", python, facts.site().unwrap_or_default()), source];
        Some(finding(id, &format!("package:{}", package.name), message, read, fixes))
    });
    outcome(refused.collect())
}

/// Why a package does not run on this Python, with the evidence.
fn refusal(package: &Package, python: &str) -> Option<(String, Evidence)> {
    let number = python.trim_end_matches('t');
    if let Some(required) = &package.metadata.requires_python
        && let Ok(specifier) = required.parse::<Specifier>()
    {
        // Directories name no patch number: the first and the last one are tried.
        let allowed = [number.to_owned(), format!("{number}.99")].iter().any(|version| allows(&specifier, version));
        if !allowed {
            return Some((format!("needs Python {required}"), evidence("requires-python", required, &package.place)));
        }
    }
    if package.tags.is_empty() || package.tags.iter().any(|tag| runs_on(tag, python)) {
        return None;
    }
    let tag = package.tags.first()?;
    Some((format!("is a wheel for `{}`", tag.split('-').next().unwrap_or(tag)), evidence("wheel.tag", tag, &package.place)))
}

fn allows(specifier: &Specifier, version: &str) -> bool {
    version.parse().is_ok_and(|version: Version| specifier.allows(&version))
}

/// Whether a wheel of `cp312-cp312-…`, `cp38-abi3-…` or `py3-none-…` runs on `3.12` or `3.13t`.
fn runs_on(tag: &str, python: &str) -> bool {
    let mut parts = tag.split('-');
    let (Some(interpreter), Some(abi)) = (parts.next(), parts.next()) else { return true };
    let Some(built) = interpreter.strip_prefix("cp3").and_then(|minor| minor.parse::<u32>().ok()) else { return true };
    let here = python.trim_end_matches('t').strip_prefix("3.").and_then(|rest| rest.split('.').next()).and_then(|minor| minor.parse().ok());
    let Some(here): Option<u32> = here else { return true };
    match abi {
        "abi3" | "none" => here >= built,
        _ => here == built && abi.ends_with('t') == python.ends_with('t'),
    }
}

/// The C library is at least what the wheels were built for.
pub(super) fn glibc(facts: &Facts<'_>) -> Outcome {
    if let Some(missing) = glibc_symbols(facts) {
        return Outcome::Fires(vec![missing]);
    }
    let packages = judged(facts);
    let needs: Vec<_> = packages.iter().filter_map(|package| Some((package, needed_glibc(package)?))).collect();
    if needs.is_empty() {
        return Outcome::Skips("no wheel says which C library it needs".to_owned());
    }
    let Some(glibc) = &facts.image.glibc else { return Outcome::Skips("the C library could not be read".to_owned()) };
    let Ok(here) = glibc.version.parse::<Version>() else {
        return Outcome::Skips(format!("`{}` is no version of the C library", glibc.version));
    };
    let id = "glibc-too-old";
    let old = needs.iter().filter(|(_, needed)| here < *needed).map(|(package, needed)| {
        let text = format!("build the image on a distribution with glibc {needed} or newer, such as Debian 12 or Ubuntu 22.04");
        let fixes = vec![fix::verified(facts, id, Fix::edit(text).with_command("FROM python:3.12-slim-bookworm"))];
        let message = format!("{} {} needs glibc {needed} or newer; the image has {here}", package.name, package.version);
        let read = vec![evidence("glibc.version", &here, &glibc.place), evidence("wheel.tag", package.tags.join(", "), &package.place)];
        finding(id, &format!("package:{}", package.name), message, read, fixes)
    });
    outcome(old.collect())
}

/// The finding on symbols of the C library that libraries need and it does not have: surer than what wheels say of themselves.
fn glibc_symbols(facts: &Facts<'_>) -> Option<Finding> {
    let id = "glibc-too-old";
    let unmet = crate::check::loading::missing_glibc(facts);
    let first = unmet.first()?;
    let needed = first.needs.trim_start_matches("GLIBC_");
    let here = facts.image.glibc.as_ref().map_or("an older one", |glibc| glibc.version.as_str());
    let text = format!("build the image on a distribution with glibc {needed} or newer, such as Debian 12 or Ubuntu 22.04");
    let fixes = vec![fix::verified(facts, id, Fix::edit(text).with_command("FROM python:3.12-slim-bookworm"))];
    let name = first.by.rsplit('/').next().unwrap_or(&first.by);
    let message = format!("`{name}` needs glibc {needed} or newer; the image has {here}");
    let read = unmet.iter().take(6).map(|unmet| evidence("version needed", &unmet.needs, &unmet.by));
    let read = read.chain([evidence("glibc.version", here, &first.place)]).collect();
    Some(finding(id, "libraries", message, read, fixes))
}

/// The oldest glibc that one of the wheel's tags accepts.
fn needed_glibc(package: &Package) -> Option<Version> {
    let platforms = package.tags.iter().filter_map(|tag| tag.splitn(3, '-').nth(2)).flat_map(|platforms| platforms.split('.'));
    platforms.filter_map(platform_glibc).min()
}

fn platform_glibc(platform: &str) -> Option<Version> {
    let text = if let Some(rest) = platform.strip_prefix("manylinux_") {
        let mut numbers = rest.split('_');
        format!("{}.{}", numbers.next()?, numbers.next()?)
    } else if platform.starts_with("manylinux2014_") {
        "2.17".to_owned()
    } else if platform.starts_with("manylinux2010_") {
        "2.12".to_owned()
    } else if platform.starts_with("manylinux1_") {
        "2.5".to_owned()
    } else {
        return None;
    };
    text.parse().ok()
}

/// The packages that hold machine code and are imported: the engine's and PyTorch's.
fn judged<'a>(facts: &Facts<'a>) -> Vec<&'a Package> {
    let engine = facts.engine.as_ref().map(|engine| engine.package);
    let torch = facts.torch.as_ref().and_then(|torch| torch.package);
    engine.into_iter().chain(torch).collect()
}

fn outcome(findings: Vec<Finding>) -> Outcome {
    if findings.is_empty() { Outcome::Passes } else { Outcome::Fires(findings) }
}

/// Where environments were looked for, and which were found.
fn looked(facts: &Facts<'_>) -> Vec<Evidence> {
    let environments = &facts.image.environments;
    if environments.is_empty() {
        let places = if facts.image.looked.is_empty() { "none found".to_owned() } else { facts.image.looked.join(", ") };
        return vec![evidence("python.environments", "none", &places)];
    }
    let describe = |environment: &crate::capture::Environment| {
        let torch = if environment.torches.is_empty() { "no torch" } else { "torch" };
        evidence("python.environment", format!("{} packages, {torch}", environment.packages.len()), &environment.root)
    };
    environments.iter().take(8).map(describe).collect()
}

/// An error of a check.
pub(super) fn finding(id: &str, subject: &str, message: String, evidence: Vec<Evidence>, fixes: Vec<Fix>) -> Finding {
    Finding { id: id.to_owned(), severity: Severity::Error, subject: subject.to_owned(), message, evidence, fixes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_where_a_wheel_runs() {
        assert!(runs_on("cp312-cp312-linux_x86_64", "3.12") && !runs_on("cp312-cp312-linux_x86_64", "3.11"));
        assert!(runs_on("cp38-abi3-linux_x86_64", "3.14") && !runs_on("cp39-abi3-linux_x86_64", "3.8"));
        assert!(runs_on("py3-none-any", "3.12") && runs_on("nonsense", "3.12"));
        assert!(runs_on("cp313-cp313t-linux_x86_64", "3.13t") && !runs_on("cp313-cp313-linux_x86_64", "3.13t"));
    }

    #[test]
    fn a_platform_names_its_glibc() {
        let needed = |tag: &str| needed_glibc(&Package { tags: vec![tag.to_owned()], ..Package::default() }).map(|v| v.to_string());
        assert_eq!(needed("cp38-abi3-manylinux_2_28_x86_64"), Some("2.28".to_owned()));
        assert_eq!(needed("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"), Some("2.17".to_owned()));
        assert_eq!([needed("py3-none-any"), needed("manylinux_"), needed("a-b-manylinux_x")], [None, None, None]);
    }
}
