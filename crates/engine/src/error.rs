//! Errors of the engine: a closed list of kinds; below them those of the model and of the KV store.

use attentionstore_grammar::GrammarError;
use attentionstore_kv::KvError;
use attentionstore_model::ModelError;
use attentionstore_model::text::TextError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A request's text, not the model, is at fault.
    #[error(transparent)]
    Text(#[from] TextError),
    /// What a request's answer is to be held to is at fault.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    #[error("{waiting} grammars wait to be compiled; the limit is {limit}.")]
    GrammarsBusy { waiting: usize, limit: usize },
    /// The caller broke the step protocol: a bug above, never a user's doing.
    #[error("step protocol: {detail}")]
    Protocol { detail: String },
    /// The system, or a control group, has not enough left for more of a tier. All in bytes.
    #[error(
        "{left} bytes of memory are left, {bytes} more would leave fewer than the {reserve} that are kept free"
    )]
    MemoryLow { bytes: u64, left: u64, reserve: u64 },
    #[error("{option}: {detail}")]
    Option { option: &'static str, detail: String },
    #[error("the engine is closed")]
    Closed,
}

impl EngineError {
    /// A stable name for this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            EngineError::Model(error) => error.code(),
            EngineError::Kv(error) => error.code(),
            EngineError::Text(error) => error.code(),
            EngineError::Grammar(error) => error.code(),
            EngineError::GrammarsBusy { .. } => "grammars_busy",
            EngineError::Protocol { .. } => "protocol",
            EngineError::MemoryLow { .. } => "memory_low",
            EngineError::Option { .. } => "invalid_option",
            EngineError::Closed => "engine_closed",
        }
    }
}
