//! The disk under a directory, by block size and requests in flight: io_uring beside the pread pool.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attentionstore_kv::HostArena;
use attentionstore_uring::{
    Completion, Direct, Engine, EngineChoice, EngineKind, EngineOptions, IoError, IoFile, Operation, Region,
    RegionRange, Request, open_engine, wait,
};
use crossbeam_channel::{Sender, unbounded};

use crate::Outcome;
use crate::report::{Recorder, Unit};
use crate::statistics::{rate, repeat};

const READ: &str = "disk/read/";
const WRITE: &str = "disk/write/";
pub const SUSTAINED_READ: &str = "disk/sustained read/";
pub const SUSTAINED_WRITE: &str = "disk/sustained write/";

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const ENGINES: [EngineKind; 2] = [EngineKind::UringRegistered, EngineKind::Pool];

/// How much is measured, and how large the file gets.
struct Plan {
    file_bytes: u64,
    blocks: &'static [usize],
    depths: &'static [usize],
    rounds: usize,
    duration: Duration,
    /// Of the file that is read and written once as a whole, largest blocks and most in flight: what a disk does for a
    /// moment, or from a cache of its own, it need not do for seconds.
    sustained_bytes: u64,
}

const FULL: Plan = Plan {
    file_bytes: 512 << 20,
    blocks: &[16 * KIB, 128 * KIB, MIB, 8 * MIB],
    depths: &[1, 4, 16],
    rounds: 3,
    duration: Duration::from_millis(120),
    sustained_bytes: 2 << 30,
};
const QUICK: Plan = Plan {
    file_bytes: 256 << 20,
    blocks: &[128 * KIB, 8 * MIB],
    depths: &[1, 16],
    rounds: 2,
    duration: Duration::from_millis(80),
    sustained_bytes: 1 << 30,
};

impl Plan {
    fn largest_block(&self) -> usize {
        largest(self.blocks)
    }

    fn deepest(&self) -> usize {
        largest(self.depths)
    }
}

fn largest(of: &[usize]) -> usize {
    of.iter().copied().max().unwrap_or(1)
}

/// # Errors
/// A directory that cannot be written or has no room, no memory.
pub fn measure(recorder: &mut Recorder, directory: &Path) -> Outcome<()> {
    if !recorder.wants_any(&["disk"]) {
        return Ok(());
    }
    let plan = if recorder.quick() { QUICK } else { FULL };
    let folder = tempfile::Builder::new().prefix("attentionstore-bench-").tempdir_in(directory);
    let folder = folder.map_err(|error| format!("--dir {}: {error}", directory.display()))?;
    let arena = Arc::new(HostArena::new(plan.largest_block() * plan.deepest())?);
    arena.commit_all()?;
    for kind in ENGINES {
        match Disk::open(folder.path(), kind, arena.clone(), &plan) {
            Ok(mut disk) => {
                disk.measure_all(recorder, &plan)?;
                disk.measure_sustained(recorder, &plan)?;
            }
            Err(error) => recorder.skip(format!("disk/{}", kind.name()), error.to_string()),
        }
    }
    Ok(())
}

/// An engine over one file that is as long as it gets.
struct Disk {
    name: String,
    engine: Arc<dyn Engine>,
    file: Arc<IoFile>,
    arena: Arc<HostArena>,
    bytes: u64,
}

impl Disk {
    fn open(directory: &Path, kind: EngineKind, arena: Arc<HostArena>, plan: &Plan) -> Result<Disk, IoError> {
        let regions = [arena.clone() as Arc<dyn Region>];
        let opened = open_engine(directory, &regions, EngineOptions::default(), EngineChoice::Only(kind))?;
        let path = directory.join("extents");
        let refused = |error: std::io::Error| IoError::Invalid { what: "file", detail: error.to_string() };
        let file = Arc::new(IoFile::open(&path, Direct::Try).map_err(refused)?);
        let name = if file.direct() { kind.name().to_owned() } else { format!("{} (buffered)", kind.name()) };
        let disk = Disk { name, engine: opened.engine, file, arena, bytes: plan.file_bytes };
        disk.fill(plan)?;
        Ok(disk)
    }

    /// Writes the whole file, so that what is read later lies on the disk.
    fn fill(&self, plan: &Plan) -> Result<(), IoError> {
        let block = plan.largest_block();
        let blocks = self.bytes / block as u64;
        let stream = Stream { disk: self, operation: Operation::Write, block, depth: 4 };
        stream.run(|done| done < blocks).map(drop)
    }

