//! Seeded random models in any shape and format.

use std::sync::Arc;

use attentionstore_model::config::{Architecture, ModelConfig, RopeScaling};
use attentionstore_model::weights::{LayerWeights, ModelWeights, Tensor, TensorBytes, WeightDtype};
use half::{bf16, f16};

/// SplitMix64: numbers from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// In [-1, 1).
    pub fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn tokens(&mut self, count: usize, vocabulary: usize) -> Vec<u32> {
        (0..count).map(|_| self.below(vocabulary) as u32).collect()
    }

    pub fn shuffled(&mut self, count: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (0..count).collect();
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
        all
    }
}

/// A small Llama.
pub fn config() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Llama,
        name: "tiny".into(),
        vocab_size: 101,
        hidden: 64,
        intermediate: 96,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        rms_eps: 1e-5,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::None,
        rotary_dim: 16,
        max_context: 1024,
        capped_by_sliding_window: false,
        tied_embeddings: true,
        qkv_bias: false,
        qk_norm: false,
    }
}

/// A weight of about `scale` in a stored block of `dtype`: random bytes with sane scales.
fn stored_block(random: &mut Random, dtype: WeightDtype, scale: f32, out: &mut Vec<u8>) {
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    let start = out.len();
    match dtype {
        WeightDtype::F32 => out.extend((random.signed() * scale).to_le_bytes()),
        WeightDtype::F16 => out.extend(half(random.signed() * scale)),
        WeightDtype::Bf16 => out.extend(bf16::from_f32(random.signed() * scale).to_le_bytes()),
        WeightDtype::Q8_0 => out.extend(half(random.signed() * scale / 100.0)),
        WeightDtype::Q4_0 => out.extend(half(random.signed() * scale / 8.0)),
        WeightDtype::Q4_1 => {
            let d = random.signed() * scale / 8.0;
            out.extend(half(d));
            out.extend(half(-7.5 * d + random.signed() * scale / 10.0));
        }
        WeightDtype::Q4K | WeightDtype::Q5K => {
            let levels = if dtype == WeightDtype::Q4K { 8.0 } else { 16.0 };
            out.extend(half(random.signed() * scale / levels / 32.0));
            out.extend(half(random.signed() * scale / 32.0));
        }
        WeightDtype::Q6K => {}
    }
    let scale_bytes = if dtype == WeightDtype::Q6K { 2 } else { 0 };
    while out.len() - start < dtype.block_bytes() - scale_bytes {
        out.push(random.bits() as u8);
    }
    if dtype == WeightDtype::Q6K {
        out.extend(half(random.signed() * scale / 2000.0));
    }
}

pub fn tensor(
    random: &mut Random,
    name: &str,
    dtype: WeightDtype,
    rows: usize,
    columns: usize,
    scale: f32,
) -> Tensor {
    let mut bytes = Vec::new();
    for _ in 0..rows * columns / dtype.block_len() {
        stored_block(random, dtype, scale, &mut bytes);
    }
    Tensor { name: name.into(), dtype, rows, columns, bytes: TensorBytes::Owned(Arc::from(bytes)) }
}

/// A vector around `mean`.
fn vector(random: &mut Random, name: &str, length: usize, mean: f32, spread: f32) -> Tensor {
    let values = (0..length).flat_map(|_| (mean + random.signed() * spread).to_le_bytes());
    let bytes = TensorBytes::Owned(values.collect());
    Tensor { name: name.into(), dtype: WeightDtype::F32, rows: 1, columns: length, bytes }
}

/// Weights of `config`'s shape; matrix i is stored in format `formats[i % formats.len()]`.
pub fn weights(config: &ModelConfig, seed: u64, formats: &[WeightDtype]) -> ModelWeights {
    let mut random = Random(seed);
    let mut next = 0;
    let mut matrix = |random: &mut Random, name: &str, rows: usize, columns: usize| {
        let dtype = formats[next % formats.len()];
        next += 1;
        tensor(random, name, dtype, rows, columns, 2.0 / (columns as f32).sqrt())
    };
    let embedding = matrix(&mut random, "embedding", config.vocab_size, config.hidden);
    let (q, kv) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let mut layers = Vec::new();
    for _ in 0..config.layers {
        let r = &mut random;
        layers.push(LayerWeights {
            attention_norm: vector(r, "attention_norm", config.hidden, 1.0, 0.3),
            q: matrix(r, "q", q, config.hidden),
            k: matrix(r, "k", kv, config.hidden),
            v: matrix(r, "v", kv, config.hidden),
            q_bias: config.qkv_bias.then(|| vector(r, "q_bias", q, 0.0, 0.5)),
            k_bias: config.qkv_bias.then(|| vector(r, "k_bias", kv, 0.0, 0.5)),
            v_bias: config.qkv_bias.then(|| vector(r, "v_bias", kv, 0.0, 0.5)),
            q_norm: config.qk_norm.then(|| vector(r, "q_norm", config.head_dim, 1.0, 0.3)),
            k_norm: config.qk_norm.then(|| vector(r, "k_norm", config.head_dim, 1.0, 0.3)),
            output: matrix(r, "output", config.hidden, q),
            mlp_norm: vector(r, "mlp_norm", config.hidden, 1.0, 0.3),
            gate: matrix(r, "gate", config.intermediate, config.hidden),
            up: matrix(r, "up", config.intermediate, config.hidden),
            down: matrix(r, "down", config.hidden, config.intermediate),
        });
    }
    ModelWeights {
        embedding,
        layers,
        final_norm: vector(&mut random, "final_norm", config.hidden, 1.0, 0.3),
        head: (!config.tied_embeddings)
            .then(|| matrix(&mut random, "head", config.vocab_size, config.hidden)),
    }
}
