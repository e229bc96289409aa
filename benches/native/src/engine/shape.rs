//! The model that is measured, and the work that it is.

use attentionstore_kv::{KvDtype, KvLayout, SliceOrder};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::loader::random::{RandomModel, RandomSpec};
use attentionstore_model::{ModelSource, load};

use crate::Outcome;
use crate::arguments::Arguments;

/// A model's dimensions and bytes.
pub struct Shape {
    pub source: ModelSource,
    pub config: ModelConfig,
    /// Bytes of weights that one decoded token reads.
    pub read_bytes: f64,
}

impl Shape {
    /// # Errors
    /// A model that is not there or cannot be computed.
    pub fn of(arguments: &Arguments) -> Outcome<Self> {
        if let Some(path) = &arguments.model {
            let model = load(path, &|_| {})?;
            let bytes = |tensor: &attentionstore_model::weights::Tensor| tensor.bytes().len() as f64;
            let all: f64 = model.weights.tensors().map(bytes).sum();
            let unread = if model.weights.head.is_some() { bytes(&model.weights.embedding) } else { 0.0 };
            return Ok(Self {
                source: ModelSource::Files(path.clone()),
                config: model.config,
                read_bytes: all - unread,
            });
        }
        let spec = RandomSpec { shape: arguments.random_weights.clone(), seed: arguments.seed };
        let random = RandomModel::read(&spec)?;
        let config = random.config().clone();
        let embedding = if config.tied_embeddings { 0 } else { 2 * config.vocab_size * config.hidden };
        let read_bytes = random.weight_bytes() as f64 - embedding as f64;
        Ok(Self { source: ModelSource::Random(spec), config, read_bytes })
    }

    /// Bytes of one block in all layers, which every order of elements has.
    pub fn block_bytes(&self) -> u64 {
        self.layout().block_bytes() as u64
    }

    /// Bytes of one block in host memory and on the disk.
    pub fn host_slot_bytes(&self) -> u64 {
        self.layout().host_slot_bytes() as u64
    }

    fn layout(&self) -> KvLayout {
        KvLayout {
            layers: self.config.layers,
            kv_heads: self.config.kv_heads,
            head_dim: self.config.head_dim,
            dtype: KvDtype::Bf16,
            order: SliceOrder::TokensFirst,
        }
    }

    /// Bytes of the keys and values of `tokens` tokens.
    pub fn kv_bytes(&self, tokens: usize) -> f64 {
        let ModelConfig { layers, kv_heads, head_dim, .. } = self.config;
        (2 * layers * kv_heads * head_dim * KvDtype::Bf16.bytes() * tokens) as f64
    }

    /// Multiplications and additions of the matrices for `new` tokens, and of the head for one.
    pub fn matrix_flops(&self, new: usize) -> f64 {
        let ModelConfig { hidden, intermediate, heads, kv_heads, head_dim, layers, vocab_size, .. } =
            self.config;
        let weights = layers * hidden * (head_dim * (2 * heads + 2 * kv_heads) + 3 * intermediate);
        2.0 * weights as f64 * new as f64 + 2.0 * (vocab_size * hidden) as f64
    }

    /// Those of causal attention of `new` tokens after `history`.
    pub fn attention_flops(&self, history: usize, new: usize) -> f64 {
        let ModelConfig { heads, head_dim, layers, .. } = self.config;
        let seen = new as f64 * history as f64 + new as f64 * (new as f64 + 1.0) / 2.0;
        4.0 * (layers * heads * head_dim) as f64 * seen
    }
}