    fn measure_all(&self, recorder: &mut Recorder, plan: &Plan) -> Outcome<()> {
        for operation in [Operation::Write, Operation::Read] {
            for &block in plan.blocks {
                for &depth in plan.depths {
                    let way = if operation == Operation::Read { READ } else { WRITE };
                    let name = format!("{way}{}/{} KiB/{depth} in flight", self.name, block / KIB);
                    if !recorder.wants(&name) {
                        continue;
                    }
                    let stream = Stream { disk: self, operation, block, depth };
                    let samples = repeat(1, plan.rounds, || stream.rate(plan.duration))?;
                    recorder.ceiling(name, Unit::GigabytesASecond, samples);
                }
            }
        }
        Ok(())
    }

    /// The file, grown to its whole length first, written once and read twice.
    fn measure_sustained(&mut self, recorder: &mut Recorder, plan: &Plan) -> Outcome<()> {
        let (block, depth) = (plan.largest_block(), plan.deepest());
        let name = |way: &str| format!("{way}{}/{} KiB/{depth} in flight", self.name, block / KIB);
        let wanted: Vec<_> =
            [(name(SUSTAINED_WRITE), Operation::Write, 1), (name(SUSTAINED_READ), Operation::Read, 2)]
                .into_iter()
                .filter(|(name, ..)| recorder.wants(name))
                .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        self.bytes = plan.sustained_bytes;
        self.fill(plan)?;
        let disk = &*self;
        let blocks = disk.bytes / block as u64;
        for (name, operation, rounds) in wanted {
            let stream = Stream { disk, operation, block, depth };
            let samples = repeat(0, rounds, || {
                let start = Instant::now();
                stream.run(|done| done < blocks).map(|_| rate(disk.bytes, start.elapsed()))
            })?;
            recorder.ceiling(name, Unit::GigabytesASecond, samples);
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.engine.close();
    }
}

/// Requests of one kind, always `depth` of them in flight, one after another through the file.
struct Stream<'a> {
    disk: &'a Disk,
    operation: Operation,
    block: usize,
    depth: usize,
}

impl Stream<'_> {
    /// GB/s over at least `duration`; writes count as done when they are durable.
    fn rate(&self, duration: Duration) -> Result<f64, IoError> {
        let start = Instant::now();
        let blocks = self.run(|_| start.elapsed() < duration)?;
        Ok(rate(blocks * self.block as u64, start.elapsed()))
    }

    /// Submits while `more` (which is told how many were submitted) says so; how many that were.
    fn run(&self, mut more: impl FnMut(u64) -> bool) -> Result<u64, IoError> {
        let (sender, receiver) = unbounded();
        let (mut submitted, mut in_flight) = (0, 0);
        for place in 0..self.depth {
            if more(submitted) {
                self.submit(place, submitted, &sender)?;
                (submitted, in_flight) = (submitted + 1, in_flight + 1);
            }
        }
        while in_flight > 0 {
            let (place, result) = receiver.recv().map_err(|_| IoError::Closed)?;
            result?;
            in_flight -= 1;
            if more(submitted) {
                self.submit(place, submitted, &sender)?;
                (submitted, in_flight) = (submitted + 1, in_flight + 1);
            }
        }
        if self.operation == Operation::Write {
            let file = self.disk.file.clone();
            wait(&*self.disk.engine, |done| Request::sync(file, done)).result?;
        }
        Ok(submitted)
    }

    fn submit(
        &self,
        place: usize,
        index: u64,
        sender: &Sender<(usize, Result<(), IoError>)>,
    ) -> Result<(), IoError> {
        let Disk { file, arena, engine, bytes, .. } = self.disk;
        let offset = index * self.block as u64 % bytes;
        // SAFETY: each place of the arena is in one request at a time.
        let range = unsafe { RegionRange::new(arena.clone(), place * self.block, self.block) }?;
        let sender = sender.clone();
        let done = move |completion: Completion| drop(sender.send((place, completion.result)));
        engine.submit(match self.operation {
            Operation::Read => Request::read(file.clone(), offset, range, done),
            _ => Request::write(file.clone(), offset, range, done),
        });
        Ok(())
    }
}
