//! The card's memory, planned before any of it is taken: weights, working memory, and what is left for slots.

use attentionstore_cuda::blas::WORKSPACE_BYTES;
use attentionstore_cuda::launch::{
    Adjustment, AttentionShape, LogProbabilityAnswer, LogProbabilityRequest, Partials, QueryTile,
    SampleChoice,
};
use attentionstore_kv::{BLOCK_TOKENS, KvDtype, KvLayout, SliceOrder};

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::sampling::TokenMask;

/// Every buffer begins at a multiple of this.
pub const ALIGNMENT: usize = 256;
/// Share of the card that is left to the driver, loaded code and what else comes: one part of so many.
const RESERVE_SHARE: u64 = 40;
/// Longest view whose keys are rotated once; longer ones rotate their queries.
const DENSE_KEYS_MOST: usize = 128 << 10;
/// Logits computed at once take at most this many bytes, unless that were too few rows.
const LOGIT_BYTES: usize = 64 << 20;
const LOGIT_ROWS: std::ops::RangeInclusive<usize> = 16..=256;
/// Penalties, biases and bans of one sampling launch; requests beyond are sampled on the CPU.
pub const ADJUSTMENTS_MOST: usize = 1 << 16;

/// Counts that decide the sizes of everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    pub shape: AttentionShape,
    pub hidden: usize,
    pub intermediate: usize,
    pub vocabulary: usize,
    /// Most rows of a step.
    pub rows: usize,
    /// Most positions of a view.
    pub positions: usize,
    pub multiprocessors: usize,
}

/// What the slots of a model look like.
pub(super) fn layout_of(config: &ModelConfig) -> KvLayout {
    KvLayout {
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        dtype: KvDtype::Bf16,
        order: SliceOrder::TokensFirst,
    }
}

/// Bytes of each buffer of the working memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkingBytes {
    pub residual: usize,
    pub normed: usize,
    pub qkv: usize,
    pub queries: usize,
    pub attended: usize,
    pub delta: usize,
    pub gate_up: usize,
    pub inner: usize,
    pub partials: usize,
    pub rotated_keys: usize,
    pub table: usize,
    pub inputs: usize,
    pub final_normed: usize,
    pub logits: usize,
    pub sampling: usize,
}

impl Sizes {
    /// Rows of logits that are computed at once.
    pub fn logit_rows(&self) -> usize {
        let fitting = LOGIT_BYTES / (self.vocabulary.max(1) * 4);
        fitting.clamp(*LOGIT_ROWS.start(), *LOGIT_ROWS.end()).min(self.rows.max(1))
    }

    /// Keys of the longest view that is computed densely.
    pub fn dense_keys(&self) -> usize {
        self.positions.min(DENSE_KEYS_MOST)
    }

    /// Words of a step's inputs: see `inputs.rs`.
    pub fn input_words(&self) -> usize {
        let tile_words = size_of::<QueryTile>() / 4;
        let words = self.rows * (5 + tile_words) + self.rows * self.positions.div_ceil(BLOCK_TOKENS);
        words.next_multiple_of(4)
    }

    pub fn working(&self) -> WorkingBytes {
        let Sizes { shape, hidden, intermediate, vocabulary, rows, .. } = *self;
        let all_heads = shape.heads() + 2 * shape.kv_heads();
        WorkingBytes {
            residual: rows * hidden * 4,
            normed: rows * hidden * 2,
            qkv: rows * all_heads * shape.head_dim() * 2,
            queries: shape.query_bytes(rows),
            attended: shape.query_bytes(rows),
            delta: rows * hidden * 2,
            gate_up: rows * 2 * intermediate * 2,
            inner: rows * intermediate * 2,
            partials: Partials::bytes(&shape, self.split_rows(), 1),
            rotated_keys: self.dense_keys() * shape.kv_heads() * shape.head_dim() * 2,
            table: shape.table_bytes(self.positions),
            inputs: self.input_words() * 4,
            final_normed: self.logit_rows() * hidden * 2,
            logits: self.logit_rows() * vocabulary * 4,
            sampling: sampling_bytes(self.logit_rows(), vocabulary),
        }
    }

    /// Most (row, split) pairs of any attention launch.
    fn split_rows(&self) -> usize {
        Partials::most_rows(&self.shape, self.rows, self.multiprocessors)
    }
}

