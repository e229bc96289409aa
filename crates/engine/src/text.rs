//! The engine's text side as its callers see it: prompts to tokens, tokens to text, tokens to block keys.

use attentionstore_kv::key::{BlockKey, ViewParameters};
use attentionstore_model::text::{ChatRequest, EncodedPrompt, Pace, Specials, TextError};

use crate::engine::Engine;
use crate::error::EngineError;

/// Text is worked on by the caller's own thread; [`Engine::work_on_text`] gives it one.
impl Engine {
    /// Has `work` on a text of `bytes` bytes done on a thread for texts, and returns at once. Long texts take turns at
    /// the function that `work` is given, to be called between portions; short ones have threads of their own.
    pub fn work_on_text(&self, bytes: usize, work: impl FnOnce(&mut dyn FnMut()) + Send + 'static) {
        self.text().run(bytes, work);
    }

    /// Renders and tokenises a chat.
    pub fn encode_chat(&self, request: &ChatRequest<'_>) -> Result<EncodedPrompt, EngineError> {
        self.encode_chat_at(request, &mut Pace::new(None, &mut || ()))
    }

    /// The same in portions, and not more than `pace` allows.
    pub fn encode_chat_at(
        &self,
        request: &ChatRequest<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<EncodedPrompt, EngineError> {
        Ok(self.text().model.encode_chat_at(request, pace)?)
    }

    /// Refuses a raw prompt whose length alone says that it has more than `most` tokens.
    pub fn check_prompt(&self, text: &str, most: Option<usize>) -> Result<(), EngineError> {
        let at_least = self.text().model.tokenizer.fewest_tokens_of(text);
        match most.filter(|most| at_least > *most) {
            Some(most) => Err(TextError::TooLong { at_least, most }.into()),
            None => Ok(()),
        }
    }

    /// As vLLM's `/tokenize`. With `add_special` it is a raw prompt, with the tokenizer's own beginning token. The text
    /// becomes no special tokens.
    pub fn tokenize(&self, text: &str, add_special: bool) -> Result<Vec<u32>, EngineError> {
        self.tokenize_at(text, add_special, Specials::Plain, &mut Pace::new(None, &mut || ()))
    }

    /// The same in portions, and not more than `pace` allows.
    pub fn tokenize_at(
        &self,
        text: &str,
        add_special: bool,
        specials: Specials,
        pace: &mut Pace<'_>,
    ) -> Result<Vec<u32>, EngineError> {
        let tokenizer = &self.text().model.tokenizer;
        Ok(if add_special {
            tokenizer.encode_prompt_at(text, specials, pace)?
        } else {
            tokenizer.encode_at(text, specials, pace)?
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
