//! Tokenizers from GGUF metadata: equal to their twins from `tokenizer.json` and to SentencePiece, or refused.

mod text_support;

use std::path::Path;

use attentionstore_model::ModelError;
use attentionstore_model::text::{GgufTokenizer, Specials, Tokenizer};
use serde_json::Value;
use text_support::{fixture, fixture_path, ids};

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The metadata that a converter would write for a family's `tokenizer.json`.
fn metadata_of(family: &str, pre: &str) -> GgufTokenizer {
    let definition = fixture(&format!("{family}/tokenizer.json"));
    let vocabulary = definition["model"]["vocab"].as_object().unwrap();
    let added = definition["added_tokens"].as_array().unwrap();
    let count = vocabulary
        .len()
        .max(added.iter().map(|token| token["id"].as_u64().unwrap() as usize + 1).max().unwrap());
    let mut gguf = GgufTokenizer {
        model: "gpt2".to_owned(),
        pre: Some(pre.to_owned()),
        tokens: vec![String::new(); count],
        token_types: vec![1; count],
        ..GgufTokenizer::default()
    };
    for (token, id) in vocabulary {
        gguf.tokens[id.as_u64().unwrap() as usize] = token.clone();
    }
    for token in added {
        let id = token["id"].as_u64().unwrap() as usize;
        gguf.tokens[id] = token["content"].as_str().unwrap().to_owned();
        gguf.token_types[id] = if token["special"] == true { 3 } else { 4 };
    }
    let merge = |pair: &Value| texts(pair).join(" ");
    gguf.merges = definition["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    gguf
}

fn sentencepiece() -> GgufTokenizer {
    let model = fixture("sentencepiece/model.json");
    let id = |name: &str| Some(model[name].as_u64().unwrap() as u32);
    GgufTokenizer {
        model: "llama".to_owned(),
        tokens: texts(&model["tokens"]),
        token_types: ids(&model["token_types"]).into_iter().map(|stored| stored as i32).collect(),
        scores: model["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|score| score.as_f64().unwrap() as f32)
            .collect(),
        bos: id("bos"),
        eos: id("eos"),
        unknown: id("unknown"),
        ..GgufTokenizer::default()
    }
}

fn built(gguf: &GgufTokenizer) -> Tokenizer {
    Tokenizer::from_gguf(Path::new("model.gguf"), gguf).unwrap()
}

fn refused(gguf: &GgufTokenizer) -> ModelError {
    Tokenizer::from_gguf(Path::new("model.gguf"), gguf).err().expect("the tokenizer should be refused")
}

#[test]
fn a_gguf_tokenizer_encodes_as_its_twin_from_tokenizer_json() {
    for (family, pre) in
        [("gpt2", "gpt-2"), ("llama3", "llama-bpe"), ("qwen2", "qwen2"), ("tekken", "tekken")]
    {
        let gguf = built(&metadata_of(family, pre));
        let path = fixture_path(&format!("{family}/tokenizer.json"));
        let twin = Tokenizer::from_json(&path, &std::fs::read(&path).unwrap()).unwrap();
        for case in fixture(&format!("{family}/strings.json"))["short"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            for specials in [Specials::Parse, Specials::Plain] {
                assert_eq!(gguf.encode(text, specials), twin.encode(text, specials), "{family}: {text:?}");
            }
        }
        for id in 0..twin.vocab_size() as u32 {
            assert_eq!(gguf.token_bytes(id), twin.token_bytes(id), "{family}: token {id}");
        }
    }
}

#[test]
fn a_sentencepiece_vocabulary_with_scores_encodes_as_sentencepiece_does() {
    let tokenizer = built(&sentencepiece());
    let cases = fixture("sentencepiece/strings.json");
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let expected = ids(&case["ids"]);
        assert_eq!(tokenizer.encode(text, Specials::Plain).unwrap(), expected, "{text:?}");
        assert_eq!(tokenizer.decode(&expected, false).unwrap(), text, "{text:?} decoded");
    }
    assert_eq!(tokenizer.prompt_prefix(), [1], "a SentencePiece model begins a raw prompt with BOS");
}

#[test]
fn bos_comes_first_where_the_file_says_so_and_else_where_its_kind_does() {
    let mut gguf = metadata_of("llama3", "llama-bpe");
    gguf.bos = Some(0);
    let prompt = |gguf: &GgufTokenizer| built(gguf).encode_prompt("a", Specials::Parse).unwrap();
    let with = prompt(&gguf);
    assert_eq!((with.len(), with[0]), (2, 0));
    gguf.add_bos = Some(false);
    assert_eq!(prompt(&gguf), with[1..]);
    gguf.pre = Some("qwen2".to_owned());
    gguf.add_bos = None;
    assert_eq!(prompt(&gguf).len(), 1);
}

#[test]
fn kinds_that_cannot_be_done_right_are_refused_by_name() {
    let unsupported = |gguf: GgufTokenizer, word: &str| {
        let error = refused(&gguf);
        assert!(matches!(error, ModelError::Unsupported { .. }), "{error}");
        let message = error.to_string();
        assert!(message.starts_with("model.gguf: ") && message.contains(word), "{message}");
    };
    let gpt2 = metadata_of("gpt2", "gpt-2");
    unsupported(GgufTokenizer { model: "rwkv".to_owned(), ..gpt2.clone() }, "\"rwkv\"");
    unsupported(GgufTokenizer { pre: Some("newest".to_owned()), ..gpt2 }, "\"newest\"");
    let mut no_bytes = sentencepiece();
    no_bytes.token_types[3] = 1;
    unsupported(no_bytes, "255 byte tokens");
}

/// A vocabulary of `count` tokens and `merges` merges, with these tokens in their places.
fn vocabulary(count: usize, merges: usize, known: &[(usize, &str)]) -> GgufTokenizer {
    let mut tokens: Vec<String> = (0..count).map(|id| format!("t{id}")).collect();
    known.iter().for_each(|(id, text)| tokens[*id] = (*text).to_owned());
    let merges = vec!["a b".to_owned(); merges];
    GgufTokenizer { model: "gpt2".to_owned(), tokens, merges, ..GgufTokenizer::default() }
}

/// A completed tokenizer: its pre-tokenizer, and the sentence for the log.
fn completed(mut gguf: GgufTokenizer) -> Result<(Option<String>, Option<String>), String> {
    gguf.complete(Path::new("model.gguf")).map_err(|error| error.to_string())?;
    Ok((gguf.pre, gguf.guessed))
}

#[test]
fn a_missing_pre_tokenizer_is_guessed_where_the_vocabulary_settles_it_and_told() {
    let gpt2: &[_] = &[(0, "!"), (50_255, "Ġgazed"), (50_256, "<|endoftext|>")];
    let smollm: &[_] = &[(0, "<|endoftext|>"), (1, "<|im_start|>"), (2, "<|im_end|>"), (49_151, "ectable")];
    let llama: &[_] = &[(0, "!"), (128_000, "<|begin_of_text|>"), (128_001, "<|end_of_text|>")];
    let qwen: &[_] = &[(0, "!"), (151_643, "<|endoftext|>"), (151_644, "<|im_start|>")];
    let families = [
        ("gpt-2", "GPT-2", 50_257, 50_000, gpt2),
        ("smollm", "SmolLM", 49_152, 48_900, smollm),
        ("llama-bpe", "Llama 3", 128_256, 280_147, llama),
        ("qwen2", "Qwen2", 151_936, 151_387, qwen),
    ];
    for (pre, family, count, merges, known) in families {
        let (found, guessed) = completed(vocabulary(count, merges, known)).unwrap();
        assert_eq!(found.as_deref(), Some(pre));
        let told = guessed.unwrap();
        assert!(told.contains("tokenizer.ggml.pre") && told.contains(family) && told.contains(pre), "{told}");
        let named = GgufTokenizer { pre: Some("tekken".into()), ..vocabulary(count, merges, known) };
        assert_eq!(completed(named), Ok((Some("tekken".to_owned()), None)), "what the file says is taken");
        // One sign that speaks against the family is enough.
        let mut other = vec![vocabulary(count, merges - 1, known)];
        other.extend((0..known.len()).map(|left_out| {
            let rest: Vec<_> =
                known.iter().enumerate().filter(|(i, _)| *i != left_out).map(|(_, k)| *k).collect();
            vocabulary(count, merges, &rest)
        }));
        for other in other {
            let refused = completed(other).unwrap_err();
            assert!(refused.starts_with("model.gguf: it has no tokenizer.ggml.pre"), "{refused}");
            assert!(refused.contains("GPT-2, SmolLM, Llama 3, Qwen2"), "{refused}");
        }
    }
}

#[test]
fn a_vocabulary_without_merges_is_refused_unless_nothing_could_be_merged() {
    let refused =
        completed(GgufTokenizer { merges: Vec::new(), ..metadata_of("gpt2", "gpt-2") }).unwrap_err();
    assert!(refused.contains("it has no tokenizer.ggml.merges"), "{refused}");
    let mut bytes = metadata_of("gpt2", "gpt-2");
    bytes.tokens.truncate(5);
    bytes.token_types.truncate(5);
    bytes.tokens = vec!["a".into(), "Ġ".into(), "b".into(), "<|end|>".into(), "é".into()];
    bytes.token_types = vec![1, 1, 1, 3, 1];
    bytes.merges.clear();
    assert_eq!(completed(bytes), Ok((Some("gpt-2".to_owned()), None)));
    let sentencepiece = completed(sentencepiece());
    assert_eq!(sentencepiece, Ok((None, None)), "its merges follow from the scores");
}

#[test]
fn metadata_that_contradicts_itself_is_refused_without_a_panic() {
    let gpt2 = metadata_of("gpt2", "gpt-2");
    let malformed = |gguf: GgufTokenizer, word: &str| {
        let error = refused(&gguf);
        assert!(matches!(error, ModelError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    malformed(GgufTokenizer { tokens: Vec::new(), ..gpt2.clone() }, "empty");
    malformed(GgufTokenizer { token_types: vec![1; 3], ..gpt2.clone() }, "3 token types");
    malformed(GgufTokenizer { scores: vec![0.5], ..gpt2.clone() }, "1 token scores");
    malformed(GgufTokenizer { eos: Some(1 << 20), ..gpt2.clone() }, "eos token id 1048576");
    malformed(GgufTokenizer { scores: Vec::new(), ..sentencepiece() }, "scores");
    for merge in ["nospace", "a b c", "a ", "zz\u{1F600} a", "Ġthe Ġcache"] {
        let merges = vec![merge.to_owned()];
        malformed(GgufTokenizer { merges, ..gpt2.clone() }, "merge 0");
    }
}

#[test]
fn a_tokenizer_json_that_the_library_would_panic_on_is_refused() {
    let path = fixture_path("gpt2/tokenizer.json");
    let good = fixture("gpt2/tokenizer.json");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut definition = good.clone();
        change(&mut definition);
        let error =
            Tokenizer::from_json(&path, definition.to_string().as_bytes()).err().expect("should be refused");
        assert!(error.to_string().contains("gpt2/tokenizer.json: "), "{error}");
        error.to_string()
    };
    assert!(Tokenizer::from_json(&path, b"{").is_err());
    assert!(
        refused(&|d| d["model"]["merges"][0] = serde_json::json!(["nowhere", "a"])).contains("\"nowhere\"")
    );
    assert!(refused(&|d| d["model"]["vocab"]["a"] = 4_000_000_000u64.into()).contains("4000000000"));
    assert!(refused(&|d| d["model"]["type"] = "WordPiece".into()).contains("WordPiece"));
    assert!(refused(&|d| d["model"]["end_of_word_suffix"] = "</w>".into()).contains("end_of_word_suffix"));
    assert!(refused(&|d| d["decoder"] = Value::Null).contains("decoder"));
    assert!(refused(&|d| d["decoder"] = serde_json::json!({"type": "CTC"})).contains("CTC"));
    refused(&|d| d["pre_tokenizer"] = "nonsense".into());
    refused(&|d| d["model"] = Value::Null);
}

#[test]
fn a_vocabulary_that_does_not_fit_the_embeddings_is_refused() {
    let tokenizer = built(&metadata_of("gpt2", "gpt-2"));
    let size = tokenizer.vocab_size();
    assert!(tokenizer.check_fits(size).is_ok() && tokenizer.check_fits(size + 100).is_ok());
    let error = tokenizer.check_fits(size - 1).unwrap_err().to_string();
    assert!(error.contains(&(size - 1).to_string()) && error.contains("model.gguf"), "{error}");
}

#[test]
fn a_text_never_has_fewer_tokens_than_its_length_promises() {
    for (family, pre) in [("gpt2", "gpt-2"), ("qwen2", "qwen2")] {
        let tokenizer = built(&metadata_of(family, pre));
        for case in fixture(&format!("{family}/strings.json"))["short"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap().repeat(20);
            let tokens = tokenizer.encode(&text, Specials::Parse).unwrap();
            assert!(tokenizer.fewest_tokens(text.len()) <= tokens.len(), "{text:?}");
        }
        assert!(tokenizer.fewest_tokens(1 << 20) > 1000);
    }
}
