//! What connects two GPUs, and whether they can read each other's memory.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::capture::call::first_stuck;
use crate::capture::cuda::{Cuda, Transfer};
use crate::facts::gpu::Gpu;
use crate::reading::Reading;

/// A pair of GPUs.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Link {
    /// The number of the first in `nvidia-smi`.
    pub a: u64,
    /// The number of the second.
    pub b: u64,
    /// What is between them, as `nvidia-smi topo -m` prints it: `NV18`, `PIX`, `PXB`, `PHB`, `NODE`, `SYS`.
    pub level: Reading<String>,
    /// NVLinks that join the two directly or through switches.
    pub nvlinks: Reading<u64>,
    /// Whether the driver lets them read each other's memory: `ok`, or why not.
    pub p2p_status: Reading<String>,
    /// Whether CUDA says that one can reach the other's memory.
    pub can_access: Reading<bool>,
    /// Whether a copy between them arrived as it was; only where it was tried.
    pub verified: Reading<bool>,
    /// What opening the memory of one to the other returned; 0 is success, absent where it was not tried.
    pub enable_code: Reading<i64>,
    /// What copying between them returned; 0 is success, absent where it was not tried.
    pub copy_code: Reading<i64>,
    /// Why a call about the two never returned; absent where each did.
    pub no_answer: Reading<String>,
    /// Whether both are on one NUMA node.
    pub same_numa: Reading<bool>,
    /// Whether both have the same name.
    pub same_model: Reading<bool>,
    /// Whether cards of this kind can read each other's memory with the stock driver: `always`, `nvlink-bridge`, `never`.
    pub expected: Reading<String>,
}

/// The pairs of the GPUs that the driver lists.
pub(super) fn read(capture: &Capture, gpus: &[Gpu]) -> Vec<Link> {
    let Some(nvml) = capture.nvml.known() else { return Vec::new() };
    let card = |index: u32| gpus.iter().find(|gpu| gpu.listed && gpu.index == u64::from(index));
    let cuda = capture.cuda.known();
    let pairs = nvml.pairs.iter().filter_map(|pair| Some((pair, card(pair.first)?, card(pair.second)?)));
    let link = |(pair, a, b): (&crate::capture::nvml::NvmlPair, &Gpu, &Gpu)| {
        let nvlinks = joined(nvml.devices.get(pair.first as usize), a, b);
        let level = match nvlinks.known() {
            Some(number) if *number > 0 => Reading::Known(format!("NV{number}")),
            _ => pair.level.reading().map(|level| level_name(level).to_owned()),
        };
        Link {
            a: a.index,
            b: b.index,
            level,
            nvlinks,
            p2p_status: pair.read.reading().map(|status| status_name(status).to_owned()),
            can_access: access(cuda, a, b),
            verified: verified(cuda, a, b),
            enable_code: worst(cuda, a, b, |copy| copy.peer_access.code()),
            copy_code: worst(cuda, a, b, |copy| copy.copy.code()),
            no_answer: Reading::from(first_stuck(pair).or_else(|| silence(cuda?, a, b))),
            same_numa: same(&a.numa_node, &b.numa_node),
            same_model: same(&a.name, &b.name),
            expected: a.peer_access.clone(),
        }
    };
    pairs.map(link).collect()
}

fn same<T: PartialEq>(a: &Reading<T>, b: &Reading<T>) -> Reading<bool> {
    a.as_ref().and_then(|a| b.as_ref().map(|b| a == b))
}

/// How many NVLinks of the first lead to the second: straight, or to a switch when the second has links to a switch too.
fn joined(device: Option<&Reading<crate::capture::nvml::NvmlDevice>>, a: &Gpu, b: &Gpu) -> Reading<u64> {
    let Some(device) = device.and_then(Reading::known) else { return Reading::unreadable("NVML did not describe the card") };
    let up = device.links.iter().filter(|link| link.state.value() == Some(&1));
    let leads = |link: &&crate::capture::nvml::Link| match (link.remote_kind.value(), link.remote.value(), b.address.known()) {
        (Some(2), _, _) => b.nvlink.active.known().is_some_and(|links| *links > 0),
        (_, Some(remote), Some(address)) => same_slot(remote, address),
        _ => false,
    };
    match (a.nvlink.active.known(), b.nvlink.active.known()) {
        (Some(_), Some(_)) => Reading::Known(up.filter(leads).count() as u64),
        _ => a.nvlink.active.clone(),
    }
}

