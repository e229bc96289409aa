//! What a CUDA backend is made with, and which models it refuses.

use std::path::PathBuf;

use attentionstore_cuda::CudaError;
use attentionstore_cuda::launch::AttentionShape;

use crate::config::ModelConfig;
use crate::error::ModelError;

/// Elements of a 16-byte access: widths of rows are multiples of it.
const VECTOR: usize = 8;

/// How a CUDA backend runs.
#[derive(Clone, Debug, PartialEq)]
pub struct CudaOptions {
    /// The card, as the driver counts.
    pub ordinal: usize,
    /// Most new tokens of one step.
    pub max_batch_tokens: usize,
    /// Bytes of slots; `None`: what the card has left beside weights and working memory.
    pub hbm_bytes: Option<u64>,
    /// Directory of compiled kernels.
    pub kernel_cache: PathBuf,
}

/// The attention shape of a model that this backend can compute.
///
/// # Errors
/// What the kernels do not have, with its numbers.
pub fn check_config(config: &ModelConfig) -> Result<AttentionShape, ModelError> {
    let refused = |detail: String| Err(ModelError::Invalid { what: "cuda backend", detail });
    if config.rotary_dim != config.head_dim {
        let ModelConfig { rotary_dim, head_dim, .. } = config;
        return refused(format!("{rotary_dim} of {head_dim} elements of a head are rotated; all must be"));
    }
    for (what, width) in [("hidden size", config.hidden), ("intermediate size", config.intermediate)] {
        if width == 0 || !width.is_multiple_of(VECTOR) {
            return refused(format!("{what} {width} is no multiple of {VECTOR}"));
        }
    }
    AttentionShape::new(config.heads, config.kv_heads, config.head_dim)
        .or_else(|error| refused(error.to_string()))
}

/// A failure of the card as an error of the model.
pub fn device_error(ordinal: usize, error: &CudaError) -> ModelError {
    ModelError::Device { device: format!("cuda:{ordinal}"), detail: error.to_string() }
}
