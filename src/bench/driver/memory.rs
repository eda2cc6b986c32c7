//! Device memory, and host memory that the driver has pinned.

#![expect(unsafe_code, reason = "libcuda is a C library")]

use std::ffi::c_void;

use super::api::{Address, Handle, call};
use super::{Error, Gpu};

/// Types that any bits are a value of, so that they may be copied from and to a device.
///
/// # Safety
/// Every pattern of bits is a value, and there is no padding.
pub(in crate::bench) unsafe trait Plain: Copy + Default {}
// SAFETY: integers.
unsafe impl Plain for u8 {}
// SAFETY: integers.
unsafe impl Plain for u16 {}
// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: integers.
unsafe impl Plain for i32 {}

/// Memory of a device, freed when dropped.
#[derive(Debug)]
pub(in crate::bench) struct Buffer<'a> {
    gpu: &'a Gpu,
    address: Address,
    size: usize,
}

impl Buffer<'_> {
    /// The address of byte `offset`.
    pub(in crate::bench) fn at(&self, offset: usize) -> Address {
        debug_assert!(offset <= self.size, "within the buffer");
        self.address + offset as u64
    }

    /// Bytes.
    pub(in crate::bench) fn size(&self) -> usize {
        self.size
    }

    /// Sets `size` bytes from `offset` on, once the work before it is done.
    pub(in crate::bench) fn set(&self, offset: usize, size: usize, byte: u8) -> Result<(), Error> {
        call!(self.gpu.api, cuMemsetD8Async(self.at(offset), byte, size, self.gpu.stream))
    }

    /// Writes `values` to the start.
    pub(in crate::bench) fn write<T: Plain>(&self, values: &[T]) -> Result<(), Error> {
        debug_assert!(size_of_val(values) <= self.size, "within the buffer");
        call!(self.gpu.api, cuMemcpyHtoD_v2(self.address, values.as_ptr().cast(), size_of_val(values)))
    }

    /// Reads `count` values from the start, once all work is done.
    pub(in crate::bench) fn read<T: Plain>(&self, count: usize) -> Result<Vec<T>, Error> {
        debug_assert!(count * size_of::<T>() <= self.size, "within the buffer");
        let mut values = vec![T::default(); count];
        self.gpu.wait()?;
        call!(self.gpu.api, cuMemcpyDtoH_v2(values.as_mut_ptr().cast(), self.address, count * size_of::<T>()))?;
        Ok(values)
    }

    /// Starts a copy from pinned memory.
    pub(in crate::bench) fn copy_from(&self, host: &Pinned<'_>, stream: Stream) -> Result<(), Error> {
        let size = self.size.min(host.size);
        call!(self.gpu.api, cuMemcpyHtoDAsync_v2(self.address, host.pointer, size, stream.of(self.gpu)))
    }

    /// Starts a copy to pinned memory.
    pub(in crate::bench) fn copy_to(&self, host: &Pinned<'_>, stream: Stream) -> Result<(), Error> {
        let size = self.size.min(host.size);
        call!(self.gpu.api, cuMemcpyDtoHAsync_v2(host.pointer, self.address, size, stream.of(self.gpu)))
    }

    /// Starts a copy of the first `size` bytes to another device's memory, in the stream of this one.
    pub(in crate::bench) fn copy_to_peer(&self, peer: &Buffer<'_>, size: usize) -> Result<(), Error> {
        let (gpu, other) = (self.gpu, peer.gpu);
        call!(gpu.api, cuMemcpyPeerAsync(peer.address, other.context, self.address, gpu.context, size, gpu.stream))
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // A device that is lost frees nothing, and the process that holds it ends soon.
        let _ = call!(self.gpu.api, cuMemFree_v2(self.address));
    }
}

/// Which of a device's two streams.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) enum Stream {
    /// The one that everything is done in.
    First,
    /// The one for what runs beside it.
    Second,
}

impl Stream {
    fn of(self, gpu: &Gpu) -> Handle {
        match self {
            Self::First => gpu.stream,
            Self::Second => gpu.second_stream,
        }
    }
}

/// Pinned host memory, freed when dropped.
#[derive(Debug)]
pub(in crate::bench) struct Pinned<'a> {
    gpu: &'a Gpu,
    pointer: Handle,
    size: usize,
}

impl Pinned<'_> {
    /// The memory as words. No copy from or to it may be under way.
    pub(in crate::bench) fn words(&mut self) -> &mut [u32] {
        // SAFETY: the driver gave this many bytes, aligned to a page, and any bits are a value.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.cast(), self.size / size_of::<u32>()) }
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        let _ = call!(self.gpu.api, cuMemFreeHost(self.pointer));
    }
}

impl Gpu {
    /// Memory on the device, holding anything.
    pub(in crate::bench) fn allocate(&self, size: usize) -> Result<Buffer<'_>, Error> {
        let mut address = 0;
        call!(self.api, cuMemAlloc_v2(&raw mut address, size.max(16)))?;
        Ok(Buffer { gpu: self, address, size: size.max(16) })
    }

    /// Memory on the device, holding `values`.
    pub(in crate::bench) fn upload<T: Plain>(&self, values: &[T]) -> Result<Buffer<'_>, Error> {
        let buffer = self.allocate(size_of_val(values))?;
        buffer.write(values)?;
        Ok(buffer)
    }

    /// Memory on the device, holding zeros.
    pub(in crate::bench) fn zeroed(&self, size: usize) -> Result<Buffer<'_>, Error> {
        let buffer = self.allocate(size)?;
        buffer.set(0, buffer.size, 0)?;
        Ok(buffer)
    }

    /// Pinned memory of the host, cached as usual, so that it is as fast to read as to write.
    pub(in crate::bench) fn pin(&self, size: usize) -> Result<Pinned<'_>, Error> {
        let mut pointer: *mut c_void = std::ptr::null_mut();
        call!(self.api, cuMemHostAlloc(&raw mut pointer, size, 0))?;
        Ok(Pinned { gpu: self, pointer, size })
    }

    /// The handle of the stream that everything is done in, for libraries that put work into it.
    pub(in crate::bench) const fn first_stream(&self) -> Handle {
        self.stream
    }

    /// Bytes of device memory that nobody holds.
    pub(in crate::bench) fn free_memory(&self) -> Result<usize, Error> {
        let (mut free, mut total) = (0, 0);
        call!(self.api, cuMemGetInfo_v2(&raw mut free, &raw mut total))?;
        Ok(free)
    }
}
