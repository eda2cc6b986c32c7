//! The kernels as PTX, and which of it a device gets.

use std::cell::OnceCell;

use super::driver::{Error, Gpu, Kernel, Module};
use crate::measurement::Family;

/// PTX of one source, for the oldest compute capability that it runs on.
type Ptx = ((u32, u32), &'static str);

/// Sources, newest capability first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// `memory.cu`.
    Memory,
    /// `w4a16.cu`.
    W4a16,
    /// `w8a16.cu`.
    W8a16,
    /// `paged_attention.cu`.
    PagedAttention,
    /// `mla.cu`.
    Mla,
}

impl Source {
    /// What a family runs besides the kernels of memory.
    pub(super) const fn of(family: Family) -> Option<Self> {
        match family {
            Family::Hbm | Family::Host | Family::Peer | Family::Nccl => None,
            Family::Int4 => Some(Self::W4a16),
            Family::Fp8 => Some(Self::W8a16),
            Family::Attention => Some(Self::PagedAttention),
            Family::Mla => Some(Self::Mla),
        }
    }

    /// PTX that cards of one capability run and newer ones do not: kernels that name instructions of that generation alone.
    const fn for_one_capability(self) -> Option<Ptx> {
        match self {
            Self::W4a16 => Some(((9, 0), include_str!("../../probe-kernels/ptx/w4a16.sm90a.ptx"))),
            Self::Memory | Self::W8a16 | Self::PagedAttention | Self::Mla => None,
        }
    }

    const fn ptx(self) -> [Ptx; 3] {
        match self {
            Self::Memory => [
                ((9, 0), include_str!("../../probe-kernels/ptx/memory.sm90.ptx")),
                ((8, 0), include_str!("../../probe-kernels/ptx/memory.sm80.ptx")),
                ((7, 5), include_str!("../../probe-kernels/ptx/memory.sm75.ptx")),
            ],
            Self::W4a16 => [
                ((9, 0), include_str!("../../probe-kernels/ptx/w4a16.sm90.ptx")),
                ((8, 0), include_str!("../../probe-kernels/ptx/w4a16.sm80.ptx")),
                ((7, 5), include_str!("../../probe-kernels/ptx/w4a16.sm75.ptx")),
            ],
            Self::W8a16 => [
                ((9, 0), include_str!("../../probe-kernels/ptx/w8a16.sm90.ptx")),
                ((8, 0), include_str!("../../probe-kernels/ptx/w8a16.sm80.ptx")),
                ((7, 5), include_str!("../../probe-kernels/ptx/w8a16.sm75.ptx")),
            ],
            Self::PagedAttention => [
                ((9, 0), include_str!("../../probe-kernels/ptx/paged_attention.sm90.ptx")),
                ((8, 0), include_str!("../../probe-kernels/ptx/paged_attention.sm80.ptx")),
                ((7, 5), include_str!("../../probe-kernels/ptx/paged_attention.sm75.ptx")),
            ],
            Self::Mla => [
                ((9, 0), include_str!("../../probe-kernels/ptx/mla.sm90.ptx")),
                ((8, 0), include_str!("../../probe-kernels/ptx/mla.sm80.ptx")),
                ((7, 5), include_str!("../../probe-kernels/ptx/mla.sm75.ptx")),
            ],
        }
    }
}

/// The kernels of one source on one device.
#[derive(Debug)]
pub(super) struct Kernels<'a> {
    gpu: &'a Gpu,
    source: Source,
    newest: Module<'a>,
    alone: OnceCell<Option<Module<'a>>>,
    older: OnceCell<Module<'a>>,
    capability: (u32, u32),
}

impl<'a> Kernels<'a> {
    /// Loads the newest form that the device runs. A driver that is too old for it gets an older one.
    pub(super) fn load(gpu: &'a Gpu, source: Source) -> Result<Self, Error> {
        let has = gpu.facts.capability;
        let mut refused = None;
        for (capability, ptx) in source.ptx().into_iter().filter(|(capability, _)| *capability <= has) {
            match gpu.load(ptx) {
                Ok(newest) => return Ok(Self { gpu, source, newest, alone: OnceCell::new(), older: OnceCell::new(), capability }),
                Err(error) if error.may_load_older() => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| {
            Error::Refused(format!("the kernels need compute capability 7.5 or newer, and this device has {}.{}", has.0, has.1))
        }))
    }

    /// Compiles what the newest form leaves out now: what is for this capability alone, and with `all` the form before the newest.
    /// Where the latter fails, asking for one of its kernels says why.
    pub(super) fn complete(&self, all: bool) {
        self.alone();
        if all && self.capability >= (9, 0) {
            drop(self.older());
        }
    }

    /// What runs on cards of this capability alone, unless the source has nothing of the kind or the driver refuses it.
    fn alone(&self) -> Option<&Module<'a>> {
        let load = || {
            let (_, ptx) = self.source.for_one_capability().filter(|(capability, _)| *capability == self.gpu.facts.capability)?;
            self.gpu.load(ptx).ok()
        };
        self.alone.get_or_init(load).as_ref()
    }

    /// The form before the newest; nothing where the newest is the oldest.
    fn older(&self) -> Result<Option<&Module<'a>>, Error> {
        if self.older.get().is_none() {
            let Some((_, ptx)) = self.source.ptx().into_iter().find(|(capability, _)| *capability < self.capability) else {
                return Ok(None);
            };
            let _ = self.older.set(self.gpu.load(ptx)?);
        }
        Ok(self.older.get())
    }

    /// A kernel; one that the newest form leaves out comes from another.
    pub(super) fn kernel(&self, name: &str, threads: u32, shared: usize) -> Result<Kernel, Error> {
        let missing = |found: &Result<Kernel, Error>| found.as_ref().is_err_and(Error::may_load_older);
        let mut found = self.newest.kernel(name, threads, shared);
        if missing(&found)
            && let Some(module) = self.alone()
        {
            found = module.kernel(name, threads, shared);
        }
        if missing(&found)
            && let Some(module) = self.older()?
        {
            found = module.kernel(name, threads, shared);
        }
        found
    }

    /// Whether there are kernels for this capability alone.
    pub(super) fn has_alone(&self) -> bool {
        self.alone().is_some()
    }

    /// Whether this form has kernels that can overlap or run in clusters, and the driver launches them so.
    pub(super) fn overlap(&self) -> bool {
        self.is_hopper() && self.gpu.overlaps()
    }

    /// Whether it is the form for compute capability 9.0 and newer.
    pub(super) fn is_hopper(&self) -> bool {
        self.capability >= (9, 0)
    }

    /// Whether it is the form without bfloat16, for compute capability 7.5.
    pub(super) fn is_turing(&self) -> bool {
        self.capability < (8, 0)
    }
}
