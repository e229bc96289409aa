//! The model that encodes users' text: no text can become one of its special tokens.
//!
//! The library leaves out the search for special tokens when it is asked to, but a vocabulary that holds the text of a
//! special token as a piece of its own (Unigram and WordLevel ones do, and byte-pair ones that take whole words) finds
//! it all the same. So those pieces are taken out of the model that sees users' text, which becomes the ordinary pieces
//! that are left. Only the token for unknown text stays, and stands for text that has no pieces.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use serde_json::{Map, Value};
use tokenizers::{ModelWrapper, Tokenizer as Core};

use crate::ModelError;

/// The definition's model without the pieces of special tokens; `None` if it has no such pieces.
pub(crate) fn model_without_specials(
    path: &Path,
    definition: &Value,
    core: &Core,
) -> Result<Option<ModelWrapper>, ModelError> {
    let added = core.get_added_tokens_decoder();
    let specials: HashSet<u32> = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
    let source = &definition["model"];
    let model = match &source["vocab"] {
        Value::Object(vocabulary) => without_words(source, vocabulary, &specials),
        Value::Array(pieces) => without_pieces(source, pieces, &specials),
        _ => None,
    };
    let Some(model) = model else { return Ok(None) };
    serde_json::from_value(model)
        .map(Some)
        .map_err(|error| ModelError::malformed(path, format!("tokenizer without special tokens: {error}")))
}

fn is_special(id: &Value, specials: &HashSet<u32>) -> bool {
    id.as_u64().is_some_and(|id| u32::try_from(id).is_ok_and(|id| specials.contains(&id)))
}

/// Of a vocabulary from strings to ids: special tokens go, with the merges that make them or are made of them.
fn without_words(model: &Value, vocabulary: &Map<String, Value>, specials: &HashSet<u32>) -> Option<Value> {
    let gone: HashSet<&str> = vocabulary
        .iter()
        .filter(|(_, id)| is_special(id, specials))
        .map(|(token, _)| token.as_str())
        .collect();
    if gone.is_empty() {
        return None;
    }
    let mut fields = model.as_object()?.clone();
    let mut kept: Map<String, Value> =
        vocabulary.iter().filter(|(token, _)| !gone.contains(token.as_str())).map(owned).collect();
    if let Some(unknown) = model["unk_token"].as_str().filter(|unknown| gone.contains(unknown)) {
        let name = unguessable();
        kept.insert(name.clone(), vocabulary[unknown].clone());
        fields.insert("unk_token".to_owned(), name.into());
    }
    fields.insert("vocab".to_owned(), kept.into());
    if let Some(merges) = model["merges"].as_array() {
        let touches = |merge: &Value| {
            let parts = match merge {
                Value::String(pair) => pair.split_once(' '),
                pair => pair[0].as_str().zip(pair[1].as_str()),
            };
            parts.is_some_and(|(left, right)| {
                gone.contains(left)
                    || gone.contains(right)
                    || gone.contains(format!("{left}{right}").as_str())
            })
        };
        let merges: Vec<Value> = merges.iter().filter(|merge| !touches(merge)).cloned().collect();
        fields.insert("merges".to_owned(), merges.into());
    }
    Some(fields.into())
}

fn owned((token, id): (&String, &Value)) -> (String, Value) {
    (token.clone(), id.clone())
}

/// Of a list of pieces, where the place is the id: special tokens keep their places under names that no text holds.
fn without_pieces(model: &Value, pieces: &[Value], specials: &HashSet<u32>) -> Option<Value> {
    if !(0u32..).zip(pieces).any(|(id, _)| specials.contains(&id)) {
        return None;
    }
    let mut fields = model.as_object()?.clone();
    let renamed = (0u32..).zip(pieces).map(|(id, piece)| {
        if specials.contains(&id) {
            Value::from(vec![unguessable().into(), piece[1].clone()])
        } else {
            piece.clone()
        }
    });
    fields.insert("vocab".to_owned(), renamed.collect());
    Some(fields.into())
}

/// A name of 128 random bits, another one at each call: no text is known to hold it.
fn unguessable() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("\u{FFFF}{:016x}{:016x}\u{FFFF}", random(), random())
}
