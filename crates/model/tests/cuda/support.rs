//! The card of the tests.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use attentionstore_cuda::Device;
use attentionstore_cuda::blas::Blas;
use attentionstore_cuda::compile::Nvrtc;
use attentionstore_model::backend::cuda::{CudaBackend, CudaOptions};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::weights::ModelWeights;

/// One test at a time: they share the memory of one card.
pub struct Card {
    _alone: MutexGuard<'static, ()>,
}

/// The card, or the test's name on the terminal and nothing.
pub fn card(test: &str) -> Option<Card> {
    static ALONE: Mutex<()> = Mutex::new(());
    static USABLE: OnceLock<Result<(), String>> = OnceLock::new();
    let usable = USABLE.get_or_init(|| {
        Nvrtc::open(None).map_err(|error| error.to_string())?;
        let device = Device::open(0).map_err(|error| error.to_string())?;
        Blas::new(&device).map(|_| ()).map_err(|error| error.to_string())
    });
    if let Err(reason) = usable {
        let _ = std::io::stderr().write_all(format!("skipped {test}: {reason}\n").as_bytes());
        return None;
    }
    Some(Card { _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner) })
}

impl Card {
    /// A backend with exactly `slots` slots.
    pub fn backend(
        &self,
        config: &ModelConfig,
        weights: &ModelWeights,
        slots: u64,
        rows: usize,
    ) -> CudaBackend {
        let options = CudaOptions {
            ordinal: 0,
            max_batch_tokens: rows,
            hbm_bytes: Some(slots * CudaBackend::layout_for(config).block_bytes() as u64),
            kernel_cache: std::env::temp_dir().join("attentionstore-test-kernels"),
        };
        CudaBackend::new(config.clone(), weights, &options).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A small model whose shape the kernels have.
pub fn config() -> ModelConfig {
    ModelConfig {
        hidden: 128,
        intermediate: 192,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        rotary_dim: 64,
        ..crate::cpu_support::models::config()
    }
}
