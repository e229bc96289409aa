//! The kernels: one file each, carried inside the program.

/// A kernel file and the headers it includes.
#[derive(Clone, Copy, Debug)]
pub struct KernelSource {
    /// Its file name, which the compiler's messages show.
    pub name: &'static str,
    pub text: &'static str,
    /// Names and texts of the headers that it may include.
    pub headers: &'static [(&'static str, &'static str)],
}

const HEADERS: &[(&str, &str)] = &[
    ("common.cuh", include_str!("../../kernels/common.cuh")),
    ("mma.cuh", include_str!("../../kernels/mma.cuh")),
];

macro_rules! sources {
    ($($constant:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) const $constant: KernelSource = KernelSource {
            name: $file,
            text: include_str!(concat!("../../kernels/", $file)),
            headers: HEADERS,
        };)+

        /// Every kernel file.
        pub const SOURCES: &[KernelSource] = &[$($constant),+];
    };
}

sources! {
    ARGMAX = "argmax.cu",
    COMBINE_SPLITS = "combine_splits.cu",
    COPY_ROWS = "copy_rows.cu",
    DECODE_ATTENTION = "decode_attention.cu",
    EMBEDDING = "embedding.cu",
    PREFILL_ATTENTION = "prefill_attention.cu",
    READ_RATE = "read_rate.cu",
    RMSNORM = "rmsnorm.cu",
    ROPE_WRITE = "rope_write.cu",
    ROTATE_KEYS = "rotate_keys.cu",
    SILU_MUL = "silu_mul.cu",
}
