//! One card, by its ordinal. Everything made from it holds it and names its context before each call, so
//! several cards can be used from the same thread and one card from several.

use std::sync::Arc;

use cudarc::driver::{result, sys};

use super::Streams;
use crate::compile::Architecture;
use crate::detect::{CudaDevice, describe};
use crate::driver::Driver;
use crate::error::{CudaError, DriverContext};

/// A card with its primary context retained. Cloning shares it.
#[derive(Clone)]
pub struct Device(Arc<Context>);

struct Context {
    driver: Driver,
    device: sys::CUdevice,
    context: sys::CUcontext,
    info: CudaDevice,
    multiprocessors: usize,
}

// SAFETY: driver handles may be used from any thread; the context is made current before each call.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks for itself.
unsafe impl Sync for Context {}

impl Device {
    /// Opens the card `ordinal`, as `--device cuda:n` counts.
    ///
    /// # Errors
    /// No usable driver, no such card, or a driver that refuses.
    pub fn open(ordinal: usize) -> Result<Device, CudaError> {
        let driver = Driver::open()?;
        let count = result::device::get_count().asked_to("count its devices")?.max(0) as usize;
        if ordinal >= count {
            return Err(CudaError::NoSuchDevice { ordinal, count });
        }
        let device = result::device::get(ordinal as i32).asked_to("name a device")?;
        let info = describe(ordinal as i32).asked_to("describe a device")?;
        let attribute = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        // SAFETY: the driver has just given `device`.
        let (multiprocessors, context) = unsafe {
            (
                result::device::get_attribute(device, attribute).asked_to("describe a device")?,
                result::primary_ctx::retain(device).asked_to("make a context")?,
            )
        };
        let multiprocessors = multiprocessors.max(1) as usize;
        Ok(Device(Arc::new(Context { driver, device, context, info, multiprocessors })))
    }

    pub fn info(&self) -> &CudaDevice {
        &self.0.info
    }

    /// Streaming multiprocessors: how many CTAs it takes to fill the card.
    pub fn multiprocessors(&self) -> usize {
        self.0.multiprocessors
    }

    /// What kernels are compiled for.
    ///
    /// # Errors
    /// A card without bf16 tensor cores.
    pub fn architecture(&self) -> Result<Architecture, CudaError> {
        let (major, minor) = self.0.info.capability;
        Architecture::of_capability((major, minor)).ok_or_else(|| {
            let detail = format!("compute capability {major}.{minor}, bf16 tensor cores begin with 8.0");
            CudaError::invalid("card", detail)
        })
    }

    /// Three streams: compute, load, save.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn streams(&self) -> Result<Streams, CudaError> {
        Streams::new(self)
    }

    /// Free and total bytes of the card's memory.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn memory(&self) -> Result<(usize, usize), CudaError> {
        self.bind()?;
        result::mem_get_info().asked_to("count its memory")
    }

    /// Whether the driver has batch copies; without them each copy is a call of its own.
    pub fn has_batch_copy(&self) -> bool {
        self.0.driver.has_batch_copy
    }

    /// Makes this card's context the calling thread's.
    pub(crate) fn bind(&self) -> Result<(), CudaError> {
        // SAFETY: the context is retained for as long as `self` lives.
        unsafe { result::ctx::set_current(self.0.context) }.asked_to("enter a context")
    }

    /// Whether `other` is the same card.
    pub(crate) fn is(&self, other: &Device) -> bool {
        self.0.device == other.0.device
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once in `open`. A failure at the end has nobody left to hear it.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}
