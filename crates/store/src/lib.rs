//! Records that outlive the process: tables of binary keys and sealed values, in SQLite.
//!
//! Whatever bytes lie in the folder of a store, opening it ends with a store or with a typed error, never with the end of
//! the process: no file is mapped, and each value is proven by the tag of its seal, which binds it to its table and key.
//! The crate decides nothing beyond that; `ts/directory/database.ts` says when a store is begun anew or tried again.

pub mod error;
mod file;
mod folder;
pub mod packed;
mod table;
mod thread;

pub use error::StoreError;
pub use folder::{Found, Opened};
pub use packed::{Operation, PackedBatch};
pub use thread::{Part, Store};
