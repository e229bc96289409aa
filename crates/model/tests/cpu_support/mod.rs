//! Driving a backend in tests: sequences over slots, logits out; the CPU backend to be driven.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

use attentionstore_kv::{BLOCK_TOKENS, KvDtype};
use attentionstore_model::backend::cpu::{CpuBackend, CpuOptions, Isa};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::weights::ModelWeights;

#[path = "../logits_support/mod.rs"]
mod logits_support;
pub mod models;

pub use logits_support::{Agreement, assert_same_bits, distance};

pub fn options() -> CpuOptions {
    CpuOptions { threads: 2, max_batch_tokens: 192, slots: 16, kv_dtype: KvDtype::Bf16, isa: None }
}

pub fn backend(config: &ModelConfig, weights: &ModelWeights, options: CpuOptions) -> CpuBackend {
    CpuBackend::new(config.clone(), weights, options).unwrap_or_else(|error| panic!("{error}"))
}

/// The instruction sets of this machine; names those it lacks.
pub fn isas() -> Vec<Isa> {
    let (present, absent): (Vec<Isa>, Vec<Isa>) =
        [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().partition(|isa| isa.is_available());
    for isa in absent {
        println!("skipped: {} (not on this machine)", isa.name());
    }
    present
}

/// A sequence whose tokens are computed piece by piece.
#[derive(Clone)]
pub struct Sequence {
    pub tokens: Vec<u32>,
    pub slots: Vec<u32>,
    pub done: usize,
    /// Logits of every token computed so far.
    pub logits: Vec<Vec<f32>>,
}

impl Sequence {
    pub fn new(tokens: &[u32], slots: &[u32]) -> Self {
        assert!(slots.len() * BLOCK_TOKENS >= tokens.len(), "slots for {} tokens", tokens.len());
        Sequence { tokens: tokens.to_vec(), slots: slots.to_vec(), done: 0, logits: Vec::new() }
    }

    pub fn left(&self) -> usize {
        self.tokens.len() - self.done
    }
}

/// Computes the next `counts[i]` tokens of each sequence in one step (0: not in it) and keeps all their logits.
pub fn step(backend: &mut dyn Backend, sequences: &mut [Sequence], counts: &[usize]) {
    let batch: Vec<BatchSequence<'_>> = sequences
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(sequence, &count)| BatchSequence {
            tokens: &sequence.tokens[sequence.done..sequence.done + count],
            position: sequence.done as u32,
            slots: &sequence.slots,
            logits: LogitsWanted::All,
        })
        .collect();
    backend.begin_step(&batch).unwrap_or_else(|error| panic!("{error}"));
    for layer in 0..backend.config().layers {
        backend.run_layer(layer).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut row = 0;
    for (sequence, &count) in sequences.iter_mut().zip(counts) {
        for _ in 0..count {
            let mut logits = vec![f32::NAN; backend.config().vocab_size];
            backend.read_logits(row, &mut logits).unwrap_or_else(|error| panic!("{error}"));
            sequence.logits.push(logits);
            row += 1;
        }
        sequence.done += count;
    }
}

/// All logits of `tokens`, computed in chunks of `chunk`.
pub fn logits(backend: &mut dyn Backend, tokens: &[u32], slots: &[u32], chunk: usize) -> Vec<Vec<f32>> {
    let mut sequences = [Sequence::new(tokens, slots)];
    while sequences[0].left() > 0 {
        let count = chunk.min(sequences[0].left());
        step(backend, &mut sequences, &[count]);
    }
    let [sequence] = sequences;
    sequence.logits
}
