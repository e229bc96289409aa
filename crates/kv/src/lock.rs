//! One server a data directory, and one a directory of the ssd tier.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::KvError;

/// An exclusive lock on a directory, held as long as the value lives; the kernel lets go of it when the
/// process ends, however it ends. The file stays: removing it would let two servers hold two different files.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
    path: PathBuf,
}

impl DirectoryLock {
    /// Takes `server.lock` in `directory` (made if it does not exist) and leaves this process's id in it.
    ///
    /// # Errors
    /// [`KvError::Locked`] with the holder's process id, as far as it has written it; [`KvError::Io`].
    pub fn acquire(directory: &Path) -> Result<Self, KvError> {
        Self::take(directory, directory.join("server.lock"), |path, pid| KvError::Locked { path, pid })
    }

    /// The same of a directory of the ssd tier, which may be the data directory: the file is `ssd.lock`.
    ///
    /// # Errors
    /// [`KvError::SsdLocked`] with the directory and the holder's process id, as far as it has written it;
    /// [`KvError::Io`].
    pub fn acquire_ssd(directory: &Path) -> Result<Self, KvError> {
        let locked = |_, pid| KvError::SsdLocked { path: directory.to_path_buf(), pid };
        Self::take(directory, directory.join("ssd.lock"), locked)
    }

    fn take(
        directory: &Path,
        path: PathBuf,
        locked: impl FnOnce(PathBuf, Option<u32>) -> KvError,
    ) -> Result<Self, KvError> {
        std::fs::create_dir_all(directory).map_err(KvError::io(directory))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(KvError::io(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let pid = holder(&file);
                return Err(locked(path, pid));
            }
            Err(errno) => return Err(KvError::io(&path)(errno.into())),
        }
        let mut lock = Self { file, path };
        lock.write_pid().map_err(|error| KvError::io(&lock.path)(error))?;
        Ok(lock)
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write_pid(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", std::process::id())
    }
}

fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_learns_the_holders_process_id() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert_eq!(error.code(), "kv_locked");
        let pid = std::process::id();
        assert!(
            matches!(&error, KvError::Locked { path, pid: Some(holder) } if path == lock.path() && *holder == pid)
        );
        assert!(error.to_string().ends_with(&format!("is in use by process {pid}")));
    }

    #[test]
    fn the_lock_of_an_ssd_directory_is_another_one_than_that_of_a_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        let _data = DirectoryLock::acquire(directory.path()).unwrap();
        let ssd = DirectoryLock::acquire_ssd(directory.path()).unwrap();
        let error = DirectoryLock::acquire_ssd(directory.path()).unwrap_err();
        assert_eq!(error.code(), "kv_ssd_locked");
        let sentence = format!("{} is in use by process {}", directory.path().display(), std::process::id());
        assert_eq!(error.to_string(), sentence);
        drop(ssd);
        DirectoryLock::acquire_ssd(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_is_free_again_after_its_holder_and_a_stale_file_does_not_matter() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("server.lock"),
            "4294967295 rubbish that is longer than a pid\n",
        )
        .unwrap();
        drop(DirectoryLock::acquire(directory.path()).unwrap());
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        assert_eq!(std::fs::read_to_string(lock.path()).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_holder_that_has_not_written_its_id_yet_is_still_a_holder() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        lock.file.set_len(0).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(matches!(error, KvError::Locked { pid: None, .. }), "{error}");
    }
}
