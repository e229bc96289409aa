//! The SSD tier: moves blocks between host slots and the slots of a file, and makes them prove what they are.
//!
//! A write seals the block (header and checksum) on a worker thread and hands it to the disk I/O engine; a
//! read goes to the engine at once and is verified on a worker thread. Nothing here chooses a slot.

mod completion;
mod flights;
mod jobs;
mod options;
mod shared;
mod slot_file;
mod workers;

use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use attentionstore_uring::{
    AlignedBuffer, Direct, Engine, IoLevel, IoStats, Limited, Measured, Panics, Region, RegionRange,
    SystemClock, open_engine,
};

use crate::arena::HostArena;
use crate::error::KvError;
use crate::header::{CODEC_PLAIN, HeaderForm, StoredBlock};
use crate::key::BlockKey;
use crate::layout::{BLOCK_TOKENS, KvLayout, PAGE_BYTES};

pub use completion::{DiskCompletion, DiskDone, DiskOperation};
use flights::Flights;
use jobs::{EraseJob, Job, Queues, ReadJob, SyncJob, Ticket, WriteJob};
pub use options::DiskOptions;
use shared::Shared;
pub use slot_file::{ForeignFile, foreign_files, remove_foreign};

/// Where a block lies in host memory and on the SSD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockTransfer {
    /// First byte of the host slot, in one of the tier's arenas.
    pub host: NonNull<u8>,
    /// Slot on the SSD, below [`DiskTier::slots`].
    pub slot: u32,
    /// Comes back with the completion.
    pub tag: u64,
}

/// What the tier has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskStats {
    /// Bytes, requests, queue depths, busy and waiting time, as the tier sees them (rate limits included).
    pub io: IoStats,
    /// Blocks read that were not what was asked for.
    pub damaged: u64,
}

/// A directory with a slot file, and the engine and threads that serve it. Every method takes `&self`.
pub struct DiskTier {
    slots: u32,
    directory: PathBuf,
    level: IoLevel,
    arenas: Vec<Arc<HostArena>>,
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    removed: Vec<ForeignFile>,
}

impl DiskTier {
    /// Opens the tier: probes the engines, removes foreign slot files until the bound holds, and allocates the
    /// slot file. `arenas` hold all host slots that will ever be named; nobody writes to them while this runs.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for a bound below one slot or an option out of range, [`KvError::NoSpace`],
    /// [`KvError::Io`].
    pub fn open(options: &DiskOptions, arenas: &[Arc<HostArena>]) -> Result<Self, KvError> {
        Self::open_with(options, arenas, |engine| engine)
    }

    /// As [`DiskTier::open`]; `wrap` may put something around the engine, such as a
    /// [`attentionstore_uring::fault::FaultEngine`].
    ///
    /// # Errors
    /// As [`DiskTier::open`].
    pub fn open_with(
        options: &DiskOptions,
        arenas: &[Arc<HostArena>],
        wrap: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>,
    ) -> Result<Self, KvError> {
        let slots = options.slots()?;
        let directory = &options.directory;
        std::fs::create_dir_all(directory).map_err(KvError::io(directory))?;
        let flights = Arc::new(Flights::new(options.queue));
        let panics = panics_of(options, &flights);
        let (engine, level) = start_engine(options, arenas, &panics, wrap)?;
        let path = slot_file::path_of(directory, &options.layout);
        let bytes = u64::from(slots) * options.layout.host_slot_bytes() as u64;
        let removed = remove_foreign(directory, &path, bytes, options.capacity_bytes)?;
        let direct = if level.direct { Direct::Try } else { Direct::Never };
        let shared = Arc::new(Shared {
            form: HeaderForm {
                layout: options.layout,
                codec: CODEC_PLAIN,
                model: options.model,
                sealer: options.sealer.clone(),
            },
            file: Arc::new(slot_file::open_allocated(&path, bytes, direct)?),
            engine,
            flights,
            queues: Queues::default(),
            damaged: AtomicU64::new(0),
            panics,
            callback_panics: options.panics.clone(),
        });
        let workers = workers::start(&shared, options.workers).map_err(KvError::io(directory))?;
        Ok(Self {
            slots,
            directory: directory.clone(),
            level,
            arenas: arenas.to_vec(),
            shared,
            workers: Mutex::new(workers),
            removed,
        })
    }

