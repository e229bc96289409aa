//! From named tensors to a model's weights: every tensor the architecture needs is there in the right shape, and
//! there is none that it would ignore.

use std::collections::HashSet;

use super::permute::deinterleave_heads;
use super::store::{StoredTensor, TensorStore};
use super::{LayerWeights, ModelWeights, Tensor, WeightDtype};
use crate::config::ModelConfig;
use crate::error::ModelError;

/// How a container names tensors and orders Q and K.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    HuggingFace,
    /// `interleaved_heads`: Q and K rows of every head lie interleaved (llama-architecture files).
    Gguf {
        interleaved_heads: bool,
    },
}

/// The tensors of a layer.
#[derive(Clone, Copy)]
enum Part {
    AttentionNorm,
    Q,
    K,
    V,
    QBias,
    KBias,
    VBias,
    QNorm,
    KNorm,
    Output,
    MlpNorm,
    Gate,
    Up,
    Down,
}

impl Convention {
    /// The embedding's name.
    pub fn embedding(self) -> &'static str {
        match self {
            Convention::HuggingFace => "model.embed_tokens.weight",
            Convention::Gguf { .. } => "token_embd.weight",
        }
    }

    fn final_norm(self) -> &'static str {
        match self {
            Convention::HuggingFace => "model.norm.weight",
            Convention::Gguf { .. } => "output_norm.weight",
        }
    }

    /// The head's name.
    pub fn head(self) -> &'static str {
        match self {
            Convention::HuggingFace => "lm_head.weight",
            Convention::Gguf { .. } => "output.weight",
        }
    }

    fn part(self, layer: usize, part: Part) -> String {
        match self {
            Convention::HuggingFace => format!("model.layers.{layer}.{}", hugging_face_part(part)),
            Convention::Gguf { .. } => format!("blk.{layer}.{}", gguf_part(part)),
        }
    }

    /// Tensors that may be present without changing what is computed.
    fn is_ignorable(self, name: &str) -> bool {
        match self {
            // Old checkpoints store the inverse frequencies, which the configuration gives; a head beside tied
            // embeddings is a copy of them, and not read by the reference either.
            Convention::HuggingFace => name.ends_with(".rotary_emb.inv_freq") || name == self.head(),
            // Read with the configuration.
            Convention::Gguf { .. } => name == "rope_freqs.weight",
        }
    }
}

fn hugging_face_part(part: Part) -> &'static str {
    match part {
        Part::AttentionNorm => "input_layernorm.weight",
        Part::Q => "self_attn.q_proj.weight",
        Part::K => "self_attn.k_proj.weight",
        Part::V => "self_attn.v_proj.weight",
        Part::QBias => "self_attn.q_proj.bias",
        Part::KBias => "self_attn.k_proj.bias",
        Part::VBias => "self_attn.v_proj.bias",
        Part::QNorm => "self_attn.q_norm.weight",
        Part::KNorm => "self_attn.k_norm.weight",
        Part::Output => "self_attn.o_proj.weight",
        Part::MlpNorm => "post_attention_layernorm.weight",
        Part::Gate => "mlp.gate_proj.weight",
        Part::Up => "mlp.up_proj.weight",
        Part::Down => "mlp.down_proj.weight",
    }
}

fn gguf_part(part: Part) -> &'static str {
    match part {
        Part::AttentionNorm => "attn_norm.weight",
        Part::Q => "attn_q.weight",
        Part::K => "attn_k.weight",
        Part::V => "attn_v.weight",
        Part::QBias => "attn_q.bias",
        Part::KBias => "attn_k.bias",
        Part::VBias => "attn_v.bias",
        Part::QNorm => "attn_q_norm.weight",
        Part::KNorm => "attn_k_norm.weight",
        Part::Output => "attn_output.weight",
        Part::MlpNorm => "ffn_norm.weight",
        Part::Gate => "ffn_gate.weight",
        Part::Up => "ffn_up.weight",
        Part::Down => "ffn_down.weight",
    }
}

/// Takes every tensor of the model out of `store`. `progress(placed, total)` is called after each layer.
///
/// # Errors
/// A tensor is missing, has another shape than `config` says, or is there but belongs to no such model.
pub fn assemble(
    store: &dyn TensorStore,
    convention: Convention,
    config: &ModelConfig,
    progress: &dyn Fn(usize, usize),
) -> Result<ModelWeights, ModelError> {
    let mut assembler = Assembler { store, convention, config, used: HashSet::new() };
    let embedding = assembler.matrix(convention.embedding(), config.vocab_size, config.hidden)?;
    let final_norm = assembler.vector(convention.final_norm(), config.hidden)?;
    let head = match config.tied_embeddings {
        true => None,
        false => Some(assembler.matrix(convention.head(), config.vocab_size, config.hidden)?),
    };
    let mut layers = Vec::new();
    for layer in 0..config.layers {
        layers.push(assembler.layer(layer)?);
        progress(layer + 1, config.layers);
    }
    assembler.refuse_unused()?;
    Ok(ModelWeights { embedding, layers, final_norm, head })
}

