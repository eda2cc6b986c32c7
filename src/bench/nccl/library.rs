//! libnccl, each function of which may be missing, and every code of which stays a number.

#![expect(unsafe_code, reason = "libnccl is a C library")]
#![expect(non_snake_case, reason = "the functions keep the names that they have in nccl.h")]

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_int, c_void};

use libloading::Library;

use crate::bench::driver::{Buffer, Error, Gpu};

/// Bytes of a group's name, `NCCL_UNIQUE_ID_BYTES`.
const NAME: usize = 128;
/// `ncclFloat32` and `ncclSum`.
const FLOAT32: c_int = 7;
const SUM: c_int = 0;
/// `ncclSuccess`, `ncclInProgress`.
const SUCCESS: c_int = 0;
const IN_PROGRESS: c_int = 7;
/// Longest text of an error that is kept, in characters.
const LONGEST: usize = 300;

/// A group's name, which all ranks must know (`ncclUniqueId`).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Name([u8; NAME]);

impl Name {
    /// In hexadecimal.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The name of that text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut name = Self([0; NAME]);
        if text.len() != 2 * NAME || !text.is_ascii() {
            return None;
        }
        for (index, byte) in name.0.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(name)
    }
}

/// `ncclComm_t`.
type Communicator = *mut c_void;

macro_rules! api {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        /// The library and what it has.
        #[derive(Debug)]
        struct Api {
            $($name: Option<unsafe extern "C" fn($($argument),*) -> $result>,)*
            _library: Library,
        }

        impl Api {
            fn load(path: &str) -> Result<Self, Error> {
                // SAFETY: loading runs the library's own initialisers. If they misbehave, only this process does.
                let library = unsafe { Library::new(path) };
                let library = library.map_err(|error| {
                    let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    Error::Refused(format!("`{path}` cannot be loaded: {reason}"))
                })?;
                Ok(Self {
                    // SAFETY: the signatures are those of nccl.h; the library stays loaded as long as they are used.
                    $($name: unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }.ok().map(|symbol| *symbol),)*
                    _library: library,
                })
            }
        }
    };
}

api! {
    ncclGetVersion(*mut c_int) -> c_int;
    ncclGetUniqueId(*mut Name) -> c_int;
    ncclCommInitRank(*mut Communicator, c_int, Name, c_int) -> c_int;
    ncclAllReduce(*const c_void, *mut c_void, usize, c_int, c_int, Communicator, *mut c_void) -> c_int;
    ncclCommGetAsyncError(Communicator, *mut c_int) -> c_int;
    ncclCommCuDevice(Communicator, *mut c_int) -> c_int;
    ncclCommDestroy(Communicator) -> c_int;
    ncclGetErrorString(c_int) -> *const c_char;
    ncclGetLastError(Communicator) -> *const c_char;
}

/// Calls a function of the library and turns its code into a `Result`.
macro_rules! call {
    ($nccl:expr, $group:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        match $nccl.api.$function {
            None => Err(Error::Missing(stringify!($function))),
            // SAFETY: the signature is that of nccl.h, and every pointer outlives the call.
            Some(function) => $nccl.checked(stringify!($function), unsafe { function($($argument),*) }, $group),
        }
    };
}

/// The library.
#[derive(Debug)]
pub(super) struct Nccl {
    api: Api,
}

impl Nccl {
    /// Loads it.
    pub(super) fn load(path: &str) -> Result<Self, Error> {
        Ok(Self { api: Api::load(path)? })
    }

    /// Its version, 22809 for 2.28.9.
    pub(super) fn version(&self) -> Result<i32, Error> {
        let mut version = 0;
        call!(self, std::ptr::null_mut(), ncclGetVersion(&raw mut version))?;
        Ok(version)
    }

    /// A name for a new group.
    pub(super) fn name(&self) -> Result<Name, Error> {
        let mut name = Name([0; NAME]);
        call!(self, std::ptr::null_mut(), ncclGetUniqueId(&raw mut name))?;
        Ok(name)
    }

    /// Joins the group `name` of `ranks` as `rank`, with the device that is current. Waits for all others.
    pub(super) fn join(&self, name: Name, ranks: u32, rank: u32) -> Result<Group<'_>, Error> {
        let mut communicator = std::ptr::null_mut();
        let (ranks, rank) = (c_int::try_from(ranks).unwrap_or(c_int::MAX), c_int::try_from(rank).unwrap_or(c_int::MAX));
        call!(self, std::ptr::null_mut(), ncclCommInitRank(&raw mut communicator, ranks, name, rank))?;
        Ok(Group { nccl: self, communicator })
    }

    /// An error for every code but success, with what the library says of it.
    fn checked(&self, call: &'static str, code: c_int, group: Communicator) -> Result<(), Error> {
        if code == SUCCESS {
            return Ok(());
        }
        let text = |pointer: *const c_char| {
            // SAFETY: the library's texts end, and last as long as it is loaded.
            let text = (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned());
            text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect::<String>())
        };
        // SAFETY: the signatures are those of nccl.h; both take any code, and a communicator that is null.
        let name = self.api.ncclGetErrorString.and_then(|function| text(unsafe { function(code) }));
        // SAFETY: as above.
        let last = self.api.ncclGetLastError.and_then(|function| text(unsafe { function(group) }));
        Err(Error::Nccl { call, code, name: name.unwrap_or_else(|| "an unknown error".to_owned()), log: last.unwrap_or_default() })
    }
}

/// This process's part of a group.
#[derive(Debug)]
pub(super) struct Group<'a> {
    nccl: &'a Nccl,
    communicator: Communicator,
}

impl Group<'_> {
    /// CUDA's number of the device that the library took, where it tells.
    pub(super) fn device(&self) -> Option<u32> {
        let mut device = 0;
        call!(self.nccl, self.communicator, ncclCommCuDevice(self.communicator, &raw mut device)).ok()?;
        u32::try_from(device).ok()
    }

    /// Puts the sum of the first `size` bytes of every rank's `from` into `to`, in the first stream of `gpu`.
    pub(super) fn all_reduce(&self, gpu: &Gpu, from: &Buffer<'_>, to: &Buffer<'_>, size: usize) -> Result<(), Error> {
        debug_assert!(size <= from.size() && size <= to.size(), "within the buffers");
        // Addresses of device memory, which the library never follows on the host.
        let (from, to) = (from.at(0) as *const c_void, to.at(0) as *mut c_void);
        call!(self.nccl, self.communicator, ncclAllReduce(from, to, size / 4, FLOAT32, SUM, self.communicator, gpu.first_stream()))
    }

    /// An error that the library found while nobody called it.
    pub(super) fn error(&self) -> Result<(), Error> {
        let mut code = SUCCESS;
        // A library without this function tells by the next call.
        if call!(self.nccl, self.communicator, ncclCommGetAsyncError(self.communicator, &raw mut code)).is_err() || code == IN_PROGRESS {
            return Ok(());
        }
        self.nccl.checked("ncclCommGetAsyncError", code, self.communicator)
    }

    /// Leaves the group.
    pub(super) fn leave(self) -> Result<(), Error> {
        call!(self.nccl, self.communicator, ncclCommDestroy(self.communicator))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name comes through as text, and what is no name is none.
    #[test]
    fn a_name_is_the_same_after_its_text() {
        let mut bytes = [0; NAME];
        bytes.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value);
        let read = Name::parse(&Name(bytes).text());
        assert_eq!(read.map(|name| name.0), Some(bytes));
        assert!(Name::parse("00").is_none() && Name::parse(&"é".repeat(NAME)).is_none());
    }
}
