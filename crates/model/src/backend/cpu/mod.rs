//! The CPU backend: the reference that every other device is held against, and what people meet first.
//!
//! Every number is computed by one fixed order of operations (see `docs/design/cpu-backend.md`): logits are the
//! same bits under any batch, any chunking, any thread count, any slot placement and any instruction set.

mod attend;
mod attend_split;
mod attention;
mod backend;
mod buffer;
mod compute;
mod direct;
mod head;
mod kv_write;
mod layer;
mod linear;
mod math;
mod options;
mod packed;
mod pool;
mod rope;
mod simd;
mod slots;
mod streams;
mod tile;
mod weights;
mod workspace;

pub use backend::CpuBackend;
pub use options::CpuOptions;
pub use simd::Isa;
