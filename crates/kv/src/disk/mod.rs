//! The SSD tier: moves blocks between host slots and the slots of files, and makes them prove what they are.
//!
//! A write seals the block (header and checksum) on a worker thread and hands it to the disk I/O engine; a
//! read goes to the engine at once and is verified on a worker thread. Nothing here chooses a slot.

mod completion;
mod extent_name;
mod extents;
mod flights;
mod foreign;
mod jobs;
mod options;
mod shared;
mod space;
mod workers;

use std::path::PathBuf;
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
pub use extent_name::Owner;
use extents::Extents;
pub use extents::Growth;
use flights::Flights;
pub use foreign::{ForeignExtents, GivenUp};
use jobs::{EraseJob, Job, Queues, ReadJob, SyncJob, Ticket, WriteJob};
pub use options::DiskOptions;
use shared::Shared;
pub use space::Allocator;

/// Where a block lies in host memory and on the SSD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockTransfer {
    /// First byte of the host slot, in one of the tier's arenas.
    pub host: NonNull<u8>,
    /// Slot on the SSD, below [`DiskTier::committed`].
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

/// A directory with extents, and the engine and threads that serve them. Every method takes `&self`.
pub struct DiskTier {
    directory: PathBuf,
    level: IoLevel,
    arenas: Vec<Arc<HostArena>>,
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl DiskTier {
    /// Opens the tier: probes the engines, opens the extents that are there, and makes the bound hold (foreign extents go
    /// first). A disk without room is no error. `arenas` hold all host slots that will ever be named; nobody writes to
    /// them while this runs. The caller sees to it that no other process has the directory.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for a bound below one slot or an option out of range, [`KvError::Io`].
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
        let directory = &options.directory;
        std::fs::create_dir_all(directory).map_err(KvError::io(directory))?;
        let flights = Arc::new(Flights::new(options.queue));
        let panics = panics_of(options, &flights);
        let (engine, level) = start_engine(options, arenas, &panics, wrap)?;
        let direct = if level.direct { Direct::Try } else { Direct::Never };
        let shared = Arc::new(Shared {
            form: HeaderForm {
                layout: options.layout,
                codec: CODEC_PLAIN,
                model: options.model,
                sealer: options.sealer.clone(),
            },
            extents: Extents::open(options, direct)?,
            engine,
            flights,
            queues: Queues::default(),
            damaged: AtomicU64::new(0),
            panics,
            callback_panics: options.panics.clone(),
        });
        let workers = workers::start(&shared, options.workers).map_err(KvError::io(directory))?;
        Ok(Self {
            directory: directory.clone(),
            level,
            arenas: arenas.to_vec(),
            shared,
            workers: Mutex::new(workers),
        })
    }

    /// Slots that the tier has where the disk has room for all.
    pub fn slots(&self) -> u32 {
        self.shared.extents.most()
    }

    /// Of these, the slots from the first on that may be used; others come with [`DiskTier::grow`].
    pub fn committed(&self) -> u32 {
        self.shared.extents.committed()
    }

    /// Takes one step towards `to` slots from the file system, and waits for it; several callers wait for each other.
    /// Foreign extents go where the bound or the disk has no room for both.
    pub fn grow(&self, to: u32) -> Growth {
        self.shared.extents.grow(to)
    }

    /// The layout of its blocks.
    pub fn layout(&self) -> &KvLayout {
        &self.shared.form.layout
    }

    /// Which engine runs, and why no better one.
    pub fn level(&self) -> &IoLevel {
        &self.level
    }

    /// The files of its slots, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.shared.extents.paths()
    }

    /// Names the model and layout whose extents are the tier's.
    pub fn owner(&self) -> Owner {
        self.shared.extents.owner()
    }

    /// What other models and layouts have in the directory, the one that served longest ago first.
    ///
    /// # Errors
    /// [`KvError::Io`] if the directory cannot be read.
    pub fn foreign(&self) -> Result<Vec<ForeignExtents>, KvError> {
        self.shared.extents.foreign().list()
    }

    /// Overwrites a slot of a foreign owner with zeros, durably, and waits for it. A slot that is gone needs nothing.
    ///
    /// # Errors
    /// [`KvError::Io`].
    pub fn erase_foreign(&self, owner: Owner, slot: u32) -> Result<(), KvError> {
        self.shared.extents.erase_foreign(owner, slot)
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
        let place = self.shared.extents.find(transfer.slot)?;
        // SAFETY: the caller's promise is the one that the range asks for.
        let range = unsafe { self.range(&transfer)? };
        let number = self.shared.flights.begin_write()?;
        let ticket = Ticket::new(transfer.tag, DiskOperation::Write, done);
        self.shared.queues.send(Job::Write(WriteJob { block, place, range, number, ticket }));
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
        let place = self.shared.extents.find(transfer.slot)?;
        // SAFETY: as in `write`.
        let range = unsafe { self.range(&transfer)? };
        self.shared.flights.begin_read()?;
        let ticket = Ticket::new(transfer.tag, DiskOperation::Read, done);
        ReadJob { key, valid, slot: transfer.slot, place, ticket }.submit(&self.shared, range);
        Ok(())
    }

    /// Overwrites a slot, header and payload, with zeros: what was there can be read by nobody any more. It is
    /// durable after a later [`DiskTier::flush`], as a write is. The slot must not be under a transfer that has
    /// not completed. Returns at once; `done` as for [`DiskTier::write`].
    ///
    /// # Errors
    /// As [`DiskTier::write`].
    pub fn erase(&self, slot: u32, tag: u64, done: DiskDone) -> Result<(), KvError> {
        let place = self.shared.extents.find(slot)?;
        let zeros = AlignedBuffer::zeroed(self.layout().host_slot_bytes())
            .map_err(|error| KvError::from_engine(&self.directory, error))?;
        let number = self.shared.flights.begin_write()?;
        let ticket = Ticket::new(tag, DiskOperation::Erase, done);
        EraseJob { place, number, ticket }.submit(&self.shared, zeros);
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

    /// The host slot as memory that the engine may use.
    ///
    /// # Safety
    /// As [`RegionRange::new`].
    unsafe fn range(&self, transfer: &BlockTransfer) -> Result<RegionRange, KvError> {
        let invalid = |what, detail| Err(KvError::Invalid { what, detail });
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
