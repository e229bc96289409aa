//! Copies by the card's processors, to and from pinned memory of the host.

use super::Kernels;
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, PinnedBuffer, Stream};

/// Bytes that a thread copies.
const PIECE: usize = 16;
const THREADS: usize = 256;

impl Kernels {
    /// Enqueues a copy of the first `bytes` of `from`, rounded up to 16, to the card.
    ///
    /// # Errors
    /// A buffer that is too small, or a driver that refuses.
    ///
    /// # Safety
    /// `from` must live and stay as it is until the stream has passed this point.
    pub unsafe fn send(
        &self,
        stream: &Stream,
        from: &PinnedBuffer,
        to: DevicePointer,
        bytes: usize,
    ) -> Result<(), CudaError> {
        let bytes = bytes.next_multiple_of(PIECE);
        let (from, to) = (from.holds(bytes)?, to.holds("copy from pinned memory", bytes)?);
        // SAFETY: both ranges are checked; the caller vouches for the rest.
        unsafe { self.copy(stream, from, to, bytes) }
    }

    /// Enqueues a copy of `bytes` of the card, rounded up to 16, into the beginning of `to`.
    ///
    /// # Errors
    /// As [`Kernels::send`].
    ///
    /// # Safety
    /// `to` must live, and nobody may read it, until the stream has passed this point.
    pub unsafe fn receive(
        &self,
        stream: &Stream,
        from: DevicePointer,
        to: &mut PinnedBuffer,
        bytes: usize,
    ) -> Result<(), CudaError> {
        let bytes = bytes.next_multiple_of(PIECE);
        let (from, to) = (from.holds("copy into pinned memory", bytes)?, to.holds(bytes)?);
        // SAFETY: both ranges are checked; the caller vouches for the rest.
        unsafe { self.copy(stream, from, to, bytes) }
    }

    /// # Safety
    /// Both ranges are the card's to reach, aligned to 16, and stay so.
    unsafe fn copy(&self, stream: &Stream, from: u64, to: u64, bytes: usize) -> Result<(), CudaError> {
        let pieces = bytes / PIECE;
        let arguments = Arguments::new().address(from).address(to).u32(pieces as u32);
        let grid = Grid { ctas: (pieces.div_ceil(THREADS), 1, 1), threads: THREADS as u32 };
        // SAFETY: the arguments are those of copy_words.cu; the caller vouches for the ranges.
        unsafe { self.copy_words.launch(stream, grid, &arguments) }
    }
}
