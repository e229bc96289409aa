//! Host memory for blocks: one anonymous mapping with huge pages, whose memory is taken from the system as it is needed.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use attentionstore_uring::Region;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::error::KvError;
use crate::layout::PAGE_BYTES;

/// Size and alignment of a huge page on x86-64 (and of most on aarch64), in bytes.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Touching is bound by memory bandwidth, which a few threads exhaust.
const TOUCH_THREADS_MAX: usize = 4;

/// A page-aligned, zeroed, anonymous mapping. Never moves, never grows: addresses are there from the start, memory comes
/// with [`HostArena::commit`]. What was not committed may be used too, and comes page by page when it is.
///
/// The arena hands out raw addresses and synchronises nothing: who may read or write which bytes when is
/// decided by the directory (TypeScript) and kept by the engine's events.
pub struct HostArena {
    base: NonNull<u8>,
    bytes: usize,
    /// Bytes from the first on that are present.
    present: AtomicUsize,
    /// One call at a time makes memory present from the first byte on.
    committing: Mutex<()>,
}

// SAFETY: the arena is plain memory; see the type's contract on who may touch which bytes.
unsafe impl Send for HostArena {}
// SAFETY: as above.
unsafe impl Sync for HostArena {}

impl HostArena {
    /// Maps `bytes` (rounded up to a huge page). No memory is taken yet.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for 0 bytes, [`KvError::Memory`] with the size if the machine has not that much at all.
    pub fn new(bytes: usize) -> Result<Self, KvError> {
        if bytes == 0 {
            return Err(KvError::Invalid { what: "host arena", detail: "0 bytes".into() });
        }
        let refused = |errno: Errno| KvError::Memory { what: "host arena", bytes, source: errno.into() };
        let rounded = bytes.checked_next_multiple_of(HUGE_PAGE_BYTES).ok_or_else(|| refused(Errno::NOMEM))?;
        if rounded > total_memory() {
            return Err(refused(Errno::NOMEM));
        }
        let base = map_aligned(rounded).map_err(refused)?;
        let arena = Self { base, bytes: rounded, present: AtomicUsize::new(0), committing: Mutex::new(()) };
        arena.advise_huge_pages();
        Ok(arena)
    }

    /// Makes the first `bytes` present (rounded up to a huge page, at most all), by several threads: nothing faults there
    /// any more. [`Region::present`] says how far it has come.
    ///
    /// # Errors
    /// [`KvError::Memory`] if the system has not that much; some of it may be present then.
    pub fn commit(&self, bytes: usize) -> Result<(), KvError> {
        let _one = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let from = self.present.load(Ordering::Acquire);
        let to = bytes.next_multiple_of(HUGE_PAGE_BYTES).min(self.bytes);
        if to > from {
            self.touch(from, to).map_err(|errno| refused(to - from, errno))?;
            self.present.store(to, Ordering::Release);
        }
        Ok(())
    }

    /// Makes the bytes of `range` present, for what does not fill the arena from its beginning. [`Region::present`] does
    /// not tell of them.
    ///
    /// # Errors
    /// [`KvError::Invalid`] if the range does not lie inside the arena, otherwise as [`HostArena::commit`].
    pub fn commit_range(&self, range: std::ops::Range<usize>) -> Result<(), KvError> {
        if range.start > range.end || range.end > self.bytes {
            let detail = format!("bytes {} to {} of {}", range.start, range.end, self.bytes);
            return Err(KvError::Invalid { what: "host arena", detail });
        }
        let from = range.start / PAGE_BYTES * PAGE_BYTES;
        let to = range.end.next_multiple_of(PAGE_BYTES);
        // SAFETY: pages of the mapping, which is a multiple of huge pages long and kept by the borrow.
        unsafe { touch_span(self.base.as_ptr().expose_provenance() + from, to - from) }
            .map_err(|errno| refused(to - from, errno))
    }

    /// Makes all of it present.
    ///
    /// # Errors
    /// As [`HostArena::commit`].
    pub fn commit_all(&self) -> Result<(), KvError> {
        self.commit(self.bytes)
    }

