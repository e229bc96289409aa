//! Everything about a model's text in one place.

use std::sync::Arc;

use attentionstore_output::{Format, Reading};

use super::answer::AnswerText;
use super::chat::{ChatRequest, EncodedPrompt, Encoder};
use super::error::TextError;
use super::pace::Pace;
use super::request_templates::RequestTemplates;
use super::template::ChatTemplate;
use super::tokenizer::Tokenizer;

/// The text side of one loaded model. Immutable and shared between threads.
pub struct TextModel {
    pub tokenizer: Arc<Tokenizer>,
    /// The guess where the model's file does not say: a sentence for the log.
    pub guessed: Option<String>,
    pub template: Option<ChatTemplate>,
    /// Why there is no template although the model brings one.
    pub template_error: Option<TextError>,
    pub request_templates: RequestTemplates,
    /// How answers are written, whichever template a request brings.
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
        let of_request = request.template.map(|source| self.request_templates.get(source)).transpose()?;
        let template = of_request.as_deref().or(self.template.as_ref()).ok_or_else(missing)?;
        let (tokenizer, turn_ends, format) = (&self.tokenizer, &self.turn_ends, &self.format);
        let mut prompt = Encoder { tokenizer, template, turn_ends, format }.encode(request, pace)?;
        prompt.prefill_in_reasoning = self.ends_in_reasoning(&prompt);
        Ok(prompt)
    }

    /// Whether the message that the answer goes on with has come no further than its reasoning.
    fn ends_in_reasoning(&self, prompt: &EncodedPrompt) -> bool {
        if prompt.prefill == 0 {
            return false;
        }
        let reading = Reading { starts_in_reasoning: prompt.starts_in_reasoning, ..Reading::default() };
        let (tokenizer, format) = (self.tokenizer.clone(), self.format.clone());
        let mut answer = AnswerText::of_format(tokenizer, Arc::default(), format, reading);
        answer.go_on_from(&prompt.tokens[prompt.tokens.len() - prompt.prefill..]);
        answer.in_reasoning()
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
