//! The functions of libcuda that are used, each of which may be missing.

#![expect(unsafe_code, reason = "libcuda is a C library")]
#![expect(non_snake_case, reason = "the functions keep the names that they have in cuda.h")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use libloading::Library;

use crate::capture::call::{Call, Failure};

/// An opaque pointer of the library: a context, a module, a function, a stream or an event.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(super) struct Handle(pub(super) *mut c_void);
// SAFETY: the driver API allows a handle to be used from any thread of the process.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    pub(super) const NULL: Self = Self(std::ptr::null_mut());
}

/// An address in device memory.
pub(super) type Address = u64;

/// Calls a function of the library; none when the library has no such function.
macro_rules! call {
    ($api:ident . $function:ident ( $($argument:expr),* $(,)? )) => {{
        #[expect(unsafe_code, reason = "libcuda is a C library")]
        // SAFETY: the signature is that of cuda.h, and every pointer outlives the call.
        let code = $api.$function.map(|function| unsafe { function($($argument),*) });
        code
    }};
}
pub(super) use call;

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
            pub(super) fn load() -> Result<Self, libloading::Error> {
                // SAFETY: loading runs the library's own initialisers. If they misbehave, only this process does.
                let library = unsafe { Library::new(super::LIBRARY)? };
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
    cuDeviceGetUuid(*mut u8, c_int);
    cuDeviceGetUuid_v2(*mut u8, c_int);
    cuDeviceGetPCIBusId(*mut c_char, c_int, c_int);
    cuDeviceTotalMem_v2(*mut usize, c_int);
    cuDeviceGetAttribute(*mut c_int, c_int, c_int);
    cuDevicePrimaryCtxRetain(*mut Handle, c_int);
    cuCtxSetCurrent(Handle);
    cuCtxSynchronize();
    cuCtxEnablePeerAccess(Handle, c_uint);
    cuMemGetInfo_v2(*mut usize, *mut usize);
    cuMemAlloc_v2(*mut Address, usize);
    cuMemFree_v2(Address);
    cuMemsetD8_v2(Address, u8, usize);
    cuMemcpyHtoD_v2(Address, *const c_void, usize);
    cuMemcpyDtoH_v2(*mut c_void, Address, usize);
    cuMemcpyPeerAsync(Address, Handle, Address, Handle, usize, Handle);
    cuModuleLoadData(*mut Handle, *const c_void);
    cuModuleGetFunction(*mut Handle, Handle, *const c_char);
    cuLaunchKernel(Handle, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Handle, *mut *mut c_void, *mut *mut c_void);
    cuDeviceCanAccessPeer(*mut c_int, c_int, c_int);
    cuDeviceGetP2PAttribute(*mut c_int, c_int, c_int, c_int);
    cuStreamCreate(*mut Handle, c_uint);
    cuStreamSynchronize(Handle);
    cuEventCreate(*mut Handle, c_uint);
    cuEventRecord(Handle, Handle);
    cuEventElapsedTime(*mut f32, Handle, Handle);
}

impl Api {
    /// `value`, if the function is there and returned success.
    pub(super) fn outcome<T>(&self, code: Option<c_int>, value: T) -> Call<T> {
        match code {
            None => Call::Missing,
            Some(0) => Call::Value(value),
            Some(code) => Call::Failed(Failure { code: code.into(), name: self.name(code) }),
        }
    }

    /// The library's name of a code.
    fn name(&self, code: c_int) -> String {
        let mut name: *const c_char = std::ptr::null();
        let api = self;
        match call!(api.cuGetErrorName(code, &raw mut name)) {
            // SAFETY: on success it is a text that the library never frees.
            Some(0) if !name.is_null() => unsafe { CStr::from_ptr(name) }.to_string_lossy().chars().take(80).collect(),
            _ => "unknown".to_owned(),
        }
    }
}
