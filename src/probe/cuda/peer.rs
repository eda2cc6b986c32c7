//! What each device may do with the memory of another, and whether a copy between them arrives as it was.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use super::Session;
use super::api::{Address, Api, Handle, call};
use crate::capture::call::Call;
use crate::capture::cuda::{Cuda, PeerAccess, Transfer};
use crate::reading::Reading;
use crate::units::Bytes;

/// `CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK` and `…_NATIVE_ATOMIC_SUPPORTED` of cuda.h.
const PERFORMANCE_RANK: c_int = 1;
const NATIVE_ATOMICS: c_int = 3;
/// What is copied: enough for all engines of a link, little enough to find room on a card in use.
const SIZE: usize = 8 << 20;

/// Asks each ordered pair of devices.
pub(super) fn access(session: Session<'_>, count: c_int) {
    let api = session.api;
    for (from, to) in pairs(count) {
        session.with(|cuda| cuda.peers.push(PeerAccess { from: ordinal(from), to: ordinal(to), ..PeerAccess::default() }));
        let keep = |change: fn(&mut PeerAccess, Call<bool>)| {
            move |cuda: &mut Cuda, call: Call<bool>| {
                if let Some(last) = cuda.peers.last_mut() {
                    change(last, call);
                }
            }
        };
        session.ask(&format!("cuDeviceCanAccessPeer from {from} to {to}"), keep(|peer, call| peer.can_access = call), || {
            let mut can = 0;
            let code = call!(api.cuDeviceCanAccessPeer(&raw mut can, from, to));
            api.outcome(code, can != 0)
        });
        let attribute = |number| {
            let mut value = 0;
            let code = call!(api.cuDeviceGetP2PAttribute(&raw mut value, number, from, to));
            api.outcome(code, value)
        };
        session.ask("cuDeviceGetP2PAttribute", keep(|peer, call| peer.native_atomics = call), || {
            attribute(NATIVE_ATOMICS).map(|value| value != 0)
        });
        let rank = attribute(PERFORMANCE_RANK);
        session.with(|cuda| {
            if let Some(last) = cuda.peers.last_mut() {
                last.performance_rank = rank;
            }
        });
    }
}

/// How long copies may go on: sixteen cards are 240 pairs, and whoever waits for a check has other questions, too.
const BUDGET: Duration = Duration::from_secs(3);

/// Copies between each two devices that have a context, in both directions; pairs for which no time is left are not listed.
pub(super) fn transfers(session: Session<'_>, contexts: &[Option<Handle>]) {
    let begin = Instant::now();
    for (from, to) in pairs(c_int::try_from(contexts.len()).unwrap_or(0)) {
        if begin.elapsed() > BUDGET {
            break;
        }
        let context = |index: c_int| contexts.get(usize::try_from(index).unwrap_or(usize::MAX)).copied().flatten();
        let (Some(source), Some(target)) = (context(from), context(to)) else { continue };
        let blank = Transfer { from: ordinal(from), to: ordinal(to), bytes: Bytes(SIZE as u64), ..Transfer::default() };
        session.with(|cuda| cuda.transfers.push(blank));
        transfer(session, from, to, source, target);
        session.emitter.part();
    }
}

fn transfer(session: Session<'_>, from: c_int, to: c_int, source: Handle, target: Handle) {
    let api = session.api;
    let place = format!("from {from} to {to}");
    session.ask(&format!("cuCtxEnablePeerAccess {place}"), on(|transfer, call| transfer.peer_access = call), || {
        let code = call!(api.cuCtxSetCurrent(source)).filter(|code| *code != 0).or_else(|| call!(api.cuCtxEnablePeerAccess(target, 0)));
        // Enabled already is as good.
        api.outcome(code.map(|code| if code == ALREADY_ENABLED { 0 } else { code }), ())
    });
    let pattern = pattern(from, to);
    let mut copied = Copied { arrived: vec![0; SIZE], duration_us: Reading::Absent };
    let copy = || copy(api, (source, target), &pattern, &mut copied);
    if session.ask(&format!("cuMemcpyPeerAsync {place}"), on(|transfer, call| transfer.copy = call), copy) != Some(0) {
        return;
    }
    session.with(|cuda| {
        if let Some(last) = cuda.transfers.last_mut() {
            last.verified = Call::Value(copied.arrived == pattern);
            last.duration_us = copied.duration_us;
        }
    });
}

