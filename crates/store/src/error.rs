//! Errors of the store: a closed list of kinds, by their remedy.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};
use rustix::io::Errno;

/// Errors of the store's files. `code()` crosses to TypeScript.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The bytes are no store, or not a whole one: it is set aside and another one begun.
    #[error("{path}: the store is damaged: {detail}")]
    Damaged { path: PathBuf, detail: String },
    /// The disk, or the quota, has no room.
    #[error("{path}: no space on the disk: {detail}")]
    Full { path: PathBuf, detail: String },
    #[error("{path}: the disk is read-only: {detail}")]
    ReadOnly { path: PathBuf, detail: String },
    /// A write or a sync failed otherwise. The file cannot be trusted from then on.
    #[error("{path}: {detail}")]
    Io { path: PathBuf, detail: String },
    #[error("{what}: {detail}")]
    Invalid { what: &'static str, detail: String },
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Damaged { .. } => "store_damaged",
            StoreError::Full { .. } => "store_full",
            StoreError::ReadOnly { .. } => "store_read_only",
            StoreError::Io { .. } => "store_io",
            StoreError::Invalid { .. } => "store_invalid",
            StoreError::Closed => "store_closed",
        }
    }

    /// For `map_err`: an error of the file system while a store at `path` is opened or made.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| of_errno(path, source.raw_os_error(), source.to_string())
    }

    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_path_buf(), detail: detail.into() }
    }

    /// An error of SQLite. `errno`: of the last call to the system that failed, 0 if none did.
    pub(crate) fn of_sqlite(path: &Path, error: &rusqlite::Error, errno: i32) -> StoreError {
        let detail = error.to_string();
        let errno = (errno != 0).then_some(errno);
        // Any other error says that a value has another type than the store gave it, or that a table is missing.
        let Some(failure) = error.sqlite_error() else { return StoreError::damaged(path, detail) };
        match failure.code {
            ErrorCode::DiskFull => StoreError::Full { path: path.to_path_buf(), detail },
            ErrorCode::ReadOnly => StoreError::ReadOnly { path: path.to_path_buf(), detail },
            ErrorCode::SystemIoFailure if is_reading(failure.extended_code) => {
                StoreError::damaged(path, detail)
            }
            ErrorCode::SystemIoFailure => of_errno(path, errno, detail),
            ErrorCode::CannotOpen => of_errno(path, errno.or(Some(Errno::ACCESS.raw_os_error())), detail),
            ErrorCode::OutOfMemory | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                StoreError::Io { path: path.to_path_buf(), detail }
            }
            _ => StoreError::damaged(path, detail),
        }
    }
}

/// The disk no longer gives the bytes back.
fn is_reading(extended_code: i32) -> bool {
    matches!(
        extended_code,
        ffi::SQLITE_IOERR_READ
            | ffi::SQLITE_IOERR_SHORT_READ
            | ffi::SQLITE_IOERR_DATA
            | ffi::SQLITE_IOERR_CORRUPTFS
    )
}

/// A path that cannot be opened for a reason that lies in the path itself counts as damage: another file takes its place.
fn of_errno(path: &Path, errno: Option<i32>, detail: String) -> StoreError {
    let path = path.to_path_buf();
    match errno.map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => StoreError::Full { path, detail },
        Some(Errno::ROFS) => StoreError::ReadOnly { path, detail },
        Some(
            Errno::ACCESS
            | Errno::PERM
            | Errno::ISDIR
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::NXIO
            | Errno::EXIST,
        ) => StoreError::Damaged { path, detail },
        _ => StoreError::Io { path, detail },
    }
}
