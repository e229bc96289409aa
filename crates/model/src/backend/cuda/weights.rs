//! A model's weights on the card: matrices in bf16, whatever they are stored as, vectors in f32; Q, K and V one
//! matrix, gate and up another.

use std::thread;

use attentionstore_cuda::runtime::{DevicePointer, Stream, bytes_of};
use attentionstore_cuda::{CudaError, Device};
use half::bf16;

use super::memory::Region;
use super::plan::weight_bytes;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::weights::{LayerWeights, ModelWeights, Tensor, WeightDtype};

/// Bytes that are expanded on the host at once.
const CHUNK_BYTES: usize = 64 << 20;

/// One layer. Vectors are f32, matrices bf16 `[outputs][inputs]`.
#[derive(Clone, Copy, Debug)]
pub struct CudaLayer {
    pub attention_norm: DevicePointer,
    pub qkv: DevicePointer,
    pub qkv_bias: Option<DevicePointer>,
    pub q_norm: Option<DevicePointer>,
    pub k_norm: Option<DevicePointer>,
    pub output: DevicePointer,
    pub mlp_norm: DevicePointer,
    /// `[gate | up]`.
    pub gate_up: DevicePointer,
    pub down: DevicePointer,
}

/// The whole model.
pub struct CudaWeights {
    pub embedding: DevicePointer,
    pub layers: Vec<CudaLayer>,
    pub final_norm: DevicePointer,
    pub head: DevicePointer,
    /// Where all of it lies.
    _region: Region,
}

impl CudaWeights {
    /// Expands and uploads `weights`.
    ///
    /// # Errors
    /// A tensor whose shape does not fit `config`, no memory on the card, a driver that refuses.
    pub fn upload(
        device: &Device,
        stream: &Stream,
        config: &ModelConfig,
        weights: &ModelWeights,
    ) -> Result<CudaWeights, UploadError> {
        let region = Region::new(device, weight_bytes(config))?;
        let mut upload = Upload { region, stream, config };
        let (vocabulary, hidden) = (config.vocab_size, config.hidden);
        let embedding = upload.matrix(&[(&weights.embedding, vocabulary)], hidden)?;
        let layers = weights.layers.iter().map(|layer| upload.layer(layer)).collect::<Result<_, _>>()?;
        let final_norm = upload.vector(&[(&weights.final_norm, hidden)])?;
        let head = match &weights.head {
            Some(head) => upload.matrix(&[(head, vocabulary)], hidden)?,
            None => embedding,
        };
        Ok(CudaWeights { embedding, layers, final_norm, head, _region: upload.region })
    }
}

/// The model or the card is at fault.
#[derive(Debug)]
pub enum UploadError {
    Model(ModelError),
    Card(CudaError),
}

impl From<ModelError> for UploadError {
    fn from(error: ModelError) -> Self {
        UploadError::Model(error)
    }
}

impl From<CudaError> for UploadError {
    fn from(error: CudaError) -> Self {
        UploadError::Card(error)
    }
}

struct Upload<'a> {
    region: Region,
    stream: &'a Stream,
    config: &'a ModelConfig,
}

/// Tensors that become one, each with its number of rows (of a matrix) or elements (of a vector).
type Parts<'a> = [(&'a Tensor, usize)];

impl Upload<'_> {
    fn layer(&mut self, layer: &LayerWeights) -> Result<CudaLayer, UploadError> {
        let ModelConfig { hidden, intermediate, head_dim, .. } = *self.config;
        let (q, kv) = (self.config.heads * head_dim, self.config.kv_heads * head_dim);
        let qkv_bias = match (&layer.q_bias, &layer.k_bias, &layer.v_bias) {
            (Some(q_bias), Some(k_bias), Some(v_bias)) => {
                Some(self.vector(&[(q_bias, q), (k_bias, kv), (v_bias, kv)])?)
            }
            _ => None,
        };
        let head_norm = |upload: &mut Self, norm: &Option<Tensor>| {
            norm.as_ref().map(|norm| upload.vector(&[(norm, head_dim)])).transpose()
        };
        Ok(CudaLayer {
            attention_norm: self.vector(&[(&layer.attention_norm, hidden)])?,
            qkv: self.matrix(&[(&layer.q, q), (&layer.k, kv), (&layer.v, kv)], hidden)?,
            qkv_bias,
            q_norm: head_norm(self, &layer.q_norm)?,
            k_norm: head_norm(self, &layer.k_norm)?,
            output: self.matrix(&[(&layer.output, hidden)], q)?,
            mlp_norm: self.vector(&[(&layer.mlp_norm, hidden)])?,
            gate_up: self.matrix(&[(&layer.gate, intermediate), (&layer.up, intermediate)], hidden)?,
            down: self.matrix(&[(&layer.down, hidden)], intermediate)?,
        })
    }

    fn vector(&mut self, parts: &Parts<'_>) -> Result<DevicePointer, UploadError> {
        let mut values = Vec::new();
        for (tensor, length) in parts {
            tensor.check_shape(1, *length)?;
            values.extend(tensor.dequantize());
        }
        let pointer = self.region.take(values.len() * 4)?;
        self.write(pointer, 0, bytes_of(&values))?;
        Ok(pointer)
    }

    fn matrix(&mut self, parts: &Parts<'_>, columns: usize) -> Result<DevicePointer, UploadError> {
        let rows: usize = parts.iter().map(|(_, rows)| rows).sum();
        let pointer = self.region.take(rows * columns * 2)?;
        let mut offset = 0;
        for (tensor, rows) in parts {
            tensor.check_shape(*rows, columns)?;
            let at_once = (CHUNK_BYTES / (columns * 2)).max(1);
            for first in (0..*rows).step_by(at_once) {
                let values = in_bf16(tensor, first, at_once.min(rows - first));
                self.write(pointer, offset, bytes_of(&values))?;
                offset += values.len() * 2;
            }
        }
        Ok(pointer)
    }

    fn write(&self, to: DevicePointer, offset: usize, bytes: &[u8]) -> Result<(), CudaError> {
        self.region.buffer().write(self.stream, self.region.offset_of(to) + offset, bytes)
    }
}

/// Rows `first..first + rows` in bf16, expanded by all processors.
fn in_bf16(tensor: &Tensor, first: usize, rows: usize) -> Vec<u16> {
    let columns = tensor.columns;
    let mut out = vec![0_u16; rows * columns];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = rows.div_ceil(threads).max(1);
    thread::scope(|scope| {
        for (part, out) in out.chunks_mut(share * columns).enumerate() {
            scope.spawn(move || expand_rows(tensor, first + part * share, out));
        }
    });
    out
}

fn expand_rows(tensor: &Tensor, first: usize, out: &mut [u16]) {
    let mut row = vec![0.0; tensor.columns];
    for (index, out) in out.chunks_exact_mut(tensor.columns).enumerate() {
        if tensor.dtype == WeightDtype::Bf16 {
            let stored = tensor.row(first + index).as_chunks::<2>().0;
            out.iter_mut().zip(stored).for_each(|(out, bytes)| *out = u16::from_le_bytes(*bytes));
            continue;
        }
        tensor.dequantize_row(first + index, &mut row);
        out.iter_mut().zip(&row).for_each(|(out, &value)| *out = bf16::from_f32(value).to_bits());
    }
}