    /// The first byte, aligned to a huge page.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes: what was asked for, rounded up to a huge page.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// How many slots of `stride` bytes fit. 0 for a stride that is 0 or not whole pages.
    pub fn slots(&self, stride: usize) -> usize {
        if stride == 0 || !stride.is_multiple_of(PAGE_BYTES) { 0 } else { self.bytes / stride }
    }

    /// Address of slot `index` of `stride` bytes.
    ///
    /// # Errors
    /// [`KvError::Invalid`] if the stride is not whole pages or the slot not inside the arena.
    pub fn slot(&self, stride: usize, index: usize) -> Result<NonNull<u8>, KvError> {
        if index >= self.slots(stride) {
            return Err(KvError::Invalid {
                what: "host slot",
                detail: format!("slot {index} of {stride} bytes in an arena of {} bytes", self.bytes),
            });
        }
        // SAFETY: (index + 1) * stride is at most the arena's length.
        Ok(unsafe { self.base.add(index * stride) })
    }

    /// The bytes of slot `index`, to be written.
    ///
    /// # Safety
    /// Nobody else reads or writes the slot while the slice lives.
    ///
    /// # Errors
    /// As [`HostArena::slot`].
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slot_mut(&self, stride: usize, index: usize) -> Result<&mut [u8], KvError> {
        let start = self.slot(stride, index)?;
        // SAFETY: `slot` checked the range; the caller excludes others.
        Ok(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), stride) })
    }

    fn advise_huge_pages(&self) {
        // SAFETY: the range is this arena's own mapping. A kernel without huge pages refuses; the arena is then
        // only slower.
        let _ = unsafe { madvise(self.base.as_ptr().cast(), self.bytes, Advice::LinuxHugepage) };
    }

    /// Makes the pages of bytes `from` to `to`, whole huge pages, present: one thread needs about a second for 2 GiB.
    fn touch(&self, from: usize, to: usize) -> Result<(), Errno> {
        let pages = (to - from) / HUGE_PAGE_BYTES;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(TOUCH_THREADS_MAX);
        let share = pages.div_ceil(threads) * HUGE_PAGE_BYTES;
        let base = self.base.as_ptr().expose_provenance();
        std::thread::scope(|scope| {
            let spans = (from..to).step_by(share).map(|at| (base + at, share.min(to - at)));
            // SAFETY: the spans lie inside the mapping, which the borrow keeps.
            let workers: Vec<_> =
                spans.map(|(start, len)| scope.spawn(move || unsafe { touch_span(start, len) })).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(Errno::FAULT)))
        })
    }
}

fn refused(bytes: usize, errno: Errno) -> KvError {
    KvError::Memory { what: "host arena", bytes, source: errno.into() }
}

