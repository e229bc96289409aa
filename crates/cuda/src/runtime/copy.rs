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

impl MemoryCopy {
    /// The copy in pieces that cross no border of the host memory that it reads or writes. Borders lie every `chunk`
    /// bytes, and `offset` is where the copy begins in the memory: the driver refuses a copy that lies in two
    /// registrations.
    pub fn within(self, chunk: usize, offset: usize) -> impl Iterator<Item = MemoryCopy> {
        let mut done = 0;
        std::iter::from_fn(move || {
            let left = self.bytes - done;
            let bytes = left.min(chunk - (offset + done) % chunk);
            let piece = MemoryCopy { from: self.from + done as u64, to: self.to + done as u64, bytes };
            done += bytes;
            (bytes > 0).then_some(piece)
        })
    }
}

/// Bytes of one copy, and copies of one call, at most. On an H100 pieces of 256 KiB slow a matrix product beside them by
/// 3 to 11 %, pieces of 128 KiB not at all, at the same rate; and calls of thousands of copies are slower.
const PIECE_BYTES: usize = 128 << 10;
const BATCH: usize = 256;

/// Enqueues all copies. Their order among themselves is open; each starts after earlier work of the stream.
/// Batch DMA with a preference for overlap where the driver has it, else one call a copy.
///
/// # Errors
/// The driver refuses; then none or some were enqueued.
///
/// # Safety
/// Every range must stay valid, and unshared with writers, until the stream has passed this point; host
/// ranges must be registered, each in one chunk ([`MemoryCopy::within`]).
pub unsafe fn copy_batch(stream: &Stream, copies: &[MemoryCopy]) -> Result<(), CudaError> {
    if !stream.device().has_batch_copy() {
        // SAFETY: the caller vouches for the ranges.
        return unsafe { copy_each(stream, copies) };
    }
    stream.device().bind()?;
    let pieces: Vec<MemoryCopy> = copies.iter().flat_map(pieces).collect();
    // SAFETY: the caller vouches for the ranges.
    pieces.chunks(BATCH).try_for_each(|pieces| unsafe { copy_pieces(stream, pieces) })
}

/// A copy in pieces; none of an empty one, which the driver would refuse.
fn pieces(copy: &MemoryCopy) -> impl Iterator<Item = MemoryCopy> {
    let MemoryCopy { from, to, bytes } = *copy;
    (0..bytes).step_by(PIECE_BYTES).map(move |done| MemoryCopy {
        from: from + done as u64,
        to: to + done as u64,
        bytes: PIECE_BYTES.min(bytes - done),
    })
}

/// One call of the driver.
///
/// # Safety
/// As [`copy_batch`]; there is at least one copy.
unsafe fn copy_pieces(stream: &Stream, copies: &[MemoryCopy]) -> Result<(), CudaError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a slot of pages with a border at every page of it, and of copies of other lengths anywhere in it.
    #[test]
    fn pieces_within_chunks_cover_a_copy_and_cross_no_border() {
        const PAGE: usize = 4096;
        for chunk in [PAGE, 2 * PAGE, 5 * PAGE] {
            for offset in [0, 1, PAGE - 1, PAGE, 3 * PAGE + 77] {
                for bytes in [0, 1, PAGE, 6 * PAGE, 6 * PAGE + 13] {
                    let copy = MemoryCopy { from: 1000, to: 77, bytes };
                    let mut done = 0;
                    for piece in copy.within(chunk, offset) {
                        assert_eq!((piece.from, piece.to), (1000 + done as u64, 77 + done as u64));
                        let (first, last) = (offset + done, offset + done + piece.bytes - 1);
                        assert_eq!(first / chunk, last / chunk, "{piece:?} of {copy:?} at {offset}, {chunk}");
                        done += piece.bytes;
                    }
                    assert_eq!(done, bytes);
                    let borders =
                        if bytes == 0 { 0 } else { (offset + bytes - 1) / chunk - offset / chunk + 1 };
                    assert_eq!(copy.within(chunk, offset).count(), borders, "no more pieces than needed");
                }
            }
        }
    }

    #[test]
    fn pieces_cover_a_copy_and_are_bounded() {
        for bytes in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 10 * PIECE_BYTES] {
            let found: Vec<_> = pieces(&MemoryCopy { from: 1000, to: 77, bytes }).collect();
            assert!(found.iter().all(|piece| (1..=PIECE_BYTES).contains(&piece.bytes)));
            let mut done = 0;
            for piece in found {
                assert_eq!((piece.from, piece.to), (1000 + done as u64, 77 + done as u64));
                done += piece.bytes;
            }
            assert_eq!(done, bytes);
        }
    }
}
