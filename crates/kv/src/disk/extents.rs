//! The tier's own slots on the disk: files of up to 1 GiB, extents, that come as the tier fills.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use attentionstore_uring::{Direct, IoFile};

use super::extent_name::{ExtentName, Owner, slots_each};
use super::foreign::{Foreign, Found, GivenUp, extents_in, remove_former, usable};
use super::options::DiskOptions;
use super::space::{Allocator, directory_bytes, is_full, sync_directory};
use crate::error::KvError;

/// Most bytes that are taken from the file system at once.
const STEP_BYTES: u64 = 256 << 20;

/// Bytes that a new tier takes when it is opened.
const AT_START_BYTES: u64 = 64 << 20;

/// Bytes of its own books that a file system may need for an extent: they count towards the bound.
const BOOKS_BYTES: u64 = 8 << 10;

/// One file of slots.
pub(super) struct Extent {
    pub(super) file: Arc<IoFile>,
    /// Writes that have ended, and how many of them the last flush that succeeded began after.
    written: AtomicU64,
    flushed: AtomicU64,
}

impl Extent {
    fn new(file: IoFile) -> Arc<Self> {
        Arc::new(Self { file: Arc::new(file), written: AtomicU64::new(0), flushed: AtomicU64::new(0) })
    }

    /// A write has ended, well or not. Before who waits for it, or for a flush after it, is told.
    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
    }

    /// Writes that a flush beginning now makes durable; `None`: no write has ended since the last one.
    pub(super) fn unflushed(&self) -> Option<u64> {
        let written = self.written.load(Ordering::Acquire);
        (written > self.flushed.load(Ordering::Acquire)).then_some(written)
    }

    /// A flush that began when `written` writes had ended has succeeded.
    pub(super) fn became_durable(&self, written: u64) {
        self.flushed.fetch_max(written, Ordering::AcqRel);
    }
}

/// What a step of growth has come to.
#[derive(Debug)]
pub struct Growth {
    /// Slots from the first on that may be used now.
    pub slots: u32,
    /// Foreign extents that went for it.
    pub given_up: Vec<GivenUp>,
    /// Why there are no more than before.
    pub refused: Option<KvError>,
}

/// The extents of one owner in a directory.
pub(super) struct Extents {
    directory: PathBuf,
    owner: Owner,
    slot_bytes: u64,
    extent_bytes: u64,
    capacity_bytes: u64,
    direct: Direct,
    allocator: Allocator,
    /// Slots that the bound has room for.
    most: u32,
    committed: AtomicU32,
    files: RwLock<Vec<Arc<Extent>>>,
    /// Held while the directory changes.
    changes: Mutex<()>,
}

impl Extents {
    /// Opens what the directory holds of the owner's, and sees to it that the bound holds: foreign extents go first, then
    /// the tier's own last slots. Where there is none of its own, it takes a little. A disk without room for that is no
    /// error: the tier has no slot then, until it grows.
    ///
    /// # Errors
    /// [`KvError::Invalid`] for a bound below one slot, [`KvError::Io`].
    pub(super) fn open(options: &DiskOptions, direct: Direct) -> Result<Self, KvError> {
        let directory = &options.directory;
        remove_former(directory)?;
        let slot_bytes = options.layout.host_slot_bytes() as u64;
        let mut extents = Self {
            directory: directory.clone(),
            owner: Owner::of(&options.layout, &options.model),
            slot_bytes,
            extent_bytes: options.extent_bytes,
            capacity_bytes: options.capacity_bytes,
            direct,
            allocator: options.allocator.clone(),
            most: 0,
            committed: AtomicU32::new(0),
            files: RwLock::default(),
            changes: Mutex::default(),
        };
        extents.most = extents.slots_in_bound()?;
        extents.adopt()?;
        extents.keep_bound()?;
        if extents.committed() == 0 {
            // Nothing foreign goes before a block is to be written. Refused, it is asked for again then, and said.
            let _ = extents.step(u32::try_from(AT_START_BYTES / slot_bytes).unwrap_or(u32::MAX), None);
        }
        extents.mark_served();
        Ok(extents)
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Slots that the tier has where the disk has room for all.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Of these, the slots from the first on that may be used.
    pub(super) fn committed(&self) -> u32 {
        self.committed.load(Ordering::Acquire)
    }

    pub(super) fn foreign(&self) -> Foreign<'_> {
        Foreign { directory: &self.directory, own: self.owner, extent_bytes: self.extent_bytes }
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.all().iter().map(|extent| extent.file.path().to_path_buf()).collect()
    }