/// Masks of one sampling launch over `rows` of logits.
pub fn mask_bytes(rows: usize, vocabulary: usize) -> usize {
    (rows * TokenMask::words_of(vocabulary) * size_of::<u32>()).next_multiple_of(ALIGNMENT)
}

/// Requests, adjustments, masks and answers of one sampling launch over `rows` of logits.
fn sampling_bytes(rows: usize, vocabulary: usize) -> usize {
    let each = size_of::<SampleChoice>()
        + size_of::<LogProbabilityRequest>()
        + size_of::<LogProbabilityAnswer>()
        + size_of::<u32>();
    (rows * each).next_multiple_of(ALIGNMENT)
        + ADJUSTMENTS_MOST * size_of::<Adjustment>()
        + mask_bytes(rows, vocabulary)
        + 6 * ALIGNMENT
}

impl WorkingBytes {
    fn all(&self) -> [usize; 15] {
        [
            self.residual,
            self.normed,
            self.qkv,
            self.queries,
            self.attended,
            self.delta,
            self.gate_up,
            self.inner,
            self.partials,
            self.rotated_keys,
            self.table,
            self.inputs,
            self.final_normed,
            self.logits,
            self.sampling,
        ]
    }

    /// Of all buffers, each aligned.
    pub fn total(&self) -> usize {
        self.all().iter().map(|bytes| bytes.next_multiple_of(ALIGNMENT)).sum()
    }
}

/// Bytes of a model's weights on the card: matrices in bf16, vectors in f32.
pub fn weight_bytes(config: &ModelConfig) -> usize {
    let ModelConfig { hidden, intermediate, vocab_size, layers, head_dim, .. } = *config;
    let (q, kv) = (config.heads * head_dim, config.kv_heads * head_dim);
    let aligned = |bytes: usize| bytes.next_multiple_of(ALIGNMENT);
    let matrix = |outputs: usize, inputs: usize| aligned(outputs * inputs * 2);
    let vector = |length: usize| aligned(length * 4);
    let biases = if config.qkv_bias { vector(q + 2 * kv) } else { 0 };
    let head_norms = if config.qk_norm { 2 * vector(head_dim) } else { 0 };
    let layer = matrix(q + 2 * kv, hidden)
        + matrix(hidden, q)
        + matrix(2 * intermediate, hidden)
        + matrix(hidden, intermediate)
        + 2 * vector(hidden)
        + biases
        + head_norms;
    let head = if config.tied_embeddings { 0 } else { matrix(vocab_size, hidden) };
    matrix(vocab_size, hidden) + head + layers * layer + vector(hidden)
}

/// How a card's memory is shared out, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    pub weights: u64,
    pub working: u64,
    pub slots: usize,
}

