//! A model's tokenizer: text to ids and back, over the `tokenizers` library.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::NormalizerWrapper;
use tokenizers::tokenizer::{AddedVocabulary, OffsetReferential, OffsetType};

use super::definition;
use super::error::TextError;
use super::gguf::GgufTokenizer;
use super::pace::Pace;
use super::pieces::{DecodeRule, TokenPieces};
use super::plain::PlainEncoder;
use super::runs::Layout;
use crate::ModelError;

/// Whether the text of a special token becomes that token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specials {
    /// Yes: the text is a template's or a prompt that its author formatted.
    Parse,
    /// No: the text is what a user wrote.
    Plain,
}

/// Text to ids and ids to bytes. Immutable and shared between threads.
pub struct Tokenizer {
    path: PathBuf,
    plain: PlainEncoder,
    /// Finds special and other added tokens in trusted text.
    added: AddedVocabulary,
    /// Some added tokens are looked for in the normalised text.
    normalizes_added: bool,
    pieces: TokenPieces,
    /// No token stands for more bytes of text than this; `None` where that cannot be said.
    most_bytes: Option<usize>,
    /// Bytes of text that have no token, and are left out.
    silent: Vec<u8>,
    /// What the tokenizer itself puts before a raw prompt.
    prompt_prefix: Vec<u32>,
    fingerprint: [u8; 32],
}

impl Tokenizer {
    /// Reads the bytes of a `tokenizer.json`; `path` is only named in errors.
    pub fn from_json(path: &Path, json: &[u8]) -> Result<Self, ModelError> {
        let definition: Value = serde_json::from_slice(json)
            .map_err(|error| ModelError::Malformed { path: path.to_owned(), detail: error.to_string() })?;
        Self::from_definition(path, definition)
    }

    /// Builds the tokenizer that a GGUF file's metadata describes; `path` is only named in errors.
    pub fn from_gguf(path: &Path, gguf: &GgufTokenizer) -> Result<Self, ModelError> {
        let mut tokenizer = Self::from_definition(path, gguf.definition(path)?)?;
        tokenizer.prompt_prefix = if gguf.adds_bos() { gguf.bos.into_iter().collect() } else { Vec::new() };
        Ok(tokenizer)
    }

