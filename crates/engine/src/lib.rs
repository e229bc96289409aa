//! A step: runs the model over KV blocks, with layer-wise loads and asynchronous saves around each layer.
//! Owns the threads. `docs/design/engine.md` says why it is as it is.

mod arrival;
mod bans;
mod checks;
mod compile;
mod constraint;
mod crew;
mod device;
mod disk;
mod engine;
mod error;
pub mod event;
mod grammars;
mod host;
mod identity;
mod inbox;
mod info;
mod late;
mod loads;
mod mask_source;
mod masks;
mod memory;
mod open;
mod options;
mod outbox;
mod panics;
pub mod plan;
mod prompt_scores;
#[cfg(all(test, feature = "shuttle"))]
mod protocol_model;
mod room;
mod saves;
pub mod score;
mod sequence;
mod stats;
mod step;
mod sync;
mod text;
mod text_service;
mod view;
pub mod wire;
mod worker;

pub use attentionstore_grammar::{Grammar, GrammarError, Source};
pub use attentionstore_model::sampling::{SamplingParams, TokenMask};
pub use attentionstore_model::text::{
    ChatDate, ChatMessage, ChatRequest, EncodedPrompt, Ending, StoredAnswer, Tool, ToolCall,
};
pub use bans::Bans;
pub use engine::{Engine, EventSource};
pub use error::EngineError;
pub use grammars::held_to;
pub use info::{EngineInfo, EngineStats};
pub use mask_source::{Cancel, CannotGoOn, MaskSource};
pub use options::EngineOptions;
pub use room::{available_memory, random_model_bytes};
pub use sequence::SequenceSpec;
pub use view::View;
