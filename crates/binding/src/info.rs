//! What the engine is, for `EngineInfo`.

use attentionstore_engine::EngineInfo;
use napi_derive::napi;

/// Extents of another model or layout.
#[napi(object, object_from_js = false)]
pub struct BindingForeignExtents {
    pub owner: String,
    /// From the first on.
    pub slots: u32,
}

#[napi(object, object_from_js = false)]
pub struct BindingInfo {
    pub device: String,
    pub model_name: String,
    pub layers: u32,
    pub vocab_size: u32,
    pub model_context: u32,
    pub capped_by_sliding_window: bool,
    pub slice_bytes: f64,
    pub block_bytes: f64,
    pub host_slot_bytes: f64,
    pub hbm_slots: u32,
    pub dram_slots: u32,
    /// Of these slots, those whose memory is there; the others come with `grow`.
    pub hbm_committed: u32,
    pub dram_committed: u32,
    pub ssd_slots: u32,
    pub ssd_committed: u32,
    /// Whose extents are the engine's on the ssd; empty without an ssd tier.
    pub ssd_owner: String,
    /// What other owners had there when the engine was opened.
    pub foreign_extents: Vec<BindingForeignExtents>,
    pub dram_staging_only: bool,
    pub io_engine: String,
    pub max_batch_tokens: u32,
    pub fingerprint: String,
    pub text_fingerprint: String,
    pub end_tokens: Vec<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u32>,
    pub min_p: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub has_chat_template: bool,
    pub template_error: Option<String>,
    pub tokenizer_guess: Option<String>,
    pub output_format: String,
}

impl From<EngineInfo> for BindingInfo {
    fn from(info: EngineInfo) -> Self {
        Self {
            device: info.device,
            model_name: info.model_name,
            layers: info.layout.layers as u32,
            vocab_size: info.vocab_size as u32,
            model_context: info.model_context as u32,
            capped_by_sliding_window: info.capped_by_sliding_window,
            slice_bytes: info.layout.slice_bytes() as f64,
            block_bytes: info.layout.block_bytes() as f64,
            host_slot_bytes: info.layout.host_slot_bytes() as f64,
            hbm_slots: info.hbm_slots,
            dram_slots: info.dram_slots,
            hbm_committed: info.hbm_committed,
            dram_committed: info.dram_committed,
            ssd_slots: info.ssd_slots,
            ssd_committed: info.ssd_committed,
            ssd_owner: info.ssd_owner,
            foreign_extents: info
                .foreign_extents
                .into_iter()
                .map(|(owner, slots)| BindingForeignExtents { owner, slots })
                .collect(),
            dram_staging_only: info.dram_staging_only,
            io_engine: info.io_engine,
            max_batch_tokens: info.max_batch_tokens as u32,
            fingerprint: info.fingerprint,
            text_fingerprint: info.text_fingerprint,
            end_tokens: info.end_tokens,
            temperature: info.temperature.map(f64::from),
            top_p: info.top_p.map(f64::from),
            top_k: info.top_k,
            min_p: info.min_p.map(f64::from),
            repetition_penalty: info.repetition_penalty.map(f64::from),
            has_chat_template: info.has_chat_template,
            template_error: info.template_error,
            tokenizer_guess: info.tokenizer_guess,
            output_format: info.output_format.to_owned(),
        }
    }
}
