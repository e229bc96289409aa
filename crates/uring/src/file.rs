//! A file that engines read and write.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::buffer::IO_ALIGNMENT;

/// Whether to go past the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// `O_DIRECT` if the file system accepts it.
    Try,
    /// Through the page cache.
    Never,
}

/// An open file, and whether it was opened with `O_DIRECT`.
pub struct IoFile {
    file: File,
    path: PathBuf,
    direct: bool,
}

impl IoFile {
    /// Opens `path` for reading and writing, creating it (mode 0600) if it does not exist.
    ///
    /// # Errors
    /// What the system says; a refusal of `O_DIRECT` is none, the file is then opened buffered.
    pub fn open(path: &Path, direct: Direct) -> std::io::Result<Self> {
        let open = |flags: OFlags| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(flags.bits().cast_signed())
                .open(path)
        };
        let path_buf = path.to_path_buf();
        if direct == Direct::Try {
            match open(OFlags::DIRECT) {
                Ok(file) => return Ok(Self { file, path: path_buf, direct: true }),
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { file: open(OFlags::empty())?, path: path_buf, direct: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether reads and writes go past the page cache, and so must be aligned to [`IO_ALIGNMENT`].
    pub fn direct(&self) -> bool {
        self.direct
    }

    /// The open file, for what is not reading and writing (allocation, length).
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What offsets, lengths and addresses must be multiples of.
    pub(crate) fn alignment(&self) -> usize {
        if self.direct { IO_ALIGNMENT } else { 1 }
    }
}

impl AsFd for IoFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for IoFile {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
