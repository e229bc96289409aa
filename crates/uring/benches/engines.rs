//! Rates of the engines on this disk, and how exactly the rate limits are kept. Run with `cargo bench`; the
//! file lies in the current directory's file system (or `$BENCH_DIRECTORY`).

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Instant;

use attentionstore_uring::{
    AlignedBuffer, Completion, Direct, Engine, EngineChoice, EngineKind, EngineOptions, IoError, IoFile,
    Limited, Operation, Panics, RateLimits, Region, RegionRange, Request, SystemClock, open_engine,
};
use crossbeam_channel::unbounded;

/// A block of a small model, in bytes.
const EXTENT: usize = 1_413_120 / 4096 * 4096;

const EXTENTS: u64 = 192;

/// Memory for all extents, registered where the engine does that.
struct Memory {
    base: NonNull<u8>,
    len: usize,
    _buffer: AlignedBuffer,
}

// SAFETY: reached only through ranges, each of one request at a time.
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

struct Bench {
    directory: tempfile::TempDir,
    memory: Arc<Memory>,
}

fn main() {
    let root = std::env::var("BENCH_DIRECTORY").unwrap_or_else(|_| ".".into());
    let directory = tempfile::tempdir_in(root).expect("the directory can be written");
    let len = EXTENTS as usize * EXTENT;
    let mut buffer = AlignedBuffer::copy_of(&vec![7; len]).expect("memory");
    let memory = Arc::new(Memory { base: NonNull::from(&mut buffer[0]), len, _buffer: buffer });
    let bench = Bench { directory, memory };
    for kind in [EngineKind::UringRegistered, EngineKind::Uring, EngineKind::Pool] {
        match bench.engine(EngineChoice::Only(kind)) {
            Ok(engine) => bench.rates(&*engine, kind),
            Err(error) => println!("{}: does not run here: {error}", kind.name()),
        }
    }
    for rate in [50_000_000, 200_000_000] {
        bench.accuracy(rate);
    }
}

impl Bench {
    fn engine(&self, choice: EngineChoice) -> Result<Arc<dyn Engine>, IoError> {
        let regions = [self.memory.clone() as Arc<dyn Region>];
        Ok(open_engine(self.directory.path(), &regions, EngineOptions::default(), choice)?.engine)
    }

    fn file(&self) -> Arc<IoFile> {
        Arc::new(IoFile::open(&self.directory.path().join("extents"), Direct::Try).expect("a file"))
    }

    fn rates(&self, engine: &dyn Engine, kind: EngineKind) {
        for operation in [Operation::Write, Operation::Read] {
            let rate = EXTENTS as f64 * EXTENT as f64 / self.seconds(engine, operation, EXTENTS) / 1e6;
            println!("{:20} {operation}: {rate:7.0} MB/s (extents of {EXTENT} bytes)", kind.name());
        }
    }

    /// For at least 0.3 s. The disk itself must be faster than the limit.
    fn accuracy(&self, rate: u64) {
        let limits = RateLimits { read: Some(rate), write: Some(rate) };
        let (engine, clock) = (self.engine(EngineChoice::Auto).expect("an engine"), SystemClock::default());
        let engine =
            Limited::new(engine, limits, 1024, Arc::new(clock), &Panics::default()).expect("a thread");
        let count = (rate * 3 / 10).div_ceil(EXTENT as u64);
        for operation in [Operation::Write, Operation::Read] {
            let seconds = self.seconds(&engine, operation, count);
            let measured = count as f64 * EXTENT as f64 / seconds;
            let error = 100.0 * (measured / rate as f64 - 1.0);
            let (limit, measured) = (rate / 1_000_000, measured / 1e6);
            println!(
                "limit {limit} MB/s, {operation}: {measured:.1} MB/s over {seconds:.2} s ({error:+.1} %)"
            );
        }
    }

    /// Until `count` extents, all submitted at once, are complete.
    fn seconds(&self, engine: &dyn Engine, operation: Operation, count: u64) -> f64 {
        let (file, (sender, receiver)) = (self.file(), unbounded());
        let start = Instant::now();
        for index in 0..count {
            let (sender, offset) = (sender.clone(), index * EXTENT as u64);
            // SAFETY: each extent of memory is in one request at a time.
            let range = unsafe { RegionRange::new(self.memory.clone(), offset as usize, EXTENT) };
            let range = range.expect("it lies inside");
            let done = move |completion: Completion| drop(sender.send(completion));
            engine.submit(match operation {
                Operation::Read => Request::read(file.clone(), offset, range, done),
                _ => Request::write(file.clone(), offset, range, done),
            });
        }
        drop(sender);
        receiver.iter().for_each(|completion| completion.result.expect("the transfer succeeds"));
        start.elapsed().as_secs_f64()
    }
}
