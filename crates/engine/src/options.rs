//! What an engine is opened with. Defaults that fit the machine are TypeScript's (`ts/config`).

use std::path::PathBuf;

use attentionstore_model::ModelSource;

/// Sizes in bytes, rates in bytes a second.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    pub model: ModelSource,
    /// `cpu`, `cuda` or `cuda:n`.
    pub device: String,
    /// Directory of compiled kernels, for a CUDA device.
    pub kernel_cache: PathBuf,
    pub threads: usize,
    /// Most rows of a step.
    pub max_batch_tokens: usize,
    /// 0: on a CUDA device, what is left beside weights and working memory.
    pub hbm_bytes: u64,
    /// 0: no dram tier; with an ssd tier a few staging slots remain.
    pub dram_bytes: u64,
    /// 0: no ssd tier.
    pub ssd_bytes: u64,
    /// Directory of the slot files; needed with an ssd tier.
    pub ssd_dir: Option<PathBuf>,
    /// Directory of the hash key, the server secret and the cache of weight hashes. Without it they live and die
    /// with the process, and no file is opened.
    pub data_dir: Option<PathBuf>,
    pub ssd_read_limit: Option<u64>,
    pub ssd_write_limit: Option<u64>,
    /// Layers loaded ahead of the running one. Default: all, as soon as a request has its slots, which is where the
    /// paper's read buffer B·(T_load·L_hist − T_pref·L_new) ends once a request's own slots are the buffer (§3.2.1).
    pub preload_layers: Option<usize>,
    /// Share of the loads whose source is compared with its checksum, 0 to 1. Default: all on a CPU, one in fifty on a card.
    pub load_checks: Option<f64>,
    /// `bf16`, or `f32` in tests.
    pub kv_dtype: String,
    /// `avx512`, `avx2` or `portable` in tests; otherwise the best there is.
    pub instruction_set: Option<String>,
}