    /// The extent of a slot, and where the slot begins in it.
    ///
    /// # Errors
    /// [`KvError::Invalid`] if the tier has no such slot, or not yet.
    pub(super) fn find(&self, slot: u32) -> Result<(Arc<Extent>, u64), KvError> {
        let (committed, each) = (self.committed(), self.each());
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        match files.get((slot / each) as usize) {
            Some(extent) if slot < committed => {
                Ok((extent.clone(), u64::from(slot % each) * self.slot_bytes))
            }
            _ => Err(KvError::Invalid { what: "ssd slot", detail: format!("slot {slot} of {committed}") }),
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Extent>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One step towards `to` slots: at most [`STEP_BYTES`], and to the end of an extent. Waits for the file system, and
    /// for no transfer.
    pub(super) fn grow(&self, to: u32) -> Growth {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut given_up = Vec::new();
        let refused = self.step(to, Some(&mut given_up)).err();
        Growth { slots: self.committed(), given_up, refused }
    }

    /// Overwrites a slot of a foreign owner with zeros, durably.
    pub(super) fn erase_foreign(&self, owner: Owner, slot: u32) -> Result<(), KvError> {
        let _changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.foreign().erase(owner, slot)
    }

    /// `given_up`: foreign extents that go for it; `None`: none may.
    fn step(&self, to: u32, mut given_up: Option<&mut Vec<GivenUp>>) -> Result<(), KvError> {
        let (from, each) = (self.committed(), self.each());
        let step = u32::try_from(STEP_BYTES / self.slot_bytes).unwrap_or(u32::MAX).max(1);
        let end = (from / each + 1).saturating_mul(each);
        let to = to.min(self.most).min(from.saturating_add(step)).min(end);
        if to <= from {
            return Ok(());
        }
        let to = self.make_room(from, to, given_up.as_deref_mut())?;
        let extent = match self.all().get((from / each) as usize) {
            Some(extent) => extent.clone(),
            None => self.create(from / each)?,
        };
        let (start, bytes) =
            (u64::from(from % each) * self.slot_bytes, u64::from(to - from) * self.slot_bytes);
        while let Err(error) = self.allocator.allocate(extent.file.file(), start, start + bytes) {
            // What others have in the directory may be what is lacking.
            if is_full(&error) && self.displace(bytes, given_up.as_deref_mut())? {
                continue;
            }
            self.cut(from)?;
            return Err(self.refusal(error, bytes));
        }
        self.settle(to).inspect_err(|_| drop(self.cut(from)))
    }

    /// Slots up to which the bound has room, `to` at most, when foreign extents have gone for it as far as needed.
    fn make_room(&self, from: u32, to: u32, mut given_up: Option<&mut Vec<GivenUp>>) -> Result<u32, KvError> {
        loop {
            let room = self.capacity_bytes.saturating_sub(directory_bytes(&self.directory)?);
            let bytes = u64::from(to - from) * self.slot_bytes + BOOKS_BYTES;
            if bytes <= room {
                return Ok(to);
            }
            if self.displace(bytes - room, given_up.as_deref_mut())? {
                continue;
            }
            let fit = u32::try_from(room.saturating_sub(BOOKS_BYTES) / self.slot_bytes).unwrap_or(u32::MAX);
            if fit > 0 {
                return Ok(to.min(from.saturating_add(fit)));
            }
            return Err(KvError::Bound { path: self.directory.clone(), bytes: self.capacity_bytes });
        }
    }

    /// Takes so many bytes from foreign extents, as far as the oldest of them has them. False: there is none, or none may go.
    fn displace(&self, bytes: u64, given_up: Option<&mut Vec<GivenUp>>) -> Result<bool, KvError> {
        let Some(given_up) = given_up else { return Ok(false) };
        let gone = self.foreign().give_up(bytes)?;
        Ok(gone.map(|gone| given_up.push(gone)).is_some())
    }

    /// The slots up to `to` may be used, as far as the bound holds. A flush of what is written there makes the file's new
    /// length durable too.
    fn settle(&self, to: u32) -> Result<(), KvError> {
        let before = self.committed();
        let excess = directory_bytes(&self.directory)?.saturating_sub(self.capacity_bytes);
        let surplus = u32::try_from(excess.div_ceil(self.slot_bytes)).unwrap_or(u32::MAX);
        let kept = to.saturating_sub(surplus).max(before);
        if kept < to {
            self.cut(kept)?;
        }
        self.committed.store(kept, Ordering::Release);
        if kept > before {
            return Ok(());
        }
        Err(KvError::Bound { path: self.directory.clone(), bytes: self.capacity_bytes })
    }

    fn refusal(&self, error: std::io::Error, bytes: u64) -> KvError {
        let path = self.directory.clone();
        if is_full(&error) { KvError::NoSpace { path, bytes } } else { KvError::Io { path, source: error } }
    }

    /// A new file behind the others, durably in the directory.
    fn create(&self, index: u32) -> Result<Arc<Extent>, KvError> {
        let extent = self.open_file(index)?;
        sync_directory(&self.directory).map_err(KvError::io(&self.directory))?;
        self.files.write().unwrap_or_else(PoisonError::into_inner).push(extent.clone());
        Ok(extent)
    }

    fn open_file(&self, index: u32) -> Result<Arc<Extent>, KvError> {
        let name = ExtentName { owner: self.owner, slot_bytes: self.slot_bytes, index };
        let path = self.directory.join(name.to_string());
        Ok(Extent::new(IoFile::open(&path, self.direct).map_err(KvError::io(&path))?))
    }

    /// Gives everything behind the first `slots` back to the file system. No transfer may name it.
    fn cut(&self, slots: u32) -> Result<(), KvError> {
        let each = self.each();
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        while let Some(last) = files.last() {
            let first = (files.len() as u32 - 1) * each;
            let path = last.file.path();
            if first < slots {
                let bytes = u64::from((slots - first).min(each)) * self.slot_bytes;
                let length = last.file.file().metadata().map_err(KvError::io(path))?.len();
                return last.file.file().set_len(bytes.min(length)).map_err(KvError::io(path));
            }
            std::fs::remove_file(path).map_err(KvError::io(path))?;
            files.pop();
        }
        Ok(())
    }

    /// Opens the extents that lie in the directory. What is behind a gap has no use.
    fn adopt(&mut self) -> Result<(), KvError> {
        let mut own = extents_in(&self.directory)?;
        own.retain(|file| file.name.owner == self.owner && file.name.slot_bytes == self.slot_bytes);
        let kept = usable(&own, self.each());
        let count = kept.len();
        let slots = kept.iter().map(|file| file.slots(self.each())).sum();
        for Found { path, .. } in &own[count..] {
            std::fs::remove_file(path).map_err(KvError::io(path))?;
        }
        let files: Result<Vec<_>, _> = (0..count as u32).map(|index| self.open_file(index)).collect();
        *self.files.get_mut().unwrap_or_else(PoisonError::into_inner) = files?;
        *self.committed.get_mut() = slots;
        Ok(())
    }

    /// A bound that is smaller than it was, or that something else in the directory uses.
    fn keep_bound(&self) -> Result<(), KvError> {
        self.cut(self.committed().min(self.most))?;
        self.committed.fetch_min(self.most, Ordering::AcqRel);
        loop {
            let excess = directory_bytes(&self.directory)?.saturating_sub(self.capacity_bytes);
            if excess == 0 {
                return Ok(());
            }
            if self.foreign().give_up(excess)?.is_some() {
                continue;
            }
            let committed = self.committed();
            if committed == 0 {
                return Ok(());
            }
            let surplus = u32::try_from(excess.div_ceil(self.slot_bytes)).unwrap_or(u32::MAX);
            let kept = committed.saturating_sub(surplus);
            self.cut(kept)?;
            self.committed.store(kept, Ordering::Release);
        }
    }

    /// Of the bound, what is neither the directory's own nor of files that are no extents, nor the file system's books.
    fn slots_in_bound(&self) -> Result<u32, KvError> {
        let extents: u64 = extents_in(&self.directory)?.iter().map(|file| file.bytes).sum();
        let others = directory_bytes(&self.directory)?.saturating_sub(extents);
        let room = self.capacity_bytes.saturating_sub(others);
        let an_extent = u64::from(self.each()) * self.slot_bytes + BOOKS_BYTES;
        let (whole, rest) = (room / an_extent, room % an_extent);
        let slots = whole * u64::from(self.each()) + rest.saturating_sub(BOOKS_BYTES) / self.slot_bytes;
        if slots > 0 {
            return Ok(u32::try_from(slots).unwrap_or(u32::MAX));
        }
        let detail = format!(
            "{} bytes are too few: one slot has {}, and {others} are in other files of {}",
            self.capacity_bytes,
            self.slot_bytes + BOOKS_BYTES,
            self.directory.display()
        );
        Err(KvError::Invalid { what: "bytes of the ssd tier", detail })
    }

    /// Among foreign owners, the one that served longest ago goes first. Where the time cannot be set, the time of the last
    /// write stands for it.
    fn mark_served(&self) {
        if let Some(extent) = self.all().first() {
            let _ = File::set_modified(extent.file.file(), SystemTime::now());
        }
    }

    fn each(&self) -> u32 {
        slots_each(self.extent_bytes, self.slot_bytes)
    }
}
