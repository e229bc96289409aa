//! Memory that the kernel has pinned for an io_uring ("registered buffers").

use std::io;
use std::sync::Arc;

use io_uring::IoUring;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use crate::buffer::Region;

/// Bytes in one registered buffer: small enough that pinning one holds up no request noticeably, and far below the
/// kernel's most (1 GiB).
pub(crate) const CHUNK_BYTES: usize = 64 << 20;

/// The kernel's most: 1 TiB in all. What lies beyond takes plain requests.
const CHUNKS_MAX: u16 = 16_384;

/// Regions in pieces, in address order, which become registered as their memory becomes present.
///
/// It keeps the regions alive; it must outlive the ring.
pub(crate) struct Registration {
    chunks: Vec<Chunk>,
    /// Nothing is left to register, or the kernel takes no more.
    is_settled: bool,
    regions: Vec<Arc<dyn Region>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    start: usize,
    len: usize,
    /// Index at the kernel.
    index: u16,
    is_registered: bool,
}

/// The system's `struct iovec`.
#[repr(C)]
struct IoVec {
    base: *mut u8,
    len: usize,
}

impl Registration {
    /// Nothing is registered, and nothing will be.
    pub(crate) fn none() -> Self {
        Self { chunks: Vec::new(), is_settled: true, regions: Vec::new() }
    }

    /// Registers with `ring` what is present of the regions, in chunks of at most `chunk_bytes`;
    /// [`Registration::extend`] follows with the rest.
    ///
    /// # Errors
    /// ENOMEM if the user may not lock all of the regions; what else the kernel says (EINVAL before Linux 5.19).
    pub(crate) fn register(
        ring: &IoUring,
        mut regions: Vec<Arc<dyn Region>>,
        chunk_bytes: usize,
    ) -> io::Result<Self> {
        regions.sort_unstable_by_key(|region| region.base());
        let spans: Vec<_> = regions.iter().map(|r| (r.base().as_ptr().addr(), r.len())).collect();
        let chunks = split(&spans, chunk_bytes);
        if chunks.is_empty() {
            return Ok(Self::none());
        }
        if !may_lock(spans.iter().map(|&(_, len)| len as u64).sum()) {
            return Err(Errno::NOMEM.into());
        }
        ring.submitter().register_buffers_sparse(chunks.len() as u32)?;
        let mut registration = Self { chunks, is_settled: false, regions };
        while let Some(at) = registration.next_present() {
            registration.register_chunk(ring, at)?;
        }
        Ok(registration)
    }

    /// Registers one more chunk, if one has become present. Where the kernel refuses, what is registered stays so, and
    /// the rest takes plain requests.
    pub(crate) fn extend(&mut self, ring: &IoUring) {
        if self.is_settled {
            return;
        }
        if let Some(at) = self.next_present() {
            self.is_settled = self.register_chunk(ring, at).is_err();
        }
        self.is_settled |= self.chunks.iter().all(|chunk| chunk.is_registered);
    }

    /// The first chunk that is present and not registered.
    fn next_present(&self) -> Option<usize> {
        let is_present = |chunk: &Chunk| {
            self.regions.iter().any(|region| {
                let base = region.base().as_ptr().addr();
                base <= chunk.start && chunk.start + chunk.len <= base + region.present()
            })
        };
        self.chunks.iter().position(|chunk| !chunk.is_registered && is_present(chunk))
    }

