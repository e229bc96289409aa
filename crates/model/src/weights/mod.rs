//! Weights as they lie in the file: memory-mapped, in their stored format, checked against the configuration.

pub mod assemble;
pub mod dequantize;
pub mod gguf;
pub mod permute;
pub mod safetensors;
pub mod store;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::ModelError;

/// Stored formats. The block formats are ggml's: 32 weights a block for `Q8_0`, `Q4_0`, `Q4_1`, 256 for `Q*_K`,
/// blocks running along a row (the input dimension).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightDtype {
    F32,
    F16,
    Bf16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q4K,
    Q5K,
    Q6K,
}

impl WeightDtype {
    /// Weights in one stored block.
    pub const fn block_len(self) -> usize {
        match self {
            WeightDtype::F32 | WeightDtype::F16 | WeightDtype::Bf16 => 1,
            WeightDtype::Q8_0 | WeightDtype::Q4_0 | WeightDtype::Q4_1 => 32,
            WeightDtype::Q4K | WeightDtype::Q5K | WeightDtype::Q6K => 256,
        }
    }

    /// Bytes of one stored block.
    pub const fn block_bytes(self) -> usize {
        match self {
            WeightDtype::F32 => 4,
            WeightDtype::F16 | WeightDtype::Bf16 => 2,
            WeightDtype::Q8_0 => 34,
            WeightDtype::Q4_0 => 18,
            WeightDtype::Q4_1 => 20,
            WeightDtype::Q4K => 144,
            WeightDtype::Q5K => 176,
            WeightDtype::Q6K => 210,
        }
    }
}

impl fmt::Display for WeightDtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            WeightDtype::F32 => "F32",
            WeightDtype::F16 => "F16",
            WeightDtype::Bf16 => "BF16",
            WeightDtype::Q8_0 => "Q8_0",
            WeightDtype::Q4_0 => "Q4_0",
            WeightDtype::Q4_1 => "Q4_1",
            WeightDtype::Q4K => "Q4_K",
            WeightDtype::Q5K => "Q5_K",
            WeightDtype::Q6K => "Q6_K",
        })
    }
}

/// Where a tensor's bytes lie: in the mapped file, or in memory where rows had to be put in another order.
#[derive(Clone)]
pub enum TensorBytes {
    Mapped { file: Arc<Mmap>, range: Range<usize> },
    Owned(Arc<[u8]>),
}

/// A matrix `[rows][columns]` (outputs × inputs), or a vector (`rows == 1`), in its stored format.
#[derive(Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: WeightDtype,
    pub rows: usize,
    pub columns: usize,
    pub bytes: TensorBytes,
}

impl Tensor {
    /// All bytes, rows one after another.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            TensorBytes::Mapped { file, range } => &file[range.clone()],
            TensorBytes::Owned(bytes) => bytes,
        }
    }

    /// Bytes of one row.
    pub const fn row_bytes(&self) -> usize {
        self.columns / self.dtype.block_len() * self.dtype.block_bytes()
    }

    /// Refuses another shape than `rows` × `columns`, and bytes that do not fit it.
    pub(crate) fn check_shape(&self, rows: usize, columns: usize) -> Result<(), ModelError> {
        let shaped =
            (self.rows, self.columns) == (rows, columns) && columns.is_multiple_of(self.dtype.block_len());
        if shaped && self.bytes().len() == rows * self.row_bytes() {
            return Ok(());
        }
        let Tensor { name, rows: found, columns: wide, dtype, .. } = self;
        let detail = format!(
            "{name} is {found} × {wide} ({dtype:?}, {} bytes), expected {rows} × {columns}",
            self.bytes().len()
        );
        Err(ModelError::Invalid { what: "weights", detail })
    }

    /// Bytes of row `row`.
    pub fn row(&self, row: usize) -> &[u8] {
        &self.bytes()[row * self.row_bytes()..(row + 1) * self.row_bytes()]
    }
}

/// One transformer layer. Q and K rows are already in Hugging Face order (un-permuted where GGUF permutes them).
#[derive(Clone)]
pub struct LayerWeights {
    pub attention_norm: Tensor,
    pub q: Tensor,
    pub k: Tensor,
    pub v: Tensor,
    pub q_bias: Option<Tensor>,
    pub k_bias: Option<Tensor>,
    pub v_bias: Option<Tensor>,
    pub q_norm: Option<Tensor>,
    pub k_norm: Option<Tensor>,
    pub output: Tensor,
    pub mlp_norm: Tensor,
    pub gate: Tensor,
    pub up: Tensor,
    pub down: Tensor,
}

/// All weights of a model; `head` is `None` where it is tied to the embedding.
#[derive(Clone)]
pub struct ModelWeights {
    pub embedding: Tensor,
    pub layers: Vec<LayerWeights>,
    pub final_norm: Tensor,
    pub head: Option<Tensor>,
}

impl ModelWeights {
    /// Every tensor, embedding first.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.embedding)
            .chain(self.layers.iter().flat_map(LayerWeights::tensors))
            .chain(std::iter::once(&self.final_norm))
            .chain(&self.head)
    }

    /// The formats of the matrices, most weights first, joined by `+`: `Q4_1+Q8_0`.
    pub fn quantisation(&self) -> String {
        let mut weights: Vec<(WeightDtype, usize)> = Vec::new();
        for tensor in self.tensors().filter(|tensor| tensor.rows > 1) {
            let count = tensor.rows * tensor.columns;
            match weights.iter_mut().find(|(dtype, _)| *dtype == tensor.dtype) {
                Some((_, sum)) => *sum += count,
                None => weights.push((tensor.dtype, count)),
            }
        }
        weights.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        weights.iter().map(|(dtype, _)| dtype.to_string()).collect::<Vec<_>>().join("+")
    }
}

impl LayerWeights {
    /// Every tensor of the layer.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let optional = [&self.q_bias, &self.k_bias, &self.v_bias, &self.q_norm, &self.k_norm];
        [&self.attention_norm, &self.q, &self.k, &self.v, &self.output]
            .into_iter()
            .chain([&self.mlp_norm, &self.gate, &self.up, &self.down])
            .chain(optional.into_iter().flatten())
    }
}
