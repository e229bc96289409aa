//! The CUDA device, loaded at run time: without a driver everything else works, and says why.
//!
//! `blas` is matrix products by cuBLASLt, `compile` turns the kernels under `kernels/` into machine code through a cache on disk, `runtime` is the
//! card (context, streams, events, memory, copies, graphs), `launch` has one host file a kernel. Nothing here
//! knows a model.

pub mod blas;
pub mod compile;
pub mod detect;
mod driver;
mod error;
pub mod launch;
mod library;
pub mod runtime;

pub use detect::{CudaDevice, CudaUnavailable, detect};
pub use error::{BlasError, CompileError, CudaError};
pub use launch::Kernels;
pub use library::NVRTC_DIRECTORY_VARIABLE;
pub use runtime::Device;
