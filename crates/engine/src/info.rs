//! What an engine is and what it has done, for `EngineInfo` and `EngineStats` of `ts/engine/types.ts`.

use attentionstore_kv::KvLayout;

#[derive(Clone, Debug)]
pub struct EngineInfo {
    pub device: String,
    pub model_name: String,
    pub vocab_size: usize,
    /// Longest context in tokens.
    pub model_context: usize,
    pub capped_by_sliding_window: bool,
    pub layout: KvLayout,
    pub hbm_slots: u32,
    pub dram_slots: u32,
    /// Of these slots, those whose memory is there; the others after [`crate::Engine::grow`].
    pub hbm_committed: u32,
    pub dram_committed: u32,
    pub ssd_slots: u32,
    /// The dram slots only stage blocks on their way to and from the ssd tier.
    pub dram_staging_only: bool,
    pub io_engine: String,
    pub max_batch_tokens: usize,
    /// Hex of the identity without tenant or salt: a store with another one holds foreign blocks.
    pub fingerprint: String,
    /// Hex hash of tokenizer and template.
    pub text_fingerprint: String,
    pub end_tokens: Vec<u32>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<u32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
    pub has_chat_template: bool,
    /// Why there is no chat template although the model brings one.
    pub template_error: Option<String>,
    /// The guess about the tokenizer where the model's file does not say.
    pub tokenizer_guess: Option<String>,
    /// Name of the form of answers.
    pub output_format: &'static str,
}

/// Since start; milliseconds are busy time, in which overlapping work counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineStats {
    pub steps: u64,
    pub compute_ms: f64,
    pub load_stall_ms: f64,
    pub stalled_layers: u64,
    pub load_bytes: u64,
    pub load_ms: f64,
    pub save_bytes: u64,
    pub save_ms: f64,
    pub read_bytes: u64,
    pub read_ms: f64,
    pub write_bytes: u64,
    pub write_ms: f64,
    pub damaged_reads: u64,
    /// Dram slots that were compared with their checksum, and those of them that held something else.
    pub dram_checked: u64,
    pub dram_damaged: u64,
    pub read_queue_depth: u64,
    pub write_queue_depth: u64,
    pub save_queue_depth: u64,
    pub load_queue_depth: u64,
    /// Masks that were made, the time that they took, and the rows that were not sampled because theirs was not ready.
    pub masks: u64,
    pub mask_ms: f64,
    pub late_rows: u64,
    /// Sources that were compiled, those that had been before, and those that were refused.
    pub grammars_compiled: u64,
    pub grammars_cached: u64,
    pub grammars_refused: u64,
}
