//! Memory that an engine may read and write while a request is in flight.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::IoError;

/// Alignment of buffers, lengths and offsets that `O_DIRECT` files ask for, in bytes.
pub const IO_ALIGNMENT: usize = 4096;

/// A long-lived piece of memory, such as a host arena, parts of which take part in I/O.
///
/// # Safety
/// `base() .. base() + len()` must stay mapped, readable, writable and in place as long as the value lives,
/// and both must always return the same.
pub unsafe trait Region: Send + Sync {
    /// The first byte.
    fn base(&self) -> NonNull<u8>;
    /// Length in bytes.
    fn len(&self) -> usize;
    /// Whether it has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes, from the first on, whose pages are there; never fewer than before. An engine that pins memory pins
    /// only these, and more of them later: pinning what is not there would wait for the system to find it.
    fn present(&self) -> usize {
        self.len()
    }
}

/// A range of a region. It keeps the region mapped as long as it lives, in an engine too.
pub struct RegionRange {
    region: Arc<dyn Region>,
    offset: usize,
    len: usize,
}

impl RegionRange {
    /// `len` bytes from byte `offset` of `region`.
    ///
    /// # Safety
    /// From submission until completion of a request with this range, nobody else writes these bytes, and for
    /// a read request nobody else reads them either.
    ///
    /// # Errors
    /// [`IoError::Invalid`] if the range is empty or does not lie inside the region.
    pub unsafe fn new(region: Arc<dyn Region>, offset: usize, len: usize) -> Result<Self, IoError> {
        let end = offset.checked_add(len);
        if len == 0 || end.is_none_or(|end| end > region.len()) {
            return Err(IoError::Invalid {
                what: "range of a memory region",
                detail: format!("{len} bytes at {offset} of {}", region.len()),
            });
        }
        Ok(Self { region, offset, len })
    }

    /// Address of the first byte.
    pub fn pointer(&self) -> NonNull<u8> {
        // SAFETY: `new` checked that the offset lies inside the region.
        unsafe { self.region.base().add(self.offset) }
    }
}

/// A zeroed buffer of its own, aligned to [`IO_ALIGNMENT`].
pub struct AlignedBuffer {
    pointer: NonNull<u8>,
    len: usize,
}

// SAFETY: the buffer owns plain memory that only its holder reaches.
unsafe impl Send for AlignedBuffer {}

impl AlignedBuffer {
    /// # Errors
    /// [`IoError::Invalid`] for 0 bytes, or when there is no memory for `len` bytes.
    pub fn zeroed(len: usize) -> Result<Self, IoError> {
        let invalid = |why: &str| IoError::Invalid { what: "buffer", detail: format!("{len} bytes: {why}") };
        if len == 0 {
            return Err(invalid("empty"));
        }
        let layout = Layout::from_size_align(len, IO_ALIGNMENT).map_err(|_| invalid("too long"))?;
        // SAFETY: the layout has a size above 0.
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| invalid("no memory"))?;
        Ok(Self { pointer, len })
    }

    /// A copy of `bytes`.
    ///
    /// # Errors
    /// As [`AlignedBuffer::zeroed`].
    pub fn copy_of(bytes: &[u8]) -> Result<Self, IoError> {
        let mut buffer = Self::zeroed(bytes.len())?;
        buffer.copy_from_slice(bytes);
        Ok(buffer)
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes that this value owns.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        let layout = Layout::from_size_align(self.len, IO_ALIGNMENT).expect("checked when it was made");
        // SAFETY: allocated with this very layout.
        unsafe { dealloc(self.pointer.as_ptr(), layout) }
    }
}

/// The memory of one request: it moves into the engine and comes back with the completion.
pub enum IoBuffer {
    Owned(AlignedBuffer),
    Region(RegionRange),
}

impl IoBuffer {
    /// Address of the first byte.
    pub fn pointer(&self) -> NonNull<u8> {
        match self {
            IoBuffer::Owned(buffer) => buffer.pointer,
            IoBuffer::Region(range) => range.pointer(),
        }
    }

    /// Length in bytes, never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            IoBuffer::Owned(buffer) => buffer.len,
            IoBuffer::Region(range) => range.len,
        }
    }

    /// The owned buffer, or `None` for a range of a region.
    pub fn into_owned(self) -> Option<AlignedBuffer> {
        match self {
            IoBuffer::Owned(buffer) => Some(buffer),
            IoBuffer::Region(_) => None,
        }
    }

    /// The bytes, for an engine that has the buffer in its hands.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the memory lives as long as `self`; the contract of `RegionRange::new` excludes writers.
        unsafe { std::slice::from_raw_parts(self.pointer().as_ptr(), self.len()) }
    }

    /// The bytes, to be written by an engine that has the buffer of a read request in its hands.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; for a read request the contract excludes all others.
        unsafe { std::slice::from_raw_parts_mut(self.pointer().as_ptr(), self.len()) }
    }
}

impl From<AlignedBuffer> for IoBuffer {
    fn from(buffer: AlignedBuffer) -> Self {
        IoBuffer::Owned(buffer)
    }
}

impl From<RegionRange> for IoBuffer {
    fn from(range: RegionRange) -> Self {
        IoBuffer::Region(range)
    }
}
