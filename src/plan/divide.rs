//! Among how many devices a model is divided, and how: as the user says, as what was measured between them allows, and as is fastest.

use crate::engine::arguments::Arguments;
use crate::plan::alternatives::alternative;
use crate::plan::evaluate::Setting;
use crate::plan::outcome::{Alternative, Decision, Verdict};
use crate::plan::parallel::{served, splits};
use crate::plan::pieces::PieceCache;
use crate::plan::search::{Found, Settings, Variant, Wish, search};
use crate::plan::ways::{Comparison, PIPELINE, TENSOR, Way};

/// A launch on one device or several.
#[derive(Clone, Debug)]
pub struct Divided {
    /// The launch.
    pub found: Found,
    /// One over several devices that was passed over because they cannot be relied on together.
    pub other: Option<Alternative>,
}

/// The best launch of `variants` over the devices of `settings`.
pub fn divided(variants: &[Variant], settings: &Settings<'_>, wish: &Wish) -> Option<Divided> {
    let devices = settings.device.devices;
    if let Some(way) = given(&wish.fixed) {
        return search(variants, settings, wish, &[way]).map(|found| Divided { found, other: None });
    }
    match devices.interconnect.as_ref().and_then(|links| links.collectives_fail().map(|seen| (links, seen))) {
        Some((links, seen)) if devices.count > 1 => apart(variants, settings, wish, &format!("{seen} ({})", links.source)),
        _ => search(variants, settings, wish, &splits(devices.count)).map(|found| Divided { found, other: None }),
    }
}

/// The best launch where nothing that adds up or sends data between the devices works: on one of them, with weights in host memory
/// if need be. Only what fits no other way is divided by layers, since stages send through the same library.
fn apart(variants: &[Variant], settings: &Settings<'_>, wish: &Wish, seen: &str) -> Option<Divided> {
    let count = settings.device.devices.count;
    let mut found = search(variants, settings, wish, &[Way::ALONE])?;
    if found.evaluation.verdict == Verdict::Fits {
        return Some(Divided { found: alone(found, seen), other: None });
    }
    let Some(mut stages) = search(variants, settings, wish, &[Way { tensor: 1, pipeline: count }]) else {
        return Some(Divided { found, other: None });
    };
    if found.evaluation.verdict.is_good() {
        let model = variants.get(found.variant).map_or(settings.device.model, |variant| &variant.model);
        let pieces = PieceCache::default();
        let setting = Setting { model, pieces: &pieces, ..settings.device };
        let change = format!("pipeline parallel over {count} GPUs, once NCCL works between them");
        let other = (stages.evaluation.verdict == Verdict::Fits).then(|| alternative(change, stages.args, &stages.evaluation, &setting));
        return Some(Divided { found: alone(found, seen), other });
    }
    for decision in stages.decisions.iter_mut().filter(|decision| decision.flag == PIPELINE) {
        decision.why = format!("it fits on no GPU alone; tensor parallel ranks would wait for all-reduces, and {seen}");
    }
    found.rejected.append(&mut stages.rejected);
    Some(Divided { found: Found { rejected: found.rejected, ..stages }, other: None })
}

/// A launch on one of several devices, which says so.
fn alone(mut found: Found, seen: &str) -> Found {
    found.args.set(TENSOR, 1);
    let why = format!("one GPU alone: engines divide a model through NCCL, and {seen}");
    found.decisions.push(Decision { flag: TENSOR.to_owned(), value: "1".to_owned(), why });
    found
}

/// What the parallel sizes that the user gave are compared with: the other ways for as many devices.
pub fn beside(found: &Found, variants: &[Variant], settings: &Settings<'_>, wish: &Wish) -> Option<Comparison> {
    let own = given(&wish.fixed)?;
    let links = settings.device.devices.interconnect.as_ref()?;
    let variants = variants.get(found.variant..=found.variant)?;
    let mut free = wish.clone();
    free.fixed.remove(TENSOR);
    free.fixed.remove(PIPELINE);
    let pieces = PieceCache::default();
    let setting = Setting { model: &variants.first()?.model, pieces: &pieces, ..settings.device };
    let priced = |found: &Found| {
        let requests = wish.concurrency.unwrap_or(found.evaluation.launch.max_num_seqs);
        if found.evaluation.verdict == Verdict::Fits { served(&setting, &found.evaluation, requests) } else { None }
    };
    let chosen = priced(found)?;
    let ways = splits(own.tensor * own.pipeline).into_iter().filter(|way| *way != own);
    let others = ways.filter_map(|way| search(variants, settings, &free, &[way]).as_ref().and_then(priced));
    Comparison::of(chosen, others.collect(), &links.source)
}

/// The parallel sizes that the user gave, if any.
fn given(fixed: &Arguments) -> Option<Way> {
    let (tensor, pipeline) = (fixed.count(TENSOR), fixed.count(PIPELINE));
    (tensor.is_some() || pipeline.is_some()).then(|| Way { tensor: tensor.unwrap_or(1), pipeline: pipeline.unwrap_or(1) })
}
