//! Which cards to take: free ones, of one kind, joined by NVLink, on one NUMA node. A function of the facts.

use crate::facts::{Facts, Gpu, Link};
use crate::units::Bytes;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How many cards.
    pub count: usize,
    /// How much memory must be free on each; nine tenths of it if not said.
    pub free: Option<Bytes>,
}

/// Cards that fit the wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    /// Their numbers in `nvidia-smi`, ascending.
    pub indices: Vec<u64>,
    /// Their UUIDs, where all are known.
    pub uuids: Option<Vec<String>>,
    /// Whether CUDA would count them otherwise than `nvidia-smi` unless it is told the order.
    pub order_matters: bool,
}

/// Why no cards can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The fact, then the requirement.
    pub message: String,
    /// What keeps each card away.
    pub reasons: Vec<String>,
}

/// The best cards for a wish.
///
/// # Errors
/// When there are not enough of them, with the reason for each card.
pub fn pick(facts: &Facts, wish: &Wish) -> Result<Picked, Refusal> {
    let judged: Vec<(&Gpu, Option<String>)> = facts.gpus.iter().map(|gpu| (gpu, obstacle(gpu, wish))).collect();
    let fit: Vec<&Gpu> = judged.iter().filter(|(_, obstacle)| obstacle.is_none()).map(|(gpu, _)| *gpu).collect();
    if wish.count == 0 || fit.len() < wish.count {
        return Err(refusal(facts, wish, fit.len(), &judged));
    }
    let chosen = best(&fit, wish.count, &facts.links);
    let mut names: Vec<_> = facts.gpus.iter().filter_map(|gpu| gpu.name.known()).collect();
    names.dedup();
    Ok(Picked {
        indices: chosen.iter().map(|gpu| gpu.index).collect(),
        uuids: chosen.iter().map(|gpu| gpu.uuid.known().cloned()).collect(),
        order_matters: names.len() > 1,
    })
}

/// The cards that the wish for one whole card would take.
pub fn free(facts: &Facts) -> Vec<&Gpu> {
    let wish = Wish { count: 1, free: None };
    facts.gpus.iter().filter(|gpu| obstacle(gpu, &wish).is_none()).collect()
}

/// What keeps a card from being taken.
fn obstacle(gpu: &Gpu, wish: &Wish) -> Option<String> {
    if !gpu.listed {
        return Some("the driver does not list it".to_owned());
    }
    if gpu.visible.known() == Some(&false) {
        return Some("`CUDA_VISIBLE_DEVICES` hides it".to_owned());
    }
    if gpu.mig.enabled.known() == Some(&true) {
        return Some("it is cut into MIG instances".to_owned());
    }
    if gpu.compute_mode.known().is_some_and(|mode| mode == "prohibited") {
        return Some("its compute mode is `prohibited`".to_owned());
    }
    let ill = gpu.lost_code.known().is_some_and(|code| *code != 0) || gpu.no_answer.known().is_some();
    if ill || [&gpu.context_code, &gpu.launch_code].iter().any(|code| code.known().is_some_and(|code| !matches!(code, 0 | 2))) {
        return Some("it does not work".to_owned());
    }
    let (Some(free), Some(total)) = (gpu.memory.free.known(), gpu.memory.total.known()) else {
        return Some(gpu.memory.free.reason().unwrap_or("its memory is not known").to_owned());
    };
    let wanted = wish.free.unwrap_or_else(|| total.scale(0.9));
    if *free >= wanted {
        return None;
    }
    let holder = gpu.holder.known().map_or_else(String::new, |holder| format!(", held by {holder}"));
    Some(format!("{} of {} free{holder}", size(*free), size(*total)))
}

fn size(bytes: Bytes) -> String {
    format!("{:.1} GiB", bytes.gib())
}

fn refusal(facts: &Facts, wish: &Wish, fit: usize, judged: &[(&Gpu, Option<String>)]) -> Refusal {
    let cards = |number: usize| if number == 1 { "1 card".to_owned() } else { format!("{number} cards") };
    let free = wish.free.map_or_else(|| "nine tenths of their memory".to_owned(), size);
    let message = if facts.gpus.is_empty() {
        let reason = facts.cards.count.reason().map_or_else(String::new, |reason| format!(": {reason}"));
        format!("no GPU is seen{reason}; {} wanted", cards(wish.count) + if wish.count == 1 { " is" } else { " are" })
    } else {
        let have =
            if fit == 0 { "none has that".to_owned() } else { format!("only {} so", cards(fit) + if fit == 1 { " is" } else { " are" }) };
        format!("{} with {free} free {} wanted; {have}", cards(wish.count), if wish.count == 1 { "is" } else { "are" })
    };
    // A card without a number is known by its slot.
    let name = |gpu: &Gpu| match gpu.address.known() {
        Some(address) if !gpu.listed => format!("the card at {address}"),
        _ => format!("GPU {}", gpu.index),
    };
    let reasons = judged.iter().filter_map(|(gpu, obstacle)| Some(format!("{}: {}", name(gpu), obstacle.as_ref()?)));
    Refusal { message, reasons: reasons.collect() }
}

