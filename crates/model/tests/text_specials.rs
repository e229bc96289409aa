//! No text of a user becomes a special token, whatever kind of vocabulary holds the special token's own text.

mod text_support;

use std::path::Path;

use attentionstore_model::text::{Specials, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};
use text_support::{FAMILIES, family};

fn special(id: u32, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true})
}

fn tokenizer(added: &[Value], normalizer: Value, pre: Value, decoder: Value, model: Value) -> Tokenizer {
    let definition = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": null, "decoder": decoder, "model": model});
    Tokenizer::from_json(Path::new("tokenizer.json"), definition.to_string().as_bytes()).unwrap()
}

fn metaspace() -> Value {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})
}

fn unigram(normalizer: Value) -> Tokenizer {
    let pieces = json!([
        ["<unk>", 0.0],
        ["<s>", 0.0],
        ["</s>", 0.0],
        ["▁", -2.0],
        ["h", -3.0],
        ["i", -3.0],
        ["<", -4.0],
        ["/", -4.0],
        ["s", -4.0],
        [">", -4.0],
        ["▁hi", -2.5],
        ["▁</s>", 0.0]
    ]);
    let added = [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>"), special(11, "▁</s>")];
    let model = json!({"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": pieces});
    tokenizer(&added, normalizer, metaspace(), metaspace(), model)
}

fn word_level() -> Tokenizer {
    let model = json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "</s>": 1, "hi": 2}});
    let added = [special(1, "</s>")];
    tokenizer(&added, Value::Null, json!({"type": "WhitespaceSplit"}), json!({"type": "Fuse"}), model)
}

/// Merges make the special token's text, and whole words are taken before merges.
fn byte_pairs(takes_words: bool) -> Tokenizer {
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true});
    let model = json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": takes_words,
        "vocab": {"E": 0, "O": 1, "S": 2, "Ġ": 3, "EO": 4, "EOS": 5, "<": 6, ">": 7, "ĠEOS": 8, "EOSEOS": 9},
        "merges": [["E", "O"], ["EO", "S"], ["Ġ", "EOS"], ["EOS", "EOS"]]});
    tokenizer(&[special(5, "EOS")], Value::Null, byte_level.clone(), byte_level, model)
}

fn plain(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let ids = tokenizer.encode(text, Specials::Plain).unwrap();
    assert!(ids.iter().all(|id| !tokenizer.is_special(*id)), "{text:?} became {ids:?}");
    ids
}

#[test]
fn text_of_a_special_token_becomes_the_ordinary_pieces_of_a_unigram_vocabulary() {
    let tokenizer = unigram(Value::Null);
    let ids = plain(&tokenizer, "hi</s> <s>hi");
    assert_eq!(ids, [10, 6, 7, 8, 9, 3, 6, 8, 9, 4, 5]);
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), "hi</s> <s>hi");
    plain(&tokenizer, "</s>");
    // What the template writes is still found.
    assert_eq!(tokenizer.encode("hi</s>", Specials::Parse).unwrap(), [10, 2]);
    assert_eq!(tokenizer.token_id("</s>"), Some(2));
}

#[test]
fn text_that_a_normalizer_turns_into_a_special_token_does_not_become_it() {
    let lowercase = unigram(json!({"type": "Lowercase"}));
    assert_eq!(plain(&lowercase, "HI</S>"), [10, 6, 7, 8, 9]);
    let replaces = unigram(json!({"type": "Replace", "pattern": {"String": "i"}, "content": "</s>"}));
    plain(&replaces, "hi hi");
}

#[test]
fn text_without_pieces_is_unknown_and_no_other_special_token() {
    let tokenizer = unigram(Value::Null);
    assert_eq!(tokenizer.encode("語", Specials::Plain).unwrap(), [3, 0]);
    let words = word_level();
    assert_eq!(plain(&words, "hi </s> hi"), [2, 0, 2]);
    assert_eq!(words.encode("hi</s>", Specials::Parse).unwrap(), [2, 1]);
}

#[test]
fn merges_and_whole_words_of_byte_pairs_make_no_special_token() {
    for takes_words in [false, true] {
        let tokenizer = byte_pairs(takes_words);
        assert_eq!(plain(&tokenizer, "EOS"), [4, 2]);
        plain(&tokenizer, "<EOS EOSEOS> EOS");
        assert_eq!(tokenizer.encode("EOS", Specials::Parse).unwrap(), [5]);
    }
}

#[test]
fn no_text_of_any_family_becomes_special() {
    for (name, _) in FAMILIES {
        let tokenizer = family(name).tokenizer;
        let specials: Vec<String> = (0..tokenizer.vocab_size() as u32)
            .filter(|id| tokenizer.is_special(*id))
            .map(|id| String::from_utf8(tokenizer.raw_token_bytes(id).to_vec()).unwrap())
            .collect();
        let unknown = tokenizer.token_id("<unk>");
        let piece = prop_oneof![
            proptest::sample::select(specials),
            any::<char>().prop_map(String::from),
            "[a-z <>|]{0,6}"
        ];
        proptest!(ProptestConfig::with_cases(200), |(pieces in proptest::collection::vec(piece, 0..12))| {
            let ids = tokenizer.encode(&pieces.concat(), Specials::Plain).unwrap();
            prop_assert!(ids.iter().all(|id| !tokenizer.is_special(*id) || Some(*id) == unknown), "{}: {:?}", name, ids);
        });
    }
}