struct Assembler<'a> {
    store: &'a dyn TensorStore,
    convention: Convention,
    config: &'a ModelConfig,
    used: HashSet<String>,
}

impl Assembler<'_> {
    fn layer(&mut self, layer: usize) -> Result<LayerWeights, ModelError> {
        let config = self.config;
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        let (q_rows, kv_rows) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        Ok(LayerWeights {
            attention_norm: self.part_vector(layer, Part::AttentionNorm, hidden)?,
            q: self.rotated(layer, Part::Q, q_rows)?,
            k: self.rotated(layer, Part::K, kv_rows)?,
            v: self.part_matrix(layer, Part::V, kv_rows, hidden)?,
            q_bias: self.optional_vector(config.qkv_bias, layer, Part::QBias, q_rows)?,
            k_bias: self.optional_vector(config.qkv_bias, layer, Part::KBias, kv_rows)?,
            v_bias: self.optional_vector(config.qkv_bias, layer, Part::VBias, kv_rows)?,
            q_norm: self.optional_vector(config.qk_norm, layer, Part::QNorm, config.head_dim)?,
            k_norm: self.optional_vector(config.qk_norm, layer, Part::KNorm, config.head_dim)?,
            output: self.part_matrix(layer, Part::Output, hidden, q_rows)?,
            mlp_norm: self.part_vector(layer, Part::MlpNorm, hidden)?,
            gate: self.part_matrix(layer, Part::Gate, intermediate, hidden)?,
            up: self.part_matrix(layer, Part::Up, intermediate, hidden)?,
            down: self.part_matrix(layer, Part::Down, hidden, intermediate)?,
        })
    }

    /// Q or K, in Hugging Face order whatever the container's.
    fn rotated(&mut self, layer: usize, part: Part, rows: usize) -> Result<Tensor, ModelError> {
        let tensor = self.part_matrix(layer, part, rows, self.config.hidden)?;
        Ok(match self.convention {
            Convention::Gguf { interleaved_heads: true } => {
                deinterleave_heads(&tensor, self.config.head_dim, self.config.rotary_dim)
            }
            _ => tensor,
        })
    }

    fn part_matrix(
        &mut self,
        layer: usize,
        part: Part,
        rows: usize,
        columns: usize,
    ) -> Result<Tensor, ModelError> {
        self.matrix(&self.convention.part(layer, part), rows, columns)
    }

    fn part_vector(&mut self, layer: usize, part: Part, length: usize) -> Result<Tensor, ModelError> {
        self.vector(&self.convention.part(layer, part), length)
    }

    fn optional_vector(
        &mut self,
        wanted: bool,
        layer: usize,
        part: Part,
        length: usize,
    ) -> Result<Option<Tensor>, ModelError> {
        wanted.then(|| self.part_vector(layer, part, length)).transpose()
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Tensor, ModelError> {
        let StoredTensor { dtype, bytes, .. } = self.take(name, &[rows, columns])?;
        Ok(Tensor { name: name.to_owned(), dtype, rows, columns, bytes })
    }

    /// A vector of norms or biases, which no format quantises.
    fn vector(&mut self, name: &str, length: usize) -> Result<Tensor, ModelError> {
        let StoredTensor { path, dtype, bytes, .. } = self.take(name, &[length])?;
        if !matches!(dtype, WeightDtype::F32 | WeightDtype::F16 | WeightDtype::Bf16) {
            return Err(ModelError::unsupported(&path, format!("tensor {name}: a vector stored as {dtype}")));
        }
        Ok(Tensor { name: name.to_owned(), dtype, rows: 1, columns: length, bytes })
    }

    /// The tensor `name`, which must have the shape `wanted`.
    fn take(&mut self, name: &str, wanted: &[usize]) -> Result<StoredTensor, ModelError> {
        let tensor = self.store.find(name)?.ok_or_else(|| {
            ModelError::malformed(self.store.location(), format!("tensor {name} is missing"))
        })?;
        if tensor.shape != wanted {
            let detail =
                format!("tensor {name} has the shape {:?}, the configuration says {wanted:?}", tensor.shape);
            return Err(ModelError::malformed(&tensor.path, detail));
        }
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    /// A tensor that we would leave out means that the model computes something we do not.
    fn refuse_unused(&self) -> Result<(), ModelError> {
        let names = self.store.names();
        let unused = names
            .into_iter()
            .filter(|name| !self.used.contains(*name) && !self.convention.is_ignorable(name))
            .min();
        match unused {
            None => Ok(()),
            Some(name) => {
                let detail = format!(
                    "tensor {name} is not part of a {:?} model of {} layers as computed here",
                    self.config.architecture, self.config.layers
                );
                Err(ModelError::unsupported(self.store.location(), detail))
            }
        }
    }
}
