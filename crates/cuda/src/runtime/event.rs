//! Points in a stream's work.

use cudarc::driver::DriverError;
use cudarc::driver::result::event as raw;
use cudarc::driver::sys;

use super::{Device, Stream};
use crate::error::{CudaError, DriverContext};

/// A point in a stream's work: everything enqueued before it is done once it is.
pub struct Event {
    device: Device,
    pub(super) handle: sys::CUevent,
}

// SAFETY: the driver's events may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above; the driver locks for itself.
unsafe impl Sync for Event {}

impl Event {
    /// An event for order only, the cheap kind.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn new(device: &Device) -> Result<Event, CudaError> {
        Event::with(device, sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
    }

    /// An event for order only whose waiter sleeps instead of spinning.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn sleeping(device: &Device) -> Result<Event, CudaError> {
        device.bind()?;
        let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32
            | sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC as u32;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is to a live handle.
        unsafe { sys::cuEventCreate(&mut handle, flags) }.result().asked_to("make an event")?;
        Ok(Event { device: device.clone(), handle })
    }

    /// An event that keeps the time at which it happened.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn timed(device: &Device) -> Result<Event, CudaError> {
        Event::with(device, sys::CUevent_flags::CU_EVENT_DEFAULT)
    }

    fn with(device: &Device, flags: sys::CUevent_flags) -> Result<Event, CudaError> {
        device.bind()?;
        let handle = raw::create(flags).asked_to("make an event")?;
        Ok(Event { device: device.clone(), handle })
    }

    /// Puts the event at the present end of the stream's work. It may be recorded again later; waits that
    /// were enqueued before keep the earlier point.
    ///
    /// # Errors
    /// The driver refuses, for instance a stream of another card.
    pub fn record(&self, stream: &Stream) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: both handles are live.
        unsafe { raw::record(self.handle, stream.handle) }.asked_to("record an event")
    }

    /// Whether it has happened. An event never recorded has.
    ///
    /// # Errors
    /// Whatever failed in the work before it.
    pub fn is_done(&self) -> Result<bool, CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        match unsafe { raw::query(self.handle) } {
            Ok(()) => Ok(true),
            Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_READY)) => Ok(false),
            Err(error) => Err(error).asked_to("look at an event"),
        }
    }

    /// Blocks until it has happened.
    ///
    /// # Errors
    /// Whatever failed in the work before it.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        unsafe { raw::synchronize(self.handle) }.asked_to("reach an event")
    }

    /// Milliseconds from `earlier` to this one, both timed and done.
    ///
    /// # Errors
    /// One is not timed, was never recorded or has not happened yet.
    pub fn milliseconds_since(&self, earlier: &Event) -> Result<f32, CudaError> {
        self.device.bind()?;
        // SAFETY: both handles are live.
        unsafe { raw::elapsed(earlier.handle, self.handle) }.asked_to("time between events")
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: made in `with`, destroyed once. A failure at the end has nobody left to hear it.
            let _ = unsafe { raw::destroy(self.handle) };
        }
    }
}
