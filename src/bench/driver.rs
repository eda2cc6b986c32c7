//! The CUDA driver, as far as measuring needs it. Used in child processes only.
//!
//! Every function is looked up on its own and may be missing, and every code stays a number: an error of a driver that is
//! newer than this program is reported as what it is.

#![expect(unsafe_code, reason = "libcuda is a C library")]

mod api;
mod clock;
mod kernel;
mod memory;

use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Arc;

use thiserror::Error as ThisError;

pub(super) use kernel::{Argument, Kernel, Module, Order};
pub(super) use memory::{Buffer, Stream};

use crate::measurement::{Device, Refused, RefusedKind, Stop};
use crate::units::Bytes;
use api::{Api, Handle, call};

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;
/// Longest name that is read.
const LONGEST_NAME: usize = 256;

/// Why the driver did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub(super) enum Error {
    /// There is no driver.
    #[error("`libcuda.so.1` cannot be loaded: {0}")]
    NoLibrary(String),
    /// The driver is too old.
    #[error("the driver has no `{0}`")]
    Missing(&'static str),
    /// A call failed.
    #[error("`{call}` failed with {name} ({code}){}", if log.is_empty() { String::new() } else { format!(": {log}") })]
    Code {
        /// The function.
        call: &'static str,
        /// What it returned.
        code: c_int,
        /// The driver's name of it.
        name: String,
        /// What the compiler of PTX said.
        log: String,
    },
    /// The device cannot do it.
    #[error("{0}")]
    Refused(String),
    /// A call of NCCL failed, whose codes are its own.
    #[error("`{call}` failed with {name} ({code}){}", if log.is_empty() { String::new() } else { format!(": {log}") })]
    Nccl {
        /// The function.
        call: &'static str,
        /// What it returned.
        code: c_int,
        /// The library's name of it.
        name: String,
        /// What it says of the last thing that failed.
        log: String,
    },
}

impl Error {
    /// The same with what the compiler of PTX said.
    fn with_log(self, text: &str) -> Self {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect();
        match self {
            Self::Code { call, code, name, .. } => Self::Code { call, code, name, log: text },
            other => other,
        }
    }

