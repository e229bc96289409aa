//! The CUDA device, loaded at run time: without a driver everything else works, and says why.

pub mod detect;

pub use detect::{CudaDevice, CudaUnavailable, detect};
