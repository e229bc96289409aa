//! Plain text to ids: what users wrote, and what a template wrote between special tokens.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer as Core;

use super::cuts::{self, Cuts};
use super::definition::{self, Prefix};
use super::error::TextError;
use super::pace::Pace;
use super::pieces::TokenPieces;
use super::specials::model_without_specials;
use super::words::WordEncoder;
use crate::ModelError;

/// Where a plain stretch of text stands; some tokenizers put a space before some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    First,
    AfterSpecial,
    /// Right after ids that are taken as they are.
    Continuing,
}

/// Encodes plain text: special tokens are not looked for, and are no pieces of its vocabulary.
pub(crate) struct PlainEncoder {
    core: Core,
    /// The same without a space put in front, where `core` puts one.
    continuing: Option<Core>,
    prefix: Prefix,
    /// The fast way, for the kinds it knows.
    words: Option<WordEncoder>,
    /// Where a long text may be cut, for the kinds of tokenizers that allow it.
    cuts: Cuts,
    cuts_for_library: bool,
    /// Tokens that the library finds in plain text before anything else.
    added: Vec<String>,
}

impl PlainEncoder {
    /// `core` as [`definition::build`] makes it of `definition`, and the pieces of its vocabulary.
    pub fn new(
        path: &Path,
        mut definition: Value,
        mut core: Core,
        pieces: &TokenPieces,
    ) -> Result<Self, ModelError> {
        let model = model_without_specials(path, &definition, &core)?;
        if let Some(model) = &model {
            core.with_model(model.clone());
        }
        let words = WordEncoder::from_definition(&definition);
        let cuts_for_library = cuts::library_allows(&definition);
        let prefix = definition::take_prefix(&mut definition);
        let mut continuing =
            if prefix == Prefix::None { None } else { Some(definition::build(path, &definition)?) };
        if let Some((continuing, model)) = continuing.as_mut().zip(model) {
            continuing.with_model(model);
        }
        let added = core.get_added_tokens_decoder().into_values();
        let added = added.filter(|token| !token.special).map(|token| token.content).collect();
        Ok(Self { cuts: Cuts::new(pieces), cuts_for_library, added, core, continuing, prefix, words })
    }

    /// The library's tokenizer.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The ids of `text`, which stands at `place`.
    pub fn encode(&self, text: &str, place: Stretch, pace: &mut Pace<'_>) -> Result<Vec<u32>, TextError> {
        if let Some(words) = &self.words
            && let Some(ids) = words.encode(self.core.get_model(), &self.cuts, text, pace)?
        {
            return Ok(ids);
        }
        let found = || self.added.iter().any(|token| text.contains(token.as_str()));
        if text.len() <= pace.portion() || !self.cuts_for_library || found() {
            return self.encode_by_library(text, place);
        }
        let (mut ids, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let end = self.cuts.end_in_text(text, at, pace.portion());
            let place = if at == 0 { place } else { Stretch::Continuing };
            ids.extend(self.encode_by_library(&text[at..end], place)?);
            pace.spend(end - at, ids.len())?;
            at = end;
        }
        Ok(ids)
    }

    #[cfg(test)]
    pub fn has_word_encoder(&self) -> bool {
        self.words.is_some()
    }

    /// The library's own encoding of the whole text in one go.
    pub fn encode_by_library(&self, text: &str, place: Stretch) -> Result<Vec<u32>, TextError> {
        let encoding = self.core_at(place).encode_fast(text, false).map_err(library_error)?;
        Ok(encoding.get_ids().to_vec())
    }

    fn core_at(&self, place: Stretch) -> &Core {
        let continues = match self.prefix {
            Prefix::None => false,
            Prefix::EveryStretch => place == Stretch::Continuing,
            Prefix::FirstStretch => place != Stretch::First,
        };
        self.continuing.as_ref().filter(|_| continues).unwrap_or(&self.core)
    }
}

fn library_error(error: tokenizers::Error) -> TextError {
    TextError::Tokenizer { detail: error.to_string() }
}
