//! A tokenizer as GGUF metadata carries it, turned into the definition that the `tokenizers` library reads.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::pretokenizer;
use super::sentencepiece;
use crate::ModelError;

/// The `tokenizer.ggml.*` metadata of a GGUF file, as stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GgufTokenizer {
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (SentencePiece).
    pub model: String,
    /// `tokenizer.ggml.pre`: the name of the pre-tokenizer of a byte-level BPE.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`, by id (see [`TokenType`]); empty where the file has none.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`: pairs with a space between, best first.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.scores`, by id.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.bos_token_id`
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`: ends a turn.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.eom_token_id`: ends a message.
    pub eom: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`
    pub unknown: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`
    pub padding: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`
    pub chat_template: Option<String>,
    /// The guess where the file does not say: a sentence for the log.
    pub guessed: Option<String>,
}

/// The kinds of `tokenizer.ggml.token_type` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl TokenType {
    fn from_stored(stored: i32) -> Self {
        match stored {
            2 => TokenType::Unknown,
            3 => TokenType::Control,
            4 => TokenType::UserDefined,
            5 => TokenType::Unused,
            6 => TokenType::Byte,
            _ => TokenType::Normal,
        }
    }
}

impl GgufTokenizer {
    /// The type of token `id`.
    pub fn token_type(&self, id: usize) -> TokenType {
        self.token_types.get(id).map_or(TokenType::Normal, |stored| TokenType::from_stored(*stored))
    }

    /// The string of token `id`.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.tokens.get(id as usize).map(String::as_str)
    }

    /// Whether a raw prompt begins with the BOS token: as the file says, else as its kind does.
    pub fn adds_bos(&self) -> bool {
        let by_kind = || self.model == "llama" || self.pre.as_deref().is_some_and(pretokenizer::adds_bos);
        self.bos.is_some() && self.add_bos.unwrap_or_else(by_kind)
    }

    /// The definition in the form of `tokenizer.json`. Kinds that cannot be done exactly are refused by name.
    pub(crate) fn definition(&self, path: &Path) -> Result<Value, ModelError> {
        self.check(path)?;
        match self.model.as_str() {
            "gpt2" => self.byte_level(path),
            "llama" => sentencepiece::definition(self, path),
            other => Err(ModelError::Unsupported {
                path: path.to_owned(),
                detail: format!(
                    "its tokenizer is of the kind {other:?}; supported are \"gpt2\" (byte-level BPE) and \"llama\""
                ),
            }),
        }
    }

    fn check(&self, path: &Path) -> Result<(), ModelError> {
        let count = self.tokens.len();
        let malformed = |detail: String| ModelError::Malformed { path: path.to_owned(), detail };
        if count == 0 {
            return Err(malformed("tokenizer.ggml.tokens is empty".to_owned()));
        }
        if !self.token_types.is_empty() && self.token_types.len() != count {
            let types = self.token_types.len();
            return Err(malformed(format!("{types} token types for {count} tokens")));
        }
        if !self.scores.is_empty() && self.scores.len() != count {
            return Err(malformed(format!("{} token scores for {count} tokens", self.scores.len())));
        }
        let named = [("bos", self.bos), ("eos", self.eos), ("eot", self.eot), ("eom", self.eom)];
        for (name, id) in named.into_iter().chain([("unknown", self.unknown), ("padding", self.padding)]) {
            if let Some(id) = id.filter(|id| *id as usize >= count) {
                return Err(malformed(format!("{name} token id {id} is not below the {count} tokens")));
            }
        }
        Ok(())
    }

    fn byte_level(&self, path: &Path) -> Result<Value, ModelError> {
        let name = self.pre.as_deref().ok_or_else(|| ModelError::Malformed {
            path: path.to_owned(),
            detail: "it has no tokenizer.ggml.pre".to_owned(),
        })?;
        let pre = pretokenizer::named(name).ok_or_else(|| ModelError::Unsupported {
            path: path.to_owned(),
            detail: format!(
                "its pre-tokenizer {name:?} is not known; known are {}",
                pretokenizer::NAMES.join(", ")
            ),
        })?;
        Ok(json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens(),
            "normalizer": pre.normalizer,
            "pre_tokenizer": pre.pre_tokenizer,
            "post_processor": null,
            "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": pre.ignore_merges,
                "vocab": self.vocabulary(),
                "merges": self.merges,
            },
        }))
    }

    /// Strings to ids; of equal strings the first keeps its id.
    pub(crate) fn vocabulary(&self) -> Map<String, Value> {
        let mut vocabulary = Map::with_capacity(self.tokens.len());
        for (id, token) in self.tokens.iter().enumerate() {
            vocabulary.entry(token.as_str()).or_insert_with(|| id.into());
        }
        vocabulary
    }

    /// Tokens found in text before anything else: control tokens as special ones, user-defined ones as plain.
    pub(crate) fn added_tokens(&self) -> Vec<Value> {
        let added = |id: usize, special: bool| {
            json!({"id": id, "content": self.tokens[id], "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": special})
        };
        (0..self.tokens.len())
            .filter_map(|id| match self.token_type(id) {
                TokenType::Control | TokenType::Unknown => Some(added(id, true)),
                TokenType::UserDefined => Some(added(id, false)),
                TokenType::Normal | TokenType::Unused | TokenType::Byte => None,
            })
            .collect()
    }
}
