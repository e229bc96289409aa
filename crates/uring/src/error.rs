//! Errors of disk I/O: a closed list of kinds with named context.

use std::path::PathBuf;

use rustix::io::Errno;

/// What a request asks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Read,
    Write,
    /// `fdatasync`: what was written before is durable afterwards.
    Sync,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Sync => "fdatasync",
        })
    }
}

/// Why a request, or the start of an engine, failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IoError {
    /// The system refused it. `offset` is where in the file the transfer had come to, in bytes.
    #[error("{operation} of {path} at byte {offset}: {errno}")]
    Os { operation: Operation, path: PathBuf, offset: u64, errno: Errno },
    /// The file (or the space for it) ended before the buffer did.
    #[error("{operation} of {path} at byte {offset}: ended after {got} of {expected} bytes")]
    UnexpectedEnd { operation: Operation, path: PathBuf, offset: u64, expected: usize, got: usize },
    /// The request can never be carried out, for instance because it is not aligned.
    #[error("{what}: {detail}")]
    Invalid { what: &'static str, detail: String },
    /// An engine, or the probe of it, could not start.
    #[error("{what}: {errno}")]
    Start { what: &'static str, errno: Errno },
    /// The engine is closed, or was closed before the request began.
    #[error("the disk I/O engine is closed")]
    Closed,
}

impl IoError {
    /// The system's error number, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            IoError::Os { errno, .. } | IoError::Start { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}
