//! The limits of this machine, apart from any engine.

mod cpu;
mod cuda;
mod disk;
mod fma;
mod memory;

use std::path::PathBuf;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::report::Recorder;

pub use disk::{SUSTAINED_READ as DISK_READ, SUSTAINED_WRITE as DISK_WRITE};

/// Names that others refer to.
pub const F32_PEAK: &str = "cpu/f32 multiply-add";
pub const MEMORY_READ: &str = "memory/read";
pub const MEMORY_COPY: &str = "memory/copy";
pub const PCIE_TO_DEVICE: &str = "gpu/pcie to device";
pub const PCIE_TO_HOST: &str = "gpu/pcie to host";
pub const HBM_READ: &str = "gpu/hbm read";
pub const MATRIX_PRODUCT: &str = "gpu/bf16 matrix product";

/// Where compiled kernels are kept between runs.
pub fn kernel_cache() -> PathBuf {
    std::env::temp_dir().join("attentionstore-bench-kernels")
}

/// # Errors
/// A directory that cannot be written, memory that cannot be had, a card that fails.
pub fn measure(recorder: &mut Recorder, arguments: &Arguments) -> Outcome<()> {
    cpu::measure(recorder, arguments.threads);
    disk::measure(recorder, &arguments.directory)?;
    cuda::measure(recorder, arguments.device.ordinal())
}
