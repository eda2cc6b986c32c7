//! Fixes as commands that fit the image: its installer, its environment.

use crate::capture::{Environment, Installer};
use crate::catalog::{ComputeCapability, Release};
use crate::check::facts::{Facts, build_name, title};
use crate::finding::{Fix, Risk};
use crate::version::Version;

/// The fix with the command that shows that it worked.
pub(super) fn verified(facts: &Facts<'_>, id: &str, mut fix: Fix) -> Fix {
    let question = facts.question;
    let mut words = vec![if question.image { "gpudoctor check --image" } else { "gpudoctor check" }.to_owned()];
    let mut option = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {}", quoted(&value))));
    let engine = question.engine.as_ref().map(|engine| match &engine.version {
        Some(version) => format!("{}@{version}", engine.name),
        None => engine.name.clone(),
    });
    option("--for", engine);
    option("--target-driver", question.driver.as_ref().map(Version::to_string));
    option("--target-gpu", question.gpu.clone());
    option("--python", question.python.clone());
    option("--only", (!id.is_empty() && id != super::UNSEEN).then(|| id.to_owned()));
    fix.verify = Some(words.join(" "));
    fix
}

/// A fix that installs packages, such as `torch==2.11.0`, of a CUDA build where one is wanted.
pub(super) fn install(facts: &Facts<'_>, id: &str, text: String, packages: &[String], cuda: Option<&Version>) -> Fix {
    let command = install_command(facts.environment, packages, cuda);
    verified(facts, id, Fix::edit(text).with_command(command))
}

fn install_command(environment: Option<&Environment>, packages: &[String], cuda: Option<&Version>) -> String {
    let packages = packages.iter().map(|package| quoted(package)).collect::<Vec<_>>().join(" ");
    let root = environment.map_or("/usr", |environment| environment.root.as_str());
    let system = matches!(root, "/usr" | "/usr/local");
    match environment.map_or(Installer::Pip, |environment| environment.installer) {
        Installer::Uv => {
            let place = if system { "--system".to_owned() } else { format!("--python {}", quoted(root)) };
            let backend = cuda.map_or_else(String::new, |cuda| format!(" --torch-backend={}", build_name(cuda)));
            format!("uv pip install {place} {packages}{backend}")
        }
        Installer::Pip => {
            let python = if system { "python3".to_owned() } else { quoted(&format!("{root}/bin/python3")) };
            let index =
                cuda.map_or_else(String::new, |cuda| format!(" --extra-index-url https://download.pytorch.org/whl/{}", build_name(cuda)));
            format!("{python} -m pip install {packages}{index}")
        }
    }
}

/// A fix that removes packages.
pub(super) fn remove(facts: &Facts<'_>, id: &str, text: String, packages: &[String]) -> Fix {
    let environment = facts.environment;
    let packages = packages.iter().map(|package| quoted(package)).collect::<Vec<_>>().join(" ");
    let root = environment.map_or("/usr", |environment| environment.root.as_str());
    let system = matches!(root, "/usr" | "/usr/local");
    let command = match (environment.map_or(Installer::Pip, |environment| environment.installer), system) {
        (Installer::Uv, true) => format!("uv pip uninstall --system {packages}"),
        (Installer::Uv, false) => format!("uv pip uninstall --python {} {packages}", quoted(root)),
        (Installer::Pip, true) => format!("python3 -m pip uninstall -y {packages}"),
        (Installer::Pip, false) => format!("{} -m pip uninstall -y {packages}", quoted(&format!("{root}/bin/python3"))),
    };
    verified(facts, id, Fix::edit(text).with_command(command))
}

/// Installs the newest release of the engine whose default wheels run on the target, if there is one.
pub(super) fn newest_for_target(facts: &Facts<'_>, id: &str) -> Option<Fix> {
    let engine = facts.engine.as_ref()?;
    let known = facts.catalog.engine(engine.name).ok()?;
    let capability = facts.gpu.map(|gpu| gpu.compute_capability);
    let driver = facts.driver.as_ref().map(|target| &target.version);
    let fits = |release: &&Release| {
        driver.is_none_or(|driver| driver.reaches(&release.min_driver))
            && capability.is_none_or(|capability| runs(facts, release, capability))
            && known.release(&release.version).is_ok()
    };
    let release = known.releases().iter().rev().find(fits)?;
    let name = format!("{}=={}", engine.name, release.version);
    let text = format!("install {} {}, the newest whose wheels run there", title(engine.name), release.version);
    Some(install(facts, id, text, &[name], Some(&release.cuda)))
}

/// Builds on the engine's own image of the same release for an older CUDA, where there is one that the driver runs.
pub(super) fn image_variant(facts: &Facts<'_>, id: &str, driver: &Version) -> Option<Fix> {
    let engine = facts.engine.as_ref()?;
    let release = engine.release?;
    let repository = facts.catalog.engine(engine.name).ok()?.image()?;
    let runs = |variant: &&String| {
        let cuda: Option<Version> = variant
            .strip_prefix("cu")
            .and_then(|digits| digits.split_at_checked(2))
            .and_then(|(major, minor)| format!("{major}.{minor}").parse().ok());
        let family = cuda.and_then(|cuda| facts.catalog.cuda().family(&cuda));
        family.is_some_and(|family| driver.reaches(&family.min_driver))
    };
    let variant = release.image_variants.iter().find(runs)?;
    let text = format!("build on the image of the same release for {variant}");
    Some(verified(facts, id, Fix::edit(text).with_command(format!("FROM {repository}:v{}-{variant}", release.version))))
}

/// Updates the driver of the target.
pub(super) fn driver_update(facts: &Facts<'_>, id: &str, minimum: &Version) -> Fix {
    let here = facts.driver.as_ref().is_some_and(|target| target.is_here);
    let place = if here { "on the host" } else { "on the target machine, then name it with `--target-driver`" };
    let mut fix = Fix::edit(format!("install driver {minimum} or newer {place}"));
    fix.risk = Risk::Risky;
    fix.needs = vec!["root".to_owned(), "reboot".to_owned()];
    fix.command = Some(format!("apt-get install nvidia-driver-{}-server", minimum.major()));
    verified(facts, id, fix)
}

/// Whether the engine's wheel and the PyTorch that it pins have machine code for the card.
fn runs(facts: &Facts<'_>, release: &Release, capability: ComputeCapability) -> bool {
    let torch = facts.catalog.torch().release(&release.torch);
    let variant = torch.and_then(|torch| torch.variant(&build_name(&release.cuda)).or_else(|| torch.default_variant()));
    capability >= release.min_capability && release.runs_on(capability) && variant.is_some_and(|variant| variant.runs_on(capability))
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
