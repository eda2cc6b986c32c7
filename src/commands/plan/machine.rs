//! The devices of a machine as a plan's target: its free cards of one kind, what is free on them, and its driver.

use crate::catalog::Catalog;
use crate::cli::RequestOptions;
use crate::commands::host;
use crate::error::Error;
use crate::facts::{Facts, Gpu, Question};
use crate::pick;
use crate::plan::request::{GivenSize, Target};
use crate::units::Bytes;

/// The target, where the options leave it to a machine: to this one, or to one that was recorded.
pub(super) fn target(options: &RequestOptions, catalog: &Catalog) -> Result<Option<Target>, Error> {
    let named = options.vram.is_some() || options.gpu.is_some();
    let (capture, place) = match &options.from {
        Some(_) if named => {
            return Err(Error::usage("`--from` names devices, as do `--gpu` and `--vram`").with_hint("keep one of them"));
        }
        Some(path) => (host::recorded(path)?, "the recorded machine"),
        None if named || options.is_empty() => return Ok(None),
        None => (host::cards(), "this machine"),
    };
    let facts = Facts::new(&capture, &Question::default(), catalog);
    let cards = chosen(&facts, options.gpus);
    if cards.is_empty() {
        return Err(Error::usage(format!("no device was named, and {place} shows no GPU; `--vram` or `--gpu` is needed"))
            .with_hint("say how much device memory the server may take, such as `--vram 7g`")
            .with_hint("name the card, such as `--gpu \"rtx 3060\"`, and how many with `--gpus`"));
    }
    Ok(Some(described(&cards, &facts, options, catalog)))
}

/// The free cards of the kind of which most are free; without a free card the one with most memory free.
fn chosen(facts: &Facts, count: Option<u64>) -> Vec<Gpu> {
    let usable = |gpu: &&Gpu| gpu.listed && gpu.visible.known() != Some(&false) && gpu.memory.free.known().is_some();
    let free: Vec<&Gpu> = pick::free(facts).into_iter().filter(usable).collect();
    let alike = |gpu: &Gpu| free.iter().filter(|other| other.name.known() == gpu.name.known()).count();
    let kind = free.iter().max_by_key(|gpu| (alike(gpu), gpu.memory.total.known().copied(), std::cmp::Reverse(gpu.index)));
    let mut cards: Vec<Gpu> = match kind {
        Some(kind) => free.iter().filter(|gpu| gpu.name.known() == kind.name.known()).map(|gpu| (*gpu).clone()).collect(),
        None => facts.gpus.iter().filter(usable).max_by_key(|gpu| gpu.memory.free.known().copied()).cloned().into_iter().collect(),
    };
    if let Some(count) = count.and_then(|count| usize::try_from(count).ok()) {
        cards.truncate(count);
    }
    cards
}

/// What a plan needs to know of them. A card that nobody uses is the catalogue's; of others only what is free is there.
fn described(cards: &[Gpu], facts: &Facts, options: &RequestOptions, catalog: &Catalog) -> Target {
    let known = cards.first().and_then(|gpu| gpu.id.known()).and_then(|id| catalog.gpu(id).ok());
    let least = |size: fn(&Gpu) -> Option<Bytes>| cards.iter().filter_map(size).min().unwrap_or(Bytes::ZERO);
    let free = least(|gpu| gpu.memory.free.known().copied());
    let total = least(|gpu| gpu.memory.total.known().copied());
    let whole = known.is_some_and(|card| total.0.saturating_mul(20) >= card.memory().0.saturating_mul(19));
    let idle = free.0.saturating_mul(10) >= total.0.saturating_mul(9);
    // What nvidia-smi may show for the server is what is free; whole mebibytes, so that it is never more.
    let limit = Bytes(free.0 / Bytes::MIB.0 * Bytes::MIB.0);
    let limit = known.map_or(limit, |card| limit.min(card.memory()));
    let vram = (!whole || !idle).then(|| GivenSize { text: format!("{:.1}g", limit.gib()), bytes: limit });
    Target {
        vram,
        gpu: known.map(|card| card.id.clone()),
        count: options.gpus.unwrap_or(cards.len() as u64),
        driver: options.target_driver.clone().or_else(|| facts.driver.version.known().cloned()),
    }
}
