//! The CUDA backend on a card, against the CPU backend. Without a card, NVRTC or cuBLASLt every test says its
//! name and why it is skipped.

#[path = "../contract_cases/mod.rs"]
mod contract_cases;
#[path = "../cpu_support/mod.rs"]
mod cpu_support;
#[path = "../default_model_support/mod.rs"]
mod default_model_support;

mod agreement;
mod contract;
mod default_model;
mod same_bits;
mod sampling;
mod support;
