//! Where a model comes from.

use std::path::PathBuf;

use super::random::RandomSpec;

/// Which model is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A Hugging Face directory or a GGUF file.
    Files(PathBuf),
    /// No files: a shape and a seed.
    Random(RandomSpec),
}
