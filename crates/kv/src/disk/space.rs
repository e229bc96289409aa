//! Room on a disk: asked for, counted as the file system counts it, and given back.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs, ftruncate};
use rustix::io::Errno;

use crate::error::KvError;

/// Unit of `st_blocks`.
const STAT_BLOCK_BYTES: u64 = 512;

/// Bytes that the tier leaves to others on its disk: the tables of the data directory often lie there too.
const RESERVE_BYTES: u64 = 64 << 20;

type Allocate = dyn Fn(&File, u64, u64) -> io::Result<()> + Send + Sync;

/// Takes bytes `from..to` of a file, which ends at `from`, from its file system. A test puts its own in the place of
/// the system's.
#[derive(Clone)]
pub struct Allocator(Arc<Allocate>);

impl Allocator {
    pub fn new(allocate: impl Fn(&File, u64, u64) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(allocate))
    }

    pub(super) fn allocate(&self, file: &File, from: u64, to: u64) -> io::Result<()> {
        (self.0)(file, from, to)
    }
}

impl Default for Allocator {
    fn default() -> Self {
        Self::new(|file, from, to| Ok(allocate(file, from, to)?))
    }
}

impl std::fmt::Debug for Allocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Allocator")
    }
}

fn allocate(file: &File, from: u64, to: u64) -> Result<(), Errno> {
    // Asked first, because some file systems fill the disk to the brim before they find out, at the cost of
    // everyone else.
    let system = fstatvfs(file)?;
    if (to - from).saturating_add(RESERVE_BYTES) > system.f_bavail.saturating_mul(system.f_frsize) {
        return Err(Errno::NOSPC);
    }
    match fallocate(file, FallocateFlags::empty(), from, to - from) {
        // A file system without preallocation (some network ones): room then runs out at a write, if at all.
        Err(Errno::OPNOTSUPP) => ftruncate(file, to),
        outcome => outcome,
    }
}

/// Whether the error says that the disk, a quota or a limit has no room, and giving something up may help.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Bytes that the files of `directory`, and its own list of them, take on the disk. Folders in it count as nothing.
///
/// # Errors
/// [`KvError::Io`] if the directory cannot be read.
pub(super) fn directory_bytes(directory: &Path) -> Result<u64, KvError> {
    let own = directory.metadata().map_err(KvError::io(directory))?;
    let mut blocks = own.blocks();
    for entry in std::fs::read_dir(directory).map_err(KvError::io(directory))? {
        let entry = entry.map_err(KvError::io(directory))?;
        match entry.metadata() {
            Ok(metadata) if !metadata.is_dir() => blocks += metadata.blocks(),
            Ok(_) => {}
            // Removed between the listing and the question.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(KvError::io(&entry.path())(error)),
        }
    }
    Ok(blocks.saturating_mul(STAT_BLOCK_BYTES))
}

/// Makes the directory's list of files durable.
///
/// # Errors
/// What the system says.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
