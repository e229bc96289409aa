//! Errors of the KV store: a closed list of kinds with named context.

use std::path::PathBuf;

/// What can go wrong with a block's bytes. `code()` is what crosses to TypeScript.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    #[error("{what}: {detail}")]
    Invalid { what: &'static str, detail: String },
    /// The bytes read back are not the block that was asked for: a miss, never an answer.
    #[error("block in ssd slot {slot} is damaged: {reason}")]
    Damaged { slot: u32, reason: &'static str },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("no memory for {bytes} bytes of {what}: {source}")]
    Memory { what: &'static str, bytes: usize, source: std::io::Error },
    #[error("the disk tier is closed")]
    Closed,
}

impl KvError {
    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            KvError::Invalid { .. } => "kv_invalid",
            KvError::Damaged { .. } => "kv_damaged",
            KvError::Io { .. } => "kv_io",
            KvError::Memory { .. } => "kv_memory",
            KvError::Closed => "kv_closed",
        }
    }
}
