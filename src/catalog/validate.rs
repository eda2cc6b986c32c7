//! What no single file can show: names that no entry has, names that two entries have.

use std::collections::HashMap;

use super::Catalog;
use super::advice::Advice;
use super::attention::AttentionFamily;
use super::cause::{Cause, RootFile};
use super::check::CheckRule;
use super::cuda::Cuda;
use super::device::Devices;
use super::engine::Engine;
use super::error::CatalogError;
use super::file::RuleFile;
use super::floor::Floors;
use super::gpu::Gpu;
use super::libraries::Libraries;
use super::model::{ModelFile, SizeFile};
use super::names::fold;
use super::origin::Origin;
use super::place::Place;
use super::quantization::Quantizations;
use super::sign::Signs;
use super::torch::Torch;
use super::xid::Xids;
use crate::version::Version;

/// Whether the text of a file is what its place asks for.
pub(super) fn decodes(file: &RuleFile) -> Result<(), CatalogError> {
    match &file.place {
        Place::Gpu => file.decode::<Gpu>().map(drop),
        Place::Models => file.decode::<ModelFile>().map(drop),
        Place::ModelSizes => file.decode::<SizeFile>().map(drop),
        Place::Attention => file.decode::<AttentionFamily>().map(drop),
        Place::Cuda => file.decode::<Cuda>().map(drop),
        Place::Torch => file.decode::<Torch>().map(drop),
        Place::Devices => file.decode::<Devices>().map(drop),
        Place::Libraries => file.decode::<Libraries>().map(drop),
        Place::Quantizations => file.decode::<Quantizations>().map(drop),
        Place::Xids => file.decode::<Xids>().map(drop),
        Place::Check => file.decode::<CheckRule>().map(drop),
        Place::Roots => file.decode::<RootFile>().map(drop),
        Place::Signs => file.decode::<Signs>()?.check().map_err(|problem| file.refuse(&problem)),
        Place::Floors => file.decode::<Floors>().map(drop),
        Place::Cause => {
            let cause = Cause { origin: file.origin.clone(), ..file.decode::<Cause>()? };
            cause.check().map_err(|problem| file.refuse(&problem))
        }
        Place::Advice => file.decode::<Advice>()?.check().map_err(|problem| file.refuse(&problem)),
        Place::Engine { part, .. } => Engine::check(file, *part),
    }
}

/// Every problem of the catalogue.
pub(super) fn all(catalog: &Catalog) -> Vec<CatalogError> {
    let mut problems: Vec<CatalogError> = RuleFile::builtin().filter_map(Result::err).collect();
    problems.extend(catalog.files.iter().filter_map(|file| decodes(file).err()));
    gpus(catalog, &mut problems);
    let known = |id: &str| catalog.gpus().iter().any(|gpu| gpu.id == id);
    let floors = catalog.floors().problems(known).into_iter();
    problems.extend(floors.map(|(kernel, text)| problem(&Origin::Builtin("bench.toml"), kernel, text)));
    models(catalog, &mut problems);
    causes(catalog, &mut problems);
    catalog.engines().iter().for_each(|engine| self::engine(catalog, engine, &mut problems));
    problems
}

fn problem(origin: &Origin, entry: &str, problem: String) -> CatalogError {
    CatalogError::Inconsistent { file: origin.path(), entry: entry.to_owned(), problem }
}

fn gpus(catalog: &Catalog, problems: &mut Vec<CatalogError>) {
    let mut names: HashMap<String, &str> = HashMap::new();
    for gpu in catalog.gpus() {
        let own = gpu.variant.is_none().then_some(&gpu.name);
        let mut mine: Vec<String> = std::iter::once(&gpu.id).chain(own).chain(&gpu.aliases).map(|name| fold(name)).collect();
        mine.sort();
        mine.dedup();
        for name in mine {
            if let Some(other) = names.insert(name.clone(), &gpu.id) {
                problems.push(problem(&gpu.origin, &gpu.id, format!("its name `{name}` is one of `{other}` too")));
            }
        }
        if catalog.cuda().generation(gpu.compute_capability).is_none() {
            let text = format!("no generation in cuda.toml has compute capability {}", gpu.compute_capability);
            problems.push(problem(&gpu.origin, &gpu.id, text));
        }
    }
    let generic = catalog.devices().generic.as_ref().filter(|rule| catalog.gpu(&rule.like).is_err());
    if let Some(rule) = generic {
        problems.push(problem(&Origin::Builtin("devices.toml"), "generic", format!("no GPU is called `{}`", rule.like)));
    }
}

