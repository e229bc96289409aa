//! Loading a model: a Hugging Face directory or a GGUF file, memory-mapped and checked, or random weights.
//!
//! `docs/design/model-loading.md` says what is accepted, and where the traps are.

mod gguf;
mod huggingface;
pub mod random;
mod source;

use std::path::{Path, PathBuf};

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::text::GgufTokenizer;
use crate::weights::ModelWeights;
pub use source::ModelSource;

/// What makes weights these and no others; part of the identity of KV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsOrigin {
    /// The files that hold them, in a fixed order: their bytes count.
    Files(Vec<PathBuf>),
    /// Made from what this text says, and from the configuration.
    Generated(String),
}

/// How far loading has come. Weights are mapped, not read: their pages come in when the backend packs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Weight files opened and their directories checked.
    Files { opened: usize, total: usize },
    /// Layers whose tensors were found, checked, and put in order where they have to be.
    Layers { placed: usize, total: usize },
}

/// A model, ready for a backend and for the text part.
pub struct LoadedModel {
    pub config: ModelConfig,
    pub weights: ModelWeights,
    pub weights_origin: WeightsOrigin,
    pub text: TextSource,
    pub generation: GenerationDefaults,
    /// [`ModelConfig::identity`], part of the identity of KV.
    pub identity_config: String,
    /// [`ModelWeights::quantisation`], part of the identity of KV, and to be shown.
    pub quantisation: String,
}

/// Where tokenizer and chat template come from, unread: [`crate::text::TextModel`] builds them, and refuses a
/// tokenizer that does not fit the embedding.
#[derive(Clone, Debug)]
pub struct TextSource {
    pub tokenizer: TokenizerSource,
    /// The template named `default` if there are several.
    pub chat_template: Option<String>,
    /// Texts that templates refer to by name.
    pub bos_token: Option<String>,
    pub eos_token: Option<String>,
    pub unk_token: Option<String>,
    pub pad_token: Option<String>,
}

/// A tokenizer's definition.
#[derive(Clone, Debug)]
pub enum TokenizerSource {
    /// Path of a `tokenizer.json`.
    HuggingFace { path: PathBuf },
    /// Metadata of the GGUF file at `path`.
    Gguf { path: PathBuf, tokenizer: Box<GgufTokenizer> },
}

/// What the model's authors say about generating with it (`generation_config.json`, GGUF token ids).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationDefaults {
    /// Tokens that end an answer as the files name them, ascending.
    pub eos_ids: Vec<u32>,
    pub bos_id: Option<u32>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<u32>,
    pub min_p: Option<f32>,
    pub repetition_penalty: Option<f32>,
}

impl GenerationDefaults {
    /// Refuses ids that are no tokens of a vocabulary of `vocab_size`.
    fn check(&self, path: &Path, vocab_size: usize) -> Result<(), ModelError> {
        match self.eos_ids.iter().chain(&self.bos_id).find(|&&id| id as usize >= vocab_size) {
            Some(id) => {
                let detail = format!("token {id} is outside the vocabulary of {vocab_size}");
                Err(ModelError::malformed(path, detail))
            }
            None => Ok(()),
        }
    }
}

/// Loads the model at `path`: a directory in Hugging Face's layout, or a GGUF file.
///
/// # Errors
/// One of [`ModelError`]'s `Io`, `Malformed` and `Unsupported`, naming the file and what is wrong with it. Model
/// files are untrusted: no file makes this panic or allocate more than a small multiple of the file's size.
pub fn load(path: &Path, progress: &dyn Fn(Progress)) -> Result<LoadedModel, ModelError> {
    let metadata = std::fs::metadata(path).map_err(|source| ModelError::io(path, source))?;
    if metadata.is_dir() { huggingface::load(path, progress) } else { gguf::load(path, progress) }
}

/// The last part of a path as a name, without `suffix`.
fn name_of(path: &Path, suffix: &str) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_suffix(suffix).map(str::to_owned).unwrap_or(name)
}