    /// Why the driver would not compile PTX, where that is what happened. The codes are those of `CUresult` in cuda.h.
    fn refused(&self) -> Option<RefusedKind> {
        match self {
            Self::Code { call: "cuModuleLoadDataEx", code, .. } => match code {
                209 => Some(RefusedKind::NoBinary),
                200 | 218 => Some(RefusedKind::Invalid),
                221 => Some(RefusedKind::NoCompiler),
                222 => Some(RefusedKind::DriverTooOld),
                223 => Some(RefusedKind::SwitchedOff),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the driver would not compile PTX.
    pub(super) fn is_compile_error(&self) -> bool {
        self.refused().is_some()
    }

    /// How it is reported.
    pub(super) fn stop(&self) -> Stop {
        match self {
            Self::Refused(reason) => Stop::Unsupported(reason.clone()),
            Self::Code { code: 2, .. } => Stop::OutOfMemory(self.to_string()),
            _ => match self.refused() {
                Some(kind) => Stop::NotCompiled(Refused { kind, reason: self.to_string() }),
                None => Stop::Failed(self.to_string()),
            },
        }
    }

    /// Whether an older form of the same kernels may load where this one did not.
    pub(super) fn may_load_older(&self) -> bool {
        self.is_compile_error() || matches!(self, Self::Code { call: "cuModuleGetFunction", .. })
    }
}

/// The driver, initialised.
#[derive(Clone, Debug)]
pub(super) struct Driver {
    api: Arc<Api>,
}

impl Driver {
    /// Loads and initialises it.
    pub(super) fn start() -> Result<Self, Error> {
        let api = Api::load()?;
        call!(api, cuInit(0))?;
        Ok(Self { api: Arc::new(api) })
    }

    /// CUDA's version of the driver: 13000 is 13.0.
    pub(super) fn cuda_version(&self) -> Result<u32, Error> {
        let mut version = 0;
        call!(self.api, cuDriverGetVersion(&raw mut version))?;
        Ok(u32::try_from(version).unwrap_or(0))
    }

    /// How many devices there are.
    pub(super) fn devices(&self) -> Result<u32, Error> {
        let mut count = 0;
        call!(self.api, cuDeviceGetCount(&raw mut count))?;
        Ok(u32::try_from(count).unwrap_or(0))
    }

    /// What device `ordinal` is. No context is made.
    pub(super) fn facts(&self, ordinal: u32) -> Result<Device, Error> {
        let api = &self.api;
        let mut device = 0;
        call!(api, cuDeviceGet(&raw mut device, c_int::try_from(ordinal).unwrap_or(c_int::MAX)))?;
        let mut memory = 0;
        call!(api, cuDeviceTotalMem_v2(&raw mut memory, device))?;
        let attribute = |number: c_int| {
            let mut value = 0;
            call!(api, cuDeviceGetAttribute(&raw mut value, number, device)).map(|()| u64::try_from(value).unwrap_or(0))
        };
        // The numbers are those of `CUdevice_attribute` in cuda.h. Clock in kHz, two transfers a clock, width in bits.
        let peak = attribute(36).and_then(|clock| Ok(clock as f64 * 1e3 * 2.0 * attribute(37)? as f64 / 8.0));
        Ok(Device {
            index: ordinal,
            name: text(|buffer, length| call!(api, cuDeviceGetName(buffer, length, device)))?,
            pci: text(|buffer, length| call!(api, cuDeviceGetPCIBusId(buffer, length, device)))?.to_ascii_lowercase(),
            capability: (attribute(75)? as u32, attribute(76)? as u32),
            multiprocessors: attribute(16)?.max(1) as u32,
            memory: Bytes(memory as u64),
            l2: Bytes(attribute(38).unwrap_or(0)),
            peak_bytes_per_second: peak.unwrap_or(0.0),
        })
    }

    /// A context on device `ordinal`, current in this thread.
    pub(super) fn open(&self, ordinal: u32) -> Result<Gpu, Error> {
        let facts = self.facts(ordinal)?;
        let (api, mut device, mut context) = (&self.api, 0, ptr::null_mut());
        call!(api, cuDeviceGet(&raw mut device, c_int::try_from(ordinal).unwrap_or(c_int::MAX)))?;
        call!(api, cuDevicePrimaryCtxRetain(&raw mut context, device))?;
        call!(api, cuCtxSetCurrent(context))?;
        let (mut stream, mut second_stream) = (ptr::null_mut(), ptr::null_mut());
        call!(api, cuStreamCreate(&raw mut stream, NON_BLOCKING))?;
        call!(api, cuStreamCreate(&raw mut second_stream, NON_BLOCKING))?;
        Ok(Gpu { api: Arc::clone(api), device, context, stream, second_stream, timed: Cell::new(0.0), facts })
    }
}

/// A device with a context and two streams. It lasts as long as the process.
#[derive(Debug)]
pub(super) struct Gpu {
    api: Arc<Api>,
    device: c_int,
    context: Handle,
    stream: Handle,
    second_stream: Handle,
    /// Seconds of all timed work so far.
    timed: Cell<f64>,
    /// What it is.
    pub(super) facts: Device,
}

impl Gpu {
    /// Seconds of the device in everything that [`Self::seconds`] timed.
    pub(super) const fn timed_seconds(&self) -> f64 {
        self.timed.get()
    }

    /// The most bytes of shared memory that a block can ask for: `CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN`.
    pub(super) fn shared_of_block(&self) -> Result<usize, Error> {
        let mut bytes = 0;
        call!(self.api, cuDeviceGetAttribute(&raw mut bytes, 97, self.device))?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }

    /// Makes this the device that calls of this thread are about.
    pub(super) fn make_current(&self) -> Result<(), Error> {
        call!(self.api, cuCtxSetCurrent(self.context))
    }

    /// Lets this device reach the memory of `peer`; false where the two cannot.
    pub(super) fn reach(&self, peer: &Self) -> Result<bool, Error> {
        let mut can = 0;
        call!(self.api, cuDeviceCanAccessPeer(&raw mut can, self.device, peer.device))?;
        if can == 0 {
            return Ok(false);
        }
        self.make_current()?;
        match call!(self.api, cuCtxEnablePeerAccess(peer.context, 0)) {
            // 704: it could already.
            Ok(()) | Err(Error::Code { code: 704, .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// A function that writes a text, terminated or not, valid or not.
fn text(function: impl FnOnce(*mut c_char, c_int) -> Result<(), Error>) -> Result<String, Error> {
    let mut buffer: [c_char; LONGEST_NAME] = [0; LONGEST_NAME];
    // One byte is kept from the library, so that a text that fills the buffer still ends.
    function(buffer.as_mut_ptr(), LONGEST_NAME as c_int - 1)?;
    let bytes: Vec<u8> = buffer.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
    Ok(String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
}
