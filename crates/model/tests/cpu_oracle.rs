//! Logits against a plain forward pass in f64 with absolute positions and whole softmaxes, on seeded random
//! models of every architecture feature.

mod cpu_support;

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::cpu::CpuOptions;
use attentionstore_model::config::{ModelConfig, RopeScaling};
use attentionstore_model::weights::{LayerWeights, ModelWeights, Tensor, WeightDtype};

use crate::cpu_support::models::{Random, config, weights};
use crate::cpu_support::{backend, distance, logits, options};

/// Rows of numbers, one a token.
type Rows = Vec<Vec<f64>>;

fn row(tensor: &Tensor, row: usize) -> Vec<f64> {
    let mut out = vec![0.0; tensor.columns];
    tensor.dequantize_row(row, &mut out);
    out.into_iter().map(f64::from).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn linear(x: &Rows, matrix: &Tensor, bias: Option<&Tensor>) -> Rows {
    let rows: Rows = (0..matrix.rows).map(|output| row(matrix, output)).collect();
    let bias = bias.map(|bias| row(bias, 0));
    let output = |x: &Vec<f64>, at: usize| dot(x, &rows[at]) + bias.as_ref().map_or(0.0, |bias| bias[at]);
    x.iter().map(|x| (0..matrix.rows).map(|at| output(x, at)).collect()).collect()
}

fn norm(x: &[f64], weight: &Tensor, eps: f32) -> Vec<f64> {
    let scale = 1.0 / (dot(x, x) / x.len() as f64 + f64::from(eps)).sqrt();
    x.iter().zip(row(weight, 0)).map(|(x, weight)| x * scale * weight).collect()
}

/// Rotates one head by its absolute position.
fn rotate(config: &ModelConfig, head: &mut [f64], position: usize) {
    let half = config.rotary_dim / 2;
    for (i, frequency) in config.inverse_frequencies().into_iter().enumerate() {
        let (sin, cos) = (position as f64 * f64::from(frequency)).sin_cos();
        let (x, y) = (head[i], head[i + half]);
        (head[i], head[i + half]) = (x * cos - y * sin, y * cos + x * sin);
    }
}

/// Heads of projected rows, normalised and rotated.
fn heads(config: &ModelConfig, mut x: Rows, weight: Option<&Tensor>) -> Rows {
    for (position, x) in x.iter_mut().enumerate() {
        for head in x.chunks_mut(config.head_dim) {
            if let Some(weight) = weight {
                let normed = norm(head, weight, config.rms_eps);
                head.copy_from_slice(&normed);
            }
            rotate(config, head, position);
        }
    }
    x
}

fn attention(config: &ModelConfig, layer: &LayerWeights, x: &Rows) -> Rows {
    let q = heads(config, linear(x, &layer.q, layer.q_bias.as_ref()), layer.q_norm.as_ref());
    let k = heads(config, linear(x, &layer.k, layer.k_bias.as_ref()), layer.k_norm.as_ref());
    let v = linear(x, &layer.v, layer.v_bias.as_ref());
    let dim = config.head_dim;
    let of = |rows: &Rows, token: usize, head: usize| rows[token][head * dim..(head + 1) * dim].to_vec();
    let mut out = vec![vec![0.0; config.heads * dim]; x.len()];
    for (token, out) in out.iter_mut().enumerate() {
        for head in 0..config.heads {
            let (query, kv) = (of(&q, token, head), head / (config.heads / config.kv_heads));
            let scores: Vec<f64> =
                (0..=token).map(|key| dot(&query, &of(&k, key, kv)) / (dim as f64).sqrt()).collect();
            let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for (key, weight) in weights.iter().enumerate() {
                for (out, value) in out[head * dim..].iter_mut().zip(of(&v, key, kv)) {
                    *out += weight / sum * value;
                }
            }
        }
    }
    linear(&out, &layer.output, None)
}

fn feed_forward(layer: &LayerWeights, x: &Rows) -> Rows {
    let (gate, up) = (linear(x, &layer.gate, None), linear(x, &layer.up, None));
    let inner = |gate: &Vec<f64>, up: &Vec<f64>| {
        gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect()
    };
    linear(&gate.iter().zip(&up).map(|(gate, up)| inner(gate, up)).collect(), &layer.down, None)
}

fn add(x: &mut Rows, y: Rows) {
    for (x, y) in x.iter_mut().zip(y) {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    }
}

fn forward(config: &ModelConfig, weights: &ModelWeights, tokens: &[u32]) -> Rows {
    let mut x: Rows = tokens.iter().map(|&token| row(&weights.embedding, token as usize)).collect();
    let normed = |x: &Rows, weight| x.iter().map(|x| norm(x, weight, config.rms_eps)).collect();
    for layer in &weights.layers {
        let attended = attention(config, layer, &normed(&x, &layer.attention_norm));
        add(&mut x, attended);
        let fed = feed_forward(layer, &normed(&x, &layer.mlp_norm));
        add(&mut x, fed);
    }
    linear(&normed(&x, &weights.final_norm), weights.head.as_ref().unwrap_or(&weights.embedding), None)
}

/// A random model: every feature is drawn.
fn random_model(random: &mut Random) -> (ModelConfig, Vec<WeightDtype>) {
    let kv_heads = 1 + random.below(3);
    let head_dim = [8, 16, 24, 32, 40][random.below(5)];
    let scaling = [
        RopeScaling::None,
        RopeScaling::Linear { factor: 2.5 },
        RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position: 64,
        },
    ];
    let blocks = random.below(2) == 0;
    let width = if blocks { 32 } else { 1 };
    // Block formats need rows of whole blocks: eight heads of 8 to 40 elements give such to the output matrix.
    let (kv_heads, group) = if blocks { (2, 4) } else { (kv_heads, 1 + random.below(4)) };
    let config = ModelConfig {
        vocab_size: 50 + random.below(60),
        hidden: width * (1 + random.below(2)) + if blocks { 0 } else { 33 + random.below(30) },
        intermediate: width * (1 + random.below(3)) + if blocks { 0 } else { 40 + random.below(60) },
        layers: 1 + random.below(2),
        heads: kv_heads * group,
        kv_heads,
        head_dim,
        rotary_dim: if random.below(3) == 0 { head_dim / 2 } else { head_dim },
        rope_theta: [10_000.0, 500.0][random.below(2)],
        rope_scaling: scaling[random.below(3)].clone(),
        tied_embeddings: random.below(2) == 0,
        qkv_bias: random.below(2) == 0,
        qk_norm: random.below(2) == 0,
        ..config()
    };
    let formats = if blocks {
        vec![WeightDtype::Q8_0, WeightDtype::Q4_0, WeightDtype::Q4_1]
    } else {
        vec![WeightDtype::F32, WeightDtype::F16, WeightDtype::Bf16]
    };
    (config, formats)
}

#[test]
fn logits_are_those_of_a_plain_forward_pass_on_random_models() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let (config, formats) = random_model(&mut random);
        println!("seed {seed}: {config:?}");
        let weights = weights(&config, seed, &formats);
        let count = 65 + random.below(80);
        let tokens = random.tokens(count, config.vocab_size);
        let wanted: Vec<f32> =
            forward(&config, &weights, &tokens).into_iter().flatten().map(|logit| logit as f32).collect();
        for (kv_dtype, tolerance) in [(KvDtype::F32, 1e-4), (KvDtype::Bf16, 2e-2)] {
            let mut backend = backend(&config, &weights, CpuOptions { kv_dtype, ..options() });
            let chunk = 1 + random.below(100);
            let found = logits(&mut backend, &tokens, &[6, 2, 9], chunk).concat();
            let distance = distance(&found, &wanted);
            assert!(distance <= tolerance, "seed {seed}, {kv_dtype:?}, chunks of {chunk}: {distance}");
        }
    }
}
