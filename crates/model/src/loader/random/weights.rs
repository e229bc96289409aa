//! Seeded weights in bf16, made in place on all processors.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use half::bf16;

use crate::config::ModelConfig;
use crate::weights::{LayerWeights, ModelWeights, Tensor, TensorBytes, WeightDtype};

const BYTES: usize = WeightDtype::Bf16.block_bytes();
/// Weights that one random word gives: 16 bits each.
const WEIGHTS_A_WORD: usize = 4;
/// Smaller tensors are not worth a thread.
const WEIGHTS_A_THREAD: usize = 1 << 20;
/// Standard deviation of biases, as models are initialised with.
const BIAS_DEVIATION: f32 = 0.02;

/// Bytes of all weights of `config`.
pub(super) fn bytes(config: &ModelConfig) -> u64 {
    let (hidden, q, kv) = dimensions(config);
    let biases = if config.qkv_bias { q + 2 * kv } else { 0 };
    let norms = 2 * hidden + if config.qk_norm { 2 * config.head_dim as u64 } else { 0 };
    let matrices = hidden * (2 * q + 2 * kv + 3 * config.intermediate as u64);
    let embeddings = config.vocab_size as u64 * hidden * if config.tied_embeddings { 1 } else { 2 };
    BYTES as u64 * (embeddings + hidden + config.layers as u64 * (matrices + norms + biases))
}

/// Hidden size, and the rows of Q and of K.
fn dimensions(config: &ModelConfig) -> (u64, u64, u64) {
    let rows = |heads: usize| (heads * config.head_dim) as u64;
    (config.hidden as u64, rows(config.heads), rows(config.kv_heads))
}

/// Makes all weights. Products keep the scale of what goes in: a weight's deviation is 1/√inputs, and what is added to
/// the residual stream is smaller by √(2·layers), so that neither activations nor logits grow with depth.
pub(super) fn generate(config: &ModelConfig, seed: u64, placed: &dyn Fn(usize, usize)) -> ModelWeights {
    let maker = Maker { seed };
    let layers = (0..config.layers).map(|index| {
        let layer = maker.layer(config, index);
        placed(index + 1, config.layers);
        layer
    });
    let (rows, columns) = (config.vocab_size, config.hidden);
    ModelWeights {
        layers: layers.collect(),
        embedding: maker.matrix("embedding", rows, columns, 1.0),
        final_norm: maker.ones("final_norm", columns),
        head: (!config.tied_embeddings).then(|| maker.matrix("head", rows, columns, 1.0)),
    }
}

struct Maker {
    seed: u64,
}

impl Maker {
    fn layer(&self, config: &ModelConfig, index: usize) -> LayerWeights {
        let ModelConfig { hidden, intermediate, head_dim, .. } = *config;
        let (q, kv) = (config.heads * head_dim, config.kv_heads * head_dim);
        let name = |part: &str| format!("layers.{index}.{part}");
        let matrix = |part: &str, rows, columns| self.matrix(&name(part), rows, columns, 1.0);
        let residual = 1.0 / (2.0 * config.layers as f32).sqrt();
        let bias = |part: &str, rows| config.qkv_bias.then(|| self.bias(&name(part), rows));
        let norm = |part: &str| config.qk_norm.then(|| self.ones(&name(part), head_dim));
        LayerWeights {
            attention_norm: self.ones(&name("attention_norm"), hidden),
            q: matrix("q", q, hidden),
            k: matrix("k", kv, hidden),
            v: matrix("v", kv, hidden),
            q_bias: bias("q_bias", q),
            k_bias: bias("k_bias", kv),
            v_bias: bias("v_bias", kv),
            q_norm: norm("q_norm"),
            k_norm: norm("k_norm"),
            output: self.matrix(&name("output"), hidden, q, residual),
            mlp_norm: self.ones(&name("mlp_norm"), hidden),
            gate: matrix("gate", intermediate, hidden),
            up: matrix("up", intermediate, hidden),
            down: self.matrix(&name("down"), hidden, intermediate, residual),
        }
    }

    /// Deviation `scale`/√columns.
    fn matrix(&self, name: &str, rows: usize, columns: usize, scale: f32) -> Tensor {
        self.random(name, rows, columns, scale / (columns as f32).sqrt())
    }

    fn bias(&self, name: &str, length: usize) -> Tensor {
        self.random(name, 1, length, BIAS_DEVIATION)
    }

    fn ones(&self, name: &str, length: usize) -> Tensor {
        tensor(name, 1, length, bf16::ONE.to_le_bytes().repeat(length).into())
    }

    /// Uniform in ±√3 · `deviation`. A weight depends on seed, name and place only, never on threads.
    fn random(&self, name: &str, rows: usize, columns: usize, deviation: f32) -> Tensor {
        let count = rows * columns;
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, count * BYTES).collect();
        let key = key(self.seed, name);
        // Nobody else has it yet.
        if let Some(bytes) = Arc::get_mut(&mut bytes) {
            fill(bytes, key, deviation * 3f32.sqrt());
        }
        tensor(name, rows, columns, bytes)
    }
}

fn tensor(name: &str, rows: usize, columns: usize, bytes: Arc<[u8]>) -> Tensor {
    Tensor {
        name: name.to_owned(),
        dtype: WeightDtype::Bf16,
        rows,
        columns,
        bytes: TensorBytes::Owned(bytes),
    }
}

/// The stream of random words of one tensor.
fn key(seed: u64, name: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(key)
}

/// Fills `bytes` with weights in ±`bound`, each thread its own stretch of whole words.
fn fill(bytes: &mut [u8], key: u64, bound: f32) {
    let weights = bytes.len() / BYTES;
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = weights.div_ceil(WEIGHTS_A_THREAD).clamp(1, processors);
    let words = weights.div_ceil(WEIGHTS_A_WORD).div_ceil(threads);
    thread::scope(|scope| {
        for (part, bytes) in bytes.chunks_mut(words.max(1) * WEIGHTS_A_WORD * BYTES).enumerate() {
            scope.spawn(move || fill_from(bytes, key, (part * words) as u64, bound));
        }
    });
}

fn fill_from(bytes: &mut [u8], key: u64, first: u64, bound: f32) {
    let step = bound / 32_768.0;
    for (at, quad) in bytes.chunks_mut(WEIGHTS_A_WORD * BYTES).enumerate() {
        let mut bits = word(key, first + at as u64);
        for weight in quad.chunks_exact_mut(BYTES) {
            let value = (f32::from(bits as u16) - 32_767.5) * step;
            weight.copy_from_slice(&bf16::from_f32(value).to_le_bytes());
            bits >>= 16;
        }
    }
}

/// SplitMix64 at place `index` of the stream `key` (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
fn word(key: u64, index: u64) -> u64 {
    let mut bits = key.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
