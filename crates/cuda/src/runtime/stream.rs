//! Queues of work on a card.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cudarc::driver::result::stream as raw;
use cudarc::driver::sys;

use super::{Device, Event};
use crate::error::{CudaError, DriverContext};

/// Work on one stream runs in the order it was enqueued; nothing waits for the legacy default stream.
pub struct Stream {
    device: Device,
    pub(super) handle: sys::CUstream,
}

// SAFETY: the driver's streams may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above; the driver locks for itself.
unsafe impl Sync for Stream {}

/// The three streams of a step.
pub struct Streams {
    pub compute: Stream,
    /// Host memory → slots.
    pub load: Stream,
    /// Slots → host memory.
    pub save: Stream,
}

impl Streams {
    pub(super) fn new(device: &Device) -> Result<Streams, CudaError> {
        let stream = || Stream::new(device);
        Ok(Streams { compute: stream()?, load: stream()?, save: stream()? })
    }
}

type Callback = Box<dyn FnOnce() + Send>;

impl Stream {
    fn new(device: &Device) -> Result<Stream, CudaError> {
        device.bind()?;
        let handle = raw::create_with_priority(raw::StreamKind::NonBlocking, 0).asked_to("make a stream")?;
        Ok(Stream { device: device.clone(), handle })
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The driver's handle, for the libraries of the toolkit.
    pub(crate) fn raw(&self) -> sys::CUstream {
        self.handle
    }

    /// Later work on this stream starts only after `event`, which may be of another stream of this card.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn wait(&self, event: &Event) -> Result<(), CudaError> {
        self.device.bind()?;
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: both handles are live.
        unsafe { raw::wait_event(self.handle, event.handle, flags) }.asked_to("wait for an event")
    }

    /// Blocks until everything enqueued so far is done.
    ///
    /// # Errors
    /// Whatever failed in that work: a kernel's fault appears here.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: the handle is live.
        unsafe { raw::synchronize(self.handle) }.asked_to("finish a stream's work")
    }

    /// Calls `callback` from a thread of the driver once everything enqueued so far is done. It must be short
    /// and must not call CUDA. It is not called if that work fails.
    ///
    /// # Errors
    /// The driver refuses; `callback` is then dropped.
    pub fn notify(&self, callback: Callback) -> Result<(), CudaError> {
        self.device.bind()?;
        let argument = Box::into_raw(Box::new(callback)).cast::<c_void>();
        // SAFETY: `call_back` takes the box back, exactly once.
        let asked = unsafe { raw::launch_host_function(self.handle, call_back, argument) };
        if asked.is_err() {
            // SAFETY: the driver refused, so nobody else will take it.
            drop(unsafe { Box::from_raw(argument.cast::<Callback>()) });
        }
        asked.asked_to("call back")
    }
}

unsafe extern "C" fn call_back(argument: *mut c_void) {
    // SAFETY: made by `Stream::notify` from a box, and the driver calls once.
    let callback = unsafe { Box::from_raw(argument.cast::<Callback>()) };
    // A panic must not unwind into the driver; the hook has printed it.
    let _ = catch_unwind(AssertUnwindSafe(callback));
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: made in `new`, destroyed once. A failure at the end has nobody left to hear it.
            let _ = unsafe { raw::destroy(self.handle) };
        }
    }
}
