//! The kernels: one file each, carried inside the program.

use super::Architecture;

/// A kernel file and the headers it includes.
#[derive(Clone, Copy, Debug)]
pub struct KernelSource {
    /// Its file name, which the compiler's messages show.
    pub name: &'static str,
    pub text: &'static str,
    /// Names and texts of the headers that it may include.
    pub headers: &'static [(&'static str, &'static str)],
    /// The only architecture it is written for, if it uses what no other has.
    pub only: Option<&'static str>,
}

impl KernelSource {
    pub fn is_for(&self, architecture: &Architecture) -> bool {
        self.only.is_none_or(|only| only == architecture.name())
    }
}

const HEADERS: &[(&str, &str)] = &[
    ("block.cuh", include_str!("../../kernels/block.cuh")),
    ("bulk.cuh", include_str!("../../kernels/bulk.cuh")),
    ("common.cuh", include_str!("../../kernels/common.cuh")),
    ("mma.cuh", include_str!("../../kernels/mma.cuh")),
    ("norm.cuh", include_str!("../../kernels/norm.cuh")),
    ("prefill.cuh", include_str!("../../kernels/prefill.cuh")),
    ("ranking.cuh", include_str!("../../kernels/ranking.cuh")),
    ("wgmma.cuh", include_str!("../../kernels/wgmma.cuh")),
];

macro_rules! sources {
    ($($constant:ident = $file:literal for $only:expr),+ $(,)?) => {
        $(pub(crate) const $constant: KernelSource = KernelSource {
            name: $file,
            text: include_str!(concat!("../../kernels/", $file)),
            headers: HEADERS,
            only: $only,
        };)+

        /// Every kernel file.
        pub const SOURCES: &[KernelSource] = &[$($constant),+];
    };
}

sources! {
    ADJUST_LOGITS = "adjust_logits.cu" for None,
    ARGMAX = "argmax.cu" for None,
    COMBINE_SPLITS = "combine_splits.cu" for None,
    COPY_ROWS = "copy_rows.cu" for None,
    COPY_WORDS = "copy_words.cu" for None,
    DECODE_ATTENTION = "decode_attention.cu" for None,
    EMBEDDING = "embedding.cu" for None,
    FINAL_NORM = "final_norm.cu" for None,
    GATHER_ROWS = "gather_rows.cu" for None,
    LOG_PROBABILITIES = "log_probabilities.cu" for None,
    PREFILL_ATTENTION = "prefill_attention.cu" for None,
    PREFILL_ATTENTION_HOPPER = "prefill_attention_hopper.cu" for Some("sm_90a"),
    READ_RATE = "read_rate.cu" for None,
    RMSNORM = "rmsnorm.cu" for None,
    ROPE_WRITE = "rope_write.cu" for None,
    ROTATE_KEYS = "rotate_keys.cu" for None,
    SAMPLE = "sample.cu" for None,
    SILU_MUL = "silu_mul.cu" for None,
}
