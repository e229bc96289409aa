//! napi-rs binding: conversions only. One file a type; anything that needs a test of its own logic belongs in
//! `engine` or `kv`. `ts/engine/native/addon.ts` is the other half.

#![cfg_attr(test, allow(dead_code, reason = "napi leaves out its exports where tests are built"))]

mod chat;
mod compile;
mod constraint;
mod cuda;
mod engine;
mod error;
mod info;
mod open;
mod prompt;
mod random;
mod score;
mod sequence;
mod stats;
mod store;
mod text;
mod tools;
