//! The driver's functions that this crate calls, checked before the first call: one that an older driver
//! lacks is a sentence and not a panic in the middle of a step.

use cudarc::driver::result;
use cudarc::driver::sys;

use crate::detect::CudaUnavailable;
use crate::error::{CudaError, DriverContext};

/// Everything called without asking first. `cuMemcpyBatchAsync_v2` is not here: it has a fallback.
const REQUIRED: [&[u8]; 41] = [
    b"cuInit",
    b"cuDeviceGet",
    b"cuDeviceGetCount",
    b"cuDeviceGetName",
    b"cuDeviceTotalMem_v2",
    b"cuDeviceGetAttribute",
    b"cuDevicePrimaryCtxRetain",
    b"cuDevicePrimaryCtxRelease_v2",
    b"cuCtxSetCurrent",
    b"cuStreamCreateWithPriority",
    b"cuStreamDestroy_v2",
    b"cuStreamSynchronize",
    b"cuStreamWaitEvent",
    b"cuEventCreate",
    b"cuEventDestroy_v2",
    b"cuEventRecord",
    b"cuEventQuery",
    b"cuEventSynchronize",
    b"cuEventElapsedTime_v2",
    b"cuMemAlloc_v2",
    b"cuMemFree_v2",
    b"cuMemGetInfo_v2",
    b"cuMemsetD8Async",
    b"cuMemcpyAsync",
    b"cuMemHostRegister_v2",
    b"cuMemHostUnregister",
    b"cuModuleLoadData",
    b"cuModuleUnload",
    b"cuModuleGetFunction",
    b"cuFuncSetAttribute",
    b"cuLaunchKernel",
    b"cuLaunchHostFunc",
    b"cuTensorMapEncodeTiled",
    b"cuMemHostAlloc",
    b"cuMemFreeHost",
    b"cuStreamBeginCapture_v2",
    b"cuStreamEndCapture",
    b"cuGraphInstantiateWithFlags",
    b"cuGraphLaunch",
    b"cuGraphDestroy",
    b"cuGraphExecDestroy",
];
const BATCH_COPY: &[u8] = b"cuMemcpyBatchAsync_v2";

/// A driver that is there and has what is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driver {
    pub(crate) has_batch_copy: bool,
}

impl Driver {
    /// # Errors
    /// No driver, or one that lacks a function, or one that does not start.
    pub(crate) fn open() -> Result<Driver, CudaError> {
        // SAFETY: only tries to open the library.
        if !unsafe { sys::is_culib_present() } {
            return Err(CudaUnavailable::NoDriver.into());
        }
        // SAFETY: the library can be opened, as was just seen.
        let library = unsafe { sys::culib() };
        // SAFETY: the address is only compared with nothing, never called.
        let has = |symbol: &[u8]| unsafe { library.get::<unsafe extern "C" fn()>(symbol) }.is_ok();
        if let Some(missing) = REQUIRED.into_iter().find(|symbol| !has(symbol)) {
            let name = String::from_utf8_lossy(missing);
            return Err(CudaUnavailable::OldDriver(format!("it lacks {name}")).into());
        }
        result::init().asked_to("start")?;
        Ok(Driver { has_batch_copy: has(BATCH_COPY) })
    }
}
