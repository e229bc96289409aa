//! One host file a kernel: check the sizes, launch, nothing else. Kernels are enqueued; what goes wrong on
//! the card appears where the stream is synchronised.
//!
//! Numbers in device memory (tokens, slots, positions) are the caller's to keep in range.

mod attention;
mod copy;
mod decode;
mod norm;
mod prefill;
mod rope;
mod rows;
mod sample;
mod waves;

pub use attention::{AttentionShape, KeySplit, Partials, View};
pub use decode::DecodeAttention;
pub use norm::{Embedding, FinalNorm, GatherRows, Norm, SiluMul};
pub use prefill::{PrefillAttention, QueryTile, RotatedKeys, query_tiles};
pub use rope::{RopeWrite, rope_table};
pub use rows::{Argmax, CopyRows, ReadRate};
pub use sample::{
    AdjustLogits, Adjustment, LogProbabilities, LogProbabilityAnswer, LogProbabilityRequest, MOST_TOP, Masks,
    NO_MASK, NOTHING, Sample, SampleChoice, TOO_WIDE,
};

use crate::compile::{Compiler, KernelCache, KernelResources, KernelSource, parse_resources, source};
use crate::error::CudaError;
use crate::runtime::{Device, Function, Module};

/// Every kernel, loaded on one card.
pub struct Kernels {
    device: Device,
    embedding: Function,
    rmsnorm: [Function; 3],
    silu_mul: Function,
    rope_write: Function,
    rotate_keys: Function,
    decode: [Function; 3],
    combine: Function,
    prefill_blocked: [Function; 3],
    prefill_dense: [Function; 3],
    prefill_hopper: Option<Function>,
    copy_rows: Function,
    copy_words: Function,
    argmax: Function,
    final_norm: [Function; 3],
    gather_rows: Function,
    adjust_logits: Function,
    restore_logits: Function,
    sample: Function,
    log_probabilities: Function,
    read_rate: Function,
    resources: Vec<KernelResources>,
}

impl Kernels {
    /// Compiles what the cache does not have, and loads everything on `device`.
    ///
    /// # Errors
    /// The compiler rejects a kernel or does not know the card, or the driver refuses the code.
    pub fn load(device: &Device, compiler: &dyn Compiler, cache: &KernelCache) -> Result<Kernels, CudaError> {
        let architecture = device.architecture()?;
        let mut resources = Vec::new();
        let mut load = |source: &KernelSource| -> Result<Module, CudaError> {
            let (kernel, _) = cache.get(compiler, source, &architecture)?;
            resources.extend(parse_resources(&kernel.log));
            Module::load(device, &kernel.cubin)
        };
        let prefill = load(&source::PREFILL_ATTENTION)?;
        let adjust = load(&source::ADJUST_LOGITS)?;
        let hopper = &source::PREFILL_ATTENTION_HOPPER;
        let prefill_hopper = match hopper.is_for(&architecture) {
            true => Some(load(hopper)?.function(prefill::HOPPER, prefill::HOPPER_SHARED_BYTES)?),
            false => None,
        };
        Ok(Kernels {
            device: device.clone(),
            embedding: load(&source::EMBEDDING)?.function("embedding", 0)?,
            rmsnorm: by_width(&load(&source::RMSNORM)?, "rmsnorm")?,
            silu_mul: load(&source::SILU_MUL)?.function("silu_mul", 0)?,
            rope_write: load(&source::ROPE_WRITE)?.function("rope_write", 0)?,
            rotate_keys: load(&source::ROTATE_KEYS)?.function("rotate_keys", 0)?,
            decode: by_head_dim(&load(&source::DECODE_ATTENTION)?, "decode_attention", |_| 0)?,
            combine: load(&source::COMBINE_SPLITS)?.function("combine_splits", 0)?,
            prefill_blocked: by_head_dim(&prefill, "prefill_attention_blocked", prefill::shared_bytes)?,
            prefill_dense: by_head_dim(&prefill, "prefill_attention_dense", prefill::shared_bytes)?,
            prefill_hopper,
            copy_words: load(&source::COPY_WORDS)?.function("copy_words", 0)?,
            copy_rows: load(&source::COPY_ROWS)?.function("copy_rows", 0)?,
            argmax: load(&source::ARGMAX)?.function("argmax", 0)?,
            final_norm: by_width(&load(&source::FINAL_NORM)?, "final_norm")?,
            gather_rows: load(&source::GATHER_ROWS)?.function("gather_rows", 0)?,
            adjust_logits: adjust.function("adjust_logits", 0)?,
            restore_logits: adjust.function("restore_logits", 0)?,
            sample: load(&source::SAMPLE)?.function("sample", 0)?,
            log_probabilities: load(&source::LOG_PROBABILITIES)?.function("log_probabilities", 0)?,
            read_rate: load(&source::READ_RATE)?.function("read_rate", 0)?,
            resources,
        })
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Registers and spills of every kernel, as the assembler reported them.
    pub fn resources(&self) -> &[KernelResources] {
        &self.resources
    }
}

/// A kernel's three instances, in the order of [`attention::HEAD_DIMS`].
fn by_head_dim(
    module: &Module,
    name: &str,
    shared_bytes: impl Fn(usize) -> u32,
) -> Result<[Function; 3], CudaError> {
    let [a, b, c] = attention::HEAD_DIMS
        .map(|head_dim| module.function(&format!("{name}_{head_dim}"), shared_bytes(head_dim)));
    Ok([a?, b?, c?])
}

/// A norm's three instances, by the width of a row.
fn by_width(module: &Module, name: &str) -> Result<[Function; 3], CudaError> {
    let [a, b, c] = norm::NORM_INSTANCES.map(|vectors| module.function(&format!("{name}_{vectors}"), 0));
    Ok([a?, b?, c?])
}
