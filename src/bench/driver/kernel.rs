//! Modules, kernels and launches.

#![expect(unsafe_code, reason = "libcuda is a C library")]

use std::ffi::{CString, c_int, c_uint, c_void};
use std::ptr;

use super::api::{Handle, LaunchAttribute, LaunchConfig, call};
use super::{Error, Gpu};

/// `CU_JIT_ERROR_LOG_BUFFER` and `CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES`.
const ERROR_LOG: [c_int; 2] = [5, 6];
/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`.
const MOST_SHARED: c_int = 8;
/// `CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION`.
const OVERLAP: c_int = 6;
/// `CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION`.
const CLUSTER: c_int = 4;
/// What a kernel may take of dynamic shared memory without asking for more, in bytes: 48 KiB, of which its own variables take some.
const USUAL_SHARED: usize = 40 << 10;

/// A kernel with its launch shape.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Kernel {
    function: Handle,
    /// Threads of a block.
    pub(in crate::bench) threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub(in crate::bench) shared: usize,
    /// Blocks that fit on a multiprocessor at once.
    pub(in crate::bench) resident: u32,
    /// Blocks of a cluster; 1 without clusters.
    pub(in crate::bench) cluster: u32,
}

impl Kernel {
    /// The same, launched in clusters of so many blocks.
    pub(in crate::bench) const fn in_clusters_of(self, blocks: u32) -> Self {
        Self { cluster: blocks, ..self }
    }
}

/// One argument of a launch.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) enum Argument {
    /// An address, or another number of 64 bits.
    Wide(u64),
    /// A number of 32 bits.
    Word(u32),
    /// A structure of 48 bytes, aligned to 8.
    Structure([u64; 6]),
}

impl From<usize> for Argument {
    fn from(number: usize) -> Self {
        Self::Word(u32::try_from(number).unwrap_or(u32::MAX))
    }
}

/// How a launch relates to the one before it in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) enum Order {
    /// It starts when that one has ended.
    After,
    /// Its prologue runs while that one ends (programmatic dependent launch; compute capability 9.0).
    Overlapped,
}

/// A loaded module.
#[derive(Debug)]
pub(in crate::bench) struct Module<'a> {
    gpu: &'a Gpu,
    module: Handle,
}

impl Gpu {
    /// Compiles PTX for this device. What the compiler complains of is part of the error.
    pub(in crate::bench) fn load(&self, ptx: &str) -> Result<Module<'_>, Error> {
        let image = CString::new(ptx).map_err(|_| Error::Refused("the PTX text holds a zero byte".to_owned()))?;
        let mut log = vec![0_u8; 4096];
        let mut options = ERROR_LOG;
        // The size of the log travels as the value of a pointer.
        let mut values: [*mut c_void; 2] = [log.as_mut_ptr().cast(), ptr::without_provenance_mut(log.len())];
        let mut module = ptr::null_mut();
        let image = image.as_ptr().cast();
        call!(self.api, cuModuleLoadDataEx(&raw mut module, image, 2, options.as_mut_ptr(), values.as_mut_ptr())).map_err(|error| {
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
            error.with_log(&String::from_utf8_lossy(log.get(..end).unwrap_or_default()))
        })?;
        Ok(Module { gpu: self, module })
    }

    /// Launches `blocks` blocks of a kernel.
    pub(in crate::bench) fn launch(&self, kernel: &Kernel, blocks: u32, order: Order, arguments: &[Argument]) -> Result<(), Error> {
        let mut pointers: Vec<*mut c_void> = arguments
            .iter()
            .map(|argument| match argument {
                Argument::Wide(value) => ptr::from_ref(value).cast_mut().cast(),
                Argument::Word(value) => ptr::from_ref(value).cast_mut().cast(),
                Argument::Structure(words) => words.as_ptr().cast_mut().cast(),
            })
            .collect();
        let (values, none) = (pointers.as_mut_ptr(), ptr::null_mut());
        let shared = kernel.shared as c_uint;
        if order == Order::After && kernel.cluster == 1 {
            return call!(self.api, cuLaunchKernel(kernel.function, blocks, 1, 1, kernel.threads, 1, 1, shared, self.stream, values, none));
        }
        let attribute = |id, value| LaunchAttribute { id, padding: 0, value, rest: [0; 13] };
        let mut attributes = Vec::new();
        if order == Order::Overlapped {
            attributes.push(attribute(OVERLAP, [1, 0, 0]));
        }
        if kernel.cluster > 1 {
            attributes.push(attribute(CLUSTER, [kernel.cluster, 1, 1]));
        }
        let config = LaunchConfig {
            grid: [blocks, 1, 1],
            block: [kernel.threads, 1, 1],
            shared,
            stream: self.stream,
            attributes: attributes.as_mut_ptr(),
            count: attributes.len() as c_uint,
        };
        call!(self.api, cuLaunchKernelEx(&raw const config, kernel.function, values, none))
    }

    /// Whether kernels can be launched to overlap, and in clusters.
    pub(in crate::bench) fn overlaps(&self) -> bool {
        self.facts.capability >= (9, 0) && self.api.cuLaunchKernelEx.is_some()
    }
}

impl Module<'_> {
    /// A kernel of the module, for blocks of `threads` threads with `shared` bytes.
    pub(in crate::bench) fn kernel(&self, name: &str, threads: u32, shared: usize) -> Result<Kernel, Error> {
        let api = &self.gpu.api;
        let text = CString::new(name).map_err(|_| Error::Refused("a kernel's name holds a zero byte".to_owned()))?;
        let mut function = ptr::null_mut();
        call!(api, cuModuleGetFunction(&raw mut function, self.module, text.as_ptr()))?;
        if shared > USUAL_SHARED {
            call!(api, cuFuncSetAttribute(function, MOST_SHARED, shared as c_int))?;
        }
        let mut resident = 0;
        call!(api, cuOccupancyMaxActiveBlocksPerMultiprocessor(&raw mut resident, function, threads as c_int, shared))?;
        match u32::try_from(resident) {
            Ok(resident) if resident > 0 => Ok(Kernel { function, threads, shared, resident, cluster: 1 }),
            _ => Err(Error::Refused(format!("`{name}` needs {} KiB of shared memory, more than a block gets here", shared >> 10))),
        }
    }
}
