//! Extents of other models and layouts in the tier's directory: they stay as long as the bound and the disk have room.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::extent_name::{ExtentName, FileName, Owner, slots_each};
use crate::error::KvError;

/// What one foreign owner has in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignExtents {
    pub owner: Owner,
    /// Slots from the first on that its extents hold.
    pub slots: u32,
    /// On the disk.
    pub bytes: u64,
    /// When it served last.
    pub modified: SystemTime,
}

/// The end of an owner's extents, which went so that something else fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    pub owner: Owner,
    /// Slots from the first on that the owner has left.
    pub slots_left: u32,
    /// That the disk got back.
    pub bytes: u64,
}

/// A file of the directory that holds slots.
pub(super) struct Found {
    pub(super) name: ExtentName,
    pub(super) path: PathBuf,
    length: u64,
    pub(super) bytes: u64,
    modified: SystemTime,
}

/// Foreign extents of a directory: all but those of `own`.
pub(super) struct Foreign<'a> {
    pub(super) directory: &'a Path,
    pub(super) own: Owner,
    /// Of a whole extent.
    pub(super) extent_bytes: u64,
}

impl Foreign<'_> {
    /// By owner, the one that served longest ago first.
    ///
    /// # Errors
    /// [`KvError::Io`] if the directory cannot be read.
    pub(super) fn list(&self) -> Result<Vec<ForeignExtents>, KvError> {
        let files = self.files()?;
        let owners = files.chunk_by(|a, b| a.name.owner == b.name.owner);
        let mut listed: Vec<ForeignExtents> = owners.filter_map(|files| self.describe(files)).collect();
        listed.sort_by_key(|foreign| (foreign.modified, foreign.owner));
        Ok(listed)
    }

    /// Takes `bytes`, or all that it has, from the last extent of the owner that served longest ago. `None`: there is no
    /// foreign extent.
    ///
    /// # Errors
    /// [`KvError::Io`].
    pub(super) fn give_up(&self, bytes: u64) -> Result<Option<GivenUp>, KvError> {
        let Some(oldest) = self.list()?.into_iter().next() else { return Ok(None) };
        let mut files = self.files()?;
        files.retain(|file| file.name.owner == oldest.owner);
        let Some(last) = files.pop() else { return Ok(None) };
        let slot_bytes = last.name.slot_bytes;
        let kept = (last.length / slot_bytes).saturating_sub(bytes.div_ceil(slot_bytes));
        let Some(freed) = last.shorten(kept * slot_bytes).map_err(KvError::io(&last.path))? else {
            let slots_left = self.describe(&files).map_or(0, |left| left.slots);
            return Ok(Some(GivenUp { owner: oldest.owner, slots_left, bytes: last.bytes }));
        };
        let slots_left = self.foreign_slots(oldest.owner)?;
        Ok(Some(GivenUp { owner: oldest.owner, slots_left, bytes: freed }))
    }

    fn foreign_slots(&self, owner: Owner) -> Result<u32, KvError> {
        let listed = self.list()?;
        Ok(listed.iter().find(|foreign| foreign.owner == owner).map_or(0, |foreign| foreign.slots))
    }

    /// Overwrites a slot with zeros, durably. A slot whose extent is gone needs nothing.
    ///
    /// # Errors
    /// [`KvError::Io`].
    pub(super) fn erase(&self, owner: Owner, slot: u32) -> Result<(), KvError> {
        for file in self.files()?.iter().filter(|file| file.name.owner == owner) {
            let slot_bytes = file.name.slot_bytes;
            let each = slots_each(self.extent_bytes, slot_bytes);
            let offset = u64::from(slot % each) * slot_bytes;
            if file.name.index != slot / each || offset + slot_bytes > file.length {
                continue;
            }
            let zeros = vec![0; slot_bytes as usize];
            let overwrite = || {
                let opened = OpenOptions::new().write(true).open(&file.path)?;
                opened.write_all_at(&zeros, offset)?;
                opened.sync_data()?;
                // The order in which owners go is that of their service.
                opened.set_modified(file.modified)
            };
            overwrite().map_err(KvError::io(&file.path))?;
        }
        Ok(())
    }

    /// By owner and index.
    fn files(&self) -> Result<Vec<Found>, KvError> {
        let mut files = extents_in(self.directory)?;
        files.retain(|file| file.name.owner != self.own);
        Ok(files)
    }

    /// Of files of one owner, by index.
    fn describe(&self, files: &[Found]) -> Option<ForeignExtents> {
        let first = files.first()?;
        let each = slots_each(self.extent_bytes, first.name.slot_bytes);
        let slots = usable(files, each).iter().map(|file| file.slots(each)).sum();
        let bytes = files.iter().map(|file| file.bytes).sum();
        let modified = files.iter().map(|file| file.modified).max()?;
        Some(ForeignExtents { owner: first.name.owner, slots, bytes, modified })
    }
}

impl Found {
    /// Cuts it off behind `length` bytes, and answers how many the disk got back; `None`: it is gone as a whole.
    fn shorten(&self, length: u64) -> std::io::Result<Option<u64>> {
        if length == 0 {
            std::fs::remove_file(&self.path)?;
            return Ok(None);
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(length)?;
        let freed = self.bytes.saturating_sub(file.metadata()?.blocks() * 512);
        // The order in which owners go is that of their service.
        file.set_modified(self.modified)?;
        if freed > 0 {
            return Ok(Some(freed));
        }
        // A file system that does not give a part back, or holes.
        std::fs::remove_file(&self.path)?;
        Ok(None)
    }

    /// Slots that it holds, `each` if it is a whole one.
    pub(super) fn slots(&self, each: u32) -> u32 {
        u32::try_from(self.length / self.name.slot_bytes).unwrap_or(u32::MAX).min(each)
    }
}

/// Those of one owner's extents, by index, whose slots follow each other from the first on.
pub(super) fn usable(files: &[Found], each: u32) -> &[Found] {
    let mut count = 0;
    for (file, index) in files.iter().zip(0..) {
        let follows = index == 0 || files[index as usize - 1].slots(each) == each;
        if file.name.index != index || !follows || file.slots(each) == 0 {
            break;
        }
        count += 1;
    }
    &files[..count]
}

/// All extents in the directory, by owner and index.
///
/// # Errors
/// [`KvError::Io`] if the directory cannot be read.
pub(super) fn extents_in(directory: &Path) -> Result<Vec<Found>, KvError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(KvError::io(directory))? {
        let path = entry.map_err(KvError::io(directory))?.path();
        let FileName::Extent(name) = ExtentName::read(&path) else { continue };
        let metadata = path.symlink_metadata().map_err(KvError::io(&path))?;
        if metadata.is_file() {
            let modified = metadata.modified().map_err(KvError::io(&path))?;
            files.push(Found {
                name,
                length: metadata.len(),
                bytes: metadata.blocks() * 512,
                path,
                modified,
            });
        }
    }
    files.sort_by_key(|file| file.name);
    Ok(files)
}

/// Removes what a server before extents has left. Returns how many bytes the disk got back.
///
/// # Errors
/// [`KvError::Io`].
pub(super) fn remove_former(directory: &Path) -> Result<u64, KvError> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).map_err(KvError::io(directory))? {
        let path = entry.map_err(KvError::io(directory))?.path();
        let metadata = path.symlink_metadata().map_err(KvError::io(&path))?;
        if ExtentName::read(&path) == FileName::Former && metadata.is_file() {
            std::fs::remove_file(&path).map_err(KvError::io(&path))?;
            bytes += metadata.blocks() * 512;
        }
    }
    Ok(bytes)
}
