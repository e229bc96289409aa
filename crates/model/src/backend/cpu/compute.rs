//! What a kernel runs on: the instruction set, the threads, their scratch memory.

use super::buffer::Rows;
use super::pool::{Pool, TaskPanicked};
use super::simd::Available;
use super::workspace::Workspaces;
use crate::error::ModelError;

/// Threads and their scratch memory.
pub struct Compute {
    pub isa: Available,
    pub pool: Pool,
    pub workspaces: Workspaces,
    /// Findings of blocks between the two passes of a split attention; grows to what was needed.
    pub kept: Rows,
}

impl From<TaskPanicked> for ModelError {
    fn from(_: TaskPanicked) -> Self {
        ModelError::Device {
            device: "cpu".into(),
            detail: "a compute thread panicked; the step is void".into(),
        }
    }
}