/// `CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED`.
const ALREADY_ENABLED: c_int = 704;
/// Copies that are made: the first ones set up what the last one uses.
const COPIES: usize = 3;

struct Copied {
    arrived: Vec<u8>,
    duration_us: Reading<f64>,
}

/// Everything that a verified copy takes: the first call that fails is the outcome.
fn copy(api: &Api, (source, target): (Handle, Handle), pattern: &[u8], copied: &mut Copied) -> Call<()> {
    let (mut out, mut into): (Address, Address) = (0, 0);
    let (mut stream, mut start, mut end) = (Handle::NULL, Handle::NULL, Handle::NULL);
    let arrived = copied.arrived.as_mut_ptr();
    let mut milliseconds = 0_f32;
    let mut first = Call::Value(());
    {
        let mut step = |code: Option<c_int>| {
            if first == Call::Value(()) {
                first = api.outcome(code, ());
            }
            first == Call::Value(())
        };
        let done = step(call!(api.cuCtxSetCurrent(target)))
            && step(call!(api.cuMemAlloc_v2(&raw mut into, SIZE)))
            && step(call!(api.cuMemsetD8_v2(into, 0, SIZE)))
            && step(call!(api.cuCtxSynchronize()))
            && step(call!(api.cuCtxSetCurrent(source)))
            && step(call!(api.cuMemAlloc_v2(&raw mut out, SIZE)))
            && step(call!(api.cuMemcpyHtoD_v2(out, pattern.as_ptr().cast(), SIZE)))
            && step(call!(api.cuStreamCreate(&raw mut stream, 0)))
            && step(call!(api.cuEventCreate(&raw mut start, 0)))
            && step(call!(api.cuEventCreate(&raw mut end, 0)))
            && (0..COPIES).all(|_| {
                step(call!(api.cuEventRecord(start, stream)))
                    && step(call!(api.cuMemcpyPeerAsync(into, target, out, source, SIZE, stream)))
                    && step(call!(api.cuEventRecord(end, stream)))
            })
            && step(call!(api.cuStreamSynchronize(stream)))
            && step(call!(api.cuEventElapsedTime(&raw mut milliseconds, start, end)))
            && step(call!(api.cuCtxSetCurrent(target)))
            && step(call!(api.cuMemcpyDtoH_v2(arrived.cast(), into, SIZE)));
        if done {
            copied.duration_us = Reading::Known((f64::from(milliseconds) * 1e4).round() / 10.0);
        }
    }
    // What a failed step left behind goes with the process; memory goes now, for the next pair.
    for (context, place) in [(target, into), (source, out)] {
        if place != 0 {
            let _ = call!(api.cuCtxSetCurrent(context));
            let _ = call!(api.cuMemFree_v2(place));
        }
    }
    first
}

/// Bytes that differ from pair to pair and from place to place.
fn pattern(from: c_int, to: c_int) -> Vec<u8> {
    let seed = u64::from(ordinal(from)) << 32 | u64::from(ordinal(to)) << 1 | 1;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = vec![0; SIZE];
    for place in bytes.chunks_exact_mut(size_of::<u64>()) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        place.copy_from_slice(&state.to_le_bytes());
    }
    bytes
}

/// Keeps a call's outcome in the last transfer.
fn on<T>(keep: impl Fn(&mut Transfer, Call<T>)) -> impl Fn(&mut Cuda, Call<T>) {
    move |cuda, call| {
        if let Some(last) = cuda.transfers.last_mut() {
            keep(last, call);
        }
    }
}

fn pairs(count: c_int) -> impl Iterator<Item = (c_int, c_int)> {
    (0..count).flat_map(move |from| (0..count).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

fn ordinal(device: c_int) -> u32 {
    u32::try_from(device).unwrap_or(0)
}
