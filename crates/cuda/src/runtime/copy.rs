//! Many copies in one call, by the copy engines: the processors of the card stay with the computation.

use cudarc::driver::sys;

use super::Stream;
use crate::error::{CudaError, DriverContext};

/// One copy between addresses of the card or of registered host memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryCopy {
    pub from: u64,
    pub to: u64,
    pub bytes: usize,
}

/// Enqueues all copies. Their order among themselves is open; each starts after earlier work of the stream.
/// Batch DMA with a preference for overlap where the driver has it, else one call a copy.
///
/// # Errors
/// The driver refuses; then none or some were enqueued.
///
/// # Safety
/// Every range must stay valid, and unshared with writers, until the stream has passed this point; host
/// ranges must be registered.
pub unsafe fn copy_batch(stream: &Stream, copies: &[MemoryCopy]) -> Result<(), CudaError> {
    if !stream.device().has_batch_copy() {
        // SAFETY: the caller vouches for the ranges.
        return unsafe { copy_each(stream, copies) };
    }
    // The driver refuses empty batches and empty copies.
    let copies: Vec<MemoryCopy> = copies.iter().copied().filter(|copy| copy.bytes > 0).collect();
    if copies.is_empty() {
        return Ok(());
    }
    stream.device().bind()?;
    let mut to: Vec<_> = copies.iter().map(|copy| copy.to).collect();
    let mut from: Vec<_> = copies.iter().map(|copy| copy.from).collect();
    let mut bytes: Vec<_> = copies.iter().map(|copy| copy.bytes).collect();
    let mut attributes = overlapping();
    let mut first_with_them = 0_usize;
    // SAFETY: the arrays have `copies.len()` elements and are read during the call; the caller vouches for
    // the ranges.
    unsafe {
        sys::cuMemcpyBatchAsync_v2(
            to.as_mut_ptr(),
            from.as_mut_ptr(),
            bytes.as_mut_ptr(),
            copies.len(),
            &mut attributes,
            &mut first_with_them,
            1,
            stream.handle,
        )
    }
    .result()
    .asked_to("copy a batch")
}

/// Enqueues the copies one call each, in order.
///
/// # Errors
/// The driver refuses; then none or some were enqueued.
///
/// # Safety
/// As [`copy_batch`].
pub unsafe fn copy_each(stream: &Stream, copies: &[MemoryCopy]) -> Result<(), CudaError> {
    stream.device().bind()?;
    for copy in copies.iter().filter(|copy| copy.bytes > 0) {
        // SAFETY: the caller vouches for the ranges.
        unsafe { sys::cuMemcpyAsync(copy.to, copy.from, copy.bytes, stream.handle) }
            .result()
            .asked_to("copy")?;
    }
    Ok(())
}

fn overlapping() -> sys::CUmemcpyAttributes {
    let anywhere = sys::CUmemLocation { type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_INVALID, id: 0 };
    sys::CUmemcpyAttributes {
        srcAccessOrder: sys::CUmemcpySrcAccessOrder::CU_MEMCPY_SRC_ACCESS_ORDER_STREAM,
        srcLocHint: anywhere,
        dstLocHint: anywhere,
        flags: sys::CUmemcpyFlags_enum::CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE as u32,
    }
}
