//! A model's weights as the CPU computes with them: matrices in panels, vectors in whole lanes.

use super::math::to_lanes;
use super::packed::PackedMatrix;
use super::simd::{LANES, Lanes};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::weights::{LayerWeights, ModelWeights, Tensor};

/// One layer.
pub struct CpuLayer {
    pub attention_norm: Vec<Lanes>,
    pub q: PackedMatrix,
    pub k: PackedMatrix,
    pub v: PackedMatrix,
    pub q_bias: Option<Vec<Lanes>>,
    pub k_bias: Option<Vec<Lanes>>,
    pub v_bias: Option<Vec<Lanes>>,
    pub q_norm: Option<Vec<Lanes>>,
    pub k_norm: Option<Vec<Lanes>>,
    pub output: PackedMatrix,
    pub mlp_norm: Vec<Lanes>,
    pub gate: PackedMatrix,
    pub up: PackedMatrix,
    pub down: PackedMatrix,
}

/// The whole model. The embedding stays as it lies in the file: of it only rows are read.
pub struct CpuWeights {
    pub embedding: Tensor,
    pub layers: Vec<CpuLayer>,
    pub final_norm: Vec<Lanes>,
    pub head: PackedMatrix,
}

impl CpuWeights {
    /// Repacks `weights` with `threads` threads.
    ///
    /// # Errors
    /// A tensor whose shape does not fit `config`, or whose bytes do not fit its shape.
    pub fn new(config: &ModelConfig, weights: &ModelWeights, threads: usize) -> Result<Self, ModelError> {
        if weights.layers.len() != config.layers {
            let detail = format!("{} layers, the configuration has {}", weights.layers.len(), config.layers);
            return Err(ModelError::Invalid { what: "weights", detail });
        }
        let packer = Packer { threads };
        let head = weights.head.as_ref().unwrap_or(&weights.embedding);
        weights.embedding.check_shape(config.vocab_size, config.hidden)?;
        let layers = weights.layers.iter().map(|layer| packer.layer(config, layer));
        Ok(CpuWeights {
            embedding: weights.embedding.clone(),
            layers: layers.collect::<Result<_, _>>()?,
            final_norm: vector(&weights.final_norm, config.hidden)?,
            head: packer.matrix(head, config.vocab_size, config.hidden)?,
        })
    }
}

struct Packer {
    threads: usize,
}

impl Packer {
    fn layer(&self, config: &ModelConfig, layer: &LayerWeights) -> Result<CpuLayer, ModelError> {
        let ModelConfig { hidden, intermediate, head_dim, .. } = *config;
        let (q, kv) = (config.heads * head_dim, config.kv_heads * head_dim);
        let optional = |tensor: &Option<Tensor>, length| {
            tensor.as_ref().map(|tensor| vector(tensor, length)).transpose()
        };
        Ok(CpuLayer {
            attention_norm: vector(&layer.attention_norm, hidden)?,
            q: self.matrix(&layer.q, q, hidden)?,
            k: self.matrix(&layer.k, kv, hidden)?,
            v: self.matrix(&layer.v, kv, hidden)?,
            q_bias: optional(&layer.q_bias, q)?,
            k_bias: optional(&layer.k_bias, kv)?,
            v_bias: optional(&layer.v_bias, kv)?,
            q_norm: optional(&layer.q_norm, head_dim)?,
            k_norm: optional(&layer.k_norm, head_dim)?,
            output: self.matrix(&layer.output, hidden, q)?,
            mlp_norm: vector(&layer.mlp_norm, hidden)?,
            gate: self.matrix(&layer.gate, intermediate, hidden)?,
            up: self.matrix(&layer.up, intermediate, hidden)?,
            down: self.matrix(&layer.down, hidden, intermediate)?,
        })
    }

    fn matrix(&self, tensor: &Tensor, rows: usize, columns: usize) -> Result<PackedMatrix, ModelError> {
        tensor.check_shape(rows, columns)?;
        PackedMatrix::new(tensor, self.threads)
    }
}

fn vector(tensor: &Tensor, length: usize) -> Result<Vec<Lanes>, ModelError> {
    tensor.check_shape(1, length)?;
    let mut row = vec![0.0; length];
    tensor.dequantize_row(0, &mut row);
    let mut lanes = vec![[0.0; LANES]; length.div_ceil(LANES)];
    to_lanes(&row, &mut lanes);
    Ok(lanes)
}
