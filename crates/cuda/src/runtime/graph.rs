//! Work that is enqueued often, recorded once: launching a graph costs what launching one kernel costs.

use cudarc::driver::result::{graph as raw, stream};
use cudarc::driver::sys;

use super::{Device, Stream};
use crate::error::{CudaError, DriverContext};

/// A recorded piece of a stream's work, with the addresses and sizes that it was recorded with.
pub struct Graph {
    device: Device,
    handle: sys::CUgraphExec,
}

// SAFETY: the driver's graphs may be used from any thread, one at a time, which ownership keeps.
unsafe impl Send for Graph {}

impl Graph {
    /// Records what `enqueue` puts on `stream`, which does not run now. `enqueue` must not wait for the card.
    ///
    /// # Errors
    /// What `enqueue` reports, or the driver refuses.
    pub fn record<E: From<CudaError>>(
        stream: &Stream,
        enqueue: impl FnOnce() -> Result<(), E>,
    ) -> Result<Graph, E> {
        stream.device().bind()?;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is live.
        unsafe { stream::begin_capture(stream.raw(), mode) }.asked_to("record a graph")?;
        let enqueued = enqueue();
        // SAFETY: the stream is live and recording; it must end also where `enqueue` failed.
        let graph = unsafe { stream::end_capture(stream.raw()) }.asked_to("end a graph");
        enqueued?;
        let graph = graph?;
        // SAFETY: the graph was just recorded, and is destroyed once.
        let handle = unsafe {
            let handle = raw::instantiate(graph, sys::CUgraphInstantiate_flags(0));
            let _ = sys::cuGraphDestroy(graph);
            handle
        }
        .asked_to("make a graph")?;
        Ok(Graph { device: stream.device().clone(), handle })
    }

    /// Enqueues it.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn launch(&self, stream: &Stream) -> Result<(), CudaError> {
        self.device.bind()?;
        // SAFETY: both handles are live.
        unsafe { sys::cuGraphLaunch(self.handle, stream.raw()) }.result().asked_to("launch a graph")
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.device.bind().is_ok() {
            // SAFETY: made in `record`, destroyed once. A failure at the end has nobody left to hear it.
            let _ = unsafe { sys::cuGraphExecDestroy(self.handle) };
        }
    }
}
