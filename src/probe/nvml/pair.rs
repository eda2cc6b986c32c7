//! What connects each pair of GPUs.

use nvml_wrapper_sys::bindings as sys;

use super::answer::{call, number};
use super::{Handle, Session};
use crate::capture::call::Call;
use crate::capture::nvml::{Nvml, NvmlPair};

/// Asks each pair of `handles`, by index; a GPU without a handle has no pairs.
pub(super) fn probe(session: &Session<'_>, handles: &[Option<Handle>]) {
    let numbered: Vec<(u32, Handle)> = (0..).zip(handles).filter_map(|(index, handle)| Some((index, (*handle)?))).collect();
    for (position, (first, one)) in numbered.iter().enumerate() {
        for (second, other) in numbered.iter().skip(position + 1) {
            session.with(|nvml| nvml.pairs.push(NvmlPair { first: *first, second: *second, ..NvmlPair::default() }));
            ask(session, *one, *other);
        }
    }
}

fn ask(session: &Session<'_>, Handle(one): Handle, Handle(other): Handle) {
    let library = session.library;
    session.ask("nvmlDeviceGetTopologyCommonAncestor", on(|pair, call| pair.level = call), || {
        number(|value| call!(library.nvmlDeviceGetTopologyCommonAncestor(one, other, value)))
    });
    let status = |kind| number(|value| call!(library.nvmlDeviceGetP2PStatus(one, other, kind, value)));
    let name = "nvmlDeviceGetP2PStatus";
    session.ask(name, on(|pair, call| pair.read = call), || status(sys::nvmlGpuP2PCapsIndex_enum_NVML_P2P_CAPS_INDEX_READ));
    session.ask(name, on(|pair, call| pair.write = call), || status(sys::nvmlGpuP2PCapsIndex_enum_NVML_P2P_CAPS_INDEX_WRITE));
    session.ask(name, on(|pair, call| pair.nvlink = call), || status(sys::nvmlGpuP2PCapsIndex_enum_NVML_P2P_CAPS_INDEX_NVLINK));
    session.ask(name, on(|pair, call| pair.pcie = call), || status(sys::nvmlGpuP2PCapsIndex_enum_NVML_P2P_CAPS_INDEX_PCI));
    session.ask(name, on(|pair, call| pair.atomics = call), || status(sys::nvmlGpuP2PCapsIndex_enum_NVML_P2P_CAPS_INDEX_ATOMICS));
}

/// Keeps a call's outcome in the last pair.
fn on<T>(keep: impl Fn(&mut NvmlPair, Call<T>)) -> impl Fn(&mut Nvml, Call<T>) {
    move |nvml, call| {
        if let Some(pair) = nvml.pairs.last_mut() {
            keep(pair, call);
        }
    }
}