/// Makes pages present without changing what they hold.
///
/// # Safety
/// `len` bytes at `start` are mapped, and stay so.
unsafe fn touch_span(start: usize, len: usize) -> Result<(), Errno> {
    let start = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the caller's promise; populating changes no byte. Kernels before 5.14 refuse it: there, adding
    // nothing to a byte makes its page present, also while others use it.
    unsafe {
        match madvise(start.cast(), len, Advice::LinuxPopulateWrite) {
            Err(Errno::INVAL) => {
                for at in (0..len).step_by(PAGE_BYTES) {
                    std::sync::atomic::AtomicU8::from_ptr(start.add(at)).fetch_or(0, Ordering::Relaxed);
                }
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Memory of this machine in bytes.
fn total_memory() -> usize {
    let info = rustix::system::sysinfo();
    (info.totalram as usize).saturating_mul(info.mem_unit as usize)
}

// SAFETY: the mapping stays as it is until the arena is dropped.
unsafe impl Region for HostArena {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.bytes
    }

    fn present(&self) -> usize {
        self.present.load(Ordering::Acquire)
    }
}

impl Drop for HostArena {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; the type's contract says that nobody uses the memory any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Maps `bytes`, aligned to a huge page: maps more, and gives back what sticks out.
fn map_aligned(bytes: usize) -> Result<NonNull<u8>, Errno> {
    let total = bytes.checked_add(HUGE_PAGE_BYTES).ok_or(Errno::NOMEM)?;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice; only its own ends are unmapped.
    unsafe {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let start = mmap_anonymous(std::ptr::null_mut(), total, ProtFlags::READ | ProtFlags::WRITE, flags)?;
        let head = start.cast::<u8>().align_offset(HUGE_PAGE_BYTES);
        let base = start.cast::<u8>().add(head);
        if head > 0 {
            munmap(start, head)?;
        }
        if HUGE_PAGE_BYTES > head {
            munmap(base.add(bytes).cast(), HUGE_PAGE_BYTES - head)?;
        }
        NonNull::new(base).ok_or(Errno::NOMEM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_aligned_zeroed_and_at_least_as_long_as_asked_for() {
        let arena = HostArena::new(5_000_000).unwrap();
        assert_eq!(arena.len(), 3 * HUGE_PAGE_BYTES);
        assert!(arena.base().as_ptr().addr().is_multiple_of(HUGE_PAGE_BYTES));
        // SAFETY: nobody else knows the arena.
        let bytes = unsafe { std::slice::from_raw_parts(arena.base().as_ptr(), arena.len()) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn memory_is_taken_from_the_system_as_it_is_committed() {
        const MIB: usize = 1 << 20;
        let resident = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * PAGE_BYTES
        };
        let before = resident();
        let arena = HostArena::new(256 * MIB).unwrap();
        assert_eq!(arena.present(), 0);
        assert!(resident() < before + 64 * MIB);
        arena.commit(100 * MIB + 1).unwrap();
        assert_eq!(arena.present(), 102 * MIB);
        let after = resident();
        assert!((before + 100 * MIB..before + 164 * MIB).contains(&after), "{before} then {after}");
        arena.commit(MIB).unwrap();
        assert_eq!(arena.present(), 102 * MIB, "it never becomes less");
        arena.commit(usize::MAX - HUGE_PAGE_BYTES).unwrap();
        assert_eq!(arena.present(), arena.len());
    }

    #[test]
    fn memory_that_was_not_committed_may_be_used_and_keeps_its_bytes_when_it_is() {
        let arena = HostArena::new(3 * HUGE_PAGE_BYTES).unwrap();
        let stride = HUGE_PAGE_BYTES;
        // SAFETY: nobody else uses this arena.
        unsafe { arena.slot_mut(stride, 2).unwrap() }.fill(0xA5);
        arena.commit_range(HUGE_PAGE_BYTES + 5..2 * HUGE_PAGE_BYTES + 5).unwrap();
        arena.commit_all().unwrap();
        // SAFETY: as above.
        assert!(unsafe { arena.slot_mut(stride, 2).unwrap() }.iter().all(|&byte| byte == 0xA5));
        assert_eq!(arena.commit_range(5..arena.len() + 1).unwrap_err().code(), "kv_invalid");
    }

    #[test]
    fn slots_lie_one_after_another_and_never_outside() {
        let arena = HostArena::new(1 << 20).unwrap();
        let stride = 3 * PAGE_BYTES;
        let slots = arena.slots(stride);
        assert_eq!(slots, arena.len() / stride);
        let first = arena.slot(stride, 0).unwrap().as_ptr().addr();
        let last = arena.slot(stride, slots - 1).unwrap().as_ptr().addr();
        assert_eq!(last - first, (slots - 1) * stride);
        assert_eq!(arena.slot(stride, slots).unwrap_err().code(), "kv_invalid");
        assert_eq!(arena.slot(100, 0).unwrap_err().code(), "kv_invalid");
        assert_eq!(arena.slot(0, 0).unwrap_err().code(), "kv_invalid");
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error_with_its_size() {
        for bytes in [1usize << 60, usize::MAX] {
            let error = HostArena::new(bytes).err().unwrap();
            assert!(matches!(error, KvError::Memory { bytes: wanted, .. } if wanted == bytes), "{error}");
        }
        assert_eq!(HostArena::new(0).err().unwrap().code(), "kv_invalid");
    }
}
