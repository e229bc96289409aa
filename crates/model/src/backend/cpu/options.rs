//! What a CPU backend is made with, and what it refuses.

use attentionstore_kv::KvDtype;

use super::simd::Isa;
use crate::config::ModelConfig;
use crate::error::ModelError;

/// How a CPU backend runs. None of it shows in any result.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuOptions {
    /// Compute threads, the caller of a step being one of them.
    pub threads: usize,
    /// Most new tokens of one step.
    pub max_batch_tokens: usize,
    /// Slots of the arena that stands for HBM.
    pub slots: usize,
    /// bf16; f32 only for tests.
    pub kv_dtype: KvDtype,
    /// `None`: the widest instruction set of this machine.
    pub isa: Option<Isa>,
}

/// Refuses options and configurations that cannot be computed.
///
/// # Errors
/// Counts that are zero, heads that K/V heads do not divide.
pub fn check_config(config: &ModelConfig, options: &CpuOptions) -> Result<(), ModelError> {
    let counts = [
        ("threads", options.threads),
        ("max_batch_tokens", options.max_batch_tokens),
        ("slots", options.slots),
        ("vocab_size", config.vocab_size),
        ("hidden", config.hidden),
        ("intermediate", config.intermediate),
        ("layers", config.layers),
        ("heads", config.heads),
        ("kv_heads", config.kv_heads),
        ("head_dim", config.head_dim),
    ];
    if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
        return Err(ModelError::Invalid { what: "cpu backend", detail: format!("{name} is 0") });
    }
    if !config.heads.is_multiple_of(config.kv_heads) {
        let detail = format!("{} heads over {} K/V heads", config.heads, config.kv_heads);
        return Err(ModelError::Invalid { what: "cpu backend", detail });
    }
    Ok(())
}
