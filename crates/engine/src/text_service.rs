//! The model's text side behind the engine: tokenizer, template and the threads for texts.

mod lanes;

use std::sync::Arc;

use attentionstore_model::loader::LoadedModel;
use attentionstore_model::text::{TextError, TextModel, Tokenizer};
use attentionstore_output::Format;

use crate::error::EngineError;
use crate::identity::hex;
use lanes::Lanes;

pub(crate) struct TextService {
    pub(crate) model: TextModel,
    lanes: Lanes,
}

impl TextService {
    pub fn open(model: &LoadedModel) -> Result<Self, EngineError> {
        Ok(Self { model: TextModel::from_loaded(model)?, lanes: Lanes::new() })
    }

    pub fn tokenizer(&self) -> Arc<Tokenizer> {
        self.model.tokenizer.clone()
    }

    pub fn format(&self) -> &Arc<Format> {
        &self.model.format
    }

    pub fn end_tokens(&self) -> &[u32] {
        &self.model.end_tokens
    }

    pub fn has_template(&self) -> bool {
        self.model.template.is_some()
    }

    /// Why there is no template although the model brings one.
    pub fn template_error(&self) -> Option<String> {
        self.model.template_error.as_ref().map(TextError::to_string)
    }

    /// The guess where the model's file does not say.
    pub fn guessed(&self) -> Option<String> {
        self.model.guessed.clone()
    }

    pub fn fingerprint(&self) -> String {
        hex(&self.model.fingerprint())
    }

    /// Has `work` on a text of `bytes` bytes done on a thread for texts.
    pub fn run(&self, bytes: usize, work: impl FnOnce(&mut dyn FnMut()) + Send + 'static) {
        self.lanes.run(bytes, work);
    }
}