/// Whether two PCI addresses are one: NVML writes eight digits of domain, sysfs four.
pub(super) fn same_slot(left: &str, right: &str) -> bool {
    let bare = |text: &str| {
        text.to_ascii_lowercase().split_once(':').map(|(domain, rest)| (domain.trim_start_matches('0').to_owned(), rest.to_owned()))
    };
    bare(left).is_some() && bare(left) == bare(right)
}

/// The ordinal that CUDA gives to a card.
fn ordinal(cuda: &crate::capture::cuda::Cuda, gpu: &Gpu) -> Option<u32> {
    let place = cuda.devices.iter().position(|device| {
        let pci = device.known().and_then(|device| device.pci.value());
        pci.zip(gpu.address.known()).is_some_and(|(pci, address)| same_slot(pci, address))
    });
    place.and_then(|place| u32::try_from(place).ok())
}

fn access(cuda: Option<&crate::capture::cuda::Cuda>, a: &Gpu, b: &Gpu) -> Reading<bool> {
    let unseen = || Reading::unreadable("CUDA does not show both cards");
    let Some(cuda) = cuda else { return unseen() };
    let (Some(from), Some(to)) = (ordinal(cuda, a), ordinal(cuda, b)) else { return unseen() };
    let both = cuda.peers.iter().filter(|peer| (peer.from, peer.to) == (from, to) || (peer.from, peer.to) == (to, from));
    let answers: Vec<Reading<bool>> = both.map(|peer| peer.can_access.reading()).collect();
    match answers.iter().find(|answer| answer.known() != Some(&true)) {
        Some(other) => other.clone(),
        None if answers.is_empty() => unseen(),
        None => Reading::Known(true),
    }
}

fn verified(cuda: Option<&crate::capture::cuda::Cuda>, a: &Gpu, b: &Gpu) -> Reading<bool> {
    let Some(cuda) = cuda else { return Reading::Absent };
    let (Some(from), Some(to)) = (ordinal(cuda, a), ordinal(cuda, b)) else { return Reading::Absent };
    let both = cuda.transfers.iter().filter(|copy| (copy.from, copy.to) == (from, to) || (copy.from, copy.to) == (to, from));
    let tried: Vec<Reading<bool>> = both.map(|copy| copy.verified.reading()).collect();
    tried.iter().find(|copy| copy.known() != Some(&true)).cloned().unwrap_or(if tried.is_empty() {
        Reading::Absent
    } else {
        Reading::Known(true)
    })
}

/// The calls about two cards, in both directions.
fn between<'a, T>(all: &'a [T], cuda: &Cuda, a: &Gpu, b: &Gpu, ends: fn(&T) -> (u32, u32)) -> Vec<&'a T> {
    let (Some(from), Some(to)) = (ordinal(cuda, a), ordinal(cuda, b)) else { return Vec::new() };
    all.iter().filter(|one| ends(one) == (from, to) || ends(one) == (to, from)).collect()
}

/// The first code of copies between two cards that is not 0, else 0; absent where none was made.
fn worst(cuda: Option<&Cuda>, a: &Gpu, b: &Gpu, code: fn(&Transfer) -> Option<i64>) -> Reading<i64> {
    let Some(cuda) = cuda else { return Reading::Absent };
    let copies = between(&cuda.transfers, cuda, a, b, |copy| (copy.from, copy.to));
    let codes: Vec<i64> = copies.into_iter().filter_map(code).collect();
    Reading::from(codes.iter().find(|code| **code != 0).or(codes.first()).copied())
}

/// Why CUDA never answered about two cards.
fn silence(cuda: &Cuda, a: &Gpu, b: &Gpu) -> Option<String> {
    let peers = between(&cuda.peers, cuda, a, b, |peer| (peer.from, peer.to));
    let copies = between(&cuda.transfers, cuda, a, b, |copy| (copy.from, copy.to));
    first_stuck(&peers).or_else(|| first_stuck(&copies))
}

/// `nvmlGpuTopologyLevel_t` in the words of `nvidia-smi topo -m`.
const fn level_name(level: u32) -> &'static str {
    match level {
        0 => "INTERNAL",
        10 => "PIX",
        20 => "PXB",
        30 => "PHB",
        40 => "NODE",
        _ => "SYS",
    }
}

/// `nvmlGpuP2PStatus_t`.
const fn status_name(status: u32) -> &'static str {
    match status {
        0 => "ok",
        1 => "chipset-not-supported",
        2 => "gpu-not-supported",
        3 => "topology-not-supported",
        4 => "disabled-by-registry-key",
        5 => "not-supported",
        _ => "unknown",
    }
}
