//! What figures of a bench say of links and memory: verdicts, causes and fixes, without a GPU.

use gpudoctor::catalog::Catalog;
use gpudoctor::finding::{Finding, Severity};
use gpudoctor::measurement::collective::{AllReduce, Collective, Ending, Run, Stop};
use gpudoctor::measurement::judge::collective::{self, CollectiveJudged, Outcome};
use gpudoctor::measurement::judge::{GpuJudged, Verdict, judge};
use gpudoctor::measurement::{Conditions, Device, Family, GpuMeasured, Launch, Measured, Peer, PeerLoads, Sample, Spread};
use gpudoctor::units::Bytes;

const MIB: u64 = 1 << 20;

/// A card of the catalogue, by the name and the MiB that its driver tells.
fn device(name: &str, mib: u64) -> Device {
    Device {
        index: 0,
        name: name.to_owned(),
        pci: "0000:01:00.0".to_owned(),
        capability: (9, 0),
        multiprocessors: 132,
        memory: Bytes(mib * MIB),
        l2: Bytes(50 * MIB),
        peak_bytes_per_second: 0.0,
    }
}

fn h200() -> Device {
    device("NVIDIA H200", 143_155)
}

/// Times of groups that moved `bytes` at rates in GB/s.
fn at(bytes: u64, median: f64, fastest: f64, slowest: f64) -> Spread {
    let time = |rate: f64| bytes as f64 / rate / 1e9;
    Spread { median: time(median), fastest: time(fastest), slowest: time(slowest) }
}

fn sample(kernel: &str, launch: Launch, time: Spread, conditions: Conditions) -> Sample {
    Sample {
        kernel: kernel.to_owned(),
        shape: "pinned 256 MiB".to_owned(),
        launch,
        bytes: Bytes(256 * MIB),
        flops: None,
        time,
        error: None,
        error_limit: None,
        fault: None,
        conditions,
        note: None,
        reduced: false,
    }
}

fn judged(device: Device, measured: Measured) -> GpuJudged {
    judge(GpuMeasured { device, families: vec![measured], took: None }, &Catalog::builtin())
}

/// One copy from the device, whose groups ran at these rates in GB/s.
fn copied(device: Device, rates: (f64, f64, f64), conditions: Conditions) -> GpuJudged {
    let time = at(256 * MIB, rates.0, rates.1, rates.2);
    let samples = vec![sample("device-to-host", Launch::CopyEngine, time, conditions)];
    judged(device, Measured { samples, ..Measured::nothing(Family::Host) })
}

fn only(findings: &[Finding]) -> &Finding {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    &findings[0]
}

// A link that carries its floor once is not slow, however it varies: the host's memory is shared.
#[test]
fn a_link_that_varies_is_not_slow() {
    let found = copied(h200(), (43.9, 52.0, 23.7), Conditions::default());
    assert_eq!((found.results[0].verdict, found.findings.len()), (Verdict::Pass, 0));
    let note = found.results[0].sample.note.as_deref().expect("a note");
    assert!(note.contains("varied from 23.7 to 52.0 GB/s"), "{note}");
}

// A link that is below its floor each time is slow.
#[test]
fn a_link_that_never_reaches_its_floor_is_slow() {
    let found = copied(h200(), (24.0, 24.5, 23.0), Conditions::default());
    assert_eq!((found.results[0].verdict, only(&found.findings).id.as_str()), (Verdict::Slow, "gpu-slow"));
}

// A link that runs with fewer lanes than it can, and a slot that has fewer than the card, are told apart.
#[test]
fn a_narrow_link_and_a_narrow_slot_are_told_apart() {
    let link = |now, most| Conditions { pcie: Some(now), pcie_most: Some(most), ..Conditions::default() };
    let trained = copied(h200(), (24.0, 24.5, 23.0), link((5, 8), (5, 16)));
    assert!(only(&trained.findings).message.ends_with("its link runs as PCI Express 5.0 ×8 of PCI Express 5.0 ×16"), "{trained:#?}");
    let slot = copied(h200(), (24.0, 24.5, 23.0), link((5, 8), (5, 8)));
    assert!(only(&slot.findings).message.ends_with("its slot gives PCI Express 5.0 ×8 to a card of PCI Express 5.0 ×16"), "{slot:#?}");
}

