//! Disk I/O engines behind one small trait: io_uring and a pread/pwrite pool.
//!
//! This crate knows only buffers and offsets. A [`Request`] owns its buffer until the engine completes it, so
//! memory that the kernel may still touch cannot be freed; the buffer comes back with the result.
//! [`open_engine`] really tries the engines, best first, and says in an [`IoLevel`] which one runs and why.
//! [`Measured`], [`Limited`] and [`fault::FaultEngine`] wrap any engine and are engines themselves.

mod buffer;
mod error;
pub mod fault;
mod file;
mod lanes;
mod limit;
mod measure;
mod panics;
mod pool;
mod probe;
mod registration;
mod request;
mod ring;
mod transfer;

pub use buffer::{AlignedBuffer, IO_ALIGNMENT, IoBuffer, Region, RegionRange};
pub use error::{IoError, Operation};
pub use file::{Direct, IoFile};
pub use limit::{Bucket, Clock, Limited, RateLimits, SystemClock};
pub use measure::{DirectionStats, IoStats, Measured};
pub use panics::{Panics, caught};
pub use pool::PoolEngine;
pub use probe::{EngineChoice, EngineKind, IoLevel, OpenedEngine, open_engine};
pub use request::{Completion, Engine, EngineOptions, Request, wait};
pub use ring::RingEngine;
