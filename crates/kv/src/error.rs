//! Errors of the KV store: a closed list of kinds with named context.

use std::path::{Path, PathBuf};

use attentionstore_uring::IoError;

/// What can go wrong with a block's bytes. `code()` is what crosses to TypeScript.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    #[error("{what}: {detail}")]
    Invalid { what: &'static str, detail: String },
    /// The bytes read back are not the block that was asked for: a miss, never an answer.
    #[error("block in ssd slot {slot} is damaged: {reason}")]
    Damaged { slot: u32, reason: &'static str },
    /// A block of another format, layout, codec, model or server: a miss too.
    #[error("block in ssd slot {slot} is foreign: {reason}")]
    Foreign { slot: u32, reason: &'static str },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// The disk, or a quota, has no room for more of the tier.
    #[error("{path}: no space on the disk for {bytes} bytes")]
    NoSpace { path: PathBuf, bytes: u64 },
    /// The files of the ssd tier take all that they may.
    #[error("{path}: its files take the {bytes} bytes that they may")]
    Bound { path: PathBuf, bytes: u64 },
    #[error("no memory for {bytes} bytes of {what}: {source}")]
    Memory { what: &'static str, bytes: usize, source: std::io::Error },
    /// As many transfers of this direction are under way as the tier takes; nothing was begun.
    #[error("the disk tier's {direction} queue of {limit} is full")]
    QueueFull { direction: &'static str, limit: usize },
    /// Another process holds the data directory. `pid` is what it left in the lock file.
    #[error("{path} is in use by {}", pid.map_or("another process".into(), |pid| format!("process {pid}")))]
    Locked { path: PathBuf, pid: Option<u32> },
    /// Another process holds the directory of the ssd tier. `pid` as above.
    #[error("{path} is in use by {}", pid.map_or("another process".into(), |pid| format!("process {pid}")))]
    SsdLocked { path: PathBuf, pid: Option<u32> },
    #[error("the disk tier is closed")]
    Closed,
}

impl KvError {
    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            KvError::Invalid { .. } => "kv_invalid",
            KvError::Damaged { .. } => "kv_damaged",
            KvError::Foreign { .. } => "kv_foreign",
            KvError::Io { .. } => "kv_io",
            KvError::NoSpace { .. } => "kv_no_space",
            KvError::Bound { .. } => "kv_bound",
            KvError::Memory { .. } => "kv_memory",
            KvError::QueueFull { .. } => "kv_queue_full",
            KvError::Locked { .. } => "kv_locked",
            KvError::SsdLocked { .. } => "kv_ssd_locked",
            KvError::Closed => "kv_closed",
        }
    }

    /// For `map_err`: an error of the file system at `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> KvError {
        move |source| KvError::Io { path: path.to_path_buf(), source }
    }

    /// An error of a disk I/O engine that concerns `path`.
    pub(crate) fn from_engine(path: &Path, error: IoError) -> Self {
        match error {
            IoError::Closed => KvError::Closed,
            IoError::Invalid { what, detail } => KvError::Invalid { what, detail },
            IoError::Os { errno, .. } => KvError::Io { path: path.to_path_buf(), source: errno.into() },
            IoError::Start { .. } | IoError::UnexpectedEnd { .. } => {
                KvError::Io { path: path.to_path_buf(), source: std::io::Error::other(error) }
            }
        }
    }
}
