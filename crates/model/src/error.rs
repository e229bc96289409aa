//! Errors of loading and computing a model: a closed list of kinds with named context.

use std::path::{Path, PathBuf};

/// Why a model cannot be loaded or computed. Every message names the file (or the request) and what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// The file is not what its format says, or contradicts itself.
    #[error("{path}: {detail}")]
    Malformed { path: PathBuf, detail: String },
    /// Well-formed, but something this server does not compute.
    #[error("{path}: {detail}")]
    Unsupported { path: PathBuf, detail: String },
    #[error("{what}: {detail}")]
    Invalid { what: &'static str, detail: String },
    /// The chat template failed, ran out of fuel or produced too much.
    #[error("chat template: {detail}")]
    Template { detail: String },
    #[error("no memory for {bytes} bytes of {what}")]
    Memory { what: &'static str, bytes: usize },
    #[error("{device}: {detail}")]
    Device { device: String, detail: String },
}

impl ModelError {
    pub(crate) fn malformed(path: &Path, detail: impl Into<String>) -> Self {
        ModelError::Malformed { path: path.to_owned(), detail: detail.into() }
    }

    pub(crate) fn unsupported(path: &Path, detail: impl Into<String>) -> Self {
        ModelError::Unsupported { path: path.to_owned(), detail: detail.into() }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        ModelError::Io { path: path.to_owned(), source }
    }

    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            ModelError::Io { .. } => "model_io",
            ModelError::Malformed { .. } => "model_malformed",
            ModelError::Unsupported { .. } => "model_unsupported",
            ModelError::Invalid { .. } => "model_invalid",
            ModelError::Template { .. } => "template",
            ModelError::Memory { .. } => "model_memory",
            ModelError::Device { .. } => "model_device",
        }
    }
}
