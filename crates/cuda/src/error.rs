//! What can go wrong between this crate and the driver, the compiler or the card.

use std::path::PathBuf;

use cudarc::driver::DriverError;

use crate::detect::CudaUnavailable;

/// Every failure of the device layer. None of them is a panic.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    #[error(transparent)]
    Unavailable(#[from] CudaUnavailable),
    #[error("there is no CUDA device {ordinal}: this machine has {count}")]
    NoSuchDevice { ordinal: usize, count: usize },
    #[error("the CUDA driver refuses to {what}: {source}")]
    Driver { what: &'static str, source: DriverError },
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Blas(#[from] BlasError),
    /// A caller's mistake, found before anything was enqueued.
    #[error("{what}: {detail}")]
    Invalid { what: &'static str, detail: String },
}

impl CudaError {
    /// A stable name for the boundary.
    pub const fn code(&self) -> &'static str {
        match self {
            CudaError::Unavailable(_) => "cuda_unavailable",
            CudaError::NoSuchDevice { .. } => "cuda_no_such_device",
            CudaError::Driver { .. } => "cuda_driver",
            CudaError::Compile(_) => "cuda_compile",
            CudaError::Blas(_) => "cuda_blas",
            CudaError::Invalid { .. } => "cuda_invalid",
        }
    }

    pub(crate) fn invalid(what: &'static str, detail: impl Into<String>) -> Self {
        CudaError::Invalid { what, detail: detail.into() }
    }
}

/// Names what was asked of the driver when it refuses.
pub(crate) trait DriverContext<T> {
    fn asked_to(self, what: &'static str) -> Result<T, CudaError>;
}

impl<T> DriverContext<T> for Result<T, DriverError> {
    fn asked_to(self, what: &'static str) -> Result<T, CudaError> {
        self.map_err(|source| CudaError::Driver { what, source })
    }
}

/// Why a kernel could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("no CUDA run-time compiler (libnvrtc) here; looked for {}", looked_for.join(", "))]
    NoCompiler { looked_for: Vec<String> },
    #[error("the CUDA run-time compiler {path} is too old: it lacks {symbol}")]
    OldCompiler { path: String, symbol: &'static str },
    #[error("the CUDA run-time compiler {major}.{minor} cannot compile for {architecture}")]
    Architecture { architecture: String, major: i32, minor: i32 },
    #[error("kernel {kernel} does not compile for {architecture}: {log}")]
    Rejected { kernel: String, architecture: String, log: String },
    #[error("the CUDA run-time compiler fails with code {status} at {call}")]
    Compiler { call: &'static str, status: i32 },
    #[error("the kernel cache {}: {source}", path.display())]
    Cache { path: PathBuf, source: std::io::Error },
}

/// Why there is no matrix product.
#[derive(Debug, thiserror::Error)]
pub enum BlasError {
    #[error("no cuBLASLt (libcublasLt) here; looked for {}", looked_for.join(", "))]
    NoLibrary { looked_for: Vec<String> },
    #[error("cuBLASLt at {path} is too old: it lacks {symbol}")]
    OldLibrary { path: String, symbol: &'static str },
    #[error("cuBLASLt refuses to {call} (status {status})")]
    Refused { call: &'static str, status: u32 },
    #[error("cuBLASLt has no algorithm for {rows} rows of {inputs} numbers to {outputs}")]
    NoAlgorithm { rows: usize, inputs: usize, outputs: usize },
}