// Low clocks are no reason for slow copies to the host, and the first reason for slow kernels.
#[test]
fn low_clocks_are_a_cause_for_kernels_alone() {
    let heat = Conditions { throttling: vec!["software thermal slowdown".to_owned()], temperature_c: Some(91), ..Conditions::default() };
    let copies = copied(h200(), (24.0, 24.5, 23.0), heat.clone());
    assert!(!only(&copies.findings).message.contains("thermal"), "{copies:#?}");
    let time = at(256 * MIB, 2000.0, 2000.0, 2000.0);
    let read = vec![sample("hbm-read", Launch::Plain, time, heat)];
    let kernels = judged(h200(), Measured { samples: read, ..Measured::nothing(Family::Hbm) });
    let finding = only(&kernels.findings);
    assert!(finding.message.ends_with("the GPU lowered its clocks meanwhile: software thermal slowdown"), "{finding:#?}");
    assert!(finding.fixes[0].text.contains("air") && finding.evidence.iter().any(|fact| fact.value == "91 °C"), "{finding:#?}");
}

// A limit below that of the card comes with the command that raises it.
#[test]
fn a_power_limit_comes_with_the_command_that_raises_it() {
    let capped =
        Conditions { throttling: vec!["software power cap".to_owned()], power_limit_mw: Some((300_000, 700_000)), ..Conditions::default() };
    let time = at(256 * MIB, 2000.0, 2000.0, 2000.0);
    let samples = vec![sample("hbm-read", Launch::Plain, time, capped)];
    let found = judged(h200(), Measured { samples, ..Measured::nothing(Family::Hbm) });
    let fix = &only(&found.findings).fixes[0];
    assert_eq!((fix.command.as_deref(), fix.needs.as_slice()), (Some("sudo nvidia-smi -pl 700"), &["root".to_owned()][..]));
}

// Error correction takes bandwidth of GDDR, which has no bits of its own for it, and none of HBM.
#[test]
fn error_correction_is_a_cause_on_gddr_alone() {
    let on = Conditions { ecc: Some(true), ..Conditions::default() };
    let read = |device: Device, rate: f64| {
        let samples = vec![sample("hbm-read", Launch::Plain, at(256 * MIB, rate, rate, rate), on.clone())];
        judged(device, Measured { samples, ..Measured::nothing(Family::Hbm) })
    };
    let gddr = read(device("NVIDIA L40S", 45_480), 500.0);
    assert!(only(&gddr.findings).message.contains("error correction is on, which takes a part of the bandwidth of GDDR6"), "{gddr:#?}");
    let hbm = read(h200(), 2000.0);
    assert!(only(&hbm.findings).message.ends_with("nothing that was read tells why"), "{hbm:#?}");
}

fn linked(device: Device, rate: f64, direct: bool, loads: Option<PeerLoads>) -> GpuJudged {
    let time = at(256 * MIB, rate, rate, rate);
    let peer = Peer { from: 0, to: 1, direct, time, bytes: Bytes(256 * MIB), latency: 2e-6, verified: true, loads };
    judged(device, Measured { peers: vec![peer], ..Measured::nothing(Family::Peer) })
}

// Copies between cards with NVLink that go through the host are slow, and the reason is said.
#[test]
fn copies_staged_through_the_host_are_slow() {
    let found = linked(h200(), 35.0, false, None);
    let finding = only(&found.findings);
    assert_eq!((found.peers[0].verdict, finding.id.as_str()), (Verdict::Slow, "peer-slow"));
    assert!(finding.message.contains("reached 35.0 GB/s, and 112 GB/s or more are expected"), "{finding:#?}");
    assert!(finding.message.ends_with("peer access is not enabled, so that copies are staged through the host"), "{finding:#?}");
    assert!(finding.evidence.iter().any(|fact| fact.value == "no, staged through the host"), "{finding:#?}");
}