    /// Slots of the tier.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The layout of its blocks.
    pub fn layout(&self) -> &KvLayout {
        &self.shared.form.layout
    }

    /// Which engine runs, and why no better one.
    pub fn level(&self) -> &IoLevel {
        &self.level
    }

    /// The slot file.
    pub fn path(&self) -> &Path {
        self.shared.file.path()
    }

    /// Foreign slot files that were removed when the tier was opened.
    pub fn removed_at_open(&self) -> &[ForeignFile] {
        &self.removed
    }

    /// Foreign slot files that still lie in the directory, oldest first.
    ///
    /// # Errors
    /// [`KvError::Io`] if the directory cannot be read.
    pub fn foreign(&self) -> Result<Vec<ForeignFile>, KvError> {
        foreign_files(&self.directory, self.path())
    }

    /// Counters and times.
    pub fn stats(&self) -> DiskStats {
        DiskStats { io: self.shared.engine.stats(), damaged: self.shared.damaged.load(Ordering::Relaxed) }
    }

    /// Writes a block: the header page of its host slot is filled, then the whole slot goes to the SSD. It is
    /// durable after a later [`DiskTier::flush`]. The rows beyond the block's tokens must be zero already
    /// ([`KvLayout::zero_tails`]). Returns at once; `done` is called exactly once if this returns `Ok`.
    ///
    /// # Safety
    /// Until `done` is called nobody else writes to the host slot, nor touches its header page.
    ///
    /// # Errors
    /// Nothing was begun: [`KvError::QueueFull`], [`KvError::Closed`], or [`KvError::Invalid`] for a slot, an
    /// address or a number of tokens out of range.
    pub unsafe fn write(
        &self,
        transfer: BlockTransfer,
        block: StoredBlock,
        done: DiskDone,
    ) -> Result<(), KvError> {
        check_valid(block.tokens.len())?;
        // SAFETY: the caller's promise is the one that the range asks for.
        let range = unsafe { self.range(&transfer)? };
        let number = self.shared.flights.begin_write()?;
        let ticket = Ticket::new(transfer.tag, DiskOperation::Write, done);
        self.shared.queues.send(Job::Write(WriteJob { block, slot: transfer.slot, range, number, ticket }));
        Ok(())
    }

    /// Reads the block with this key and valid length into its host slot and verifies it: what completes with `Ok` is
    /// byte for byte what was written under them. On any error the host slot holds nothing of use. The slot must
    /// not be under a write that has not completed. Returns at once; `done` as for [`DiskTier::write`].
    ///
    /// # Safety
    /// Until `done` is called nobody else reads or writes the host slot.
    ///
    /// # Errors
    /// As [`DiskTier::write`]. The completion may carry [`KvError::Damaged`] or [`KvError::Foreign`].
    pub unsafe fn read(
        &self,
        transfer: BlockTransfer,
        key: BlockKey,
        valid: usize,
        done: DiskDone,
    ) -> Result<(), KvError> {
        check_valid(valid)?;
        // SAFETY: as in `write`.
        let range = unsafe { self.range(&transfer)? };
        self.shared.flights.begin_read()?;
        let ticket = Ticket::new(transfer.tag, DiskOperation::Read, done);
        ReadJob { key, valid, slot: transfer.slot, ticket }.submit(&self.shared, range);
        Ok(())
    }

    /// Overwrites a slot, header and payload, with zeros: what was there can be read by nobody any more. It is
    /// durable after a later [`DiskTier::flush`], as a write is. The slot must not be under a transfer that has
    /// not completed. Returns at once; `done` as for [`DiskTier::write`].
    ///
    /// # Errors
    /// As [`DiskTier::write`].
    pub fn erase(&self, slot: u32, tag: u64, done: DiskDone) -> Result<(), KvError> {
        self.check_slot(slot)?;
        let zeros = AlignedBuffer::zeroed(self.layout().host_slot_bytes())
            .map_err(|error| KvError::from_engine(&self.directory, error))?;
        let number = self.shared.flights.begin_write()?;
        let ticket = Ticket::new(tag, DiskOperation::Erase, done);
        EraseJob { slot, number, ticket }.submit(&self.shared, zeros);
        Ok(())
    }

