//! The card's memory.

use cudarc::driver::{result, sys};

use super::{Device, Stream};
use crate::error::{CudaError, DriverContext};

/// Bytes of the card's memory, freed on drop (which waits for the card).
pub struct DeviceBuffer {
    device: Device,
    address: sys::CUdeviceptr,
    bytes: usize,
}

/// A part of a [`DeviceBuffer`], to be handed to kernels. It does not keep the buffer alive: a kernel that
/// runs after the buffer is gone faults, and the fault appears where its stream is synchronised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevicePointer {
    address: sys::CUdeviceptr,
    bytes: usize,
}

impl DevicePointer {
    /// The absent argument of a kernel that takes one or none.
    pub const NONE: DevicePointer = DevicePointer { address: 0, bytes: 0 };

    pub const fn address(self) -> u64 {
        self.address
    }

    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// The `bytes` from `offset` on.
    ///
    /// # Errors
    /// They do not lie inside.
    pub fn part(self, offset: usize, bytes: usize) -> Result<DevicePointer, CudaError> {
        let end = offset.checked_add(bytes);
        if end.is_none_or(|end| end > self.bytes) {
            let detail = format!("{bytes} bytes at {offset} of {}", self.bytes);
            return Err(CudaError::invalid("part of device memory", detail));
        }
        Ok(DevicePointer { address: self.address + offset as u64, bytes })
    }

    /// From `offset` to the end.
    ///
    /// # Errors
    /// `offset` lies beyond the end.
    pub fn from(self, offset: usize) -> Result<DevicePointer, CudaError> {
        self.part(offset, self.bytes.saturating_sub(offset))
    }

    /// Checks, before a launch, that a kernel stays inside.
    pub(crate) fn holds(self, what: &'static str, bytes: usize) -> Result<u64, CudaError> {
        if self.bytes < bytes {
            return Err(CudaError::invalid(what, format!("{} bytes, {bytes} are needed", self.bytes)));
        }
        Ok(self.address)
    }
}

/// Values that are on the card as they are here: no padding, every bit pattern valid.
///
/// # Safety
/// The type must be as said.
pub unsafe trait Plain: Copy {}

// SAFETY: plain numbers.
unsafe impl Plain for u32 {}
// SAFETY: plain numbers.
unsafe impl Plain for f32 {}
// SAFETY: plain numbers.
unsafe impl Plain for u16 {}

/// The bytes of `values`, for a copy to the card.
pub fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: the type has no padding, and the range is that of the slice.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The first `count` values in `bytes`, wherever they lie.
///
/// # Panics
/// `bytes` are too few.
pub fn values_of<T: Plain>(bytes: &[u8], count: usize) -> Vec<T> {
    let bytes = &bytes[..count * size_of::<T>()];
    // SAFETY: each chunk holds one value, of which every bit pattern is valid.
    bytes
        .chunks_exact(size_of::<T>())
        .map(|chunk| unsafe { chunk.as_ptr().cast::<T>().read_unaligned() })
        .collect()
}

impl DeviceBuffer {
    /// Uninitialised memory; at least one byte.
    ///
    /// # Errors
    /// The card has no such memory left, or `bytes` is 0.
    pub fn new(device: &Device, bytes: usize) -> Result<DeviceBuffer, CudaError> {
        if bytes == 0 {
            return Err(CudaError::invalid("device buffer", "0 bytes"));
        }
        device.bind()?;
        // SAFETY: the memory is only handed to kernels and copies, which say what they need of it.
        let address = unsafe { result::malloc_sync(bytes) }.asked_to("allocate device memory")?;
        Ok(DeviceBuffer { device: device.clone(), address, bytes })
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn pointer(&self) -> DevicePointer {
        DevicePointer { address: self.address, bytes: self.bytes }
    }

    /// The `bytes` from `offset` on.
    ///
    /// # Errors
    /// They do not lie inside.
    pub fn part(&self, offset: usize, bytes: usize) -> Result<DevicePointer, CudaError> {
        self.pointer().part(offset, bytes)
    }

    /// Sets every byte, in stream order.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn fill(&self, stream: &Stream, byte: u8) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the range is this buffer.
        unsafe { result::memset_d8_async(self.address, byte, self.bytes, stream.handle) }
            .asked_to("fill device memory")
    }

    /// Copies `from` to `offset` and waits for it.
    ///
    /// # Errors
    /// It does not fit, or the driver refuses.
    pub fn write(&self, stream: &Stream, offset: usize, from: &[u8]) -> Result<(), CudaError> {
        let to = self.part(offset, from.len())?;
        self.device.bind()?;
        // SAFETY: both ranges are live until the synchronisation below.
        unsafe { sys::cuMemcpyAsync(to.address, from.as_ptr() as u64, from.len(), stream.handle) }
            .result()
            .asked_to("copy to the device")?;
        stream.synchronize()
    }

    /// Copies from `offset` into `to` and waits for it.
    ///
    /// # Errors
    /// It does not lie inside, or the driver refuses, or earlier work of the stream failed.
    pub fn read(&self, stream: &Stream, offset: usize, to: &mut [u8]) -> Result<(), CudaError> {
        let from = self.part(offset, to.len())?;
        self.device.bind()?;
        // SAFETY: both ranges are live until the synchronisation below.
        unsafe { sys::cuMemcpyAsync(to.as_mut_ptr() as u64, from.address, to.len(), stream.handle) }
            .result()
            .asked_to("copy from the device")?;
        stream.synchronize()
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: allocated in `new`, freed once. A failure at the end has nobody left to hear it.
            let _ = unsafe { result::free_sync(self.address) };
        }
    }
}
