//! Addresses and bytes of KV blocks: layout, host arena, disk tier, checksums, block keys.
//!
//! This crate never chooses a slot and knows nothing of models or of GPU maths.

pub mod arena;
pub mod disk;
pub mod error;
mod files;
pub mod header;
pub mod key;
pub mod layout;
pub mod lock;
pub mod memory_left;
pub mod seal;
pub mod secret;
pub mod weights;

pub use arena::HostArena;
pub use disk::{BlockTransfer, DiskCompletion, DiskDone, DiskOperation, DiskOptions, DiskStats, DiskTier};
pub use error::KvError;
pub use header::StoredBlock;
pub use key::{BlockKey, Identity, KeyHasher, ViewParameters, tenant_salt};
pub use layout::{BLOCK_TOKENS, HEADER_BYTES, KvDtype, KvLayout, PAGE_BYTES, SliceOrder};
