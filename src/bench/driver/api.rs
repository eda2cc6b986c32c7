//! The functions of libcuda that measuring needs, each of which may be missing.

#![expect(unsafe_code, reason = "libcuda is a C library")]
#![expect(non_snake_case, reason = "the functions keep the names that they have in cuda.h")]

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use libloading::Library;

use super::Error;

/// An opaque pointer of the library: a context, a stream, an event, a module, a function or a graph.
pub(super) type Handle = *mut c_void;

/// An address in device memory.
pub(super) type Address = u64;

/// Calls a function of the library and turns its code into a `Result`.
macro_rules! call {
    ($api:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        match $api.$function {
            None => Err($crate::bench::driver::Error::Missing(stringify!($function))),
            // SAFETY: the signature is that of cuda.h, and every pointer outlives the call.
            Some(function) => $api.checked(stringify!($function), unsafe { function($($argument),*) }),
        }
    };
}
pub(super) use call;

/// What `cuLaunchKernelEx` takes (`CUlaunchConfig`).
#[repr(C)]
pub(super) struct LaunchConfig {
    pub(super) grid: [c_uint; 3],
    pub(super) block: [c_uint; 3],
    pub(super) shared: c_uint,
    pub(super) stream: Handle,
    pub(super) attributes: *mut LaunchAttribute,
    pub(super) count: c_uint,
}

/// One attribute of a launch (`CUlaunchAttribute`): its number, and 64 bytes of which the first hold the value.
#[repr(C)]
pub(super) struct LaunchAttribute {
    pub(super) id: c_int,
    pub(super) padding: c_int,
    pub(super) value: [c_uint; 3],
    pub(super) rest: [c_int; 13],
}

macro_rules! api {
    ($($name:ident($($argument:ty),*);)*) => {
        /// The library and what it has.
        #[derive(Debug)]
        pub(super) struct Api {
            $(pub(super) $name: Option<unsafe extern "C" fn($($argument),*) -> c_int>,)*
            _library: Library,
        }

        impl Api {
            /// Loads the library that the loader finds.
            pub(super) fn load() -> Result<Self, Error> {
                // SAFETY: loading runs the library's own initialisers. If they misbehave, only this process does.
                let library = unsafe { Library::new("libcuda.so.1") };
                let library = library.map_err(|error| Error::NoLibrary(error.source().map_or_else(|| error.to_string(), ToString::to_string)))?;
                Ok(Self {
                    // SAFETY: the signatures are those of cuda.h; the library stays loaded as long as they are used.
                    $($name: unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }.ok().map(|symbol| *symbol),)*
                    _library: library,
                })
            }
        }
    };
}

api! {
    cuInit(c_uint);
    cuDriverGetVersion(*mut c_int);
    cuGetErrorName(c_int, *mut *const c_char);
    cuDeviceGetCount(*mut c_int);
    cuDeviceGet(*mut c_int, c_int);
    cuDeviceGetName(*mut c_char, c_int, c_int);
    cuDeviceGetPCIBusId(*mut c_char, c_int, c_int);
    cuDeviceTotalMem_v2(*mut usize, c_int);
    cuDeviceGetAttribute(*mut c_int, c_int, c_int);
    cuDeviceCanAccessPeer(*mut c_int, c_int, c_int);
    cuDevicePrimaryCtxRetain(*mut Handle, c_int);
    cuCtxSetCurrent(Handle);
    cuCtxEnablePeerAccess(Handle, c_uint);
    cuMemGetInfo_v2(*mut usize, *mut usize);
    cuMemAlloc_v2(*mut Address, usize);
    cuMemFree_v2(Address);
    cuMemHostAlloc(*mut Handle, usize, c_uint);
    cuMemFreeHost(Handle);
    cuMemcpyHtoD_v2(Address, *const c_void, usize);
    cuMemcpyDtoH_v2(*mut c_void, Address, usize);
    cuMemcpyHtoDAsync_v2(Address, *const c_void, usize, Handle);
    cuMemcpyDtoHAsync_v2(*mut c_void, Address, usize, Handle);
    cuMemcpyPeerAsync(Address, Handle, Address, Handle, usize, Handle);
    cuMemsetD8Async(Address, u8, usize, Handle);
    cuStreamCreate(*mut Handle, c_uint);
    cuStreamSynchronize(Handle);
    cuStreamBeginCapture_v2(Handle, c_int);
    cuStreamEndCapture(Handle, *mut Handle);
    cuGraphInstantiateWithFlags(*mut Handle, Handle, u64);
    cuGraphLaunch(Handle, Handle);
    cuGraphDestroy(Handle);
    cuGraphExecDestroy(Handle);
    cuEventCreate(*mut Handle, c_uint);
    cuEventRecord(Handle, Handle);
    cuEventSynchronize(Handle);
    cuEventElapsedTime(*mut f32, Handle, Handle);
    cuEventDestroy_v2(Handle);
    cuModuleLoadDataEx(*mut Handle, *const c_void, c_uint, *mut c_int, *mut *mut c_void);
    cuModuleGetFunction(*mut Handle, Handle, *const c_char);
    cuFuncSetAttribute(Handle, c_int, c_int);
    cuOccupancyMaxActiveBlocksPerMultiprocessor(*mut c_int, Handle, c_int, usize);
    cuLaunchKernel(Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut *mut c_void, *mut *mut c_void);
    cuLaunchKernelEx(*const LaunchConfig, Handle, *mut *mut c_void, *mut *mut c_void);
}

impl Api {
    /// An error for every code but success.
    pub(super) fn checked(&self, call: &'static str, code: c_int) -> Result<(), Error> {
        if code == 0 { Ok(()) } else { Err(Error::Code { call, code, name: self.name(code), log: String::new() }) }
    }

    /// The library's name of a code.
    fn name(&self, code: c_int) -> String {
        let mut name: *const c_char = std::ptr::null();
        // SAFETY: the signature is that of cuda.h; on success the name is a text that the library never frees.
        match self.cuGetErrorName.map(|function| unsafe { function(code, &raw mut name) }) {
            // SAFETY: as above.
            Some(0) if !name.is_null() => unsafe { CStr::from_ptr(name) }.to_string_lossy().chars().take(80).collect(),
            _ => "unknown".to_owned(),
        }
    }
}
