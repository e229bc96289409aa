//! Host memory that the card's copy engines reach without the processor.

use std::ffi::c_void;

use cudarc::driver::sys;

use super::Device;
use crate::error::{CudaError, DriverContext};

/// Most bytes registered in one call: larger ones fail on some systems.
const CHUNK_BYTES: usize = 64 << 30;

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
    /// Registers `bytes` from `start` on, in chunks of at most 64 GiB.
    ///
    /// # Errors
    /// The driver refuses, for instance memory that is registered already; nothing stays registered then.
    ///
    /// # Safety
    /// The range must stay mapped until the registration is dropped.
    pub unsafe fn new(device: &Device, start: *mut u8, bytes: usize) -> Result<HostRegistration, CudaError> {
        device.bind()?;
        let mut registration = HostRegistration { device: device.clone(), chunks: Vec::new() };
        for offset in (0..bytes).step_by(CHUNK_BYTES) {
            // SAFETY: the offset lies inside the range that the caller vouches for.
            let chunk = unsafe { start.add(offset) }.cast::<c_void>();
            let length = CHUNK_BYTES.min(bytes - offset);
            // SAFETY: the caller vouches for the range.
            unsafe { sys::cuMemHostRegister_v2(chunk, length, sys::CU_MEMHOSTREGISTER_PORTABLE) }
                .result()
                .asked_to("register host memory")?;
            registration.chunks.push(chunk);
        }
        Ok(registration)
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