    fn register_chunk(&mut self, ring: &IoUring, at: usize) -> io::Result<()> {
        let Chunk { start, len, index, .. } = self.chunks[at];
        let vector = [IoVec { base: std::ptr::with_exposed_provenance_mut(start), len }];
        // SAFETY: `IoVec` has the layout of `struct iovec`, and the regions stay mapped as long as `self` lives.
        unsafe {
            let vector = std::slice::from_raw_parts(vector.as_ptr().cast(), vector.len());
            ring.submitter().register_buffers_update(u32::from(index), vector, None)?;
        }
        self.chunks[at].is_registered = true;
        Ok(())
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
    let chunk = |(index, (start, len))| Chunk { start, len, index, is_registered: false };
    (0..CHUNKS_MAX).zip(pieces).map(chunk).collect()
}

/// Whether the user may lock so many bytes. Asked before anything is registered, since chunks come one by one.
fn may_lock(bytes: u64) -> bool {
    getrlimit(Resource::Memlock).current.is_none_or(|limit| bytes <= limit)
        || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

fn find(chunks: &[Chunk], address: usize, len: usize) -> Option<(u16, usize)> {
    let after = chunks.partition_point(|chunk| chunk.start <= address);
    let chunk = chunks.get(after.checked_sub(1)?).filter(|chunk| chunk.is_registered)?;
    let inside = (chunk.start + chunk.len).checked_sub(address).filter(|&inside| inside > 0)?;
    Some((chunk.index, inside.min(len)))
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::buffer::{AlignedBuffer, IO_ALIGNMENT};

    fn registered(spans: &[(usize, usize)], chunk_bytes: usize) -> Vec<Chunk> {
        let mut chunks = split(spans, chunk_bytes);
        chunks.iter_mut().for_each(|chunk| chunk.is_registered = true);
        chunks
    }

    #[test]
    fn regions_are_cut_into_chunks_that_the_kernel_takes() {
        let chunks = split(&[(1000, 250), (5000, 100)], 100);
        let found: Vec<_> = chunks.iter().map(|c| (c.start, c.len, c.index)).collect();
        assert_eq!(found, [(1000, 100, 0), (1100, 100, 1), (1200, 50, 2), (5000, 100, 3)]);
    }

    #[test]
    fn a_range_is_found_in_its_chunk_and_cut_at_the_chunks_end() {
        let chunks = registered(&[(1000, 250), (5000, 100)], 100);
        assert_eq!(find(&chunks, 1000, 50), Some((0, 50)));
        assert_eq!(find(&chunks, 1080, 50), Some((0, 20)));
        assert_eq!(find(&chunks, 1100, 50), Some((1, 50)));
        assert_eq!(find(&chunks, 5099, 50), Some((3, 1)));
    }

    #[test]
    fn memory_outside_the_regions_is_not_found() {
        let chunks = registered(&[(1000, 250), (5000, 100)], 100);
        for address in [0, 999, 1250, 4999, 5100] {
            assert_eq!(find(&chunks, address, 1), None, "address {address}");
        }
        assert_eq!(find(&[], 1000, 1), None);
    }

    #[test]
    fn a_chunk_that_is_not_registered_yet_is_not_found() {
        let mut chunks = registered(&[(1000, 250)], 100);
        chunks[1].is_registered = false;
        assert_eq!(find(&chunks, 1080, 50), Some((0, 20)));
        assert_eq!(find(&chunks, 1100, 50), None);
        assert_eq!(find(&chunks, 1200, 50), Some((2, 50)));
    }

    /// Memory of which only the beginning is present.
    struct Growing {
        base: NonNull<u8>,
        buffer: AlignedBuffer,
        present: AtomicUsize,
    }
    // SAFETY: nobody reads or writes these bytes.
    unsafe impl Send for Growing {}
    // SAFETY: as above.
    unsafe impl Sync for Growing {}
    // SAFETY: the buffer lives as long as the region.
    unsafe impl Region for Growing {
        fn base(&self) -> NonNull<u8> {
            self.base
        }
        fn len(&self) -> usize {
            self.buffer.len()
        }
        fn present(&self) -> usize {
            self.present.load(Ordering::Acquire)
        }
    }

    #[test]
    fn chunks_are_registered_one_by_one_as_their_memory_becomes_present() {
        let Ok(ring) = IoUring::new(2) else { return println!("skipped: io_uring does not run here") };
        let mut buffer = AlignedBuffer::zeroed(4 * IO_ALIGNMENT).unwrap();
        let base = NonNull::from(&mut buffer[0]);
        let memory = Arc::new(Growing { base, buffer, present: AtomicUsize::new(IO_ALIGNMENT) });
        let mut registration = Registration::register(&ring, vec![memory.clone()], IO_ALIGNMENT).unwrap();
        let is_registered = |registration: &Registration, chunk: usize| {
            registration.find(base.as_ptr().addr() + chunk * IO_ALIGNMENT, 1).is_some()
        };
        let registered =
            |registration: &Registration| (0..4).filter(|&at| is_registered(registration, at)).count();
        registration.extend(&ring);
        assert_eq!(registered(&registration), 1);
        memory.present.store(3 * IO_ALIGNMENT, Ordering::Release);
        registration.extend(&ring);
        assert_eq!(registered(&registration), 2);
        registration.extend(&ring);
        assert!(is_registered(&registration, 2) && !is_registered(&registration, 3));
    }
}