fn models(catalog: &Catalog, problems: &mut Vec<CatalogError>) {
    let mut names: HashMap<String, String> = HashMap::new();
    for model in catalog.models() {
        let mut mine: Vec<String> = model.names().map(fold).collect();
        mine.sort();
        mine.dedup();
        for name in mine {
            if let Some(other) = names.insert(name.clone(), model.id.clone()) {
                problems.push(problem(&model.origin, &model.id, format!("its name `{name}` is one of `{other}` too")));
            }
        }
    }
    for size in catalog.model_sizes() {
        if !names.contains_key(&fold(&size.model)) {
            problems.push(problem(&size.origin, &size.name, format!("no model is called `{}`", size.model)));
        }
        for checkpoint in &size.quantized {
            if catalog.quantization(&checkpoint.scheme).is_err() {
                let text = format!("no quantisation scheme is called `{}`", checkpoint.scheme);
                problems.push(problem(&size.origin, &size.name, text));
            }
        }
    }
}

fn causes(catalog: &Catalog, problems: &mut Vec<CatalogError>) {
    let root = |id: &str| catalog.roots().iter().any(|root| root.id == id);
    for cause in catalog.causes() {
        let mut wrong = |text: String| problems.push(problem(&cause.origin, &cause.id, text));
        if !root(&cause.root) {
            wrong(format!("no root in roots.toml is called `{}`", cause.root));
        }
        for name in &cause.explains {
            let known = name.strip_prefix("root:").map_or_else(|| catalog.cause(name).is_some(), root);
            if !known {
                wrong(format!("it explains `{name}`, which no file defines"));
            }
        }
        for branch in cause.branch.iter().filter(|branch| catalog.cause(&branch.cause).is_none()) {
            wrong(format!("it branches to `{}`, which no file defines", branch.cause));
        }
        let wants_advice = cause.kind == super::cause::CauseKind::Cause || cause.advice.is_some();
        if wants_advice && catalog.advice(cause.advice()).is_none() {
            wrong(format!("no file advice/{}.toml has its fixes", cause.advice()));
        }
    }
}

fn engine(catalog: &Catalog, engine: &Engine, problems: &mut Vec<CatalogError>) {
    let known = |version: &Version| engine.releases().iter().any(|release| release.version == *version);
    for release in engine.releases() {
        if release.behaves_like.as_ref().is_some_and(|version| !known(version)) {
            let text = "the release that stands in for it is not known".to_owned();
            problems.push(problem(&release.origin, &release.version.to_string(), text));
        }
        if catalog.cuda().family(&release.cuda).is_none() {
            problems.push(problem(&release.origin, &release.version.to_string(), format!("CUDA {} has no family", release.cuda)));
        }
        if catalog.torch().release(&release.torch).is_none() {
            let text = format!("PyTorch {} is not in torch.toml", release.torch);
            problems.push(problem(&release.origin, &release.version.to_string(), text));
        }
    }
    for quirk in engine.quirks() {
        for version in quirk.since.iter().chain(&quirk.until).filter(|version| !known(version)) {
            problems.push(problem(&quirk.origin, &quirk.id, format!("{} {version} is not a known release", engine.name())));
        }
        for name in quirk.when.flag.iter().chain(quirk.fix_flags.keys()) {
            if !engine.flags().any(|flag| flag.name == *name) {
                problems.push(problem(&quirk.origin, &quirk.id, format!("no flag is called `{name}`")));
            }
        }
        for family in quirk.when.attention.iter().filter(|family| catalog.attention(family).is_err()) {
            problems.push(problem(&quirk.origin, &quirk.id, format!("no attention family is called `{family}`")));
        }
        for method in quirk.when.quantization.iter().filter(|method| engine.quantization_method(method).is_err()) {
            problems.push(problem(&quirk.origin, &quirk.id, format!("no quantisation method is called `{method}`")));
        }
    }
    for flag in engine.flags() {
        for name in &flag.replaced_by {
            if !engine.flags().any(|other| other.name == *name) {
                problems.push(problem(&flag.origin, &flag.name, format!("no flag is called `{name}`, which is said to replace it")));
            }
        }
        for span in flag.span.iter().filter(|span| !known(&span.since) || span.until.as_ref().is_some_and(|until| !known(until))) {
            problems.push(problem(&flag.origin, &flag.name, format!("its span from {} names an unknown release", span.since)));
        }
    }
    let origin = Origin::Builtin("engines");
    for method in engine.quantization_methods() {
        let missing = method.scheme.as_ref().filter(|scheme| catalog.quantization(scheme).is_err());
        if let Some(scheme) = missing {
            problems.push(problem(&origin, &method.name, format!("no quantisation scheme is called `{scheme}`")));
        }
    }
}
