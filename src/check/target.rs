//! The machine that the image is for: its driver and its card.

use crate::catalog::ComputeCapability;
use crate::check::facts::{Facts, evidence};
use crate::check::{Outcome, fix};
use crate::finding::{Evidence, Finding, Severity};
use crate::version::Version;

/// One of the wheels that bring CUDA.
struct Build {
    title: String,
    cuda: Version,
    evidence: Evidence,
}

/// The driver is at least the minimum of the CUDA major that the wheels were built with.
pub(super) fn driver(facts: &Facts<'_>) -> Outcome {
    let Some(target) = &facts.driver else { return Outcome::Skips("no `--target-driver` was given".to_owned()) };
    let driver = &target.version;
    if target.is_here && facts.engine.is_none() && facts.torch.is_none() {
        return Outcome::Skips("no engine and no torch is installed".to_owned());
    }
    let builds = match builds(facts) {
        Ok(builds) => builds,
        Err(reason) => return Outcome::Unseen(reason),
    };
    let families = builds.iter().map(|build| Some((build, facts.catalog.cuda().family(&build.cuda)?)));
    let Some(families) = families.collect::<Option<Vec<_>>>() else {
        let versions: Vec<String> = builds.iter().map(|build| build.cuda.to_string()).collect();
        return Outcome::Unseen(format!("the oldest driver of CUDA {} is not known", versions.join(" and ")));
    };
    // The engine's build comes first and is named where both ask for the same driver.
    let strictest = families.iter().rev().max_by(|a, b| a.1.min_driver.cmp(&b.1.min_driver));
    let Some((build, family)) = strictest else { return Outcome::Unseen("no CUDA build is known".to_owned()) };
    if driver.reaches(&family.min_driver) {
        return Outcome::Passes;
    }
    let id = "driver-older-than-cuda";
    let mut fixes: Vec<_> = fix::image_variant(facts, id, driver).into_iter().chain(fix::newest_for_target(facts, id)).collect();
    fixes.push(fix::driver_update(facts, id, &family.min_driver));
    Outcome::Fires(vec![Finding {
        id: id.to_owned(),
        severity: Severity::Error,
        subject: "driver".to_owned(),
        message: format!(
            "{} is built for CUDA {} and needs driver {} or newer; {} has {driver}",
            build.title,
            build.cuda,
            family.min_driver,
            if target.is_here { "this machine" } else { "the target" }
        ),
        evidence: std::iter::once(evidence("driver.version", driver, &target.source))
            .chain(builds.iter().map(|build| build.evidence.clone()))
            .collect(),
        fixes,
    }])
}

/// A driver of an older CUDA of the same major runs the wheels: worth knowing, and no error.
pub(super) fn minor_versions(facts: &Facts<'_>) -> Outcome {
    let Some(target) = &facts.driver else { return Outcome::Skips("no `--target-driver` was given".to_owned()) };
    let driver = &target.version;
    let Ok(builds) = builds(facts) else { return Outcome::Skips("the CUDA of the wheels is not known".to_owned()) };
    let Some(branch) = facts.catalog.cuda().branch(driver) else {
        return Outcome::Skips(format!("driver branch {} is not known", driver.major()));
    };
    let newer = |build: &&Build| build.cuda.major() == branch.cuda.major() && build.cuda.minor() > branch.cuda.minor();
    let Some(build) = builds.iter().find(newer) else { return Outcome::Passes };
    Outcome::Fires(vec![Finding {
        id: "cuda-newer-than-driver".to_owned(),
        severity: Severity::Info,
        subject: "driver".to_owned(),
        message: format!(
            "{} is built for CUDA {}, and driver {driver} is of CUDA {}: it runs by minor-version compatibility, and needs machine code \
             for the GPU, since PTX of CUDA {} cannot be compiled there",
            build.title, build.cuda, branch.cuda, build.cuda
        ),
        evidence: vec![evidence("driver.version", driver, &target.source), build.evidence.clone()],
        fixes: Vec::new(),
    }])
}

