//! A model's vocabulary as grammars see it.

use std::sync::Arc;

use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

/// A longer token is in no grammar's mask: the trie has no room for its depth.
const MOST_TOKEN_BYTES: usize = 200;

/// The bytes of every token of a model.
pub struct Vocabulary {
    tokens: Vec<Vec<u8>>,
    end_tokens: Vec<u32>,
}

impl Vocabulary {
    /// A vocabulary of `size` tokens, which end an answer with `end_tokens`. Masks have `size` bits.
    pub fn new(size: usize, end_tokens: Vec<u32>) -> Self {
        Self { tokens: vec![Vec::new(); size], end_tokens }
    }

    /// Token `id` is these bytes of an answer's text.
    pub fn text(&mut self, id: u32, bytes: &[u8]) {
        self.set(id, bytes.to_vec());
    }

    /// Token `id` is special: no text matches it, and a grammar may name it as `<|name|>`.
    pub fn special(&mut self, id: u32, name: &[u8]) {
        self.set(id, [&[TokTrie::SPECIAL_TOKEN_MARKER], name].concat());
    }

    fn set(&mut self, id: u32, bytes: Vec<u8>) {
        if let Some(token) = self.tokens.get_mut(id as usize)
            && bytes.len() <= MOST_TOKEN_BYTES
        {
            *token = bytes;
        }
    }

    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn environment(&self) -> TokEnv {
        let end = self.end_tokens.first().copied().unwrap_or(0);
        let info = TokRxInfo::new(self.tokens.len() as u32, end);
        let trie = TokTrie::from(&info, &self.tokens).with_eos_tokens(&self.end_tokens);
        Arc::new(ApproximateTokEnv::new(trie))
    }
}
