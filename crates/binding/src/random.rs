//! Random weights, before they are made.

use attentionstore_engine::random_model_bytes;
use attentionstore_model::loader::random::{RandomModel, RandomSpec};
use napi_derive::napi;

use crate::error::thrown;

/// Of every server: two of them with the same shape share blocks.
pub const RANDOM_SEED: u64 = 0;

#[napi(object, object_from_js = false)]
pub struct BindingRandom {
    /// Bytes of memory that the weights take while they are loaded.
    pub memory_bytes: f64,
}

/// What random weights of a shape (its name, or a directory's path) will take.
#[napi(catch_unwind)]
pub fn describe_random_weights(shape: String) -> napi::Result<BindingRandom> {
    let model = RandomModel::read(&RandomSpec { shape, seed: RANDOM_SEED });
    let model = model.map_err(|error| thrown(error.into()))?;
    Ok(BindingRandom { memory_bytes: random_model_bytes(&model) as f64 })
}
