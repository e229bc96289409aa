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

    /// Checks, before a launch, that a kernel stays inside.
    pub(crate) fn holds(self, what: &'static str, bytes: usize) -> Result<u64, CudaError> {
        if self.bytes < bytes {
            return Err(CudaError::invalid(what, format!("{} bytes, {bytes} are needed", self.bytes)));
        }
        Ok(self.address)
    }
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
        let end = offset.checked_add(bytes);
        if end.is_none_or(|end| end > self.bytes) {
            let detail = format!("{bytes} bytes at {offset} of {}", self.bytes);
            return Err(CudaError::invalid("part of a device buffer", detail));
        }
        Ok(DevicePointer { address: self.address + offset as u64, bytes })
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
