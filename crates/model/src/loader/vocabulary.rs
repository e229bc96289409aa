//! Whether a `tokenizer.json` can produce ids that the embedding has no row for, without building the tokenizer.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::config::json::read_text;
use crate::error::ModelError;

/// Tokenizers of a quarter million tokens have 20 MiB.
const MAX_TOKENIZER_BYTES: u64 = 512 << 20;

#[derive(Deserialize)]
struct Definition {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u64,
}

#[derive(Deserialize)]
struct Model {
    vocab: IdBound,
}

/// One more than the largest id: a map from token to id (BPE, WordLevel, WordPiece), or a list by id (Unigram).
struct IdBound(u64);

impl<'de> Deserialize<'de> for IdBound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdBoundVisitor)
    }
}

struct IdBoundVisitor;

impl<'de> Visitor<'de> for IdBoundVisitor {
    type Value = IdBound;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map from tokens to ids, or a list of tokens")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IdBound, A::Error> {
        let mut bound = 0;
        while let Some((_, id)) = map.next_entry::<IgnoredAny, u64>()? {
            bound = bound.max(id.saturating_add(1));
        }
        Ok(IdBound(bound))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<IdBound, A::Error> {
        let mut count = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(IdBound(count))
    }
}

/// Refuses a tokenizer whose largest id is not below `rows`, the embedding's rows.
pub(super) fn check_vocabulary(path: &Path, rows: usize) -> Result<(), ModelError> {
    let text = read_text(path, MAX_TOKENIZER_BYTES)?;
    let definition: Definition = serde_json::from_str(&text)
        .map_err(|error| ModelError::malformed(path, format!("not a tokenizer: {error}")))?;
    let added = definition.added_tokens.iter().map(|token| token.id.saturating_add(1)).max().unwrap_or(0);
    let bound = definition.model.vocab.0.max(added);
    if bound > rows as u64 {
        let detail = format!("a tokenizer of {bound} tokens does not fit an embedding of {rows} rows");
        return Err(ModelError::malformed(path, detail));
    }
    Ok(())
}
