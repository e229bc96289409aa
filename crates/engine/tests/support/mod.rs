//! Drives an engine, and stands between it and its backend.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

mod conversation;
mod driver;
mod subject;
mod watched;

pub use attentionstore_kv::BLOCK_TOKENS as BLOCK;
pub use conversation::{Conversation, Turn};
pub use driver::{Driver, MAX_BATCH_TOKENS, Room, Row, Told, copy, load, plan, plan_with_save, save};
pub use subject::Subject;
pub use watched::Seen;
