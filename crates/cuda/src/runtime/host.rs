//! Host memory that the card's copy engines reach without the processor.

use std::ffi::c_void;
use std::ptr::NonNull;

use cudarc::driver::sys;

use super::Device;
use crate::error::{CudaError, DriverContext};

/// Most bytes registered in one call: larger ones fail on some systems.
pub const REGISTERED_AT_ONCE: usize = 64 << 30;

/// Host memory pinned for every card of the machine, until dropped.
///
/// The memory stays its owner's. It should be mapped, made of huge pages and touched by several threads
/// first: registering is then several times as fast as the driver's own allocation.
pub struct HostRegistration {
    device: Device,
    chunks: Vec<*mut c_void>,
}

// SAFETY: the addresses are only given back to the driver.
unsafe impl Send for HostRegistration {}

impl HostRegistration {
    /// Registers `bytes` from `start` on, in chunks of [`REGISTERED_AT_ONCE`]. A copy must not cross their borders.
    ///
    /// # Errors
    /// The driver refuses, for instance memory that is registered already; nothing stays registered then.
    ///
    /// # Safety
    /// The range must stay mapped until the registration is dropped.
    pub unsafe fn new(device: &Device, start: *mut u8, bytes: usize) -> Result<HostRegistration, CudaError> {
        // SAFETY: the caller's promise.
        unsafe { HostRegistration::in_chunks(device, start, bytes, REGISTERED_AT_ONCE) }
    }

    /// As [`HostRegistration::new`], in chunks of `chunk_bytes`, whole pages.
    ///
    /// # Errors
    /// As [`HostRegistration::new`].
    ///
    /// # Safety
    /// As [`HostRegistration::new`].
    pub unsafe fn in_chunks(
        device: &Device,
        start: *mut u8,
        bytes: usize,
        chunk_bytes: usize,
    ) -> Result<HostRegistration, CudaError> {
        let mut registration = HostRegistration::none(device);
        for offset in (0..bytes).step_by(chunk_bytes) {
            // SAFETY: the offset lies inside the range that the caller vouches for.
            unsafe { registration.add(start.add(offset), chunk_bytes.min(bytes - offset)) }?;
        }
        Ok(registration)
    }

    /// Nothing is registered yet.
    pub fn none(device: &Device) -> HostRegistration {
        HostRegistration { device: device.clone(), chunks: Vec::new() }
    }

    /// Registers `bytes` from `start` on, in one piece.
    ///
    /// # Errors
    /// The driver refuses them.
    ///
    /// # Safety
    /// As [`HostRegistration::new`].
    pub unsafe fn add(&mut self, start: *mut u8, bytes: usize) -> Result<(), CudaError> {
        self.device.bind()?;
        let chunk = start.cast::<c_void>();
        // SAFETY: the caller vouches for the range.
        unsafe { sys::cuMemHostRegister_v2(chunk, bytes, sys::CU_MEMHOSTREGISTER_PORTABLE) }
            .result()
            .asked_to("register host memory")?;
        self.chunks.push(chunk);
        Ok(())
    }
}

/// A little pinned host memory of the driver's own, for what a step sends to the card and gets back.
pub struct PinnedBuffer {
    device: Device,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: plain memory; who touches it when is said by the borrows of `as_slice` and by the caller's events.
unsafe impl Send for PinnedBuffer {}

impl PinnedBuffer {
    /// Zeroed memory, rounded up to 16 bytes.
    ///
    /// # Errors
    /// `bytes` is 0, or the driver has no such memory.
    pub fn new(device: &Device, bytes: usize) -> Result<PinnedBuffer, CudaError> {
        let bytes = bytes.next_multiple_of(16);
        device.bind()?;
        let mut start = std::ptr::null_mut();
        // SAFETY: the pointer is to a live address.
        unsafe {
            sys::cuMemHostAlloc(
                &mut start,
                bytes,
                sys::CU_MEMHOSTALLOC_PORTABLE | sys::CU_MEMHOSTALLOC_DEVICEMAP,
            )
        }
        .result()
        .asked_to("allocate pinned memory")?;
        let start = NonNull::new(start.cast::<u8>())
            .ok_or_else(|| CudaError::invalid("pinned memory", format!("no address for {bytes} bytes")))?;
        // SAFETY: the driver has just given these bytes.
        unsafe { start.write_bytes(0, bytes) };
        Ok(PinnedBuffer { device: device.clone(), start, bytes })
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the memory lives as long as `self` and was zeroed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes) }
    }

    /// To be written. A copy that was enqueued from or into it must be done.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else borrows it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.bytes) }
    }

    /// Its address, which is the same for the card.
    ///
    /// # Errors
    /// It has fewer than `bytes`.
    pub(crate) fn holds(&self, bytes: usize) -> Result<u64, CudaError> {
        if bytes <= self.bytes {
            return Ok(self.start.as_ptr() as u64);
        }
        Err(CudaError::invalid("pinned memory", format!("{bytes} bytes of {}", self.bytes)))
    }
}

impl Drop for PinnedBuffer {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: allocated in `new`, freed once. A failure at the end has nobody left to hear it.
            let _ = unsafe { sys::cuMemFreeHost(self.start.as_ptr().cast()) };
        }
    }
}

impl Drop for HostRegistration {
    fn drop(&mut self) {
        if self.device.bind().is_err() {
            return;
        }
        for &chunk in &self.chunks {
            // SAFETY: registered in `new`, once. A failure at the end has nobody left to hear it.
            let _ = unsafe { sys::cuMemHostUnregister(chunk) };
        }
    }
}
