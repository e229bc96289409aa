//! Host memory for blocks: one anonymous mapping with huge pages, first touched in parallel.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use attentionstore_uring::Region;
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::error::KvError;
use crate::layout::PAGE_BYTES;

/// Size and alignment of a huge page on x86-64 (and of most on aarch64), in bytes.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Touching is bound by memory bandwidth, which a few threads exhaust.
const TOUCH_THREADS_MAX: usize = 4;

/// Bytes that are present when an arena is made. A system that gives memory slowly, a virtual machine say, needs a second
/// a GiB; the rest is touched in the background, so that a server with a large tier answers at once.
const PRESENT_AT_START_BYTES: usize = 64 << 20;

/// Bytes touched between two looks at whether the arena is going away. Few: what maps memory waits for them. (For the
/// same reason the thread has no lower priority than others: waiting for a processor, it would hold them up longer.)
const TOUCH_STEP_BYTES: usize = 4 << 20;

/// The background touching begins after the rest of a start, which needs processor and memory more.
const TOUCH_AFTER: Duration = Duration::from_secs(3);

/// A page-aligned, zeroed, anonymous mapping. Never moves, never grows.
///
/// The arena hands out raw addresses and synchronises nothing: who may read or write which bytes when is
/// decided by the directory (TypeScript) and kept by the engine's events.
pub struct HostArena {
    base: NonNull<u8>,
    bytes: usize,
    /// Bytes from the first on that are present.
    present: Arc<AtomicUsize>,
    toucher: Option<Toucher>,
}

/// The thread that touches what was not present at the start.
struct Toucher {
    /// Dropped to stop it.
    going_on: Sender<()>,
    thread: JoinHandle<()>,
}

// SAFETY: the arena is plain memory; see the type's contract on who may touch which bytes.
unsafe impl Send for HostArena {}
// SAFETY: as above.
unsafe impl Sync for HostArena {}

impl HostArena {
    /// Maps `bytes` (rounded up to a huge page) and touches every page, so that nothing faults later: the first
    /// 64 MiB before it returns, the rest in the background ([`Region::present`] says how far).
    ///
    /// # Errors
    /// [`KvError::Invalid`] for 0 bytes, [`KvError::Memory`] with the size if the system has not that much.
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
        let mut arena = Self { base, bytes: rounded, present: Arc::default(), toucher: None };
        arena.advise_huge_pages();
        let at_start = rounded.min(PRESENT_AT_START_BYTES);
        arena.touch(at_start).map_err(refused)?;
        arena.present.store(at_start, Ordering::Release);
        arena.touch_the_rest();
        Ok(arena)
    }

    /// Makes all of it present now, by several threads: what registers memory with a device does it with one.
    ///
    /// # Errors
    /// [`KvError::Memory`] if the system has not that much.
    pub fn make_present(&self) -> Result<(), KvError> {
        self.touch(self.bytes).map_err(|errno| KvError::Memory {
            what: "host arena",
            bytes: self.bytes,
            source: errno.into(),
        })
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

    /// Makes the pages of the first `bytes` present, in parallel: one thread needs about a second for 2 GiB.
    fn touch(&self, bytes: usize) -> Result<(), Errno> {
        let pages = bytes / HUGE_PAGE_BYTES;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = pages.div_ceil(threads.min(TOUCH_THREADS_MAX)) * HUGE_PAGE_BYTES;
        let base = self.base.as_ptr().expose_provenance();
        std::thread::scope(|scope| {
            let spans = (0..bytes).step_by(share).map(|from| (base + from, share.min(bytes - from)));
            // SAFETY: the spans lie inside the mapping, which the borrow keeps.
            let workers: Vec<_> =
                spans.map(|(start, len)| scope.spawn(move || unsafe { touch_span(start, len) })).collect();
            workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(Errno::FAULT)))
        })
    }

    /// Starts touching what is not present yet. If it cannot, pages come in when they are first used.
    fn touch_the_rest(&mut self) {
        let (base, end) = (self.base.as_ptr().expose_provenance(), self.bytes);
        let present = self.present.clone();
        let mut from = present.load(Ordering::Acquire);
        if from == end {
            return;
        }
        let (going_on, stopped) = channel::<()>();
        let work = move || {
            let mut pause = TOUCH_AFTER;
            while from < end && stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let len = TOUCH_STEP_BYTES.min(end - from);
                // SAFETY: inside the mapping, which is kept until this thread was joined.
                if unsafe { touch_span(base + from, len) }.is_err() {
                    return;
                }
                from += len;
                present.store(from, Ordering::Release);
                pause = Duration::ZERO;
            }
        };
        let thread = Builder::new().name("attentionstore-touch".to_owned()).spawn(work);
        self.toucher = thread.ok().map(|thread| Toucher { going_on, thread });
    }
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
        if let Some(Toucher { going_on, thread }) = self.toucher.take() {
            drop(going_on);
            let _ = thread.join();
        }
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
    fn memory_beyond_the_first_part_may_be_used_while_it_is_still_being_touched() {
        let mut arena = HostArena::new(PRESENT_AT_START_BYTES + 3 * HUGE_PAGE_BYTES).unwrap();
        assert!(arena.present() >= PRESENT_AT_START_BYTES);
        let stride = HUGE_PAGE_BYTES;
        let last = arena.slots(stride) - 1;
        // SAFETY: nobody else uses this arena.
        unsafe { arena.slot_mut(stride, last).unwrap() }.fill(0xA5);
        let toucher = arena.toucher.take().unwrap();
        toucher.thread.join().unwrap();
        drop(toucher.going_on);
        assert_eq!(arena.present(), arena.len());
        // SAFETY: as above.
        assert!(unsafe { arena.slot_mut(stride, last).unwrap() }.iter().all(|&byte| byte == 0xA5));
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
