//! What is computed: configuration, weights, tokenizer, chat template, the forward pass over a [`backend::Backend`],
//! and sampling.

pub mod backend;
pub mod config;
pub mod error;
pub mod loader;
pub mod sampling;
pub mod text;
pub mod weights;

pub use error::ModelError;
pub use loader::{LoadedModel, ModelSource, Progress, WeightsOrigin, load};
