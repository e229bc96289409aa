//! Memory that the kernel has pinned for an io_uring ("registered buffers").

use std::io;
use std::sync::Arc;

use io_uring::IoUring;

use crate::buffer::Region;

/// The kernel takes at most 1 GiB in one registered buffer.
pub(crate) const CHUNK_BYTES_MAX: usize = 1 << 30;

/// Registered pieces of regions, in address order, with their index at the kernel.
///
/// It keeps the regions alive; it must outlive the ring.
pub(crate) struct Registration {
    chunks: Vec<Chunk>,
    _regions: Vec<Arc<dyn Region>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    start: usize,
    len: usize,
    index: u16,
}

/// The system's `struct iovec`.
#[repr(C)]
struct IoVec {
    base: *mut u8,
    len: usize,
}

impl Registration {
    /// Nothing is registered.
    pub(crate) fn none() -> Self {
        Self { chunks: Vec::new(), _regions: Vec::new() }
    }

    /// Registers all regions with `ring`, in chunks of at most `chunk_bytes`.
    ///
    /// # Errors
    /// What the kernel says: ENOMEM if the user may not lock that much memory.
    pub(crate) fn register(
        ring: &IoUring,
        regions: Vec<Arc<dyn Region>>,
        chunk_bytes: usize,
    ) -> io::Result<Self> {
        let mut spans: Vec<_> = regions.iter().map(|r| (r.base().as_ptr().addr(), r.len())).collect();
        spans.sort_unstable();
        let chunks = split(&spans, chunk_bytes);
        if chunks.is_empty() {
            return Ok(Self::none());
        }
        let vectors: Vec<IoVec> = chunks
            .iter()
            .map(|c| IoVec { base: std::ptr::with_exposed_provenance_mut(c.start), len: c.len })
            .collect();
        // SAFETY: `IoVec` has the layout of `struct iovec`, and the regions stay mapped as long as `self` lives.
        unsafe {
            let vectors = std::slice::from_raw_parts(vectors.as_ptr().cast(), vectors.len());
            ring.submitter().register_buffers(vectors)?;
        }
        Ok(Self { chunks, _regions: regions })
    }

    /// The index of the registered buffer that holds `address`, and how many of `len` bytes from there lie in it.
    pub(crate) fn find(&self, address: usize, len: usize) -> Option<(u16, usize)> {
        find(&self.chunks, address, len)
    }
}

fn split(spans: &[(usize, usize)], chunk_bytes: usize) -> Vec<Chunk> {
    let pieces = spans.iter().flat_map(|&(base, len)| {
        (0..len).step_by(chunk_bytes).map(move |from| (base + from, chunk_bytes.min(len - from)))
    });
    (0..=u16::MAX).zip(pieces).map(|(index, (start, len))| Chunk { start, len, index }).collect()
}

fn find(chunks: &[Chunk], address: usize, len: usize) -> Option<(u16, usize)> {
    let after = chunks.partition_point(|chunk| chunk.start <= address);
    let chunk = chunks.get(after.checked_sub(1)?)?;
    let inside = (chunk.start + chunk.len).checked_sub(address).filter(|&inside| inside > 0)?;
    Some((chunk.index, inside.min(len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_cut_into_chunks_that_the_kernel_takes() {
        let chunks = split(&[(1000, 250), (5000, 100)], 100);
        let found: Vec<_> = chunks.iter().map(|c| (c.start, c.len, c.index)).collect();
        assert_eq!(found, [(1000, 100, 0), (1100, 100, 1), (1200, 50, 2), (5000, 100, 3)]);
    }

    #[test]
    fn a_range_is_found_in_its_chunk_and_cut_at_the_chunks_end() {
        let chunks = split(&[(1000, 250), (5000, 100)], 100);
        assert_eq!(find(&chunks, 1000, 50), Some((0, 50)));
        assert_eq!(find(&chunks, 1080, 50), Some((0, 20)));
        assert_eq!(find(&chunks, 1100, 50), Some((1, 50)));
        assert_eq!(find(&chunks, 5099, 50), Some((3, 1)));
    }

    #[test]
    fn memory_outside_the_regions_is_not_found() {
        let chunks = split(&[(1000, 250), (5000, 100)], 100);
        for address in [0, 999, 1250, 4999, 5100] {
            assert_eq!(find(&chunks, address, 1), None, "address {address}");
        }
        assert_eq!(find(&[], 1000, 1), None);
    }
}