// Cards that nobody expects to reach each other have no floor: a GeForce copies through the host.
#[test]
fn cards_without_peer_access_have_no_floor() {
    let found = linked(device("NVIDIA GeForce RTX 4090", 24_080), 11.0, false, None);
    assert_eq!((found.peers[0].verdict, found.peers[0].floor, found.findings.len()), (Verdict::Pass, None, 0));
}

// Copies may be right where a kernel's loads are not: then the link has no rate.
#[test]
fn loads_that_are_wrong_make_the_link_wrong() {
    let time = at(256 * MIB, 350.0, 350.0, 350.0);
    let found = linked(h200(), 390.0, true, Some(PeerLoads { time, verified: false }));
    assert_eq!((found.peers[0].verdict, found.peers[0].rate, found.peers[0].load_rate), (Verdict::Wrong, None, None));
    assert!(only(&found.findings).message.starts_with("data read by a kernel between GPU 0 and GPU 1"), "{found:#?}");
}

/// A run whose largest all-reduce has this bus rate in GB/s; of two ranks, that is also its own.
fn run(rate: f64) -> Run {
    let bytes = 256 * MIB;
    let reduced = vec![AllReduce { bytes: Bytes(bytes), graph: false, time: at(bytes, rate, rate, rate), wrong: 0 }];
    Run { without_p2p: false, reduced, transports: vec!["P2P/CUMEM".to_owned()], warnings: Vec::new(), stop: None }
}

fn together(runs: Vec<Run>) -> CollectiveJudged {
    let measured = Collective { devices: vec![0, 1], library: None, runs, skipped: None };
    let devices = [h200(), Device { index: 1, ..h200() }];
    collective::judge(measured, &devices, &Catalog::builtin())
}

// All-reduces through the host are slow between cards with NVLink, and the way is said.
#[test]
fn all_reduces_through_the_host_are_slow() {
    assert_eq!(together(vec![run(300.0)]).outcome, Outcome::Ended(Verdict::Pass));
    let staged = together(vec![Run { transports: vec!["SHM/direct/direct".to_owned()], ..run(18.0) }]);
    let finding = only(&staged.findings);
    assert_eq!((staged.outcome, finding.id.as_str()), (Outcome::Ended(Verdict::Slow), "nccl-slow"));
    assert!(finding.message.ends_with("it goes through the host") && finding.evidence[0].value == "SHM/direct/direct", "{finding:#?}");
}

// Who switched peer access off is told what it costs, and not failed for it.
#[test]
fn peer_access_that_was_switched_off_is_a_warning() {
    let off = together(vec![Run { without_p2p: true, ..run(18.0) }]);
    let finding = only(&off.findings);
    assert_eq!((off.outcome, finding.severity), (Outcome::Ended(Verdict::Slow), Severity::Warning));
    assert!(finding.message.ends_with("`NCCL_P2P_DISABLE` is set, so that it goes through the host"), "{finding:#?}");
}

// A hang names its place; that it works without peer access makes the cause sure.
#[test]
fn a_hang_that_ends_without_peer_access_has_its_cause() {
    let stop = Stop { ending: Ending::Hung { after: 30 }, place: "`ncclCommInitRank` on GPU 0 and 1".to_owned(), reason: String::new() };
    let hung = || Run { reduced: Vec::new(), stop: Some(stop.clone()), ..run(1.0) };
    let sure = together(vec![hung(), Run { without_p2p: true, ..run(18.0) }]);
    let finding = only(&sure.findings);
    assert_eq!((sure.outcome, finding.id.as_str()), (Outcome::Hang, "nccl-hang"));
    assert!(
        finding.message.contains("did not end within 30 s: `ncclCommInitRank` on GPU 0 and 1; without peer access it works"),
        "{finding:#?}"
    );
    assert!(finding.fixes.iter().any(|fix| fix.command.as_deref().is_some_and(|command| command.contains("setpci"))), "{finding:#?}");
    let unsure = together(vec![hung(), hung()]);
    assert!(only(&unsure.findings).message.ends_with("without peer access it does not work either"), "{unsure:#?}");
}