impl MemoryPlan {
    /// `free` and `total` are the card's. `hbm_bytes`: what slots are to have, else all that is left.
    ///
    /// # Errors
    /// What is asked for does not fit, with the numbers.
    pub fn new(
        weights: usize,
        working: usize,
        layout: &KvLayout,
        (free, total): (usize, usize),
        hbm_bytes: Option<u64>,
    ) -> Result<MemoryPlan, ModelError> {
        let (weights, working) = (weights as u64, (working + WORKSPACE_BYTES) as u64);
        let reserve = total as u64 / RESERVE_SHARE;
        let left = (free as u64).checked_sub(weights + working + reserve);
        let block = layout.block_bytes() as u64;
        let refused = |detail: String| Err(ModelError::Invalid { what: "memory of the card", detail });
        let shares = format!(
            "{} free, {} for weights, {} for working memory, {} kept back",
            mib(free as u64),
            mib(weights),
            mib(working),
            mib(reserve)
        );
        let Some(left) = left.filter(|&left| left >= block) else {
            return refused(format!("the model does not fit: {shares}, and a block takes {block} bytes"));
        };
        let wanted = hbm_bytes.unwrap_or(left);
        if wanted > left {
            return refused(format!(
                "{} of slots are asked for, {} are left: {shares}",
                mib(wanted),
                mib(left)
            ));
        }
        if wanted < block {
            return refused(format!("{wanted} bytes of slots hold no block of {block} bytes"));
        }
        let slots = (wanted / block).min(u64::from(u32::MAX)) as usize;
        Ok(MemoryPlan { weights, working, slots })
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use attentionstore_kv::{KvDtype, SliceOrder};

    use super::*;

    const GIB: usize = 1 << 30;

    fn layout() -> KvLayout {
        KvLayout {
            layers: 32,
            kv_heads: 8,
            head_dim: 128,
            dtype: KvDtype::Bf16,
            order: SliceOrder::TokensFirst,
        }
    }

    fn sizes() -> Sizes {
        Sizes {
            shape: AttentionShape::new(32, 8, 128).unwrap(),
            hidden: 4096,
            intermediate: 14336,
            vocabulary: 32_000,
            rows: 2048,
            positions: 32_768,
            multiprocessors: 132,
        }
    }

    #[test]
    fn slots_get_what_weights_and_working_memory_leave() {
        let plan = MemoryPlan::new(14 * GIB, 2 * GIB, &layout(), (78 * GIB, 80 * GIB), None).unwrap();
        let left = 78 * GIB - 14 * GIB - 2 * GIB - WORKSPACE_BYTES - 2 * GIB;
        assert_eq!(plan.slots, left / layout().block_bytes());
        let asked =
            MemoryPlan::new(14 * GIB, 2 * GIB, &layout(), (78 * GIB, 80 * GIB), Some(1 << 30)).unwrap();
        assert_eq!(asked.slots, GIB / layout().block_bytes());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_numbers() {
        let refused = |weights, free, hbm: Option<u64>| {
            MemoryPlan::new(weights, GIB, &layout(), (free, 80 * GIB), hbm).unwrap_err().to_string()
        };
        let model = refused(100 * GIB, 78 * GIB, None);
        assert!(model.contains("102400 MiB for weights") && model.contains("79872 MiB free"), "{model}");
        let slots = refused(14 * GIB, 78 * GIB, Some(70 << 30));
        assert!(slots.contains("71680 MiB of slots are asked for"), "{slots}");
        assert!(refused(14 * GIB, 78 * GIB, Some(1)).contains("hold no block of 8388608 bytes"));
        assert!(refused(14 * GIB, 14 * GIB, None).contains("does not fit"));
    }

    #[test]
    fn weights_take_two_bytes_an_element_of_the_matrices() {
        let config = ModelConfig { tied_embeddings: false, ..mistral() };
        let billions = weight_bytes(&config) as f64 / 2e9;
        assert!((7.2..7.3).contains(&billions), "{billions} billion weights");
        assert_eq!(weight_bytes(&config) - weight_bytes(&mistral()), 32_000 * 4096 * 2);
    }

    fn mistral() -> ModelConfig {
        ModelConfig {
            architecture: crate::config::Architecture::Mistral,
            name: "mistral".into(),
            vocab_size: 32_000,
            hidden: 4096,
            intermediate: 14336,
            layers: 32,
            heads: 32,
            kv_heads: 8,
            head_dim: 128,
            rms_eps: 1e-5,
            rope_theta: 1e6,
            rope_scaling: crate::config::RopeScaling::None,
            rotary_dim: 128,
            max_context: 32_768,
            capped_by_sliding_window: false,
            tied_embeddings: true,
            qkv_bias: false,
            qk_norm: false,
        }
    }

    #[test]
    fn working_memory_is_bounded_whatever_the_context() {
        let near = sizes().working();
        let far = Sizes { positions: 1 << 20, ..sizes() };
        assert_eq!(far.working().rotated_keys, DENSE_KEYS_MOST * 8 * 128 * 2);
        assert_eq!(near.rotated_keys, 32_768 * 8 * 128 * 2);
        assert_eq!(near.residual, 2048 * 4096 * 4);
        assert!(near.total() < GIB, "{} bytes", near.total());
    }

    #[test]
    fn rows_of_logits_follow_the_vocabulary_and_never_exceed_the_step() {
        assert_eq!(sizes().logit_rows(), 256);
        assert_eq!(Sizes { vocabulary: 150_000, ..sizes() }.logit_rows(), 111);
        assert_eq!(Sizes { vocabulary: 10_000_000, ..sizes() }.logit_rows(), 16);
        assert_eq!(Sizes { rows: 3, ..sizes() }.logit_rows(), 3);
    }
}
