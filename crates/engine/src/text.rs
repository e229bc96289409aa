//! The model's text side behind the engine: prompts to tokens, tokens to text, tokens to block keys.

use std::sync::Arc;

use attentionstore_kv::key::{BlockKey, ViewParameters};
use attentionstore_model::loader::LoadedModel;
use attentionstore_model::text::{ChatDate, ChatMessage, ChatRequest, Specials, TextModel, Tokenizer};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::identity::hex;

pub(crate) struct TextService {
    model: TextModel,
}

impl TextService {
    pub fn open(model: &LoadedModel) -> Result<Self, EngineError> {
        Ok(Self { model: TextModel::from_loaded(model)? })
    }

    pub fn tokenizer(&self) -> Arc<Tokenizer> {
        self.model.tokenizer.clone()
    }

    pub fn end_tokens(&self) -> &[u32] {
        &self.model.end_tokens
    }

    pub fn has_template(&self) -> bool {
        self.model.template.is_some()
    }

    pub fn fingerprint(&self) -> String {
        hex(&self.model.fingerprint())
    }
}

/// Text is worked on by the caller's own thread.
impl Engine {
    /// Renders and tokenises a chat, the generation prompt included; also the tokens of its system prompt.
    /// `date` is for templates that ask for one.
    pub fn encode_chat(
        &self,
        messages: &[ChatMessage],
        date: ChatDate,
    ) -> Result<(Vec<u32>, u32), EngineError> {
        let request = ChatRequest { messages, add_generation_prompt: true, date };
        let encoded = self.text().model.encode_chat(&request)?;
        Ok((encoded.tokens, encoded.system_tokens as u32))
    }

    /// A raw prompt, with the tokenizer's own beginning token. Its text never becomes special tokens.
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, EngineError> {
        Ok(self.text().model.tokenizer.encode_prompt(text, Specials::Plain)?)
    }

    /// As vLLM's `/tokenize`: with `add_special`, as a raw prompt.
    pub fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        let tokenizer = &self.text().model.tokenizer;
        Ok(if add_special {
            tokenizer.encode_prompt(text, Specials::Plain)?
        } else {
            tokenizer.encode(text, Specials::Plain)?
        })
    }

    /// Text of tokens, special ones included.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, EngineError> {
        Ok(self.text().model.tokenizer.decode(tokens, false)?)
    }

    /// The bytes of one token; none for an id outside the vocabulary.
    pub fn token_bytes(&self, token: u32) -> Vec<u8> {
        self.text().model.tokenizer.raw_token_bytes(token).to_vec()
    }

    /// Root of the key chain for a tenant and a cache salt.
    pub fn root(&self, tenant: &str, cache_salt: &str) -> BlockKey {
        self.roots.root(tenant, cache_salt)
    }

    /// Keys of all blocks of `tokens`, the last partly filled one included. With `view`, it goes into the keys of
    /// the blocks that start at or after its window.
    pub fn keys(&self, root: &BlockKey, tokens: &[u32], view: Option<ViewParameters>) -> Vec<BlockKey> {
        self.roots.hasher().chain(root, tokens, view)
    }

    /// Key of block `index` with these tokens after `parent`.
    pub fn block_key(
        &self,
        parent: &BlockKey,
        index: usize,
        tokens: &[u32],
        view: Option<ViewParameters>,
    ) -> BlockKey {
        self.roots.hasher().block(parent, index, tokens, view)
    }
}
