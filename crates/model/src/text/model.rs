//! Everything about a model's text in one place.

use std::sync::Arc;

use attentionstore_output::Format;

use super::chat::{ChatRequest, EncodedPrompt, Encoder};
use super::error::TextError;
use super::pace::Pace;
use super::template::ChatTemplate;
use super::tokenizer::Tokenizer;

/// The text side of one loaded model. Immutable and shared between threads.
pub struct TextModel {
    pub tokenizer: Arc<Tokenizer>,
    pub template: Option<ChatTemplate>,
    /// Why there is no template although the model brings one.
    pub template_error: Option<TextError>,
    /// How answers are written.
    pub format: Arc<Format>,
    /// Ids that end an answer, ascending.
    pub end_tokens: Vec<u32>,
    /// Ids that end a message, ascending: those, and others that templates end turns with.
    pub turn_ends: Vec<u32>,
}

impl TextModel {
    /// Renders and encodes a conversation; see [`EncodedPrompt`].
    pub fn encode_chat(&self, request: &ChatRequest<'_>) -> Result<EncodedPrompt, TextError> {
        self.encode_chat_at(request, &mut Pace::new(None, &mut || ()))
    }

    /// The same in portions, and not more than `pace` allows.
    pub fn encode_chat_at(
        &self,
        request: &ChatRequest<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<EncodedPrompt, TextError> {
        let missing = || self.template_error.clone().unwrap_or(TextError::NoTemplate);
        let template = self.template.as_ref().ok_or_else(missing)?;
        let (tokenizer, turn_ends, format) = (&self.tokenizer, &self.turn_ends, &self.format);
        Encoder { tokenizer, template, turn_ends, format }.encode(request, pace)
    }

    /// BLAKE3 of tokenizer and template: equal fingerprints give a conversation equal tokens. Part of the key of
    /// token records, not of KV.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.tokenizer.fingerprint());
        if let Some(template) = &self.template {
            let tokens = template.tokens();
            let named = [&tokens.bos, &tokens.eos, &tokens.unknown, &tokens.padding];
            for text in [Some(template.source())].into_iter().chain(named.map(|name| name.as_deref())) {
                hasher.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
                hasher.update(text.unwrap_or("").as_bytes());
            }
        }
        *hasher.finalize().as_bytes()
    }
}
