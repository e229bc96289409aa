//! The engines under test, and a file and memory to use them with.

use std::ptr::NonNull;
use std::sync::Arc;

use attentionstore_uring::fault::FaultEngine;
use attentionstore_uring::{
    AlignedBuffer, Completion, Direct, Engine, EngineChoice, EngineKind, EngineOptions, IO_ALIGNMENT,
    IoError, IoFile, Limited, Measured, Panics, RateLimits, Region, RegionRange, Request, SystemClock,
    open_engine, wait,
};
use tempfile::TempDir;

/// Pages in the region of a bench: little enough to be registered by an unprivileged user, several times.
pub const REGION_PAGES: usize = 64;

/// A region that owns an aligned buffer.
pub struct Memory {
    base: NonNull<u8>,
    _buffer: AlignedBuffer,
    len: usize,
}

impl Memory {
    pub fn new(len: usize) -> Arc<Self> {
        let mut buffer = AlignedBuffer::zeroed(len).unwrap();
        Arc::new(Self { base: NonNull::from(&mut buffer[0]), _buffer: buffer, len })
    }
}

// SAFETY: the memory is reached only through ranges, whose contract the tests keep.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}
// SAFETY: the buffer lives as long as the region.
unsafe impl Region for Memory {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }
}

type Wrap = fn(Arc<dyn Engine>) -> Arc<dyn Engine>;

/// One way to get an engine.
pub struct Subject {
    kind: EngineKind,
    depth: Option<usize>,
    wrap: Wrap,
}

const fn plain(kind: EngineKind) -> Subject {
    Subject { kind, depth: None, wrap: |engine| engine }
}

#[allow(non_upper_case_globals)]
mod subjects {
    use super::*;

    pub const io_uring_registered: Subject = plain(EngineKind::UringRegistered);
    pub const io_uring: Subject = plain(EngineKind::Uring);
    pub const pread_pool: Subject = plain(EngineKind::Pool);
    pub const pread_pool_of_one: Subject = Subject { depth: Some(1), ..plain(EngineKind::Pool) };
    pub const measured: Subject = Subject { wrap: |engine| Measured::new(engine), ..plain(EngineKind::Pool) };
    pub const fault_engine_without_faults: Subject =
        Subject { wrap: |engine| FaultEngine::new(engine), ..plain(EngineKind::Pool) };
    pub const limited: Subject = Subject { wrap: limit, ..plain(EngineKind::Pool) };

    /// So high that it delays nothing.
    fn limit(engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let limits = RateLimits { read: Some(u64::MAX), write: Some(u64::MAX) };
        Arc::new(
            Limited::new(engine, limits, 2, Arc::new(SystemClock::default()), &Panics::default()).unwrap(),
        )
    }
}
pub use subjects::*;

/// A directory, a region and a way to start engines.
pub struct Bench {
    subject: Subject,
    directory: TempDir,
    memory: Arc<Memory>,
}

impl Bench {
    /// `None`, with a line that says so, where this machine does not allow the engine.
    pub fn new(subject: Subject) -> Option<Self> {
        let bench = Self {
            subject,
            directory: tempfile::tempdir().unwrap(),
            memory: Memory::new(REGION_PAGES * IO_ALIGNMENT),
        };
        match bench.try_start(EngineOptions::default()) {
            Ok(_) => Some(bench),
            Err(error) if bench.subject.kind != EngineKind::Pool => {
                println!("skipped: {} does not run here: {error}", bench.subject.kind.name());
                None
            }
            Err(error) => panic!("the pool runs everywhere, but: {error}"),
        }
    }

    pub fn start(&self, options: EngineOptions) -> Arc<dyn Engine> {
        self.try_start(options).unwrap()
    }

    fn try_start(&self, options: EngineOptions) -> Result<Arc<dyn Engine>, IoError> {
        let options = EngineOptions { depth: self.subject.depth.unwrap_or(options.depth), ..options };
        let choice = EngineChoice::Only(self.subject.kind);
        let regions = [self.memory.clone() as Arc<dyn Region>];
        Ok((self.subject.wrap)(open_engine(self.directory.path(), &regions, options, choice)?.engine))
    }

    /// A new file; with [`Direct::Try`] it is buffered where the file system wants it so.
    pub fn file(&self, direct: Direct) -> Arc<IoFile> {
        let path = self.directory.path().join(format!("{direct:?}"));
        Arc::new(IoFile::open(&path, direct).unwrap())
    }

    /// Pages of the registered region. A test uses each page for one request at a time.
    pub fn range(&self, page: usize, pages: usize) -> RegionRange {
        // SAFETY: see above.
        unsafe { RegionRange::new(self.memory.clone(), page * IO_ALIGNMENT, pages * IO_ALIGNMENT).unwrap() }
    }

    /// The bytes of pages of the region, while no request is in flight with them.
    #[allow(clippy::mut_from_ref)]
    pub fn bytes(&self, page: usize, pages: usize) -> &mut [u8] {
        assert!((page + pages) * IO_ALIGNMENT <= self.memory.len);
        // SAFETY: inside the region; the tests touch no page in flight.
        unsafe {
            let start = self.memory.base.add(page * IO_ALIGNMENT);
            std::slice::from_raw_parts_mut(start.as_ptr(), pages * IO_ALIGNMENT)
        }
    }
}

pub fn write(engine: &dyn Engine, file: &Arc<IoFile>, offset: u64, bytes: &[u8]) -> Completion {
    let buffer = AlignedBuffer::copy_of(bytes).unwrap();
    wait(engine, |done| Request::write(file.clone(), offset, buffer, done))
}

pub fn read(engine: &dyn Engine, file: &Arc<IoFile>, offset: u64, len: usize) -> Completion {
    let buffer = AlignedBuffer::zeroed(len).unwrap();
    wait(engine, |done| Request::read(file.clone(), offset, buffer, done))
}

pub fn sync(engine: &dyn Engine, file: &Arc<IoFile>) -> Completion {
    wait(engine, |done| Request::sync(file.clone(), done))
}

/// The bytes that a completion brought.
pub fn owned(completion: Completion) -> AlignedBuffer {
    completion.result.unwrap();
    completion.buffer.and_then(|buffer| buffer.into_owned()).unwrap()
}

/// `pages` pages of bytes that follow from `seed`.
pub fn pattern(seed: u64, pages: usize) -> Vec<u8> {
    let mut random = Random(seed);
    (0..pages * IO_ALIGNMENT / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// splitmix64: small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