    /// Makes durable (`fdatasync`) every write and erasure accepted before it, once those are complete. Later writes do
    /// not delay it. A failed write is reported to its own waiter, not here.
    ///
    /// # Errors
    /// [`KvError::QueueFull`], [`KvError::Closed`].
    pub fn flush(&self, tag: u64, done: DiskDone) -> Result<(), KvError> {
        let job = SyncJob { ticket: Ticket::new(tag, DiskOperation::Flush, done) };
        if let Some(job) = self.shared.flights.begin_flush(job)? {
            self.shared.queues.send(Job::Sync(job));
        }
        Ok(())
    }

    /// Accepts nothing any more, waits until everything accepted is complete and its callback has returned,
    /// and ends the threads. Does not flush. Idempotent. Never to be called from a completion callback.
    pub fn close(&self) {
        self.shared.flights.close();
        self.shared.engine.close();
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.queues.stop(workers.len());
        for worker in workers.drain(..) {
            let _ = worker.join();
        }
    }

    fn check_slot(&self, slot: u32) -> Result<(), KvError> {
        if slot < self.slots {
            return Ok(());
        }
        Err(KvError::Invalid { what: "ssd slot", detail: format!("slot {slot} of {}", self.slots) })
    }

    /// The host slot as memory that the engine may use.
    ///
    /// # Safety
    /// As [`RegionRange::new`].
    unsafe fn range(&self, transfer: &BlockTransfer) -> Result<RegionRange, KvError> {
        let invalid = |what, detail| Err(KvError::Invalid { what, detail });
        self.check_slot(transfer.slot)?;
        let (address, len) = (transfer.host.as_ptr().addr(), self.layout().host_slot_bytes());
        if !address.is_multiple_of(PAGE_BYTES) {
            return invalid("host slot", format!("address {address:#x} is not page-aligned"));
        }
        for arena in &self.arenas {
            let offset = address.wrapping_sub(arena.base().as_ptr().addr());
            if offset < arena.len() && len <= arena.len() - offset {
                // SAFETY: the caller's promise.
                let range = unsafe { RegionRange::new(arena.clone(), offset, len) };
                return range.map_err(|error| KvError::from_engine(&self.directory, error));
            }
        }
        invalid("host slot", format!("{len} bytes at {address:#x} are in none of the tier's arenas"))
    }
}

impl Drop for DiskTier {
    fn drop(&mut self) {
        self.close();
    }
}

fn check_valid(tokens: usize) -> Result<(), KvError> {
    if (1..=BLOCK_TOKENS).contains(&tokens) {
        return Ok(());
    }
    let detail = format!("{tokens} tokens, a block has 1 to {BLOCK_TOKENS}");
    Err(KvError::Invalid { what: "valid length", detail })
}

/// A panic of a thread is told as that of a callback is, and nothing waits for transfers any more.
fn panics_of(options: &DiskOptions, flights: &Arc<Flights<SyncJob>>) -> Panics {
    let (flights, panics) = (Arc::downgrade(flights), options.panics.clone());
    Panics::told_to(move |_, message| {
        if let Some(flights) = flights.upgrade() {
            flights.give_up();
        }
        panics.tell(message);
    })
}

fn start_engine(
    options: &DiskOptions,
    arenas: &[Arc<HostArena>],
    panics: &Panics,
    wrap: impl FnOnce(Arc<dyn Engine>) -> Arc<dyn Engine>,
) -> Result<(Arc<Measured>, IoLevel), KvError> {
    let failed = |error| KvError::from_engine(&options.directory, error);
    let regions: Vec<Arc<dyn Region>> = arenas.iter().map(|arena| arena.clone() as Arc<dyn Region>).collect();
    let opened = open_engine(&options.directory, &regions, options.engine(panics.clone()), options.choice)
        .map_err(failed)?;
    let engine = wrap(opened.engine);
    let engine: Arc<dyn Engine> = if options.limits == Default::default() {
        engine
    } else {
        let clock = Arc::new(SystemClock::default());
        Arc::new(Limited::new(engine, options.limits, options.queue, clock, panics).map_err(failed)?)
    };
    Ok((Measured::new(engine), opened.level))
}