/// More cards than this are taken in their order, as trying all sets would take too long.
const MOST: usize = 16;

/// The set with most pairs of one kind, then of NVLinks, then on one NUMA node; of equal sets the one with most memory
/// free, then the one that leaves no joined card alone, then the first.
fn best<'a>(fit: &[&'a Gpu], count: usize, links: &[Link]) -> Vec<&'a Gpu> {
    if fit.len() > MOST {
        return fit.iter().take(count).copied().collect();
    }
    let between = |a: &Gpu, b: &Gpu| {
        let link = links.iter().find(|link| (link.a, link.b) == (a.index, b.index) || (link.a, link.b) == (b.index, a.index));
        link.is_some_and(|link| link.nvlinks.known().is_some_and(|links| *links > 0))
    };
    // There are up to 2^16 sets, and 120 pairs in each.
    let joined: Vec<Vec<bool>> = fit.iter().map(|a| fit.iter().map(|b| between(a, b)).collect()).collect();
    let sets = (0_u32..1 << fit.len()).filter(|set| set.count_ones() as usize == count);
    let score = |set: &u32| {
        let inside = |place: usize| set & (1 << place) != 0;
        let mut pairs = [0_u64; 3];
        let mut parted = 0_u64;
        let mut free = 0_u64;
        for (place, a) in fit.iter().enumerate() {
            if inside(place) {
                free += a.memory.free.known().map_or(0, |free| free.0 >> 30);
            }
            for (other, b) in fit.iter().enumerate().skip(place + 1) {
                let joined = joined.get(place).and_then(|row| row.get(other)).copied().unwrap_or(false);
                if inside(place) && inside(other) {
                    pairs[0] += u64::from(a.name.known() == b.name.known());
                    pairs[1] += u64::from(joined);
                    pairs[2] += u64::from(a.numa_node.known().is_some() && a.numa_node.known() == b.numa_node.known());
                } else if inside(place) != inside(other) {
                    parted += u64::from(joined);
                }
            }
        }
        (pairs, std::cmp::Reverse(parted), free, std::cmp::Reverse(*set))
    };
    let chosen = sets.max_by_key(score).unwrap_or(0);
    fit.iter().enumerate().filter(|(place, _)| chosen & (1 << place) != 0).map(|(_, gpu)| *gpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::gpu::Memory;
    use crate::reading::Reading::Known;

    /// A card of 24 GiB with this much free.
    fn card(index: u64, free: u64, numa: u64) -> Gpu {
        let memory = Memory { total: Known(Bytes::GIB * 24), used: Known(Bytes::GIB * (24 - free)), free: Known(Bytes::GIB * free) };
        Gpu {
            index,
            listed: true,
            name: Known("NVIDIA RTX A5000".to_owned()),
            uuid: Known(format!("GPU-{index}")),
            visible: Known(true),
            numa_node: Known(numa),
            memory,
            ..Gpu::default()
        }
    }

    fn chosen(gpus: Vec<Gpu>, links: &[(u64, u64)], wish: &Wish) -> Result<Vec<u64>, Refusal> {
        let joined = |(a, b): &(u64, u64)| Link { a: *a, b: *b, nvlinks: Known(4), ..Link::default() };
        let facts = Facts { gpus, links: links.iter().map(joined).collect(), ..Facts::default() };
        pick(&facts, wish).map(|picked| picked.indices)
    }

    #[test]
    fn free_cards_are_taken() {
        let cards = vec![card(0, 1, 0), card(1, 24, 0), card(2, 24, 0)];
        assert_eq!(chosen(cards, &[], &Wish { count: 1, free: None }), Ok(vec![1]));
    }

    #[test]
    fn joined_cards_come_before_near_ones_and_near_ones_before_others() {
        let cards = || vec![card(0, 24, 0), card(1, 24, 1), card(2, 24, 0), card(3, 24, 1)];
        let two = Wish { count: 2, free: None };
        assert_eq!(chosen(cards(), &[], &two), Ok(vec![0, 2]));
        assert_eq!(chosen(cards(), &[(1, 2)], &two), Ok(vec![1, 2]));
    }

    #[test]
    fn one_card_leaves_a_joined_pair_alone() {
        let cards = vec![card(0, 24, 0), card(1, 24, 0), card(2, 24, 0)];
        assert_eq!(chosen(cards, &[(0, 1)], &Wish { count: 1, free: None }), Ok(vec![2]));
    }

    #[test]
    fn a_refusal_says_what_each_card_lacks() {
        let cards = vec![card(0, 1, 0), card(1, 24, 0)];
        let refusal = chosen(cards, &[], &Wish { count: 2, free: Some(Bytes::GIB * 20) }).expect_err("too many");
        assert_eq!(refusal.message, "2 cards with 20.0 GiB free are wanted; only 1 card is so");
        assert_eq!(refusal.reasons, ["GPU 0: 1.0 GiB of 24.0 GiB free"]);
    }
}
