//! The files of the SSD tier: one of preallocated slots for each slot size and layout.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use attentionstore_uring::{Direct, IoFile};
use rustix::fs::{FallocateFlags, fallocate, fstat, fstatvfs, ftruncate};
use rustix::io::Errno;

use crate::error::KvError;
use crate::header::{CODEC_PLAIN, fingerprint};
use crate::layout::KvLayout;

const PREFIX: &str = "slots-";
const SUFFIX: &str = ".kv";

/// A slot file of another layout (an earlier model's, say) in the tier's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignFile {
    pub path: PathBuf,
    pub bytes: u64,
    pub modified: SystemTime,
}

/// Where the slots of this layout lie. The name holds slot size and layout, so that files cannot be confused.
pub fn path_of(directory: &Path, layout: &KvLayout) -> PathBuf {
    let name =
        format!("{PREFIX}{}-{:016x}{SUFFIX}", layout.host_slot_bytes(), fingerprint(layout, CODEC_PLAIN));
    directory.join(name)
}

/// Slot files in `directory` other than `own`, oldest first.
///
/// # Errors
/// [`KvError::Io`] if the directory cannot be read.
pub fn foreign_files(directory: &Path, own: &Path) -> Result<Vec<ForeignFile>, KvError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(KvError::io(directory))? {
        let entry = entry.map_err(KvError::io(directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if path == own || !name.starts_with(PREFIX) || !name.ends_with(SUFFIX) {
            continue;
        }
        let metadata = entry.metadata().map_err(KvError::io(&path))?;
        if metadata.is_file() {
            let modified = metadata.modified().map_err(KvError::io(&path))?;
            files.push(ForeignFile { path, bytes: metadata.len(), modified });
        }
    }
    files.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    Ok(files)
}

/// Removes foreign slot files, oldest first, until they and `own_bytes` together are at most `bound_bytes`.
/// Returns what was removed.
///
/// # Errors
/// [`KvError::Io`] if one cannot be removed.
pub fn remove_foreign(
    directory: &Path,
    own: &Path,
    own_bytes: u64,
    bound_bytes: u64,
) -> Result<Vec<ForeignFile>, KvError> {
    let files = foreign_files(directory, own)?;
    let mut total = files.iter().fold(own_bytes, |sum, file| sum.saturating_add(file.bytes));
    let mut removed = Vec::new();
    for file in files {
        if total <= bound_bytes {
            break;
        }
        std::fs::remove_file(&file.path).map_err(KvError::io(&file.path))?;
        total -= file.bytes;
        removed.push(file);
    }
    Ok(removed)
}

/// Opens the slot file and makes it exactly `bytes` long, all of it allocated. What lay in slots that remain
/// stays there.
///
/// # Errors
/// [`KvError::NoSpace`] if the disk has no room (a file that is new is then removed, an old one keeps its
/// length or the shorter one), [`KvError::Io`] otherwise.
pub fn open_allocated(path: &Path, bytes: u64, direct: Direct) -> Result<IoFile, KvError> {
    let existed = path.exists();
    let file = IoFile::open(path, direct).map_err(KvError::io(path))?;
    let before = file.file().metadata().map_err(KvError::io(path))?.len().min(bytes);
    file.file().set_len(before).map_err(KvError::io(path))?;
    match allocate(&file, bytes) {
        Ok(()) => Ok(file),
        Err(errno) => {
            if existed {
                file.file().set_len(before).map_err(KvError::io(path))?;
            } else {
                std::fs::remove_file(path).map_err(KvError::io(path))?;
            }
            Err(match errno {
                Errno::NOSPC | Errno::DQUOT | Errno::FBIG => KvError::NoSpace { path: path.into(), bytes },
                errno => KvError::Io { path: path.into(), source: errno.into() },
            })
        }
    }
}

fn allocate(file: &IoFile, bytes: u64) -> Result<(), Errno> {
    // Asked first, because some file systems fill the disk to the brim before they find out, at the cost of
    // everyone else.
    let system = fstatvfs(file)?;
    let present = u64::try_from(fstat(file)?.st_blocks).unwrap_or(0).saturating_mul(512);
    if bytes.saturating_sub(present) > system.f_bavail.saturating_mul(system.f_frsize) {
        return Err(Errno::NOSPC);
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        // A file system without preallocation (some network ones): room then runs out at a write, if at all.
        Err(Errno::OPNOTSUPP) => ftruncate(file, bytes),
        outcome => outcome,
    }
}
