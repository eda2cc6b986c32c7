//! Verdicts and findings on copies and loads between two devices.

use super::Verdict;
use crate::catalog::{Catalog, Floor, FloorOf, Gpu};
use crate::finding::{Evidence, Finding, Fix, Severity};
use crate::measurement::Peer;

/// A link from one device to another with its verdict. Rates are bytes a second; a link that damages data has none.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerJudged {
    /// The measurement.
    pub peer: Peer,
    /// Rate of copies by the copy engines.
    pub rate: Option<f64>,
    /// Rate of loads by a kernel.
    pub load_rate: Option<f64>,
    /// The least rate of copies that is good.
    pub floor: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// What to know of the figure.
    pub note: Option<String>,
}

/// Judges a link of a device that is `gpu`; without it, of one that no rule knows.
pub(super) fn judge(peer: &Peer, gpu: Option<&Gpu>, catalog: &Catalog) -> PeerJudged {
    let right = peer.verified && peer.loads.as_ref().is_none_or(|loads| loads.verified);
    let bytes = peer.bytes.0 as f64;
    let rate = Some(bytes / peer.time.median).filter(|_| right);
    let load_rate = peer.loads.as_ref().map(|loads| bytes / loads.time.median).filter(|_| right);
    let rule = gpu.and_then(|gpu| Some((gpu, catalog.floors().of("peer-copy", Some(&gpu.id), "", false)?)));
    let floor = rule.and_then(|(gpu, rule)| Some(rule.share * base(rule, gpu, catalog)?));
    let (verdict, note) = match floor {
        _ if !right => (Verdict::Wrong, None),
        Some(floor) => super::by_fastest(bytes, peer.time, floor),
        None => (Verdict::Pass, None),
    };
    PeerJudged { peer: peer.clone(), rate, load_rate, floor, verdict, note }
}

/// What the share of a floor between devices is a share of, in bytes a second.
pub(super) fn base(rule: &Floor, gpu: &Gpu, catalog: &Catalog) -> Option<f64> {
    match rule.of {
        // The data sheet counts both directions.
        FloorOf::NvLink => Some(gpu.links.nvlink_gb_s / 2.0 * 1e9).filter(|rate| *rate > 0.0),
        FloorOf::Link => {
            let (generation, lanes) = (u32::from(gpu.links.pcie_generation), u32::from(gpu.links.pcie_lanes));
            catalog.floors().link_gb_s(generation, lanes).map(|rate| rate * 1e9)
        }
        FloorOf::Peak | FloorOf::Read => None,
    }
}

/// What is wrong with a link.
pub(super) fn finding(link: &PeerJudged, subject: &str, catalog: &Catalog) -> Option<Finding> {
    match link.verdict {
        Verdict::Pass => None,
        Verdict::Wrong => Some(damaged(&link.peer, subject)),
        Verdict::Slow => slow(link, subject, catalog),
    }
}

fn slow(link: &PeerJudged, subject: &str, catalog: &Catalog) -> Option<Finding> {
    let peer = &link.peer;
    let (rate, floor) = (link.rate? / 1e9, link.floor? / 1e9);
    let evidence = |fact: &str, value: String, source: &str| Evidence { fact: fact.to_owned(), value, source: source.to_owned() };
    let (cause, fixes) = if peer.direct {
        let gpu = minijinja::context! { gpu => minijinja::context! { index => peer.from } };
        let look = Fix::edit("see what lies between the GPUs").with_command("nvidia-smi topo -m");
        (
            "the GPUs reach each other's memory, but not at the rate of their links",
            [super::advised("nvlink-down", &gpu, catalog), vec![look]].concat(),
        )
    } else {
        let look = Fix::edit("see what the driver says of each pair of GPUs").with_command("nvidia-smi topo -p2p r");
        let fixes = super::advised("p2p-not-working", &minijinja::context! {}, catalog);
        ("peer access is not enabled, so that copies are staged through the host", [vec![look], fixes].concat())
    };
    Some(Finding {
        id: "peer-slow".to_owned(),
        severity: Severity::Error,
        subject: subject.to_owned(),
        message: format!(
            "copies from GPU {} to GPU {} reached {rate:.1} GB/s, and {floor:.0} GB/s or more are expected; {cause}",
            peer.from, peer.to
        ),
        evidence: vec![
            evidence("rate", format!("{rate:.1} GB/s"), "cuMemcpyPeerAsync"),
            evidence("floor", format!("{floor:.1} GB/s"), "rules/bench.toml"),
            direct(peer),
        ],
        fixes,
    })
}

fn damaged(peer: &Peer, subject: &str) -> Finding {
    let how = if peer.verified { "read by a kernel" } else { "copied" };
    Finding {
        id: "peer-copy-damaged".to_owned(),
        severity: Severity::Error,
        subject: subject.to_owned(),
        message: format!(
            "data {how} between GPU {} and GPU {} is not what it was; tensor parallelism over this link gives garbage",
            peer.from, peer.to
        ),
        evidence: vec![direct(peer)],
        fixes: vec![
            without_p2p(),
            Fix::edit("switch the IOMMU and PCI Express access control (ACS) off in the firmware, or pass them through"),
        ],
    }
}

/// The fix that keeps a server going meanwhile.
pub(super) fn without_p2p() -> Fix {
    Fix::edit("keep NCCL and the engine's own all-reduce from peer access")
        .with_command("NCCL_P2P_DISABLE=1 vllm serve MODEL --disable-custom-all-reduce")
}

fn direct(peer: &Peer) -> Evidence {
    Evidence {
        fact: "direct access".to_owned(),
        value: if peer.direct { "yes" } else { "no, staged through the host" }.to_owned(),
        source: "cuDeviceCanAccessPeer".to_owned(),
    }
}
