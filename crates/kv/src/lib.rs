//! Addresses and bytes of KV blocks: layout, host arena, disk tier, checksums, block keys.
//!
//! This crate never chooses a slot and knows nothing of models or of GPU maths.

pub mod arena;
pub mod error;
pub mod layout;

pub use error::KvError;
pub use layout::{BLOCK_TOKENS, HEADER_BYTES, KvDtype, KvLayout, PAGE_BYTES, SliceOrder};
