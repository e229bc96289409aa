//! The CUDA backend: weights in bf16, the residual stream in f32, keys and values in slots of the card's memory.
//!
//! The same plan gives the same bits, whatever tier the history came from; against the CPU backend logits agree
//! within a tolerance (see `docs/design/cuda.md`).

mod arrange;
mod attend;
mod backend;
mod copies;
mod graphs;
mod inputs;
mod layer;
mod logits;
mod memory;
mod open;
mod options;
mod pinned;
mod plan;
mod sample;
mod sample_plan;
mod streams;
mod weights;

pub use backend::CudaBackend;
pub use options::CudaOptions;