    fn from_definition(path: &Path, definition: Value) -> Result<Self, ModelError> {
        definition::check(path, &definition)?;
        let rule = DecodeRule::from_definition(path, &definition["decoder"])?;
        let fingerprint = *blake3::hash(definition.to_string().as_bytes()).as_bytes();
        let core = definition::build(path, &definition)?;
        let pieces = TokenPieces::new(path, &core, &rule)?;
        let silent = definition::silent_bytes(&definition);
        let most_bytes = definition::most_bytes_per_token(&definition, pieces.longest());
        // Text in normal form may have other bytes than it had.
        let composes = definition["normalizer"]["type"] == "NFC";
        let most_bytes = most_bytes.filter(|_| silent.is_empty() || !composes);
        let mut added = core.get_added_vocabulary().clone();
        added.set_encode_special_tokens(false);
        Ok(Self {
            path: path.to_owned(),
            prompt_prefix: definition::prompt_prefix(&core),
            silent,
            normalizes_added: added.get_added_tokens_decoder().values().any(|token| token.normalized),
            plain: PlainEncoder::new(path, definition, core, &pieces)?,
            added,
            pieces,
            most_bytes,
            fingerprint,
        })
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ids are below this.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// Checks that a model with `rows` rows of embeddings has one for every id.
    pub fn check_fits(&self, rows: usize) -> Result<(), ModelError> {
        if self.vocab_size() <= rows {
            return Ok(());
        }
        let largest = self.vocab_size() - 1;
        Err(ModelError::Malformed {
            path: self.path.clone(),
            detail: format!("its vocabulary has ids up to {largest}, the model has {rows} embeddings"),
        })
    }

    /// `text` has at least this many tokens: enough to refuse what cannot fit before encoding it.
    pub fn fewest_tokens_of(&self, text: &str) -> usize {
        let silent = || text.bytes().filter(|byte| self.silent.contains(byte)).count();
        self.fewest_tokens(text.len() - if self.silent.is_empty() { 0 } else { silent() })
    }

    /// A text of so many bytes, all of which have tokens, has at least this many tokens.
    pub fn fewest_tokens(&self, bytes: usize) -> usize {
        self.most_bytes.map_or(0, |most| bytes.div_ceil(most.max(1)))
    }

    /// BLAKE3 of the definition: equal fingerprints tokenise alike.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Encodes a text as it is, with nothing put before it but what the tokenizer's normaliser puts.
    pub fn encode(&self, text: &str, specials: Specials) -> Result<Vec<u32>, TextError> {
        self.encode_at(text, specials, &mut Pace::new(None, &mut || ()))
    }

    /// The same in portions, and not more than `pace` allows.
    pub fn encode_at(
        &self,
        text: &str,
        specials: Specials,
        pace: &mut Pace<'_>,
    ) -> Result<Vec<u32>, TextError> {
        let whole = 0..text.len();
        let untrusted = if specials == Specials::Plain { vec![whole] } else { Vec::new() };
        Ok(Layout { text, untrusted, stored: Vec::new(), mark: 0 }.encode(self, pace)?.tokens)
    }

    /// Encodes a raw completion prompt as the reference does: BOS first where the model wants it.
    pub fn encode_prompt(&self, text: &str, specials: Specials) -> Result<Vec<u32>, TextError> {
        self.encode_prompt_at(text, specials, &mut Pace::new(None, &mut || ()))
    }

    /// The same in portions, and not more than `pace` allows.
    pub fn encode_prompt_at(
        &self,
        text: &str,
        specials: Specials,
        pace: &mut Pace<'_>,
    ) -> Result<Vec<u32>, TextError> {
        let mut tokens = self.prompt_prefix.clone();
        pace.end(tokens.len())?;
        tokens.extend(self.encode_at(text, specials, pace)?);
        Ok(tokens)
    }

    /// What [`Tokenizer::encode_prompt`] puts before a raw prompt: nothing, or BOS.
    pub fn prompt_prefix(&self) -> &[u32] {
        &self.prompt_prefix
    }

    /// Decodes as the reference does: bytes that are no UTF-8 become U+FFFD, and a space that encoding puts in
    /// front is taken away again. Ids without a token are left out.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TextError> {
        self.plain
            .core()
            .decode(ids, skip_special)
            .map_err(|error| TextError::Tokenizer { detail: error.to_string() })
    }

    /// The bytes that `id` adds to an answer; `None` for special tokens and for ids without a token.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.pieces.text(id)
    }

    /// The bytes of `id` itself, also of a special token (its name); empty for an id without a token.
    pub fn raw_token_bytes(&self, id: u32) -> &[u8] {
        self.pieces.raw(id)
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.pieces.is_special(id)
    }

    /// Whether `id` has a token; models may have more embeddings than tokens.
    pub fn is_known(&self, id: u32) -> bool {
        self.pieces.is_known(id)
    }

    /// The id of a token by its exact string in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.plain.core().token_to_id(token)
    }

    /// The id of a special or otherwise added token by its text.
    pub fn added_token_id(&self, text: &str) -> Option<u32> {
        self.added.get_vocab().get(text).copied()
    }

    pub(crate) fn plain(&self) -> &PlainEncoder {
        &self.plain
    }

    /// Cuts trusted text at its added tokens; the parts cover it, in order.
    pub(crate) fn split_added(&self, text: &str) -> Vec<(Option<u32>, Range<usize>)> {
        let normalizer: Option<&NormalizerWrapper> =
            if self.normalizes_added { self.plain.core().get_normalizer() } else { None };
        let split = self.added.extract_and_normalize(normalizer, text);
        let parts = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        parts
            .into_iter()
            .map(|(_, (start, end), tokens)| {
                (tokens.as_ref().and_then(|t| t.first()).map(|t| t.id), start..end)
            })
            .collect()
    }

    pub(crate) fn strips_left(&self, id: u32) -> bool {
        self.added.get_added_tokens_decoder().get(&id).is_some_and(|token| token.lstrip)
    }

    pub(crate) fn strips_right(&self, id: u32) -> bool {
        self.added.get_added_tokens_decoder().get(&id).is_some_and(|token| token.rstrip)
    }

    /// The texts of all special tokens.
    pub(crate) fn special_texts(&self) -> impl Iterator<Item = &str> {
        self.added
            .get_added_tokens_decoder()
            .values()
            .filter(|token| token.special)
            .map(|t| t.content.as_str())
    }
}