/// The builds of engine and PyTorch, the engine first; an error where one that is there cannot be told.
fn builds(facts: &Facts<'_>) -> Result<Vec<Build>, String> {
    let mut builds = Vec::new();
    if let Some(engine) = &facts.engine {
        let known = engine.cuda.clone().zip(engine.cuda_evidence());
        let (cuda, evidence) = known.ok_or_else(|| format!("the CUDA build of {} is not known", engine.title()))?;
        builds.push(Build { title: engine.title(), cuda, evidence });
    }
    let torch = facts.torch.as_ref().ok_or("there is no torch that could be judged")?;
    let known = torch.cuda.clone().zip(torch.cuda_evidence());
    let (cuda, evidence) = known.ok_or_else(|| match torch.is_without_cuda() {
        true => format!("{} is built without CUDA", torch.title()),
        false => format!("the CUDA build of {} cannot be read", torch.title()),
    })?;
    builds.push(Build { title: torch.title(), cuda, evidence });
    Ok(builds)
}

/// Engine and PyTorch have machine code for the card.
pub(super) fn kernels(facts: &Facts<'_>) -> Outcome {
    let Some(gpu) = facts.gpu else { return Outcome::Skips("no `--target-gpu` was given".to_owned()) };
    let capability = gpu.compute_capability;
    let mut lacking = Vec::new();
    let mut unknown = Vec::new();
    if let Some(engine) = &facts.engine {
        match engine.release.filter(|release| !release.targets.is_empty()) {
            Some(release) if capability >= release.min_capability && release.runs_on(capability) => {}
            Some(release) if engine.default_build => {
                lacking.push((engine.title(), release.targets.clone(), "engine.targets", release.origin.to_string()));
            }
            _ => unknown.push(format!("the targets of {} are not known", engine.title())),
        }
    }
    match &facts.torch {
        None => unknown.push("there is no torch that could be judged".to_owned()),
        Some(torch) => match torch.variant {
            Some(variant) if variant.runs_on(capability) => {}
            Some(variant) => lacking.push((torch.title(), variant.targets.clone(), "torch.targets", "rules/torch.toml".to_owned())),
            None => unknown.push(format!("the targets of {} are not known", torch.title())),
        },
    }
    let Some((title, targets, _, _)) = lacking.first() else {
        return if unknown.is_empty() { Outcome::Passes } else { Outcome::Unseen(unknown.join("; ")) };
    };
    let card = gpu.display_name();
    let mut read = vec![evidence("gpu.compute_capability", format!("{capability} ({card})"), &gpu.origin.to_string())];
    read.extend(lacking.iter().map(|(_, targets, fact, source)| evidence(fact, listed(targets), source)));
    Outcome::Fires(vec![Finding {
        id: "no-kernels-for-gpu".to_owned(),
        severity: Severity::Error,
        subject: format!("gpu:{}", gpu.id),
        message: format!("{title} has no kernels for compute capability {capability} ({card}), which is {}", relation(capability, targets)),
        evidence: read,
        fixes: kernel_fixes(facts, capability),
    }])
}

/// Why there are none: the card is older or newer than the wheel, or lies between its targets.
fn relation(capability: ComputeCapability, targets: &[u16]) -> String {
    let oldest = targets.iter().copied().min().map(ComputeCapability::from_sm);
    let newest = targets.iter().copied().max().map(ComputeCapability::from_sm);
    match (oldest, newest) {
        (Some(oldest), _) if capability < oldest => format!("too old: the wheel starts at {oldest}"),
        (_, Some(newest)) if capability > newest => format!("too new: the wheel ends at {newest}"),
        _ => format!("none of its targets {}", listed(targets)),
    }
}

fn listed(targets: &[u16]) -> String {
    let names = targets.iter().map(|sm| ComputeCapability::from_sm(*sm).to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn kernel_fixes(facts: &Facts<'_>, capability: ComputeCapability) -> Vec<crate::finding::Fix> {
    let id = "no-kernels-for-gpu";
    let mut fixes: Vec<_> = fix::newest_for_target(facts, id).into_iter().collect();
    if facts.engine.is_none() {
        let version = facts.torch.as_ref().and_then(|torch| torch.version.as_ref());
        let row = version.and_then(|version| facts.catalog.torch().release(version));
        let variant = row.and_then(|row| row.variant.iter().rev().find(|variant| variant.runs_on(capability)));
        if let Some((variant, version)) = variant.zip(version) {
            let text = format!("install the {} build of the same release, which has kernels for it", variant.name);
            fixes.push(fix::install(facts, id, text, &[format!("torch=={}", version.public())], Some(&variant.cuda)));
        }
    }
    if fixes.is_empty() {
        let text = format!("use another card: no known release has kernels for compute capability {capability}");
        fixes.push(fix::verified(facts, id, crate::finding::Fix::edit(text)));
    }
    fixes
}
